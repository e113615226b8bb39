"""Arrays: npz files of any kind of samples, and time series (npz, or the .ts text format of the UEA & UCR archive).

An npz member is read block by block from the archive, compressed or not, so it may be larger than memory.
A pickled object is refused, never loaded.
"""

import contextlib
import math
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from equipoise.data.labels import in_array, spelled
from equipoise.data.sources import SPLITS, ArrayPreprocessing, Loaded, Raw, digest_of, existing_file
from equipoise.data.splitting import given_splits, grouped
from equipoise.options import ConfigError, Floats, Integers, Name, Names, listing, suggestion

BLOCK_BYTES = 16 << 20
LABEL_BYTES = 4096  # of one label; a header may claim any number
MOST_ONE_HOT = 20_000  # columns of a one-hot array

Scale = Literal["none", "standard", "byte"]
Array = np.ndarray[Any, np.dtype[Any]]
Blocks = Callable[[], Iterator[tuple[int, Array]]]  # whole samples, each with the number of its first one


def npz(*, path: Name, features: Name, target: Name, missing_labels: Names, group: Name | None, split: Name | None, scale: Scale) -> Raw:
    """Arrays in an npz file: features of shape (n, …) and class labels of shape (n,), numbers or text.

    Parameters
    ----------
    path : the file
    features, target, group, split : the arrays' names; group and split as for `csv`
    missing_labels : texts that mean «no label»
    scale : `standard` (training mean and deviation of each feature, or of each channel if there are more
        dimensions), `byte` (divide by 255) or `none`
    """
    return _from_npz(path, features, target, missing_labels, group, split, scale, series=False)


def series(
    *,
    path: Name,
    test_path: Name | None,
    features: Name,
    target: Name,
    missing_labels: Names,
    group: Name | None,
    unequal: Literal["refuse", "pad"],
    scale: Scale,
) -> Raw:
    """Time series: an npz with features of shape (n, steps, channels) or (n, steps), or a .ts file.

    Parameters
    ----------
    test_path : a second .ts file that is the test split
    features, target, group : the arrays' names in an npz
    missing_labels : texts that mean «no label»
    unequal : what to do with series of unequal length in a .ts file: refuse them, or pad them with zeros at the
        end and add a channel that is 1 where there are data
    scale : as for `npz`
    """
    if Path(path).suffix == ".ts":
        return _from_ts(path, test_path, missing_labels, unequal, scale)
    if test_path is not None:
        raise ConfigError("dataset.test_path is for .ts files; an npz names its splits in dataset=npz dataset.split")
    return _from_npz(path, features, target, missing_labels, group, None, scale, series=True)


def _from_npz(path: str, features: str, target: str, missing_labels: Sequence[str], group: str | None, split: str | None, scale: Scale, *, series: bool) -> Raw:
    file = existing_file(path, "dataset.path")
    names = _members(file)
    for option, name in (("features", features), ("target", target), ("group", group), ("split", split)):
        if name is not None and name not in names:
            raise ConfigError(f"dataset.{option}={name}: {file} has no such array{suggestion(name, names)}")
    shape, _ = _header(file, features)
    if len(shape) < 2 or 0 in shape:
        raise ConfigError(f"{file}: the array '{features}' has the shape {shape}; needed are samples along the first axis and features after it")
    if series and len(shape) > 3:
        raise ConfigError(f"{file}: the array '{features}' has the shape {shape}; series are (n, steps, channels) or (n, steps)")
    one = (*shape[1:], 1) if series and len(shape) == 2 else shape[1:]
    labels = in_array(_whole(file, target, features, shape[0], MOST_ONE_HOT), f"'{target}' of {file}", missing_labels)
    notes = list(labels.notes)
    groups = given = None
    if group is not None:
        groups, more = grouped(spelled(_whole(file, group, features, shape[0]), f"'{group}' of {file}"), f"dataset.group={group}", missing_labels)
        notes += more
    if split is not None:
        given, more = given_splits(spelled(_whole(file, split, features, shape[0]), f"'{split}' of {file}"), f"dataset.split={split}")
        notes += more

    def blocks() -> Iterator[tuple[int, Array]]:
        for start, block in _blocks(file, features):
            yield start, block.reshape(len(block), *one)

    def load(rows: Mapping[str, Integers], folder: Path) -> Loaded:
        return _write_scaled(blocks, one, rows, folder, scale, f"'{features}' of {file}")

    return Raw(labels.classes, labels.indices, len(one), digest_of(file), load, groups, given, tuple(notes))


