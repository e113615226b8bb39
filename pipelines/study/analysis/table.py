"""The table of runs, read into cells: what one method with one rule found on one data set, by seed and fold."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from equipoise.core.schema import Booleans, Floats

FOLDS = 5
LENGTHS = (30, 100, 300, 1000)
BEST, BOOSTED = 0, -1  # in place of epochs: the epoch of best validation; boosting, which has none
PRIMARY = 300
CENTRE = "centre"
PILOT = "pilot"  # a family
DECIDED = ("none", "boosting")  # by every rule
RULES = ("post_hoc", "post_hoc_validated", "tuned", "temperature_tuned")  # that train nothing
TRAINING = "config"  # the column whose values tell trainings apart
KEY = ["dataset", "method", "setting", "division", "fold", "seed", "epochs", "rule"]
KINDS = ("table", "image", "series", "text", "synthetic")
# Hyphens and the like differ between packages, so a name is asked for what it begins with.
STARTS = {"synthetic": ("synthetic",), "image": ("digits", "mnist"), "text": ("spam", "mails")} | {
    "series": ("japanese", "osu", "covid")
}
COLUMNS = [TRAINING, "family", *KEY, "confusion", "validation", "log_loss", "train_loss", "diverged"]


@dataclass(frozen=True)
class Cell:
    """What is compared: a method, its decision rule, its length in epochs and its setting."""

    method: str
    rule: str = "argmax"
    epochs: int = PRIMARY
    setting: str = CENTRE


@dataclass(frozen=True, eq=False)
class Runs:
    """The runs of a cell on one data set and one division into folds.

    Attributes
    ----------
    seeds : those that have all folds
    test, validation : float64 (seeds, folds, classes, classes), whole numbers, true by predicted
    log_loss, train_loss : float64 (seeds, folds)
    """

    seeds: tuple[int, ...]
    test: Floats
    validation: Floats
    log_loss: Floats
    train_loss: Floats

    def of(self, seeds: tuple[int, ...]) -> "Runs":
        """Return the runs with these seeds alone."""
        chosen = [self.seeds.index(seed) for seed in seeds]
        return Runs(seeds, *(values[chosen] for values in (self.test, self.validation, self.log_loss, self.train_loss)))


@dataclass(frozen=True, eq=False)
class DataSet:
    """Facts of a data set, all from its confusion matrices.

    Attributes
    ----------
    counts : float64 (classes,), rows of each class where the test rows are natural, or else (images, whose test rows
        are balanced) the long-tailed rows that are not test rows, of which the validation rows are a fifth in each fold
    balanced_test : whether test rows have another prior than training rows
    """

    name: str
    family: str
    kind: str
    counts: Floats

    @property
    def classes(self) -> int:
        return len(self.counts)

    @property
    def rows(self) -> int:
        return int(self.counts.sum())

    @property
    def rarest(self) -> int:
        return int(self.counts.min())

    @property
    def ratio(self) -> float:
        return float(self.counts.max() / self.counts.min())

    @property
    def balanced_test(self) -> bool:
        return self.kind == "image"


@dataclass(frozen=True)
class Study:
    """All that the analysis reads.

    Attributes
    ----------
    datasets : real data sets by name
    runs : by data set, then cell; of the first division into folds
    planned : the families by data set that the grid names; empty if it is not known
    table : the rows as they are, for what asks for other divisions, for `synthetic`, or for counts
    asked : how many trainings of each part the grid names, by `progress`; empty if it is not known
    """

    datasets: Mapping[str, DataSet]
    runs: Mapping[str, Mapping[Cell, Runs]]
    planned: Mapping[str, str] = field(default_factory=dict)
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    asked: Mapping[str, int] = field(default_factory=dict)


def kind_of(name: str) -> str:
    """Return the kind of a data set by its name."""
    for kind, starts in STARTS.items():
        if name.lower().startswith(starts):
            return kind
    return "table"


def read(file: Path, planned: Mapping[str, str] | None = None) -> Study:
    """Read the table of runs; one that is not there has no rows."""
    table = pd.read_parquet(file, columns=COLUMNS) if file.exists() else pd.DataFrame(columns=COLUMNS)
    return study(table, planned)


def study(table: pd.DataFrame, planned: Mapping[str, str] | None = None) -> Study:
    """Arrange the rows.

    Boosting, series and texts have one setting each, which is the centre. Pilot sets are in no analysis.
    """
    table = with_every_rule(table[table["family"] != PILOT])
    boosted = table["method"].astype(str).str.startswith("boosting")
    alone = boosted | table["dataset"].map(kind_of).isin(["series", "text"])
    table.loc[alone, "setting"] = CENTRE
    table.loc[boosted, "epochs"] = BOOSTED
    real = table[~table["dataset"].astype(str).str.startswith("synthetic")]
    datasets, runs = {}, {}
    for name, rows in real.groupby("dataset", sort=True, observed=True):
        facts, cells = _of_one(str(name), rows)
        if cells:
            datasets[str(name)], runs[str(name)] = facts, cells
    return Study(datasets, runs, planned or {}, table)


def with_every_rule(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with those that every rule would have of a diverged run, which is judged by argmax alone."""
    lost = table[table["diverged"].astype(bool) & (table["rule"] == "argmax") & table["method"].isin(DECIDED)]
    whole = pd.concat([table, *(lost.assign(rule=rule) for rule in RULES)], ignore_index=True) if len(lost) else table
    return whole.drop_duplicates(KEY).reset_index(drop=True)


