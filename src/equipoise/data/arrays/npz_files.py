"""Arrays in npz files, compressed or not, or in a folder of npy files, read block by block: they may exceed memory.

Pickles are never loaded.
"""

import contextlib
import math
import os
import shlex
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from equipoise.core.errors import ConfigError, counted
from equipoise.data import other_formats
from equipoise.data.paths import existing_file, existing_folder, is_folder
from equipoise.data.remote import local

NPY = ".npy"
BLOCK_BYTES = 16 << 20
LABEL_BYTES = 4096  # of one label at most; a header may claim any number

Array = np.ndarray[Any, np.dtype[Any]]


def archive_of(path: str, option: str) -> tuple[Path, str | None]:
    """Return the npz file, or the folder of npy files, that a path names, and the name of the array if it names one.

    Raises
    ------
    ConfigError
        If there is no such file or folder.
    """
    path = local(path, option)
    if is_folder(path):
        return existing_folder(path, option), None
    file = existing_file(path, option)
    return (file.parent, file.stem) if file.suffix.lower() == NPY else (file, None)


def members(file: Path) -> list[str]:
    """Return the names of the arrays.

    Raises
    ------
    ConfigError
        If it is no npz file, or a folder without npy files.
    """
    if file.is_dir():
        names = sorted(inside.stem for inside in file.iterdir() if inside.suffix.lower() == NPY)
        if not names:
            raise ConfigError(f"{file} holds no npy files; np.save('x.npy', …) writes one")
        return names
    try:
        with zipfile.ZipFile(file) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    except Exception as error:  # whatever a damaged archive makes the reader raise
        with open(file, "rb") as stream:
            told = other_formats.told(file, stream.read(other_formats.HEAD))
        if told:
            raise ConfigError(told) from None
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


@dataclass(frozen=True)
class _Header:
    """What the header of an array says, and how many bytes follow it at most."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    held: int


@contextlib.contextmanager
def _member(file: Path, name: str) -> Iterator[tuple[IO[bytes], int]]:
    """Open a member of the file or folder; also its size in bytes."""
    if file.is_dir():
        with open(file / f"{name}{NPY}", "rb") as stream:
            yield stream, os.fstat(stream.fileno()).st_size
    else:
        with zipfile.ZipFile(file) as archive, archive.open(f"{name}{NPY}") as stream:
            yield stream, archive.getinfo(f"{name}{NPY}").file_size


@contextlib.contextmanager
def _opened(file: Path, name: str, wanted: str = "str") -> Iterator[tuple[IO[bytes], _Header]]:
    """Open an array: its stream after the header, and what the header says."""
    with contextlib.ExitStack() as stack:
        with _damage(file, name):
            stream, held = stack.enter_context(_member(file, name))
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(stream)
            if min(shape, default=0) < 0:
                raise ValueError(f"it claims the shape {shape}")
        if dtype.hasobject:
            raise _pickled(file, name, wanted)
        yield stream, _Header(shape, dtype, fortran, held)


def _pickled(file: Path, name: str, wanted: str) -> ConfigError:
    """Return the error of a pickle, as which text of pandas is saved, and which only the user can know to be safe."""
    in_folder = (
        "import sys, numpy as np; file = sys.argv[1]; found = np.array(np.load(file, allow_pickle=True).tolist()); "
        "np.save(file, found.astype(str) if found.dtype == object else found)"
    )
    in_npz = (
        "import sys, numpy as np; file, name = sys.argv[1:]; arrays = dict(np.load(file, allow_pickle=True)); "
        "found = np.array(arrays[name].tolist()); "
        "arrays[name] = found.astype(str) if found.dtype == object else found; np.savez(file, **arrays)"
    )
    own = [in_folder, f"{file / name}{NPY}"] if file.is_dir() else [in_npz, str(file), name]
    command = shlex.join(["python", "-c", *own])
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
    with _opened(file, name, "float") as (_, found):
        shape, dtype = found.shape, found.dtype
    claimed, held = math.prod(shape) * dtype.itemsize, found.held
    if dtype.kind not in "fiub":
        raise ConfigError(f"{file}: the array '{name}' has the type {dtype}: features are numbers")
    if claimed > held:
        raise ConfigError(f"{file}: the array '{name}' claims {claimed} bytes and has {held}: the file is damaged")
    return shape


def blocks(file: Path, name: str) -> Iterator[tuple[int, Array]]:
    """Read the array in blocks of whole samples, each with the number of its first one.

    An array in Fortran order, as a data frame's often is, has each sample all over the file: it is read at once in an
    npz, and mapped as a file of its own.
    """
    with _opened(file, name) as (stream, found):
        shape, dtype, fortran = found.shape, found.dtype, found.fortran
        size = math.prod(shape[1:]) * dtype.itemsize
        step = max(1, BLOCK_BYTES // size)
        if fortran and file.is_dir():
            with _damage(file, name):
                mapped = np.load(file / f"{name}{NPY}", mmap_mode="r", allow_pickle=False)
            yield from (
                (start, np.ascontiguousarray(mapped[start : start + step])) for start in range(0, len(mapped), step)
            )
            return
        step = shape[0] if fortran else step
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
    with _opened(file, name) as (stream, header):
        shape, dtype, fortran = header.shape, header.dtype, header.fortran
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
