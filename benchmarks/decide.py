"""Measure what the race of decide.py claims, and what its choice loses; about half an hour on one core.

    python benchmarks/decide.py [DATA SETS]

Each data set is a draw of `dataset=synthetic` for a metric under which the best method is another one: Gaussian classes
at equal distances, of which 70 % of the rows train, 10 % validate and 20 % test. The learner is softmax regression,
fitted to convergence in closed steps, so that thousands of races can be run; weights, priors, rules and the race itself
are the project's. A training is taken to cost three seconds, and a command ten beside its trainings.

*Nothing is better*: all candidates are the same method, each on features of its own, equal by symmetry. Any departure
is false. Nominal is 5 %, over all looks and all alternatives.

*Regret*: how much lower the choice scores on 20,000 fresh rows than the best entry of the data set, for the race, for a
fixed grid of the same cost with the same caution, and for the highest mean of that grid without any caution.

*Nested*: what the figure for test rows is off, on average, from what the chosen models score on the fresh rows.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

import numpy as np
from sklearn.model_selection import StratifiedShuffleSplit

from equipoise.comparison import racing
from equipoise.comparison.racing import Design, Entry, Scores
from equipoise.core.schema import Floats, Integers
from equipoise.methods.weighting import STRATEGIES

COST, START = 3.0, 10.0  # seconds of a training, and of a command beside them
BUDGETS = (2, 10, 30)  # minutes
REPETITIONS = 75  # more narrow nothing: `racing.enough`
FRESH = 20_000
COUNTS = {"600 rows, 10 : 3 : 1": (430, 128, 42), "2,000 rows, 40 : 8 : 1": (1633, 326, 41)}
SEPARATION, FEATURES = 2.0, 6
TUNED_FOR = ("balanced_accuracy", "macro_f1")
NULL_GROUPS, NULL_FEATURES = 8, 3
NONE = Entry("none", "argmax")


@dataclass(frozen=True)
class Rows:
    features: Floats  # (n, features)
    labels: Integers  # (n,)


@dataclass(frozen=True)
class DataSet:
    """All scores of one data set: of validation and test rows, and of each entry's models on fresh rows."""

    validation: Scores
    test: Scores
    fresh: Mapping[Entry, Floats]  # (REPETITIONS,)


@dataclass(frozen=True)
class Raced:
    """One race: its choice, how many trainings it took, its verdict's nested figure and what that is of fresh rows."""

    choice: Entry
    trainings: int
    nested: float
    nested_fresh: float


def draw(counts: tuple[int, ...], separation: float, features: int, generator: np.random.Generator) -> Rows:
    """Draw unit Gaussians whose means are all `separation` apart, as `dataset=synthetic` does."""
    labels = np.repeat(np.arange(len(counts)), counts)
    means = np.eye(len(counts), features) * separation / np.sqrt(2)
    return Rows(means[labels] + generator.standard_normal((len(labels), features)), labels)


def splits(rows: Rows, repetitions: int, seed: int) -> list[tuple[Integers, Integers, Integers]]:
    """Return the rows that train, validate and test in each repetition: 70, 10 and 20 %, stratified."""
    found = []
    outer = StratifiedShuffleSplit(repetitions, test_size=0.2, random_state=seed)
    for number, (rest, test) in enumerate(outer.split(rows.features, rows.labels)):
        inner = StratifiedShuffleSplit(1, test_size=0.125, random_state=seed + number)
        train, validation = next(inner.split(rest, rows.labels[rest]))
        found.append((rest[train], rest[validation], test))
    return found


