"""Decide which sample goes into which split. Pure NumPy and scikit-learn; this module knows labels, not features.

The result depends on the labels, the options and the split seed alone: every weighting, loss and model of a
sweep sees the same splits.
"""

import unicodedata
import warnings
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from equipoise.core.errors import ConfigError, listing
from equipoise.core.schema import Booleans, ClassNames, Fraction, Integers, PositiveInt
from equipoise.core.typed import number_in
from equipoise.data.cells import USUAL
from equipoise.data.labels import Spelled, alike, shown
from equipoise.data.types import SPLITS, Dataset, Times, split_place

# The fewest samples of a class that give each split one.
SMALLEST = len(SPLITS)


class Divided(Dataset):
    """The keys of a dataset that comes in one piece and is divided here."""

    test_fraction: Fraction
    validation_fraction: Fraction
    folds: PositiveInt | None  # k-fold instead of a test fraction …
    fold: int  # … and which fold is the test split, from 0
    min_count: PositiveInt  # samples that a class needs
    rare: Literal["error", "drop", "merge", "keep_in_train"]  # what to do with a class that has fewer
    class_names: ClassNames | None  # from the codes in the data to names


@dataclass(frozen=True)
class Division:
    """The splits, and the classes that are left.

    Attributes
    ----------
    classes : the names that are left, after rare ones were dropped or merged
    labels : int64 (n,) or (n, labels), renumbered to match; -1 where a sample was dropped
    rows : split name to the row numbers of its samples, ascending
    notes : what a reader must know
    """

    classes: tuple[str, ...]
    labels: Integers
    rows: Mapping[str, Integers]
    notes: tuple[str, ...] = field(default=())


def divide(
    labels: Integers,
    classes: Sequence[str],
    options: Divided,
    groups: Integers | None = None,
    given: Integers | None = None,
    times: Times | None = None,
) -> Division:
    """Divide the samples.

    Parameters
    ----------
    labels : int64 (n,) class indices, or 0/1 of shape (n, labels) for several labels a sample
    groups : int64 (n,); samples of one group never stand on both sides of a split
    given : int8 (n,), for each sample 0 where its split is to be decided here, else 1 + the split's place in `SPLITS`
    times : (n,), by which they are divided, oldest first; None: at random

    Raises
    ------
    ConfigError
        If a class is too small to be divided, with the ways out.
    """
    _check(options, groups, len(labels))
    if times is not None:
        _check_times(options, groups, times)
    notes: list[str] = []
    kept_in_train = np.zeros(len(labels), dtype=bool)
    given = (
        np.zeros(len(labels), dtype=np.int8) if given is None else _opened(given, options, groups is not None, notes)
    )
    free = given == 0
    if labels.ndim == 1:
        classes, labels, kept_in_train = _handle_rare(labels, tuple(classes), options, free, notes)
    rows: dict[str, Integers] = {name: np.flatnonzero(given == place + 1) for place, name in enumerate(SPLITS)}
    open_rows = np.flatnonzero(free & ~kept_in_train & (labels >= 0 if labels.ndim == 1 else True))
    if times is None:
        decided = _decide(labels, open_rows, options, groups, rows)
    else:
        decided = _in_order(open_rows, options, times, rows)
    rows = {name: _together(rows[name], decided[name]) for name in SPLITS}
    rows["train"] = _together(rows["train"], np.flatnonzero(kept_in_train))
    if labels.ndim == 1:
        rows = {name: members[labels[members] >= 0] for name, members in rows.items()}
    for name, members in rows.items():
        if len(members) == 0:
            raise ConfigError(f"the {name} split has no sample: give one, or leave more to be divided")
    if times is not None:
        _check_learned(labels, classes, rows, times)
        notes += _borders(rows, options, times)
    return Division(tuple(classes), labels, rows, tuple(notes))


def _together(some: Integers, others: Integers) -> Integers:
    """Return rows, none of which is in both, in their order."""
    return np.sort(np.concatenate([some, others]), kind="stable")


