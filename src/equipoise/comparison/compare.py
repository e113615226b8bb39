"""Many runs to one comparison: tables of configurations with paired differences, and what holds over several data sets.

A pair is two runs of different configurations at the same split, fold and seed. Knows nothing of the store or of how a
comparison is shown.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from equipoise.comparison import configurations, repetitions, significance
from equipoise.comparison.configurations import Configuration
from equipoise.comparison.repetitions import Difference, Place, Spread
from equipoise.config import identity
from equipoise.core.schema import ConfigError, listing, suggestion
from equipoise.metrics.orientation import orientation
from equipoise.tracking.history import Logged

PANEL = ("balanced_accuracy", "macro_f1", "mcc", "worst_class_recall", "log_loss")
# What can disagree about imbalance: a configuration is on the front if none is better in one and as good in the others.
FRONT = ("balanced_accuracy", "macro_f1", "mcc")


@dataclass(frozen=True)
class Row:
    """One configuration on one data set."""

    configuration: Configuration
    spreads: Mapping[str, Spread]
    rank: float  # mean over the repetitions; NaN if the configurations share none
    to_baseline: Difference | None
    to_control: Difference | None
    on_front: bool


@dataclass(frozen=True)
class Table:
    """All configurations on one data set, best first; by name if they share no run.

    Attributes
    ----------
    test_over_train : test samples over training samples, mean over the splits; NaN if the runs do not say
    """

    dataset: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    test_over_train: float


@dataclass(frozen=True)
class Overall:
    """One configuration over several data sets that all have it.

    Attributes
    ----------
    labels : several if they are bitwise identical on every data set
    mean : of its means on the data sets
    to_baseline, to_control : over the data sets, one paired difference each
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
    """What is known and what is noise.

    Attributes
    ----------
    overall : the configurations that every data set has, over several data sets, best first
    ranking : mean ranks of these, in their order; None of fewer than three
    left_out : labels that some data set lacks
    """

    metric: str
    tables: tuple[Table, ...]
    overall: tuple[Overall, ...]
    ranking: significance.Ranking | None
    left_out: tuple[str, ...]

    @property
    def ranked(self) -> tuple[str, ...]:
        """What the ranking is of."""
        return tuple(one.label for one in self.overall) if self.ranking else ()


def wanted(metric: str | None) -> list[str]:
    """Keys, and beginnings of keys, of all that a comparison reads of a run."""
    return [
        *(f"test/{name}" for name in dict.fromkeys((*([metric] if metric else []), *PANEL))),
        "test/recall/",
        "test/precision/",
        "count/",
        "samples/",
        "decision/",
    ]


def compare(
    runs: Sequence[Logged], metric: str | None, *, baseline: str | None = None, rope: float | None = None
) -> Comparison:
    """Compare finished runs, oldest first; of the same configuration, seed and split, the newest counts.

    Parameters
    ----------
    metric : without `test/`; None: the first of the panel that any of the runs has
    baseline : a configuration's label, or a weighting; None: the plain one, cross-entropy that nothing corrects
    rope : half width of the region of practical equivalence

    Raises
    ------
    ConfigError
        If no run has the metric, or the baseline is none of the configurations.
    """
    if metric is None:
        metric = next((name for name in PANEL if any(f"test/{name}" in run.metrics for run in runs)), PANEL[0])
    having = [run for run in runs if f"test/{metric}" in run.metrics]
    if not having:
        known = sorted(
            {
                key.removeprefix("test/")
                for run in runs
                for key in run.metrics
                if key.startswith("test/") and key.count("/") == 1
            }
        )
        raise ConfigError(f"metric={metric}: none of the {len(runs)} runs has it{suggestion(metric, known)}")
    datasets = configurations.by_dataset(having)
    # What differs between data sets alone, as a model that suits the one and not the other, tells no configurations apart.
    settings = sorted({key for members in datasets.values() for key in configurations.varied_params(members)})
    tables = tuple(_table(name, members, settings, metric, baseline, rope) for name, members in datasets.items())
    lacking = len(runs) - len(having)
    if lacking:
        tables = (
            replace(tables[0], notes=(*tables[0].notes, f"{lacking} runs have no test/{metric} and are left out")),
            *tables[1:],
        )
    return Comparison(metric, tables, *_across(tables, metric))


def _table(
    dataset: str, runs: Sequence[Logged], varied: Sequence[str], metric: str, baseline: str | None, rope: float | None
) -> Table:
    by_settings = configurations.by_settings(runs, varied)
    shared, left_out = configurations.shared_places(by_settings)
    found = configurations.merged(by_settings, shared, PANEL)
    references = configurations.baselines(found, baseline)
    controls = [control for control in map(configurations.control, references) if control.values(metric)]
    found = [*found, *controls]
    values = {name: _shared_values(found, name) for name in dict.fromkeys((metric, *PANEL))}
    ratio = _test_over_train(found)
    spreads = [
        {name: repetitions.spread(of_each[index], ratio) for name, of_each in values.items() if of_each[index]}
        for index in range(len(found))
    ]
    comparable = _of_the_same_places(values[metric])
    ranks = _ranks(values[metric], metric) if comparable else [float("nan")] * len(found)
    front = _front(spreads) if all(_of_the_same_places(values[name]) for name in FRONT) else [False] * len(found)
    to_baseline, to_control = (
        _differences(found, values[metric], of, metric, ratio, rope) for of in (references, controls)
    )
    rows = [Row(*row) for row in zip(found, spreads, ranks, to_baseline, to_control, front, strict=True)]
    rows.sort(
        key=lambda row: (-orientation(metric) * row.spreads[metric].mean if comparable else 0, row.configuration.label)
    )
    table = Table(dataset, tuple(rows), (), ratio)
    mixed = identity.differing(run.tags for run in runs)
    of_other_code = (
        [f"Not all runs are by the same code of {listing(mixed)}: what differs may be the code."] if mixed else []
    )
    return replace(table, notes=(*_notes(table), *([left_out] if left_out else []), *of_other_code))