def fit(features: Floats, labels: Integers, weights: Floats, offsets: Floats) -> Floats:
    """Return the coefficients of weighted softmax regressions by Newton's method, (models, features + 1, classes).

    Parameters
    ----------
    features, labels, weights : (models, n, features), (models, n), (models, n)
    offsets : added to the logits in the loss, (models, n, classes)
    """
    models, count, width = features.shape
    classes = offsets.shape[2]
    x = np.concatenate([features, np.ones((models, count, 1))], axis=2)
    target = np.eye(classes)[labels]
    size = (width + 1) * classes
    found = np.zeros((models, width + 1, classes))
    ridge = 1e-2 * np.eye(size)
    for _ in range(12):
        z = x @ found + offsets
        p = np.exp(z - z.max(axis=2, keepdims=True))
        p /= p.sum(axis=2, keepdims=True)
        gradient = (x.transpose(0, 2, 1) @ (weights[..., None] * (p - target))).reshape(models, size)
        gradient += 1e-2 * found.reshape(models, size)
        curvature = np.empty((models, width + 1, classes, width + 1, classes))
        for first in range(classes):
            for second in range(classes):
                factor = weights * p[..., first] * ((first == second) - p[..., second])
                curvature[:, :, first, :, second] = x.transpose(0, 2, 1) @ (factor[..., None] * x)
        step = np.linalg.solve(curvature.reshape(models, size, size) + ridge, gradient[..., None])[..., 0]
        found -= step.reshape(found.shape)
    return found


def macro(labels: Integers, decided: Integers, metric: str, classes: int) -> float:
    """Return balanced accuracy or macro F1, as `metrics.classification` does; a class without any row counts 0."""
    matrix = np.bincount(labels * classes + decided, minlength=classes * classes).reshape(classes, classes)
    if metric == "balanced_accuracy":
        return float(np.mean(np.diag(matrix) / matrix.sum(axis=1)))
    both = matrix.sum(axis=0) + matrix.sum(axis=1)
    return float(np.mean(2 * np.diag(matrix) / np.maximum(both, 1)))


def methods(counts: Integers) -> dict[str, tuple[Floats, Floats]]:
    """Return each method's class weights and offsets of the logits in the loss."""
    nothing, ones = np.zeros(len(counts)), np.ones(len(counts))
    effective = STRATEGIES["effective_number"](counts, beta="auto")
    margin = counts**-0.25
    return {
        "none": (ones, nothing),
        "balanced_softmax": (ones, np.log(counts / counts.sum())),
        "power": (STRATEGIES["power"](counts, alpha=0.5), nothing),
        "balanced": (STRATEGIES["balanced"](counts), nothing),
        "effective_number": (effective / effective.mean(), nothing),
        "ldam_drw": (effective / effective.mean(), -2 * margin / margin.max()),
        "class_balanced": (STRATEGIES["balanced"](counts), nothing),
    }


def data_set(counts: tuple[int, ...], metric: str, seed: int) -> DataSet:
    """Train every method on every repetition of one drawn data set, and judge its rules."""
    from equipoise.methods.cross_fitting import cross_fitted
    from equipoise.methods.decisions import DECISIONS, Known

    generator = np.random.default_rng(seed)
    rows, classes = draw(counts, SEPARATION, FEATURES, generator), len(counts)
    share = np.array(counts) / sum(counts)
    fresh = draw(tuple(np.round(share * FRESH).astype(int)), SEPARATION, FEATURES, generator)
    parts = splits(rows, REPETITIONS, seed)
    train = np.stack([part[0] for part in parts])
    scores: dict[Entry, tuple[list[float], list[float], list[float]]] = {}
    for name, (weights, offset) in methods(np.bincount(rows.labels[train[0]])).items():
        chosen = train
        per_row, added = weights[rows.labels[train]], np.zeros((*train.shape, classes))
        if name == "ldam_drw":
            added = offset[rows.labels[train]][..., None] * np.eye(classes)[rows.labels[train]]
        elif name == "balanced_softmax":
            added = np.broadcast_to(offset, added.shape)
        elif name == "class_balanced":  # the same weights as counts of draws
            odds = weights[rows.labels[train[0]]] / weights[rows.labels[train[0]]].sum()
            chosen = np.stack([generator.choice(one, len(one), p=odds) for one in train])
            per_row = np.ones(train.shape)
        fitted = fit(rows.features[chosen], rows.labels[chosen], per_row, added)
        prior = share * weights if name != "balanced_softmax" else np.ones(classes)
        for model, (_, validation, test) in zip(fitted, parts, strict=True):
            logits = {
                split: np.column_stack([part, np.ones(len(part))]) @ model
                for split, part in (
                    ("validation", rows.features[validation]),
                    ("test", rows.features[test]),
                    ("fresh", fresh.features),
                )
            }
            effective = None if name == "ldam_drw" else prior / prior.sum()
            known = Known(rows.labels[validation], logits["validation"], effective, share, None)
            rules: dict[str, tuple[object, dict[str, object]]] = {
                "argmax": (DECISIONS["argmax"], {}),
                "tuned": (DECISIONS["tuned"], {"metric": metric}),
            }
            if effective is not None:
                rules["logit_adjusted"] = (DECISIONS["logit_adjusted"], {"tau": 1.0})
            judged, _ = cross_fitted(known, rules)  # type: ignore[arg-type]
            for rule, (function, options) in rules.items():
                decide = function(known, **options)  # type: ignore[operator]
                of_entry = scores.setdefault(Entry(name, rule), ([], [], []))
                of_entry[0].append(macro(known.labels, judged[rule], metric, classes))
                of_entry[1].append(macro(rows.labels[test], decide(logits["test"]), metric, classes))
                of_entry[2].append(macro(fresh.labels, decide(logits["fresh"]), metric, classes))
    return DataSet(
        {entry: dict(enumerate(of[0])) for entry, of in scores.items()},
        {entry: dict(enumerate(of[1])) for entry, of in scores.items()},
        {entry: np.array(of[2]) for entry, of in scores.items()},
    )