def grouped(found: Spelled, where: str, missing: Iterable[str]) -> tuple[Integers, list[str]]:
    """Return the group of each sample, int64 (n,), and notes. A sample without a group is a group of its own.

    Parameters
    ----------
    missing : texts that mean "no group"
    """
    none = {*USUAL, *missing}
    keys: list[Hashable] = []
    for text in found.texts:
        stripped = unicodedata.normalize("NFC", (text or "").strip())
        number = number_in(stripped)
        keys.append(None if stripped in none or stripped.lower() in none else stripped if number is None else number)
    place = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    groups = np.array([place[key] for key in keys], dtype=np.int64)[found.codes]
    alone = np.flatnonzero(groups == place[None]) if None in place else np.empty(0, np.int64)
    groups[alone] = len(place) + np.arange(len(alone))
    told = (
        "has no value there, and is a group of its own"
        if len(alone) == 1
        else "have no value there, and each of them is a group of its own"
    )
    notes = [f"{where}: {len(alone)} of {len(groups)} samples {told}"] if len(alone) else []
    near = alike(key for key in place if isinstance(key, str))
    if near:
        told = listing([" and ".join(map(shown, group)) for group in near], 3)
        notes.append(
            f"{where}: {told} are different groups, and nearly the same text: "
            "where they mean one thing, write them alike in the file"
        )
    return groups, notes


def given_splits(found: Spelled, where: str, missing: Iterable[str] = ()) -> tuple[Integers, list[str]]:
    """Return for each sample 1 + the place of the split that the data name for it, else 0, int8 (n,), and notes.

    Raises
    ------
    ConfigError
        If a word is no split.
    """
    none = set(missing)
    words = ["" if text is None or text.strip() in none else text.strip() for text in found.texts]
    odd = [word for word in words if word and not split_place(word)]
    if odd:
        raise ConfigError(
            f"{where} holds {listing([repr(word) for word in odd], 3)}; "
            f"known are {listing(SPLITS)}, and a blank for what is to be divided here"
        )
    given = np.array([split_place(word) for word in words], dtype=np.int8)[found.codes]
    left = int((given == 0).sum())
    blank = [repr(text) for text, word in zip(found.texts, words, strict=True) if not word and text is not None]
    what = f"no split ({listing(blank, 3)})" if blank else "no split"
    told = f"names {what}, and is divided here" if left == 1 else f"name {what}, and are divided here"
    return given, [f"{where}: {left} of {len(given)} samples {told}"] if left else []


def _check(options: Divided, groups: Integers | None, samples: int) -> None:
    if options.folds is not None and options.folds > samples:
        raise ConfigError(f"dataset.folds={options.folds}: there are {samples} samples, and each fold needs one")
    if options.folds is not None and not (options.folds >= 2 and 0 <= options.fold < options.folds):
        raise ConfigError(
            f"dataset.fold={options.fold} of dataset.folds={options.folds}: "
            "a fold is a number from 0 to folds - 1, and folds at least 2"
        )
    if options.folds is None and options.fold != 0:
        raise ConfigError(f"dataset.fold={options.fold} has no effect without dataset.folds")
    if options.test_fraction + options.validation_fraction >= 1:
        raise ConfigError(
            f"dataset.test_fraction={options.test_fraction} and "
            f"dataset.validation_fraction={options.validation_fraction} leave nothing to train on"
        )
    if groups is not None and len(np.unique(groups)) < SMALLEST:
        raise ConfigError(f"dataset.group has {len(np.unique(groups))} values: too few for {SMALLEST} splits")


def _check_times(options: Divided, groups: Integers | None, times: Times) -> None:
    """Refuse what an order in time leaves no room for."""
    if options.folds is not None:
        raise ConfigError(
            f"dataset.folds={options.folds} with {times.option}: a model would be trained on rows that are later than "
            "those that it is judged on; leave one of the two out"
        )
    if groups is not None:
        raise ConfigError(
            f"dataset.group with {times.option}: a group may have rows before and after a border, and cannot be on "
            "both sides; leave one of the two out"
        )
    if options.rare == "keep_in_train":
        raise ConfigError(
            f"dataset.rare=keep_in_train with {times.option}: it would train on rows that are later than those that "
            "the model is judged on; use dataset.rare=drop or merge"
        )


def _check_learned(labels: Integers, classes: Sequence[str], rows: Mapping[str, Integers], times: Times) -> None:
    """Refuse a class that time leaves nothing of in the training split."""
    train = labels[rows["train"]]
    counts = train.sum(axis=0) if labels.ndim == 2 else np.bincount(train, minlength=len(classes))
    absent = np.flatnonzero(counts == 0).tolist()
    if absent:
        of_class = labels[:, absent[0]] == 1 if labels.ndim == 2 else labels == absent[0]
        first, last = float(times.values[of_class].min()), float(times.values[rows["train"]].max())
        raise ConfigError(
            f"{times.option}: no training sample of class {listing([classes[index] for index in absent])}: in order of "
            f"time, training ends with {times.shown(last)}, and the first row of {classes[absent[0]]} is of "
            f"{times.shown(first)}; make dataset.test_fraction and dataset.validation_fraction smaller, "
            "remove the class, or leave dataset.time out"
        )


