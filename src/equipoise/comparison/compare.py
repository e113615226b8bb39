"""From many runs to one comparison: configurations with paired differences, per data set and over several.

A pair is two runs of different configurations at the same split, fold and seed. This module knows nothing of the store
or of how a comparison is shown.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np

from equipoise.comparison import configurations, repetitions, significance, splits
from equipoise.comparison.configurations import Configuration
from equipoise.comparison.repetitions import Difference, Place, Spread
from equipoise.config import identity
from equipoise.core.errors import ConfigError, counted, listing, suggestion
from equipoise.metrics.orientation import orientation
from equipoise.tracking.history import Logged

PANEL = ("balanced_accuracy", "macro_f1", "mcc", "worst_class_recall", "log_loss")
# What the pictures of classes read; of many classes the profiles, and of runs of an older version the counts.
BY_CLASS = ("test/recall/", "test/precision/", "profile/recall", "profile/precision", "count/")
# Metrics that can disagree under imbalance. A configuration is on the front if no other is better in one of them and
# at least as good in the others.
FRONT = ("balanced_accuracy", "macro_f1", "mcc")


@dataclass(frozen=True)
class Row:
    """One configuration on one data set."""

    configuration: Configuration
    spreads: Mapping[str, Spread]
    rank: float  # mean over the repetitions; NaN if the configurations share no repetition
    to_baseline: Difference | None
    to_control: Difference | None
    on_front: bool


@dataclass(frozen=True)
class Table:
    """All configurations on one data set, best first; in the order of their names if they share no repetition.

    Attributes
    ----------
    test_over_train : judged samples over training samples, mean over the splits; NaN if the runs do not say
    split : whose metrics count
    by_rule : of the validation split, each configuration's mean by each decision rule; NaN if a run lacks it
    trees : the best of the boosted trees without any weights, and its difference to the best Keras model; None if the
        runs have not both
    """

    dataset: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    test_over_train: float
    split: str = splits.TEST
    by_rule: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    trees: tuple[str, Difference] | None = None


@dataclass(frozen=True)
class Overall:
    """One configuration over several data sets that all have it.

    Attributes
    ----------
    labels : several if the configurations are bitwise identical on every data set
    mean : of its means on the data sets
    to_baseline, to_control : over the data sets, each of which gives one paired difference
    """

    labels: tuple[str, ...]
    mean: float
    to_baseline: Difference | None
    to_control: Difference | None

    @property
    def label(self) -> str:
        return configurations.joined(self.labels)


@dataclass(frozen=True)
class Comparison:
    """All tables of a comparison, and what holds over several data sets.

    Attributes
    ----------
    overall : the configurations that every data set has, best first; empty for one data set
    ranking : mean ranks of these, in their order; None for fewer than three
    left_out : labels that some data set lacks
    """

    metric: str
    split: str
    tables: tuple[Table, ...]
    overall: tuple[Overall, ...]
    ranking: significance.Ranking | None
    left_out: tuple[str, ...]

    @property
    def ranked(self) -> tuple[str, ...]:
        """Labels of the configurations that are ranked, in the order of `overall`."""
        return tuple(one.label for one in self.overall) if self.ranking else ()


def wanted(metric: str | None, split: str = splits.TEST) -> list[str]:
    """Return the metric keys, and beginnings of keys, that a comparison reads of a run."""
    of_split = [f"{split}/{name}" for name in dict.fromkeys((*([metric] if metric else []), *PANEL))]
    if split == splits.VALIDATION:  # no metrics by class
        return [*of_split, splits.BY_RULE, "samples/"]
    return [*of_split, *BY_CLASS, "samples/", "decision/"]


def compare(
    runs: Sequence[Logged],
    metric: str | None,
    split: str = splits.TEST,
    *,
    baseline: str | None = None,
    rope: float | None = None,
) -> Comparison:
    """Compare finished runs, oldest first; of those with the same configuration, seed and split the newest counts.

    Parameters
    ----------
    metric : without its split; None: the first of the panel that any of the runs has
    split : whose metrics count
    baseline : a configuration's label, or a weighting; None: plain cross-entropy without any correction
    rope : half width of the region of practical equivalence

    Raises
    ------
    ConfigError
        If no run has the metric, or no configuration is the baseline.
    """
    if metric is None:
        metric = next((name for name in PANEL if _having(runs, name, split)), PANEL[0])
    having = _having(runs, metric, split)
    if not having:
        raise ConfigError(_lacking(runs, metric, split))
    datasets = configurations.by_dataset(having)
    # A setting that differs only between data sets, such as a model for one of them, sets no configurations apart.
    settings = sorted({key for members in datasets.values() for key in configurations.varied_params(members)})
    aim = _Aim(metric, split, baseline, rope)
    tables = tuple(_table(name, members, settings, aim) for name, members in datasets.items())
    lacking = len(runs) - len(having)
    if lacking:
        note = f"Omitted: {counted(lacking, 'run', 'runs')} without {split}/{metric}."
        tables = (replace(tables[0], notes=(*tables[0].notes, note)), *tables[1:])
    return Comparison(metric, split, tables, *_across(tables, metric))


@dataclass(frozen=True)
class _Aim:
    """What a comparison is by, as `compare` takes it."""

    metric: str
    split: str
    baseline: str | None
    rope: float | None


def _having(runs: Sequence[Logged], metric: str, split: str) -> list[Logged]:
    return [run for run in runs if splits.key(run, metric, split) in run.metrics]


def _lacking(runs: Sequence[Logged], metric: str, split: str) -> str:
    """Say that no run has the metric, and what to do."""
    known = splits.metrics(runs, split)
    said = f"metric={metric}: none of the {len(runs)} runs has it{suggestion(metric, known)}"
    if split == splits.TEST:
        return said
    if not known:
        return (
            f"{said}; an earlier version logged them, and judged no decision rule on validation: "
            "to have it, run the same sweep with sweep=new"
        )
    return f"{said}; on validation there are {listing([*known, *splits.OF_EPOCHS])}"


def _table(dataset: str, runs: Sequence[Logged], varied: Sequence[str], aim: _Aim) -> Table:
    metric = aim.metric
    by_settings = configurations.by_settings(runs, varied)
    shared, left_out = configurations.shared_places(by_settings)
    trained = configurations.merged(by_settings, shared, (*PANEL, metric), aim.split)
    references = configurations.baselines(trained, aim.baseline)
    controls = [control for control in map(configurations.control, references) if control.values(metric)]
    found = [*trained, *controls]
    shown = (metric, *(name for name in PANEL if aim.split == splits.TEST or name not in splits.OF_EPOCHS))
    values = {name: _shared_values(found, name) for name in dict.fromkeys(shown)}
    ratio = _test_over_train(found, splits.SAMPLES[aim.split])
    spreads = [
        {name: repetitions.spread(of_each[index], ratio) for name, of_each in values.items() if of_each[index]}
        for index in range(len(found))
    ]
    comparable = _of_the_same_places(values[metric])
    ranks = _ranks(values[metric], metric) if comparable else [float("nan")] * len(found)
    front = _front(spreads) if all(_of_the_same_places(values[name]) for name in FRONT) else [False] * len(found)
    to_baseline, to_control = (
        _differences(found, values[metric], of, metric, ratio, aim.rope) for of in (references, controls)
    )
    rows = [Row(*row) for row in zip(found, spreads, ranks, to_baseline, to_control, front, strict=True)]
    rows.sort(
        key=lambda row: (-orientation(metric) * row.spreads[metric].mean if comparable else 0, row.configuration.label)
    )
    trees = _trees(rows, metric, ratio, aim.rope)
    table = Table(dataset, tuple(rows), (), ratio, aim.split, _by_rule(trained, metric, aim.split), trees)
    mixed = identity.differing(run.tags for run in runs)
    of_other_code = (
        [f"The runs used different code ({listing(mixed)}), which may explain differences between them."]
        if mixed
        else []
    )
    return replace(table, notes=(*_notes(table, metric), *([left_out] if left_out else []), *of_other_code))


def _trees(rows: Sequence[Row], metric: str, ratio: float, rope: float | None) -> tuple[str, Difference] | None:
    """Return the first boosted tree without weights of the rows, best first, and its difference to the first of Keras.

    A decision rule that comes after training is no model of its own.
    """
    trained = [row.configuration for row in rows if row.configuration.rule is None]
    of_trees = next((one for one in trained if configurations.is_of_trees(one) and configurations.is_plain(one)), None)
    of_keras = next((one for one in trained if configurations.is_of_keras(one)), None)
    if of_trees is None or of_keras is None:
        return None
    mine, theirs = of_trees.values(metric), of_keras.values(metric)
    paired = {place: mine[place] - theirs[place] for place in mine if place in theirs}
    if not paired:
        return None
    found = repetitions.difference(of_keras.label, paired, ratio, orientation(metric), rope)
    return of_trees.label, repetitions.corrected({0: found})[0]


def _shared_values(found: Sequence[Configuration], metric: str) -> list[dict[Place, float]]:
    """Return the metric of each configuration at the places that all configurations with the metric share.

    If they share none, return it at each configuration's own places.
    """
    values = [one.values(metric) for one in found]
    having = [set(of_one) for of_one in values if of_one]
    shared = set.intersection(*having) if having else set()
    return [{place: of_one[place] for place in sorted(of_one) if not shared or place in shared} for of_one in values]


def _of_the_same_places(values: Sequence[Mapping[Place, float]]) -> bool:
    return len({frozenset(of_one) for of_one in values if of_one}) <= 1


def _by_rule(found: Sequence[Configuration], metric: str, split: str) -> dict[str, dict[str, float]]:
    """Return each configuration's mean by each decision rule on the validation split; nothing for the test split."""
    if split == splits.TEST or metric in splits.OF_EPOCHS:
        return {}
    rules = splits.rules(run for one in found for run in one.runs.values())
    means: dict[str, dict[str, float]] = {}
    for one in found:
        of_rules = {rule: replace(one, rule=rule).values(metric) for rule in rules}
        means[one.label] = {
            rule: float(repetitions.repeated(values).mean()) if len(values) == len(one.runs) else float("nan")
            for rule, values in of_rules.items()
        }
    return means