def null_data_set(size: int, seed: int) -> DataSet:
    """Candidates that are equal by symmetry: the same method, each on features of its own, drawn alike."""
    generator = np.random.default_rng(seed)
    counts = (round(size * 0.8), size - round(size * 0.8))
    groups = [draw(counts, 1.5, NULL_FEATURES, generator) for _ in range(NULL_GROUPS)]
    labels = groups[0].labels
    parts = splits(Rows(groups[0].features, labels), REPETITIONS, seed)
    train = np.stack([part[0] for part in parts])
    scores: dict[Entry, tuple[list[float], list[float]]] = {}
    for number, group in enumerate(groups):
        nothing = np.zeros((*train.shape, 2))
        fitted = fit(group.features[train], labels[train], np.ones(train.shape), nothing)
        for model, (_, validation, test) in zip(fitted, parts, strict=True):
            of_entry = scores.setdefault(Entry("none" if number == 0 else f"{number}", "argmax"), ([], []))
            for kept, part in zip(of_entry, (validation, test), strict=True):
                logits = np.column_stack([group.features[part], np.ones(len(part))]) @ model
                kept.append(macro(labels[part], logits.argmax(axis=1), "macro_f1", 2))
    return DataSet(
        {entry: dict(enumerate(of[0])) for entry, of in scores.items()},
        {entry: dict(enumerate(of[1])) for entry, of in scores.items()},
        {entry: np.zeros(REPETITIONS) for entry in scores},
    )