def _in_order(rows: Integers, options: Divided, times: Times, given: Mapping[str, Integers]) -> dict[str, Integers]:
    """Divide these rows in order of time, oldest first, into the splits that are not given already.

    Rows of one time are in one split: the border is the one nearest to the share that was asked for.
    """
    decided: dict[str, Integers] = {name: np.empty(0, dtype=np.int64) for name in SPLITS}
    rest = rows[np.argsort(times.values[rows], kind="stable")]
    for name in ("test", "validation"):
        if len(given[name]) or not len(rest):
            continue
        share = getattr(options, f"{name}_fraction")
        if share == 0:
            raise ConfigError(f"dataset.{name}_fraction=0: the split would be empty")
        # Before the test split there must be a time left for training, and one for validation.
        first = int(name == "test" and not len(given["validation"]))
        borders = (np.flatnonzero(np.diff(times.values[rest])) + 1)[first:]
        if len(borders) == 0:
            raise ConfigError(
                f"{times.option}: its rows are of too few different times to be divided into splits, "
                "and rows of one time are in one split; leave it out"
            )
        start = borders[np.argmin(np.abs(borders - (len(rest) - share * len(rows))))]
        rest, decided[name] = rest[:start], np.sort(rest[start:])
    decided["train"] = np.sort(rest)
    return decided


def _borders(rows: Mapping[str, Integers], options: Divided, times: Times) -> list[str]:
    """Tell where the splits begin and end, and what does not fit."""
    ends = {name: [times.shown(float(each(times.values[rows[name]]))) for each in (np.min, np.max)] for name in SPLITS}
    told = [f"{name} {low} to {high} ({len(rows[name])} rows)" for name, (low, high) in ends.items()]
    notes = [f"{times.option}: splits are in order of time: {'; '.join(told)}"]
    if options.split_seed != 0:
        notes.append(f"dataset.split_seed={options.split_seed} changes nothing: {times.option} decides the splits")
    latest = times.values[rows["train"]].max()
    for name in ("validation", "test"):
        early = int((times.values[rows[name]] <= latest).sum())
        if early:
            notes.append(
                f"{times.option}: {early} {name} rows are no later than the last training row, as the data say"
            )
    return notes


def _opened(given: Integers, options: Divided, by_group: bool, notes: list[str]) -> Integers:
    """Open the training samples to be divided if the data name the split of every sample and none of one split."""
    absent = [name for place, name in enumerate(SPLITS) if name != "train" and not (given == place + 1).any()]
    if options.folds is not None and "test" not in absent:
        raise ConfigError(
            f"dataset.folds={options.folds} has no effect: the data name the test split already; use dataset.folds=null"
        )
    if (given == 0).any() or not absent:
        return given
    for name in absent:
        share = (
            f"dataset.folds={options.folds}"
            if name == "test" and options.folds
            else f"dataset.{name}_fraction={getattr(options, f'{name}_fraction')}"
        )
        way = "by group" if by_group else "stratified by class"
        notes.append(f"the data name no {name} split: it is cut from train ({share}, {way})")
    return np.where(given == 1 + SPLITS.index("train"), np.int8(0), given)


