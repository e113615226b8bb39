"""Data that cannot be learned from, each with the message that it ends in."""

import bz2
import gzip
import lzma
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from data_files import csv_with, folder_of, npz_with, parquet_with, quoted, table, write

TWELVE = "".join(f"{i},{'ab'[i % 2]}\n" for i in range(12))


def other_file(folder: Path, text: str) -> Path:
    (folder / "other.csv").write_text(text)
    return folder / "other.csv"


def images_with(change: Callable[[Path], object], *more: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        for name in ("a", "b"):
            (folder / "images" / name).mkdir(parents=True)
            for index in range(6):
                Image.new("RGB", (9, 9), (index, 0, 0)).save(folder / "images" / name / f"{index}.png")
        change(folder / "images")
        return folder_of(folder / "images", *more)

    return make


def truncated(root: Path) -> None:
    Image.effect_noise((40, 40), 50).save(root / "a" / "x.png")
    (root / "a" / "x.png").write_bytes((root / "a" / "x.png").read_bytes()[:300])


def damaged_zip(folder: Path) -> list[str]:
    npz_with(x=np.zeros((30, 2)), y=np.arange(30) % 2)(folder)
    data = bytearray((folder / "a.npz").read_bytes())
    data[80:160] = bytes(80)
    (folder / "a.npz").write_bytes(data)
    return ["dataset=npz", f"dataset.path={quoted(folder / 'a.npz')}"]


def column_twice(folder: Path) -> list[str]:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table([[1], [2], ["a"]], names=["x", "x", "y"]), folder / "t.parquet")
    return table(folder / "t.parquet")


def bytes_with(name: str, content: bytes) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        (folder / name).write_bytes(content)
        return table(folder / name)

    return make


def zipped(folder: Path, *names: str, cut: int | None = None) -> list[str]:
    with zipfile.ZipFile(folder / "t.zip", "w") as archive:
        for name in names:
            archive.writestr(name, "x,y\n" + TWELVE)
    (folder / "t.zip").write_bytes((folder / "t.zip").read_bytes()[:cut])
    return table(folder / "t.zip")


def shorter_than_said(folder: Path) -> list[str]:
    header = b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (30, 2), }".ljust(127) + b"\n"
    np.save(folder / "y.npy", np.arange(30) % 2)
    with zipfile.ZipFile(folder / "a.npz", "w") as archive:
        archive.writestr("x.npy", header + bytes(100))
        archive.write(folder / "y.npy", "y.npy")
    return ["dataset=npz", f"dataset.path={quoted(folder / 'a.npz')}"]


def ts_with(text: str) -> Callable[[Path], list[str]]:
    return lambda folder: ["dataset=series", f"dataset.path={quoted(write(folder / 't.ts', text))}"]