def race(found: DataSet, minutes: float, *, drops: bool = True) -> tuple[dict[Entry, dict[int, float]], int]:
    """Return the scores of a race within the budget, or of a grid if nobody drops out, and its trainings."""
    left = int((minutes * 60 - START) / COST)
    names = racing.orders(list(found.validation))
    kept: dict[Entry, dict[int, float]] = {entry: {} for entry in found.validation}
    if drops and left < racing.FIRST_LOOK * len(names):  # as sweeps.race does
        names = names[: max(1, left // racing.FIRST_LOOK)]
        kept = {entry: {} for entry in kept if entry.candidate in names}
    spent = 0
    looks = set(racing.looks(REPETITIONS))
    for repetition in range(REPETITIONS):
        if drops and repetition in looks:
            gone = racing.dropped(kept, NONE)
            names = [
                name for name in names if name == "none" or any(e.candidate == name and e not in gone for e in kept)
            ]
        if spent + len(names) > left or (drops and names == ["none"]):
            break
        spent += len(names)
        for entry in kept:
            if entry.candidate in names:
                kept[entry][repetition] = found.validation[entry][repetition]
    return kept, spent


def raced(found: DataSet, minutes: float, design: Design, *, drops: bool = True) -> Raced:
    """Race, judge, and look up what the nested figure is of the fresh rows."""
    scores, spent = race(found, minutes, drops=drops)
    verdict = racing.judge(scores, NONE, design)
    tested = {entry: {key: found.test[entry][key] for key in values} for entry, values in scores.items()}
    nested = racing.nested(scores, tested, NONE, design)
    assert nested is not None
    fresh = []
    for repetition in scores[NONE]:
        there = [entry for entry in scores if repetition in scores[entry]]
        fresh.append(found.fresh[max(there, key=lambda entry: scores[entry][repetition])][repetition])
    return Raced(verdict.choice, spent, nested.spread.mean, float(np.mean(fresh)))


def false_departures(size: int, datasets: int) -> None:
    design = Design(True, True, 1 / 7, 2 / 7)
    departed = dict.fromkeys(BUDGETS, 0)
    for seed in range(datasets):
        found = null_data_set(size, seed)
        for minutes in BUDGETS:
            departed[minutes] += raced(found, minutes, design).choice != NONE
    shares = ", ".join(f"{minutes} min {100 * count / datasets:.1f} %" for minutes, count in departed.items())
    print(f"nothing is better, {size} rows, {datasets} data sets: departs in {shares}", flush=True)


def regrets(title: str, counts: tuple[int, ...], metric: str, datasets: int) -> None:
    design = Design(True, True, 1 / 7, 2 / 7)
    ways: Mapping[str, Callable[[DataSet, float], Entry]] = {
        "race": lambda found, minutes: raced(found, minutes, design).choice,
        "grid, as cautious": lambda found, minutes: raced(found, minutes, design, drops=False).choice,
        "grid, highest mean": lambda found, minutes: _highest(race(found, minutes, drops=False)[0]),
        "no weights, argmax": lambda *_: NONE,
    }
    lost: dict[tuple[str, int], list[float]] = {(way, minutes): [] for way in ways for minutes in BUDGETS}
    departs: dict[int, list[bool]] = {minutes: [] for minutes in BUDGETS}
    off: dict[int, list[float]] = {minutes: [] for minutes in BUDGETS}
    trainings: dict[int, list[int]] = {minutes: [] for minutes in BUDGETS}
    for seed in range(datasets):
        found = data_set(counts, metric, seed)
        truth = {entry: float(values.mean()) for entry, values in found.fresh.items()}
        for minutes in BUDGETS:
            for way, choose in ways.items():
                lost[way, minutes].append(max(truth.values()) - truth[choose(found, minutes)])
            one = raced(found, minutes, design)
            departs[minutes].append(one.choice != NONE)
            off[minutes].append(one.nested - one.nested_fresh)
            trainings[minutes].append(one.trainings)
    print(f"\n{title}, {metric}, {datasets} data sets: regret in points (standard error)")
    for way in ways:
        cells = [np.array(lost[way, minutes]) * 100 for minutes in BUDGETS]
        print(f"  {way:<20}", "  ".join(f"{v.mean():5.2f} ({v.std() / len(v) ** 0.5:.2f})" for v in cells))
    print("  departs             ", "  ".join(f"{100 * np.mean(departs[minutes]):5.0f} %      " for minutes in BUDGETS))
    print("  trainings           ", "  ".join(f"{np.mean(trainings[minutes]):5.0f}        " for minutes in BUDGETS))
    cells = [np.array(off[minutes]) * 100 for minutes in BUDGETS]
    print(
        "  nested minus fresh  ",
        "  ".join(f"{v.mean():5.2f} ({v.std() / len(v) ** 0.5:.2f})" for v in cells),
        flush=True,
    )


def _highest(scores: Scores) -> Entry:
    return max(scores, key=lambda entry: np.mean([*scores[entry].values()] or [-1.0]))


def main() -> None:
    datasets = int(sys.argv[1]) if len(sys.argv) > 1 else 150
    for size in (300, 1000):
        false_departures(size, 4 * datasets)
    for title, counts in COUNTS.items():
        for metric in TUNED_FOR:
            regrets(title, counts, metric, datasets)


if __name__ == "__main__":
    main()
