"""Files that are not read here, known by how they begin or by their name, each with the line that converts it.

What is read, and by what, is told elsewhere.
"""

import itertools
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HEAD = 512  # bytes that tell the kind: a tar says it at the 257th
TAR_AT, TAR = 257, b"ustar"
FOOT = 4  # bytes at the end that tell it, where those on top could be a column's name


@dataclass(frozen=True)
class Other:
    """A kind of files that is not read.

    Attributes
    ----------
    kind : as messages call it
    cure : what to do
    program : the Python that does it, with `FILE`, its path, and `STEM`, its path without the suffix; None: none does
    begins : its first bytes
    ends : what its last `FOOT` bytes hold
    suffixes : of its names, of kinds that do not begin alike
    """

    kind: str
    cure: str
    program: str | None = None
    begins: tuple[bytes, ...] = ()
    suffixes: tuple[str, ...] = ()
    ends: bytes = b""

    def told(self, file: Path) -> str:
        """Return the message for a file."""
        message = f"{file} is {self.kind}: {self.cure}"
        if self.program is None:
            return message
        suffix = self.program.partition("'STEM")[2].partition("'")[0]
        code = self.program.replace("FILE", repr(str(file))).replace(f"'STEM{suffix}'", repr(_free(file, suffix)))
        return f"{message}, for example\n  {shlex.join(['python', '-c', code])}"


def _free(file: Path, suffix: str) -> str:
    """Return a path beside a file where none is, the file itself included: what is converted overwrites nothing."""
    stem = str(file).removesuffix(file.suffix)
    paths = (f"{stem}{more}{suffix}" for more in itertools.chain([""], map("-{}".format, itertools.count(2))))
    return next(path for path in paths if not os.path.lexists(path))


def _by_pandas(
    kind: str, read: str, begins: Sequence[bytes] = (), suffixes: Sequence[str] = (), ends: bytes = b""
) -> Other:
    program = f"import pandas; pandas.{read}.to_parquet('STEM.parquet')"
    return Other(kind, "save it as CSV or Parquet", program, tuple(begins), tuple(suffixes), ends)


_SHEET = "import pandas; pandas.read_excel(FILE).to_csv('STEM.csv', index=False)"
EXCEL = Other("an Excel workbook", "save its sheet as CSV", _SHEET)
OPEN_SHEET = Other("an OpenDocument sheet", "save it as CSV", _SHEET)
ARRAYS = Other("a file of arrays", "dataset=npz reads it", None, (b"\x93NUMPY",))
OTHERS = (
    Other("an old Excel workbook", "save its sheet as CSV", _SHEET, (b"\xd0\xcf\x11\xe0",)),
    Other(
        "a database",
        "write one of its tables as CSV",
        "import pandas, sqlite3; pandas.read_sql('select * from TABLE', sqlite3.connect(FILE))"
        ".to_csv('STEM.csv', index=False)",
        (b"SQLite format 3\0",),
    ),
    _by_pandas("an ORC file", "read_orc(FILE)", [b"ORC"], ends=b"ORC"),
    _by_pandas("a Feather file of the first version", "read_feather(FILE)", [b"FEA1"], ends=b"FEA1"),
    _by_pandas("a file of SPSS", "read_spss(FILE)", [b"$FL2", b"$FL3"]),
    _by_pandas("a file of Stata", "read_stata(FILE)", [b"<stata_dta>"], [".dta"]),
    _by_pandas("a file of SAS", "read_sas(FILE)", suffixes=[".sas7bdat", ".xpt"]),
    _by_pandas("an XML file", "read_xml(FILE)", [b"<?xml"], [".xml"]),
    _by_pandas("a web page", "read_html(FILE)[0]", [b"<!DOCTYPE html", b"<!doctype html", b"<html"], [".html", ".htm"]),
    Other(
        "an ARFF file",
        "save it as CSV",
        "import pandas, scipy.io.arff as arff; pandas.DataFrame(arff.loadarff(FILE)[0]).map(lambda value: "
        "value.decode() if isinstance(value, bytes) else value).to_csv('STEM.csv', index=False)",
        suffixes=(".arff",),
    ),
    Other(
        "an Avro file",
        "save it as Parquet",
        "import fastavro, pandas; pandas.DataFrame(fastavro.reader(open(FILE, 'rb'))).to_parquet('STEM.parquet')",
        (b"Obj\x01",),
    ),
    Other(
        "a file of R",
        "write it as CSV, in R: write.csv(readRDS('FILE.rds'), 'FILE.csv', row.names = FALSE)",
        suffixes=(".rds", ".rdata", ".rda"),
    ),
    Other(
        "a pickle, which could run code when loaded, and is never read",
        "if it is your own, save it as Parquet",
        "import pandas; pandas.read_pickle(FILE).to_parquet('STEM.parquet')",
        (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"),
        (".pkl", ".pickle"),
    ),
    Other(
        "an HDF5 file",
        "save it as Parquet, or its arrays as npz",
        "import h5py, numpy; file = h5py.File(FILE); "
        "numpy.savez('STEM.npz', **{name: file[name][()] for name in file})",
        (b"\x89HDF",),
    ),
    Other(
        "a file of MATLAB",
        "save its arrays as npz",
        "import numpy, scipy.io; numpy.savez('STEM.npz', **{name: array for name, array in "
        "scipy.io.loadmat(FILE).items() if name[0] != '_'})",
        (b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file"),
        (".mat",),
    ),
    ARRAYS,
    Other(
        "an image",
        "dataset=image_directory reads a folder of them",
        None,
        (b"\x89PNG", b"\xff\xd8\xff", b"GIF87a", b"GIF89a"),
    ),
    Other("a file of records", "dataset=tfrecord reads the folder that it stands in", suffixes=(".tfrecord",)),
    Other("a 7z archive", "unpack it, and name one of its files", None, (b"7z\xbc\xaf",)),
    Other("a RAR archive", "unpack it, and name one of its files", None, (b"Rar!\x1a\x07",)),
    Other("a zstd archive", "unpack it with zstd -d", None, (b"\x28\xb5\x2f\xfd",)),
)
TAPE = Other("a tar archive", "unpack it with tar -xf, and name one of its files", suffixes=(".tar", ".tgz"))


def told(file: Path, start: bytes) -> str | None:
    """Return what a file is that is not read as a table, and how to convert it; None if it is none that is known.

    Parameters
    ----------
    start : its first bytes, `HEAD` of them if it has so many
    """
    if is_tape(file, start):
        return TAPE.told(file)
    suffix = file.suffix.lower()
    begun = (other for other in OTHERS if start.startswith(other.begins) or suffix in other.suffixes)
    found = next((other for other in begun if not other.ends or other.ends in foot(file)), None)
    return found.told(file) if found else None


def foot(file: Path) -> bytes:
    """Return a file's last bytes, `FOOT` of them if it has so many."""
    with open(file, "rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - FOOT))
        return stream.read()


def is_tape(file: Path, start: bytes) -> bool:
    """Return whether a file is a tar, packed or not."""
    is_named = any(suffix.lower() in TAPE.suffixes for suffix in file.suffixes[-2:])
    return is_named or start[TAR_AT:].startswith(TAR)


def of_archive(file: Path, names: Sequence[str]) -> str | None:
    """Return what a zip with files of these names is, if it is a file of its own kind."""
    if "[Content_Types].xml" in names:
        return EXCEL.told(file)
    if {"mimetype", "content.xml"} <= set(names):
        return OPEN_SHEET.told(file)
    return ARRAYS.told(file) if names and all(name.endswith(".npy") for name in names) else None
