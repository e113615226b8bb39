"""Which classes gain and which lose: recall and precision by class, from head to tail."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from equipoise.comparison.compare import Row, Table
from equipoise.comparison.configurations import Configuration
from equipoise.core.schema import Floats
from equipoise.metrics import ranks
from equipoise.tracking.keys import class_keys

MOST_NAMED = 20  # classes; of more, groups of ranks are shown


@dataclass(frozen=True)
class Gains:
    """Recall of each class, or group of ranks, minus that of the baseline.

    Attributes
    ----------
    classes : from head to tail, with their training samples
    rows : the configurations that have a baseline, in the table's order
    gains, recall : float64 (rows, classes); means over the runs that both have
    is_grouped : whether the classes are groups of ranks
    """

    classes: tuple[str, ...]
    rows: tuple[Row, ...]
    gains: Floats
    recall: Floats
    is_grouped: bool


def gains(table: Table) -> Gains | None:
    """Compare the recall of each class with that of the baseline; return None without metrics by class or a baseline.

    A control has no recall by class of its own.
    """
    by_label = {label: row for row in table.rows for label in row.configuration.labels}
    rows = tuple(
        row
        for row in table.rows
        if row.configuration.rule is None and row.to_baseline and row.to_baseline.reference in by_label
    )
    if not rows:
        return None
    names = classes(rows[0].configuration)
    if len(names) < 2:
        return None
    recall = np.array([means(row.configuration, "recall") for row in rows])
    references = [by_label[row.to_baseline.reference].configuration for row in rows if row.to_baseline]
    apart = recall - np.array([means(reference, "recall") for reference in references])
    if len(names) <= MOST_NAMED:
        return Gains(tuple(names), rows, apart, recall, is_grouped=False)
    members = ranks.groups(np.arange(len(names)))
    grouped = [np.array([list(ranks.means(one, members).values()) for one in found]) for found in (apart, recall)]
    shown = tuple(name.replace("ranks_", "").replace("-", "–") for name in members)
    return Gains(shown, rows, grouped[0], grouped[1], is_grouped=True)


def counts(configuration: Configuration) -> Mapping[str, float]:
    """Return the training samples of each class, from head to tail; empty if the runs do not say."""
    return next(iter(configuration.runs.values())).class_counts


def classes(configuration: Configuration) -> list[str]:
    """Return the classes from head to tail; their ranks if the names of so many are not known."""
    return list(next(iter(configuration.runs.values())).by_class("recall"))


def in_order(names: Iterable[str], configuration: Configuration) -> list[str]:
    """Return class names from head to tail; those whose samples are not known stand last."""
    known = counts(configuration)
    keys = class_keys(sorted(names))
    return sorted(keys, key=lambda name: -known.get(keys[name], 0.0))


def means(configuration: Configuration, metric: str) -> Floats:
    """Return the mean of a metric over the runs, float64 (classes,), head to tail; NaN for a class without any."""
    names = classes(configuration)
    of_each = [run.by_class(metric) for run in configuration.runs.values()]
    cells = [[found.get(name, np.nan) for name in names] for found in of_each]
    values = np.array(cells).reshape(len(cells), len(names))
    defined = (~np.isnan(values)).sum(axis=0)
    found: Floats = np.where(defined > 0, np.nansum(values, axis=0) / np.maximum(defined, 1), np.nan)
    return found


def halves(rows: Sequence[Row]) -> tuple[list[Row], Floats]:
    """Return rows, and precision of the more frequent half of the classes and recall of the rarer half, (rows, 2).

    Rows without metrics by class, and those of a control, are left out.
    """
    found, points = [], []
    for row in rows:
        half = len(classes(row.configuration)) // 2
        if row.configuration.rule is not None or not half:
            continue
        precision, recall = means(row.configuration, "precision")[:half], means(row.configuration, "recall")[-half:]
        if not (np.isnan(precision).all() or np.isnan(recall).all()):
            found.append(row)
            points.append([float(np.nanmean(precision)), float(np.nanmean(recall))])
    return found, np.array(points).reshape(len(found), 2)