def _shared_values(found: Sequence[Configuration], metric: str) -> list[dict[Place, float]]:
    """The metric of each configuration at the places where all that have it have it; without any, at its own."""
    values = [one.values(metric) for one in found]
    having = [set(of_one) for of_one in values if of_one]
    shared = set.intersection(*having) if having else set()
    return [{place: of_one[place] for place in sorted(of_one) if not shared or place in shared} for of_one in values]


def _of_the_same_places(values: Sequence[Mapping[Place, float]]) -> bool:
    return len({frozenset(of_one) for of_one in values if of_one}) <= 1


def _test_over_train(found: Sequence[Configuration]) -> float:
    """Mean over the splits of what their runs say; NaN if there is one of which no run says it."""
    ratios: dict[Place, list[float]] = {}
    for place, run in chain.from_iterable(one.runs.items() for one in found):
        known = ratios.setdefault(place[:-1], [])
        if "samples/test" in run.metrics and run.metrics.get("samples/train"):
            known.append(run.metrics["samples/test"] / run.metrics["samples/train"])
    return float(np.mean([np.mean(known) for known in ratios.values()])) if all(ratios.values()) else float("nan")


def _ranks(values: Sequence[Mapping[Place, float]], metric: str) -> list[float]:
    """Mean over the repetitions, which all of them have."""
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
    """Of each configuration to its reference, if it has one and is not itself one."""
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
    """Over the data sets, the configurations that all of them have; those that are bitwise identical on each are one."""
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
    """Of each configuration, given by its rows, one a data set; not of a reference, nor where a data set has no pairs."""
    found = {}
    for index, rows in enumerate(configurations):
        differences: list[Difference | None] = [getattr(row, to) for row in rows]
        references = list(dict.fromkeys(one.reference for one in differences if one))
        # On a data set where it trained the same bits as its reference it has none to itself.
        means = [
            one.mean if one else 0.0
            for one, row in zip(differences, rows, strict=True)
            if one or {*references} & {*row.configuration.labels}
        ]
        if references and len(means) == len(rows):
            found[index] = repetitions.over_datasets(" or ".join(references), np.array(means), orientation(metric))
    return repetitions.corrected(found)


def _notes(table: Table) -> list[str]:
    rows = table.rows
    differences = [found for row in rows for found in (row.to_baseline, row.to_control) if found]
    notes = [*_said_of_tests(table, differences), *_said_of_families(differences)]
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
    """What the repetitions are, and what p and intervals are of."""
    places = set(chain.from_iterable(row.configuration.runs for row in table.rows))
    units, seeds = {place[:-1] for place in places}, max(Counter(place[:-1] for place in places).values())
    kind = "folds" if len({fold for _, fold in units}) > 1 else "splits"
    notes = []
    if any(found.test == repetitions.PERMUTATION for found in differences):
        where = "one split" if len(units) == 1 else f"each of {len(units)} splits"
        notes.append(
            f"Paired differences share seed and split: {seeds} seed{'s' * (seeds != 1)} on {where}. p is of a paired permutation test over the seeds: "
            "it covers training noise on this split, not what another split or other data would give."
        )
    if any(found.test == repetitions.CORRECTED for found in differences):
        averaged = f", {seeds} seeds averaged within each" if seeds > 1 else ""
        if np.isnan(table.test_over_train):
            notes.append(
                f"{len(units)} {kind} share rows, and the runs do not say how many samples they were trained and judged on (they are an earlier "
                "version's): without that there is neither p nor interval. The same sweep with sweep=new logs it."
            )
        else:
            notes.append(
                f"p and intervals are over {len(units)} {kind}{averaged}: the corrected resampled t test (Nadeau and Bengio 2003), df {len(units) - 1}, "
                f"with n_test / n_train = {table.test_over_train:.3g}, which allows for rows that {kind} share."
            )
            if any(found.test == repetitions.CORRECTED and found.p is None for found in differences):
                notes.append("Where all paired differences are equal, the t test is not defined, and there is no p.")
    return notes


def _said_of_families(differences: Sequence[Difference]) -> list[str]:
    """What p is corrected for, and where no p is possible."""
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
            f"Too few pairs to test (n < {needed}): with {pairs} pairs and so many comparisons no difference could reach significance; {needed} pairs could."
        )
    return notes