def _test_over_train(found: Sequence[Configuration], judged: str) -> float:
    """Return the mean over the splits of judged over training samples; NaN if the runs of a split did not log them."""
    ratios: dict[Place, list[float]] = {}
    for place, run in chain.from_iterable(one.runs.items() for one in found):
        known = ratios.setdefault(place[:-1], [])
        if f"samples/{judged}" in run.metrics and run.metrics.get("samples/train"):
            known.append(run.metrics[f"samples/{judged}"] / run.metrics["samples/train"])
    return float(np.mean([np.mean(known) for known in ratios.values()])) if all(ratios.values()) else float("nan")


def _ranks(values: Sequence[Mapping[Place, float]], metric: str) -> list[float]:
    """Return mean ranks over the repetitions, which all configurations share."""
    scores = np.array([repetitions.repeated(found) for found in values]).T
    mean_ranks: list[float] = significance.ranks(-orientation(metric) * scores).mean(axis=0).tolist()
    return mean_ranks


def _front(spreads: Sequence[Mapping[str, Spread]]) -> list[bool]:
    if not all(name in found for found in spreads for name in FRONT):
        return [False] * len(spreads)
    on_front: list[bool] = significance.pareto_front(
        np.array([[found[name].mean for name in FRONT] for found in spreads])
    ).tolist()
    return on_front