BAD = {
    "no such file": (lambda folder: table(folder / "missing.csv"), "missing.csv: there is no such file"),
    "nearly that file": (
        lambda folder: [
            *csv_with("x,y\n1,a")(folder)[:1],
            f"dataset.path={quoted(folder / 't.cvs')}",
            "dataset.target=y",
        ],
        "did you mean 't.csv'?",
    ),
    "a folder": (lambda folder: table(folder), "it is a folder without files"),
    "empty": (csv_with(""), "is empty"),
    "header alone": (csv_with("x,y\n"), "has no rows"),
    "no such column": (csv_with("x,z,yy\n1,2,a\n"), "has no such column; did you mean 'yy'?"),
    "the target is the group": (csv_with("x,z,y\n1,2,a\n", "dataset.group=y"), "the column 'y' is named twice"),
    "a class of the test file alone": (
        lambda folder: [
            *csv_with("x,y\n" + "1,True\n1,False\n" * 20)(folder),
            f"dataset.test_path={quoted(other_file(folder, 'x,y' + chr(10) + '1,TRUE' + chr(10)))}",
        ],
        "has the class TRUE, which",
    ),
    "one class": (csv_with("x,y\n" + "1,a\n" * 20), "has one value only (a)"),
    "no label": (csv_with("x,y\n1,\n" + TWELVE), "1 row of"),
    "fractional labels": (
        csv_with("x,y\n" + "".join(f"1,{i / 2}\n" for i in range(1, 99))),
        "holds numbers such as 0.5, not classes",
    ),
    "labels of many decimals": (csv_with("x,y\n" + "1,0.333\n2,1.5\n" * 9), "holds numbers such as 0.333, not classes"),
    "float labels": (parquet_with(x=np.arange(9.0), y=np.arange(9) / 2), "holds numbers such as 0.5, not classes"),
    "column twice": (csv_with("x,x,y\n1,2,a\n"), "has the column x more than once"),
    "not UTF-8": (
        csv_with("x,y\n1,gr\xfc\xdf\n".encode("latin1") * 9),
        "is not UTF-8 text: dataset.encoding=cp1252 reads it",
    ),
    "not UTF-8 in the header": (
        csv_with("gr\xfc\xdf,y\n1,2\n".encode("latin1")),
        "is not UTF-8 text: dataset.encoding=cp1252 reads it, with 'grüß' in it",
    ),
    "ragged": (csv_with("x,y\n" + TWELVE + "1,2,3\n"), "cannot be read"),
    "infinite": (csv_with("x,y\ninf,a\n" + TWELVE), "column 'x' holds an infinite number"),
    "dates": (
        csv_with("d,x,y\n" + "".join(f"2024-01-{i + 1:02d},{i},{'ab'[i % 2]}\n" for i in range(12))),
        "column 'd' holds dates",
    ),
    "time stamps": (parquet_with(d=pd.date_range("2024", periods=12), y=list("ab") * 6), "column 'd' holds dates"),
    "identifiers": (
        csv_with("k,y\n" + "".join(f"key{i},{'ab'[i % 2]}\n" for i in range(300))),
        "more than 100 different values, most of which occur once: leave it out with dataset.drop=[k]",
    ),
    "too few of a class": (csv_with("x,y\n" + TWELVE + "1,rare\n"), "class rare (1); needed are 3"),
    "too few for the folds": (csv_with("x,y\n" + TWELVE, "dataset.folds=9"), "needed are 9"),
    "a fold too many": (
        csv_with("x,y\n" + TWELVE, "dataset.folds=3", "dataset.fold=3"),
        "a fold is a number from 0 to folds - 1",
    ),
    "a fold of nothing": (csv_with("x,y\n" + TWELVE, "dataset.fold=1"), "no effect without dataset.folds"),
    "fractions over 1": (
        csv_with("x,y\n" + TWELVE, "dataset.test_fraction=0.6", "dataset.validation_fraction=0.5"),
        "leave nothing to train on",
    ),
    "a split by another name": (
        csv_with("x,p,y\n1,holdout,a\n2,train,b\n", "dataset.split_column=p"),
        "holds 'holdout'",
    ),
    "a label that training never saw": (
        csv_with(
            "x,p,y\n"
            + "".join(f"{i},{'train' if i < 9 else 'validation'},{'ab'[i % 2]}\n" for i in range(12))
            + "1,test,c\n",
            "dataset.split_column=p",
        ),
        "no training sample of class c",
    ),
    "nothing to learn from": (csv_with("x,y\n" + TWELVE, "dataset.drop=[x]"), "no column left to learn from"),
    "nothing in the training rows": (
        csv_with("x,y\n" + ",a\n,b\n" * 9),
        "no column with a value in the training split",
    ),
    "no such column to leave out": (csv_with("x,y\n" + TWELVE, "dataset.drop=[z]"), "dataset.drop=z: "),
    "a test file of other columns": (
        lambda folder: csv_with(
            "x,y\n" + TWELVE, f"dataset.test_path={quoted(write(folder / 'test.csv', 'z,y' + chr(10) + TWELVE))}"
        )(folder),
        "differ in the column x, z",
    ),
    "one label of several": (
        lambda folder: [
            "dataset=multilabel",
            *csv_with("x,y\n1,1\n")(folder)[1:2],
            "dataset.targets=[y]",
            "loss=sigmoid",
        ],
        "needs two columns at least",
    ),
    "one sample of a class": (
        csv_with("x,y\n" + TWELVE + "1,c\n", "dataset.min_count=1"),
        "the smallest class has one sample",
    ),
    "no share for a split": (
        csv_with("x,y\n" + TWELVE, "dataset.validation_fraction=0"),
        "dataset.validation_fraction=0: the split would be empty",
    ),
    "too few for both sides": (
        csv_with("x,y\n" + TWELVE, "dataset.test_fraction=0.9", "dataset.validation_fraction=0.05"),
        "12 samples are too few",
    ),
    "one class that is not rare": (
        csv_with("x,y\n" + "1,a\n" * 9 + "2,b\n", "dataset.rare=drop"),
        "dataset.rare=drop leaves 1 class",
    ),
    "another class of that name": (
        csv_with("x,y\n" + "1,a\n2,other\n" * 9 + "3,b\n", "dataset.rare=merge"),
        "a class 'other' already",
    ),
    "one column": (csv_with("x;y\n1;a\n"), "try 'dataset.separator=\";\"'"),
    "two groups": (
        csv_with("x,g,y\n" + "".join(f"{i},{i % 2},{'ab'[i % 2]}\n" for i in range(12)), "dataset.group=g"),
        "too few for 3 splits",
    ),
    "empty Parquet": (lambda folder: table(write(folder / "t.parquet", "")), "is empty"),
    "no Parquet": (lambda folder: table(write(folder / "t.parquet", "x,y")), "is no Parquet file"),
    "a column twice in Parquet": (column_twice, "has the column x more than once"),
    "lists in Parquet": (parquet_with(x=[[1], [2]] * 6, y=list("ab") * 6), "holds lists or structures"),
    "two files in a zip": (
        lambda folder: zipped(folder, "a.csv", "b.csv"),
        "holds 2 files (a.csv, b.csv): unpack it and name one of them",
    ),
    "a workbook": (
        lambda folder: zipped(folder, "[Content_Types].xml", "xl/workbook.xml"),
        "is an Excel workbook: save its sheet as CSV",
    ),
    "a damaged zip": (lambda folder: zipped(folder, "a.csv", cut=20), "cannot be read"),
    "a damaged bzip2": (bytes_with("t.csv.bz2", bz2.compress(b"x,y\n" + TWELVE.encode())[:40]), "cannot be read"),
    "a damaged xz": (bytes_with("t.csv.xz", lzma.compress(b"x,y\n" + TWELVE.encode())[:60]), "cannot be read"),
    "a packed Parquet file": (
        bytes_with("t.parquet.gz", gzip.compress(b"PAR1" + bytes(9))),
        "is a packed Parquet file: unpack it first",
    ),
    "UTF-16 without a mark": (
        bytes_with("t.csv", ("x,y\n" + TWELVE).encode("utf-16-le")),
        "is not UTF-8 text: dataset.encoding=utf-16-le reads it",
    ),
    "UTF-16 that breaks off": (
        bytes_with("t.csv", ("x,y\n" + TWELVE).encode("utf-16")[:-1]),
        "is not UTF-16 text, though it begins as such",
    ),
    "an Arrow file": (
        bytes_with("t.csv", b"ARROW1" + bytes(9)),
        "is no Arrow file",
    ),
    "a name that lies": (
        lambda folder: table(write(folder / "t.csv.bz2", "x,y\n" + TWELVE)),
        "it is not packed as .bz2 says",
    ),
    "no gzip": (lambda folder: table(write(folder / "t.csv.gz", "x,y")), "cannot be read"),
    "pickled features": (npz_with(x=np.array([{}] * 9, dtype=object), y=np.arange(9) % 3), "holds pickled objects"),
    "pickled labels": (
        npz_with(x=np.zeros((9, 2)), y=np.array(["a", None] * 4 + ["b"], dtype=object)),
        "holds pickled objects",
    ),
    "no such array": (npz_with(X=np.zeros((9, 2)), y=np.arange(9) % 3), "dataset.features=x: "),
    "NaN in features": (npz_with(x=np.full((30, 2), np.nan), y=np.arange(30) % 2), "holds NaN or infinity"),
    "unequal lengths": (npz_with(x=np.zeros((30, 2)), y=np.arange(29) % 2), "has 30 samples and 'y' has 29 labels"),
    "float classes": (npz_with(x=np.zeros((30, 2)), y=np.arange(30) % 2 / 3), "not classes"),
    "classes of no kind": (
        npz_with(x=np.zeros((30, 2)), y=np.arange(30) % 2 * 1j),
        "has the type complex128: labels are whole numbers or text",
    ),
    "a split by another name in npz": (
        npz_with(x=np.zeros((9, 2)), y=np.arange(9) % 3, s=["holdout"] * 9, more=["dataset.split=s"]),
        "dataset.split=s holds 'holdout'",
    ),
    "a test split of features alone": (
        npz_with(x=np.zeros((30, 2)), y=np.arange(30) % 2, t=np.zeros((9, 2)), more=["dataset.test_features=t"]),
        "dataset.test_features=t and dataset.test_target=None: give both, or neither",
    ),
    "a test split of another shape": (
        npz_with(
            x=np.zeros((30, 2)),
            y=np.arange(30) % 2,
            t=np.zeros((9, 3)),
            u=np.arange(9) % 2,
            more=["dataset.test_features=t", "dataset.test_target=u"],
        ),
        "'t' has samples of shape (3,), and 'x' of (2,)",
    ),
    "a test split of another kind of labels": (
        npz_with(
            x=np.zeros((30, 2)),
            y=np.arange(30) % 2,
            t=np.zeros((9, 2)),
            u=["0", "1", "0"] * 3,
            more=["dataset.test_features=t", "dataset.test_target=u"],
        ),
        "the labels differ in kind: 'y' is int64 of shape (30,), and 'u' is <U1 of shape (9,)",
    ),
    "two ways to divide": (
        npz_with(
            x=np.zeros((9, 2)),
            y=np.arange(9) % 3,
            s=["train"] * 9,
            more=["dataset.split=s", "dataset.test_features=x", "dataset.test_target=y"],
        ),
        "dataset.split divides one array; dataset.test_features gives a split of its own",
    ),
    "no series": (
        npz_with(x=np.zeros((30, 2, 2, 2)), y=np.arange(30) % 2, more=["dataset=series"]),
        "series are (n, steps, channels) or (n, steps)",
    ),
    "a test file of an npz": (
        npz_with(x=np.zeros((30, 2)), y=np.arange(30) % 2, more=["dataset=series", "dataset.test_path=b.npz"]),
        "dataset.test_path is for .ts files",
    ),
    "one dimension": (npz_with(x=np.zeros(30), y=np.arange(30) % 2), "has the shape (30,)"),
    "text features": (npz_with(x=np.full((30, 2), "a"), y=np.arange(30) % 2), "features are numbers"),
    "no npz": (
        lambda folder: ["dataset=npz", f"dataset.path={quoted(write(folder / 'a.npz', 'text'))}"],
        "is no npz file",
    ),
    "a damaged npz": (damaged_zip, "a.npz"),
    "an npz that ends early": (shorter_than_said, "claims 480 bytes and has 228: the file is damaged"),
    "no ts": (ts_with("hello\n"), "is no .ts file"),
    "time stamps in ts": (ts_with("@timeStamps true\n"), "has time stamps, which are not supported"),
    "a ts file of numbers to be predicted": (ts_with("@targetLabel true\n"), "has no class labels"),
    "missing value in ts": (
        ts_with("@classLabel true a b\n@data\n1,?,3:a\n"),
        "line 3: a value is missing or no number",
    ),
    "unequal series": (
        ts_with("@classLabel true a b\n@data\n" + "1,2:a\n1,2,3:b\n" * 9),
        "dataset.unequal=pad pads them",
    ),
    "no folder": (lambda folder: folder_of(folder / "none"), "there is no such folder"),
    "a folder of nothing": (lambda folder: folder_of(folder), "has no images in folders of their class"),
    "truncated image": (images_with(truncated), "x.png cannot be decoded: it is cut off"),
    "no image": (images_with(lambda root: write(root / "a" / "x.jpg", "text")), "x.jpg cannot be decoded"),
    "an image bomb": (
        images_with(lambda root: Image.new("1", (3000, 3000)).save(root / "b" / "x.png"), "dataset.max_pixels=1000000"),
        "3000 x 3000 pixels, more than",
    ),
    "a link that leaves": (
        images_with(lambda root: os.symlink("/etc/hostname", root / "a" / "x.png")),
        "is a link that leaves",
    ),
    "a folder that leaves": (images_with(lambda root: os.symlink("/etc", root / "c")), "is a link that leaves"),
    "a folder in itself": (
        images_with(lambda root: os.symlink(root / "a", root / "a" / "again")),
        "is a link to a folder that it stands in",
    ),
    "a link to nothing": (
        images_with(lambda root: os.symlink(root / "none.png", root / "a" / "x.png")),
        "is a link to a file that is not there",
    ),
    "names alike": (
        images_with(lambda root: (root / "A").mkdir() or Image.new("L", (9, 9)).save(root / "A" / "x.png")),
        "differ by case only (A, a)",
    ),
    "no such table": (
        lambda folder: ["dataset=tabular", "dataset.id=glas"],
        "dataset.id=glas: there is no such table; did you mean 'glass'?",
    ),
    "a path that is not set": (
        lambda folder: ["dataset=csv"],
        "dataset.path is not set, and has no default\ndataset.target is not set",
    ),
}