def _write_scaled(blocks: Blocks, shape: tuple[int, ...], rows: Mapping[str, Integers], folder: Path, scale: Scale, name: str) -> Loaded:
    """Scale by the training rows and write each split; two passes, a block at a time."""

    def finite() -> Iterator[tuple[int, Array]]:
        for start, block in blocks():
            good = np.isfinite(block).reshape(len(block), -1).all(axis=1)
            if not good.all():
                raise ConfigError(f"{name}: sample {start + int(np.argmin(good))} holds NaN or infinity: replace or remove it")
            yield start, block

    with np.errstate(over="ignore", invalid="ignore"):
        shift, factor = _fit_scale(finite, shape, rows["train"], scale)
    if not (np.isfinite(shift).all() and np.isfinite(factor).all() and factor.all()):
        raise ConfigError(f"{name} holds numbers that are too large to be standardised: scale them first")
    learned = ArrayPreprocessing(shape=shape, shift=tuple(shift.tolist()), factor=tuple(factor.tolist()))
    features = {
        split: np.lib.format.open_memmap(folder / f"{split}_features.npy", mode="w+", dtype=np.float32, shape=(len(members), *shape))
        for split, members in rows.items()
    }
    for start, block in finite():
        scaled = learned.apply(block)
        if not np.isfinite(scaled).all():
            raise ConfigError(f"{name} holds numbers that are too large for float32: scale them first")
        for split, members in rows.items():
            low, high = np.searchsorted(members, (start, start + len(block)))
            features[split][low:high] = scaled[members[low:high] - start]
    return Loaded(dict(features), shape, preprocessing=learned)


def _fit_scale(blocks: Blocks, shape: tuple[int, ...], train: Integers, scale: Scale) -> tuple[Floats, Floats]:
    """What to subtract and what to multiply by, broadcast over samples."""
    if scale != "standard":
        return np.zeros(1), np.array([1 / 255 if scale == "byte" else 1.0])
    axes = (0,) if len(shape) == 1 else tuple(range(len(shape)))  # of each feature, or of each channel
    count, total, squares = 0, np.zeros(1), np.zeros(1)
    for start, block in blocks():
        low, high = np.searchsorted(train, (start, start + len(block)))
        values = block[train[low:high] - start].astype(np.float64)
        count += values.size // (values.shape[-1] or 1)
        total = total + values.sum(axis=axes)
        squares = squares + (values**2).sum(axis=axes)
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
    return mean, 1 / np.where(deviation <= 1e-12 * np.maximum(1, np.abs(mean)), 1, deviation)  # NaN stays


def _members(file: Path) -> list[str]:
    try:
        with zipfile.ZipFile(file) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    except Exception as error:  # whatever a damaged archive makes the reader raise
        raise ConfigError(f"{file} is no npz file: {error}") from None


@contextlib.contextmanager
def _damage(file: Path, name: str) -> Iterator[None]:
    """Whatever a damaged member makes zipfile, zlib or NumPy's parser of headers raise."""
    try:
        yield
    except Exception as error:
        raise ConfigError(f"{file}: the array '{name}' is damaged: {(str(error) or type(error).__name__).splitlines()[0]}") from None


@contextlib.contextmanager
def _opened(archive: zipfile.ZipFile, file: Path, name: str) -> "Iterator[tuple[IO[bytes], tuple[int, ...], np.dtype[np.generic], bool]]":
    """A member's stream after its header, its shape and type, and whether it is in Fortran order."""
    with contextlib.ExitStack() as stack:
        with _damage(file, name):
            stream = stack.enter_context(archive.open(f"{name}.npy"))
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(stream)
            if min(shape, default=0) < 0:
                raise ValueError(f"it claims the shape {shape}")
        if dtype.hasobject:
            raise ConfigError(f"{file}: the array '{name}' holds pickled objects, which could run code when loaded: save it as numbers or text")
        yield stream, shape, dtype, fortran


def _header(file: Path, name: str) -> tuple[tuple[int, ...], "np.dtype[np.generic]"]:
    with zipfile.ZipFile(file) as archive, _opened(archive, file, name) as (_, shape, dtype, fortran):
        claimed, held = math.prod(shape) * dtype.itemsize, archive.getinfo(f"{name}.npy").file_size
    if dtype.kind not in "fiub":
        raise ConfigError(f"{file}: the array '{name}' has the type {dtype}: features are numbers")
    if fortran:
        raise ConfigError(f"{file}: the array '{name}' is stored column by column: save it again with numpy.ascontiguousarray")
    if claimed > held:
        raise ConfigError(f"{file}: the array '{name}' claims {claimed} bytes and has {held}: the file is damaged")
    return shape, dtype