def _differences(
    found: Sequence[Configuration],
    values: Sequence[Mapping[Place, float]],
    references: Sequence[Configuration],
    metric: str,
    ratio: float,
    rope: float | None,
) -> list[Difference | None]:
    """Return the paired difference of each configuration to its reference; None if it has none or is one itself."""
    numbers = {id(one): number for number, one in enumerate(found)}
    differences = {}
    for number, one in enumerate(found):
        reference = configurations.reference(one, references)
        if reference is None or reference is one:
            continue
        mine, theirs = values[number], values[numbers[id(reference)]]
        paired = {place: mine[place] - theirs[place] for place in mine if place in theirs}
        if paired:
            name = reference.label if reference.rule else reference.labels[0]
            differences[number] = repetitions.difference(name, paired, ratio, orientation(metric), rope)
    tested = repetitions.corrected(differences)
    return [tested.get(number) for number in range(len(found))]


def _across(
    tables: Sequence[Table], metric: str
) -> tuple[tuple[Overall, ...], significance.Ranking | None, tuple[str, ...]]:
    """Compare the configurations that all data sets have; those that are bitwise identical on each count as one.

    Return the rows, their ranking and the labels that are left out.
    """
    if len(tables) < 2:
        return (), None, ()
    numbers = [
        {label: number for number, row in enumerate(table.rows) for label in row.configuration.labels}
        for table in tables
    ]
    labels = list(dict.fromkeys(chain.from_iterable(numbers)))
    everywhere = [label for label in labels if all(label in found for found in numbers)]
    same: dict[tuple[int, ...], list[str]] = {}
    for label in everywhere:
        same.setdefault(tuple(found[label] for found in numbers), []).append(label)
    rows = [[table.rows[number] for table, number in zip(tables, of_one, strict=True)] for of_one in same]
    scores = np.array([[row.spreads[metric].mean for row in of_each] for of_each in rows]).reshape(
        len(rows), len(tables)
    )
    to_baseline, to_control = (_over_datasets(rows, to, metric) for to in ("to_baseline", "to_control"))
    order = sorted(range(len(rows)), key=lambda index: -orientation(metric) * scores[index].mean())
    names = list(same.values())
    overall = [
        Overall(tuple(names[index]), float(scores[index].mean()), to_baseline.get(index), to_control.get(index))
        for index in order
    ]
    comparable = not any(np.isnan(row.rank) for of_each in rows for row in of_each)
    ranking = significance.friedman(orientation(metric) * scores[order].T) if comparable and len(rows) > 2 else None
    return tuple(overall), ranking, tuple(label for label in labels if label not in everywhere)