def _handle_rare(
    labels: Integers, classes: tuple[str, ...], options: Divided, free: Booleans, notes: list[str]
) -> tuple[tuple[str, ...], Integers, Booleans]:
    """Apply `dataset.rare` to the classes that have fewer samples than needed to be divided."""
    counts = np.bincount(labels[free], minlength=len(classes))
    needed = max(options.min_count, options.folds or 1)
    rare = np.flatnonzero((counts < needed) & (np.bincount(labels, minlength=len(classes)) > 0) & (counts > 0))
    nothing = np.zeros(len(labels), dtype=bool)
    if len(rare) == 0:
        return classes, labels, nothing
    named = listing([f"{classes[index]} ({counts[index]})" for index in rare])
    if options.rare == "error":
        raise ConfigError(
            f"too few samples to divide: class {named}; needed are {needed} (dataset.min_count). "
            "Ways out: dataset.rare=drop, merge (into one class 'other') or keep_in_train"
        )
    notes.append(f"dataset.rare={options.rare} applied to class {named}")
    is_rare = np.isin(labels, rare)
    if options.rare == "keep_in_train":
        return classes, labels, is_rare & free
    left = [index for index in range(len(classes)) if index not in set(rare)]
    renumbered = np.full(len(classes), -1, dtype=np.int64)
    renumbered[left] = np.arange(len(left))
    names = tuple(classes[index] for index in left)
    if options.rare == "merge":
        if "other" in names:
            raise ConfigError("dataset.rare=merge: there is a class 'other' already; use drop or keep_in_train")
        if is_rare[free].sum() < needed:
            raise ConfigError(
                f"dataset.rare=merge: all rare classes together have {is_rare[free].sum()} samples, "
                f"fewer than dataset.min_count={needed}"
            )
        renumbered[rare] = len(left)
        names = (*names, "other")
    if len(names) < 2:
        raise ConfigError(f"dataset.rare={options.rare} leaves {len(names)} class")
    return names, renumbered[labels], nothing


@dataclass(frozen=True)
class _Part:
    """A part that is cut off, stratified by class.

    Attributes
    ----------
    option : of the config, that says how large it is
    share : of the rows that it is to have
    folds, fold : cut off one of so many folds, whatever the share
    seed : of the shuffling
    """

    option: str
    share: float
    seed: int
    folds: int | None = None
    fold: int = 0


def _decide(
    labels: Integers, rows: Integers, options: Divided, groups: Integers | None, given: Mapping[str, Integers]
) -> dict[str, Integers]:
    """Divide these rows into the splits that are not given already."""
    decided: dict[str, Integers] = {name: np.empty(0, dtype=np.int64) for name in SPLITS}
    parts = {
        "test": _Part("dataset.test_fraction", options.test_fraction, options.split_seed, options.folds, options.fold),
        "validation": _Part(
            "dataset.validation_fraction", options.validation_fraction, (options.split_seed + 1) % 2**32
        ),
    }
    rest = rows
    for name, part in parts.items():
        if len(given[name]) == 0 and len(rest):
            if part.share == 0 and part.folds is None:
                raise ConfigError(f"{part.option}=0: the split would be empty")
            size = part.share * len(rows)
            if groups is None and part.folds is None:
                rest, decided[name] = _random_part(labels, rest, part, size)
            else:
                rest, decided[name] = _one_fold(labels, rest, part, size, groups)
    decided["train"] = rest
    return decided


def _one_fold(
    labels: Integers, rows: Integers, part: _Part, size: float, groups: Integers | None
) -> tuple[Integers, Integers]:
    """Cut off one fold: what is left, and the fold. With groups, a share is rounded to one fold of so many."""
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    here = labels[rows] if labels.ndim == 1 else None
    count = part.folds or max(2, round(1 / (size / len(rows))))
    shuffled = {"shuffle": True, "random_state": part.seed}
    if groups is not None:
        count = min(count, len(np.unique(groups[rows])))
        cutter = GroupKFold(count) if here is None else StratifiedGroupKFold(count, **shuffled)
    else:
        cutter = KFold(count, **shuffled) if here is None else StratifiedKFold(count, **shuffled)
    with warnings.catch_warnings():
        # A class with fewer samples than folds: it is in some of them only.
        warnings.simplefilter("ignore", UserWarning)
        folds = list(cutter.split(rows, here, None if groups is None else groups[rows]))
    left, found = folds[part.fold]
    return np.sort(rows[left]), np.sort(rows[found])


def _random_part(labels: Integers, rows: Integers, part: _Part, size: float) -> tuple[Integers, Integers]:
    """Cut off about `size` rows, and one of each class at least: what is left, and the part."""
    from sklearn.model_selection import train_test_split

    here = labels[rows] if labels.ndim == 1 else None
    counts = np.ones(1) if here is None else np.unique(here, return_counts=True)[1]
    whole = max(1, round(size), len(counts))
    if here is not None and counts.min() < 2:
        raise ConfigError(
            f"{part.option}: the smallest class has one sample, needed are 2; see dataset.min_count and dataset.rare"
        )
    if len(rows) - whole < len(counts):
        raise ConfigError(
            f"{part.option}={part.share}: {len(rows)} samples are too few for a split with every class on both sides"
        )
    left, found = train_test_split(rows, test_size=whole, random_state=part.seed, stratify=here)
    return np.sort(left), np.sort(found)