def _blocks(file: Path, name: str) -> Iterator[tuple[int, Array]]:
    """The array in blocks of whole samples, each with the number of its first one."""
    with zipfile.ZipFile(file) as archive, _opened(archive, file, name) as (stream, shape, dtype, _):
        size = math.prod(shape[1:]) * dtype.itemsize
        step = max(1, BLOCK_BYTES // size)
        for start in range(0, shape[0], step):
            count = min(step, shape[0] - start)
            with _damage(file, name):
                data = stream.read(count * size)
            if len(data) < count * size:
                raise ConfigError(f"{file}: the array '{name}' ends after {start + len(data) // size} of {shape[0]} samples")
            yield start, np.frombuffer(data, dtype).reshape(count, *shape[1:])


def _whole(file: Path, name: str, features: str, samples: int, most: int = 1) -> Array:
    """An array of a value for each of the features' samples, of shape (n,) or (n, 1), read at once as (n,).

    Parameters
    ----------
    most : values a sample; of more than one the array is (n, values)
    """
    with zipfile.ZipFile(file) as archive, _opened(archive, file, name) as (stream, shape, dtype, fortran):
        width = math.prod(shape[1:])
        if not 1 <= len(shape) <= 2 or not 1 <= width <= most:
            raise ConfigError(f"'{name}' of {file} has the shape {shape}; needed is one label a sample, (n,)")
        if shape[0] != samples:
            raise ConfigError(f"{file}: '{features}' has {samples} samples and '{name}' has {shape[0]} labels")
        if not 0 < dtype.itemsize <= LABEL_BYTES:
            raise ConfigError(f"{file}: the array '{name}' has {dtype.itemsize} bytes a label; possible are 1 to {LABEL_BYTES}")
        with _damage(file, name):
            found = np.frombuffer(stream.read(samples * width * dtype.itemsize), dtype)
            rows = found.reshape(samples, width) if not fortran else found.reshape(width, samples).T
            return rows[:, 0] if width == 1 else rows


def _from_ts(path: str, test_path: str | None, missing_labels: Sequence[str], unequal: str, scale: Scale) -> Raw:
    files = [existing_file(path, "dataset.path")] + ([existing_file(test_path, "dataset.test_path")] if test_path else [])
    found = [read_ts(file) for file in files]
    names = [label for _, labels in found for label in labels]
    labels = in_array(np.array(names), f"the class label of {files[0]}", missing_labels)
    samples = [sample for series, _ in found for sample in series]
    channels = {len(sample) for sample in samples}
    if len(channels) > 1:
        raise ConfigError(f"{files[0]}: the samples have {listing(sorted(map(str, channels)))} channels; they must have the same")
    lengths = {sample.shape[1] for sample in samples}
    if len(lengths) > 1 and unequal == "refuse":
        raise ConfigError(f"{files[0]}: the series have lengths from {min(lengths)} to {max(lengths)}; dataset.unequal=pad pads them and adds a mask channel")
    array = _padded(samples, mask=len(lengths) > 1)
    given = np.zeros(len(samples), dtype=np.int8)
    given[len(found[0][1]) :] = 1 + SPLITS.index("test")

    def load(rows: Mapping[str, Integers], folder: Path) -> Loaded:
        return _write_scaled(lambda: iter([(0, array)]), array.shape[1:], rows, folder, scale, str(files[0]))

    return Raw(
        labels.classes, labels.indices, 2, " ".join(digest_of(file) for file in files), load, None, given, labels.notes, tuple(len(own) for _, own in found)
    )


def _padded(samples: list[Floats], *, mask: bool) -> Floats:
    """float64 (n, steps, channels), with the mask as last channel if there is one."""
    steps = max(sample.shape[1] for sample in samples)
    array = np.zeros((len(samples), steps, len(samples[0]) + mask))
    for index, sample in enumerate(samples):
        array[index, : sample.shape[1], : len(sample)] = sample.T
        if mask:
            array[index, : sample.shape[1], -1] = 1
    return array


def read_ts(file: Path) -> tuple[list[Floats], list[str]]:
    """The samples of a .ts file, each float64 (channels, steps), and their class labels as text.

    Format: lines `@key value`, then `@data`; each line after it is the channels joined by `:`, their values by `,`,
    and the class label last (Middlehurst et al. 2024, aeon).
    """
    samples: list[Floats] = []
    labels: list[str] = []
    in_data = False
    try:
        with open(file, encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                text = line.strip()
                if not text or text.startswith("#"):
                    continue
                if in_data:
                    sample, label = _ts_line(text, file, number)
                    samples.append(sample)
                    labels.append(label)
                    continue
                _check_ts_header(text.lower(), file)
                in_data = text.lower() == "@data"
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is not UTF-8 text") from None
    if not samples:
        raise ConfigError(f"{file} has no samples after a line @data: it is no .ts file")
    return samples, labels


def _check_ts_header(text: str, file: Path) -> None:
    if not text.startswith("@"):
        raise ConfigError(f"{file} is no .ts file: a line before @data does not begin with @")
    if text.split()[:2] == ["@timestamps", "true"]:
        raise ConfigError(f"{file} has time stamps, which are not supported: resample the series at equal steps")
    if text.split()[:2] == ["@classlabel", "false"] or text.startswith("@targetlabel true"):
        raise ConfigError(f"{file} has no class labels")


def _ts_line(text: str, file: Path, number: int) -> tuple[Floats, str]:
    *channels, label = text.split(":")
    if not channels:
        raise ConfigError(f"{file}, line {number}: no class label after the last ':'")
    try:
        rows = [[float(value) for value in channel.split(",")] for channel in channels]
    except ValueError:
        raise ConfigError(f"{file}, line {number}: a value is missing or no number") from None
    if len({len(row) for row in rows}) > 1:
        raise ConfigError(f"{file}, line {number}: the channels have different lengths")
    return np.array(rows), label.strip()