def _over_datasets(configurations: Sequence[Sequence[Row]], to: str, metric: str) -> dict[int, Difference]:
    """Return the difference of each configuration, given by its rows, one per data set.

    There is none for a reference, nor for a configuration without pairs on some data set.
    """
    found = {}
    for index, rows in enumerate(configurations):
        differences: list[Difference | None] = [getattr(row, to) for row in rows]
        references = list(dict.fromkeys(one.reference for one in differences if one))
        # Where a configuration trained the same bits as its reference, the two share a row without a difference.
        means = [
            one.mean if one else 0.0
            for one, row in zip(differences, rows, strict=True)
            if one or {*references} & {*row.configuration.labels}
        ]
        if references and len(means) == len(rows):
            found[index] = repetitions.over_datasets(" or ".join(references), np.array(means), orientation(metric))
    return repetitions.corrected(found)


def _notes(table: Table, metric: str) -> list[str]:
    rows = table.rows
    differences = [found for row in rows for found in (row.to_baseline, row.to_control) if found]
    notes = [*_said_of_tests(table, differences), *said_of_families(differences)]
    if table.split == splits.VALIDATION and metric in splits.OF_EPOCHS:
        notes.append(f"val/{metric} is that of the last epoch, which early stopping need not have kept.")
    best = {
        name: max((row for row in rows if name in row.spreads), key=lambda row: row.spreads[name].mean, default=None)
        for name in FRONT
    }
    leaders = {name: row.configuration.label for name, row in best.items() if row and not np.isnan(row.rank)}
    if len(set(leaders.values())) > 1:
        notes.append(
            "The metrics disagree on the highest mean: "
            + "; ".join(f"{name} {label}" for name, label in leaders.items())
            + "."
        )
    return notes


def _said_of_tests(table: Table, differences: Sequence[Difference]) -> list[str]:
    """Say what the repetitions are, and what p and intervals cover."""
    places = set(chain.from_iterable(row.configuration.runs for row in table.rows))
    units, seeds = {place[:-1] for place in places}, max(Counter(place[:-1] for place in places).values())
    kind = "folds" if len({fold for _, fold in units}) > 1 else "splits"
    notes = []
    if any(found.test == repetitions.PERMUTATION for found in differences):
        where = "one split" if len(units) == 1 else f"each of {len(units)} splits"
        notes.append(
            f"Each paired difference is of two runs with the same seed and split: {seeds} seed{'s' * (seeds != 1)} on "
            f"{where}. p is of a paired permutation test over the seeds: it covers training noise on this split, not "
            "what another split or other data would give."
        )
    if any(found.test == repetitions.CORRECTED for found in differences):
        averaged = f", {seeds} seeds averaged within each" if seeds > 1 else ""
        if np.isnan(table.test_over_train):
            notes.append(
                f"p and intervals over {len(units)} {kind} are omitted: the {kind} share rows, and these runs of an "
                "earlier version did not log how many samples they were trained and judged on. To have both, run the "
                "same sweep with sweep=new."
            )
        else:
            sizes = f"n_{splits.SAMPLES[table.split]} / n_train = {table.test_over_train:.3g}"
            notes.append(
                f"p and intervals are over {len(units)} {kind}{averaged}: the corrected resampled t test (Nadeau and "
                f"Bengio 2003), df {len(units) - 1}, with {sizes}, which allows for rows that {kind} share."
            )
            if any(found.test == repetitions.CORRECTED and found.p is None for found in differences):
                notes.append("Where all paired differences are equal, the t test is not defined, and p is omitted.")
    return notes


def said_of_families(differences: Sequence[Difference]) -> list[str]:
    """Say for how many comparisons p is corrected, and where no p is possible."""
    families = {found.reference: found.comparisons for found in differences if found.p is not None}
    notes = []
    if families:
        parts = listing([f"{count} with {reference}" for reference, count in families.items()])
        notes.append(
            f"p is after Holm's correction, one family for each reference on this data set; comparisons: {parts}."
        )
    for pairs, needed in sorted(
        {(found.pairs, found.needed) for found in differences if found.p is None and found.needed}
    ):
        notes.append(
            f"Too few pairs to test (n < {needed}): with {counted(pairs, 'pair', 'pairs')} and so many comparisons "
            f"no difference could reach significance; with {needed} pairs one could."
        )
    return notes