def _of_one(name: str, rows: pd.DataFrame) -> tuple[DataSet, dict[Cell, Runs]]:
    """Return the facts and cells of one data set, by its first division into folds."""
    rows = rows[rows["division"] == rows["division"].min()]
    family, kind = str(rows["family"].iloc[0]), kind_of(name)
    cells = dict(_cells(rows))
    if not cells:
        return DataSet(name, family, kind, np.ones(1)), {}
    some = next(iter(cells.values()))
    seen = some.validation if kind == "image" else some.test
    return DataSet(name, family, kind, seen[0].sum(axis=(0, 2)).astype(np.float64)), cells


def _cells(rows: pd.DataFrame) -> Iterator[tuple[Cell, Runs]]:
    for key, of_cell in rows.groupby(["method", "rule", "epochs", "setting"], sort=False, observed=True):
        found = gather(of_cell)
        if found.seeds:
            method, rule, epochs, setting = key
            yield Cell(str(method), str(rule), int(str(epochs)), str(setting)), found


def gather(rows: pd.DataFrame) -> Runs:
    """Return the runs of one cell; a seed that lacks a fold is left out."""
    by_place = {
        (int(seed), int(fold)): place for place, (seed, fold) in enumerate(zip(rows["seed"], rows["fold"], strict=True))
    }
    seeds = tuple(
        sorted(
            seed for seed in {seed for seed, _ in by_place} if all((seed, fold) in by_place for fold in range(FOLDS))
        )
    )
    order = [by_place[seed, fold] for seed in seeds for fold in range(FOLDS)]
    if not order:
        return Runs((), *(np.empty(0) for _ in range(4)))
    test, validation = (_stacked(rows[name], order, len(seeds)) for name in ("confusion", "validation"))
    diverged = rows["diverged"].to_numpy(bool)[order].reshape(len(seeds), FOLDS)
    losses = (rows[name].to_numpy(np.float64)[order].reshape(len(seeds), FOLDS) for name in ("log_loss", "train_loss"))
    return Runs(seeds, _as_majority(test, validation, diverged), validation, *losses)


def _stacked(column: pd.Series, order: list[int], seeds: int) -> Floats:
    values = column.to_numpy()
    flat = np.stack([np.asarray(values[place], dtype=np.float64) for place in order])
    classes = round(flat.shape[1] ** 0.5)
    return flat.reshape(seeds, FOLDS, classes, classes)


def _as_majority(test: Floats, validation: Floats, diverged: Booleans) -> Floats:
    """Return the confusions with those of diverged runs as if the majority class had been predicted of every row."""
    if not diverged.any():
        return test
    majority = int(validation[0].sum(axis=(0, 2)).argmax())
    judged = test.copy()
    support = judged[diverged].sum(axis=-1)
    judged[diverged] = 0
    judged[diverged, :, majority] = support
    return judged
