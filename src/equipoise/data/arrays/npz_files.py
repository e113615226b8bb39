"""Arrays in npz files, compressed or not, read block by block, so that they may be larger than memory.

Pickles are never loaded.
"""

import contextlib
import math
import shlex
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from equipoise.core.schema import ConfigError, counted

BLOCK_BYTES = 16 << 20
LABEL_BYTES = 4096  # of one label at most; a header may claim any number

Array = np.ndarray[Any, np.dtype[Any]]


def members(file: Path) -> list[str]:
    """Return the names of the arrays."""
    try:
        with zipfile.ZipFile(file) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    except Exception as error:  # whatever a damaged archive makes the reader raise
        raise ConfigError(
            f"{file} is no npz file ({error}); np.savez(…, x=…, y=…) writes one, and series may stand in a .ts file"
        ) from None


@contextlib.contextmanager
def _damage(file: Path, name: str) -> Iterator[None]:
    """Tell of a damaged member, whatever zipfile, zlib or NumPy's parser of headers raise."""
    try:
        yield
    except Exception as error:
        raise ConfigError(
            f"{file}: the array '{name}' is damaged: {(str(error) or type(error).__name__).splitlines()[0]}"
        ) from None


@contextlib.contextmanager
def _opened(
    archive: zipfile.ZipFile, file: Path, name: str, wanted: str = "str"
) -> "Iterator[tuple[IO[bytes], tuple[int, ...], np.dtype[np.generic], bool]]":
    """Open a member: its stream after the header, its shape, its type, and whether it is in Fortran order."""
    with contextlib.ExitStack() as stack:
        with _damage(file, name):
            stream = stack.enter_context(archive.open(f"{name}.npy"))
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(stream)
            if min(shape, default=0) < 0:
                raise ValueError(f"it claims the shape {shape}")
        if dtype.hasobject:
            raise _pickled(file, name, wanted)
        yield stream, shape, dtype, fortran


def _pickled(file: Path, name: str, wanted: str) -> ConfigError:
    """Return the error of a pickle, as which text of pandas is saved, and which only the user can know to be safe."""
    program = (
        "import sys, numpy as np; file, name = sys.argv[1:]; arrays = dict(np.load(file, allow_pickle=True)); "
        "found = np.array(arrays[name].tolist()); "
        "arrays[name] = found.astype(str) if found.dtype == object else found; np.savez(file, **arrays)"
    )
    command = shlex.join(["python", "-c", program, str(file), name])
    kinds = "numbers, or series of unequal length as a .ts file" if wanted == "float" else "text or numbers"
    return ConfigError(
        f"{file}: the array '{name}' holds pickled objects, which could run code when loaded, and are never read. "
        f"Save it as {kinds}, np.savez(…, {name}={name}.astype({wanted})), or, if the file is your own:\n  {command}"
    )


def header(file: Path, name: str) -> tuple[int, ...]:
    """Return the array's shape.

    Raises
    ------
    ConfigError
        If it holds no numbers, or claims more of them than the file has.
    """
    with zipfile.ZipFile(file) as archive, _opened(archive, file, name, "float") as (_, shape, dtype, _):
        claimed, held = math.prod(shape) * dtype.itemsize, archive.getinfo(f"{name}.npy").file_size
    if dtype.kind not in "fiub":
        raise ConfigError(f"{file}: the array '{name}' has the type {dtype}: features are numbers")
    if claimed > held:
        raise ConfigError(f"{file}: the array '{name}' claims {claimed} bytes and has {held}: the file is damaged")
    return shape


def blocks(file: Path, name: str) -> Iterator[tuple[int, Array]]:
    """Read the array in blocks of whole samples, each with the number of its first one.

    An array in Fortran order, as a data frame's often is, has each sample all over the file, and is read at once.
    """
    with zipfile.ZipFile(file) as archive, _opened(archive, file, name) as (stream, shape, dtype, fortran):
        size = math.prod(shape[1:]) * dtype.itemsize
        step = shape[0] if fortran else max(1, BLOCK_BYTES // size)
        for start in range(0, shape[0], step):
            count = min(step, shape[0] - start)
            with _damage(file, name):
                data = stream.read(count * size)
            if len(data) < count * size:
                raise ConfigError(
                    f"{file}: the array '{name}' ends after {start + len(data) // size} of {shape[0]} samples"
                )
            yield (
                start,
                np.frombuffer(data, dtype).reshape(shape[::-1]).T
                if fortran
                else np.frombuffer(data, dtype).reshape(count, *shape[1:]),
            )


def whole(file: Path, name: str, features: str, samples: int, most: int = 1) -> Array:
    """Read at once an array with one value for each of the features' samples, (n,) or (n, 1), as (n,).

    Parameters
    ----------
    most : how many values a sample may have; an array of more than one is (n, values)
    """
    with zipfile.ZipFile(file) as archive, _opened(archive, file, name) as (stream, shape, dtype, fortran):
        width = math.prod(shape[1:])
        if not 1 <= len(shape) <= 2 or not 1 <= width <= most:
            raise ConfigError(f"'{name}' of {file} has the shape {shape}; needed is one label a sample, (n,)")
        if shape[0] != samples:
            raise ConfigError(
                f"{file}: '{features}' has {samples} samples and '{name}' has {counted(shape[0], 'label', 'labels')}"
            )
        if not 0 < dtype.itemsize <= LABEL_BYTES:
            raise ConfigError(
                f"{file}: the array '{name}' has {dtype.itemsize} bytes a label; possible are 1 to {LABEL_BYTES}"
            )
        with _damage(file, name):
            found = np.frombuffer(stream.read(samples * width * dtype.itemsize), dtype)
            rows = found.reshape(samples, width) if not fortran else found.reshape(width, samples).T
            return rows[:, 0] if width == 1 else rows
