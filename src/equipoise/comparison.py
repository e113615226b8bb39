"""Many runs to one comparison: configurations, their repetitions aggregated, and differences in pairs.

A configuration is what runs have in common but for the seed and the split; a pair is two runs of different
configurations at the same seed, split and fold. Knows nothing of the store or of how a comparison is shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from equipoise import significance
from equipoise.config import CONTROL
from equipoise.logged import Logged
from equipoise.options import ConfigError, Floats, suggestion

# Runs that differ in these alone are repetitions of one configuration.
REPETITION = ("dataset.split_seed", "dataset.fold", "seed")
# Of a dataset's keys, those that do not change what data it is.
OF_THE_CONFIGURATION = ("dataset.labels", "dataset.sampling", "dataset.target_prior")
PANEL = ("balanced_accuracy", "macro_f1", "mcc", "worst_class_recall", "log_loss")
# What can disagree about imbalance: a configuration is on the front if none is better in one and as good in the others.
FRONT = ("balanced_accuracy", "macro_f1", "mcc")
LOWER_IS_BETTER = ("log_loss", "log_loss_corrected", "brier", "ece", "ece_classwise", "ece_corrected", "expected_cost", "hamming_loss")
CONTROL_RULE = "logit_adjusted"
# What all else is measured by: cross-entropy without weights, resampling or a second stage.
PLAIN = {"weighting.name": "none", "loss.function": "cross_entropy", "dataset.sampling": "none", "trainer.second_stage": "none"}
OF_THE_METHOD = ("weighting.", "loss.", "dataset.sampling", "trainer.second_stage")

Unit = tuple[str, ...]  # split seed, fold, seed


@dataclass(frozen=True)
class Configuration:
    """Runs that are repetitions of each other.

    Attributes
    ----------
    labels : what sets it apart; several if configurations trained the very same bits
    rule : the decision rule whose metrics count, if it is not the one that the runs were configured with
    """

    labels: tuple[str, ...]
    settings: tuple[Mapping[str, str], ...]
    runs: Mapping[Unit, Logged]
    rule: str | None = None

    @property
    def label(self) -> str:
        return self.labels[0] if len(self.labels) == 1 else " = ".join(self.labels) + " (bitwise identical)"

    def values(self, metric: str) -> dict[Unit, float]:
        """The metric of each run that has it."""
        key = f"decision/{self.rule}/{metric}" if self.rule else f"test/{metric}"
        return {unit: run.metrics[key] for unit, run in self.runs.items() if key in run.metrics}


@dataclass(frozen=True)
class Spread:
    """A metric over the repetitions; the interval is for the mean, NaN of a single run, as is the deviation."""

    mean: float
    deviation: float
    low: float
    high: float
    runs: int


@dataclass(frozen=True)
class Difference:
    """A configuration minus its reference, in pairs.

    Attributes
    ----------
    better : pairs in which the configuration is the better one
    p : two-sided, after Holm's correction; None if so few pairs can reach no significance at all
    needed : pairs that could
    effect : rank-biserial correlation, from -1 to 1
    posterior : of the Bayesian signed-rank test, if a region of practical equivalence was given
    """

    reference: str
    mean: float
    low: float
    high: float
    pairs: int
    better: int
    test: str
    p: float | None
    needed: int
    effect: float
    posterior: significance.Posterior | None


@dataclass(frozen=True)
class Row:
    """One configuration on one data set."""

    configuration: Configuration
    spreads: Mapping[str, Spread]
    rank: float  # mean over the repetitions that all configurations have; NaN if there are none
    to_baseline: Difference | None
    to_control: Difference | None
    on_front: bool


@dataclass(frozen=True)
class Table:
    """All configurations on one data set, best first."""

    dataset: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """What is known and what is noise.

    Attributes
    ----------
    ranking, ranked : of the configurations that every data set has, over several data sets
    """

    metric: str
    tables: tuple[Table, ...]
    ranking: significance.Ranking | None
    ranked: tuple[str, ...]


def wanted(metric: str | None) -> list[str]:
    """Keys, and beginnings of keys, of all that a comparison reads of a run."""
    return [*(f"test/{name}" for name in dict.fromkeys((*([metric] if metric else []), *PANEL))), "test/recall/", "test/precision/", "count/", "decision/"]


def compare(runs: Sequence[Logged], metric: str | None, *, baseline: str | None = None, rope: float | None = None) -> Comparison:
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
        known = sorted({key.removeprefix("test/") for run in runs for key in run.metrics if key.startswith("test/") and key.count("/") == 1})
        raise ConfigError(f"metric={metric}: none of the {len(runs)} runs has it{suggestion(metric, known)}")
    datasets = _by_dataset(having)
    # What differs between data sets alone, as a model that suits the one and not the other, tells no configurations apart.
    settings = sorted({key for members in datasets.values() for key in varied_params(members)})
    tables = tuple(_table(name, members, settings, metric, baseline, rope) for name, members in datasets.items())
    lacking = len(runs) - len(having)
    if lacking:
        tables = (replace(tables[0], notes=(*tables[0].notes, f"{lacking} runs have no test/{metric} and are left out")), *tables[1:])
    return Comparison(metric, tables, *_across(tables, metric))


def dataset_title(run: Logged) -> str:
    """What a data set is called: by its title, or else its name."""
    title = run.params.get("dataset.title", "None")
    return run.params.get("dataset.name", "data") if title == "None" else title


def orientation(metric: str) -> int:
    """1 if higher is better, else -1."""
    return -1 if metric in LOWER_IS_BETTER else 1


def varied_params(runs: Sequence[Logged]) -> list[str]:
    """The params that tell configurations apart: those that differ between runs of the same option of their group.

    That `weighting=power` has an alpha and `weighting=balanced` has none follows from the option itself.
    """
    found = []
    for key in sorted({key for run in runs for key in run.params}):
        if key in REPETITION or key == "dataset.title" or any(key == part or key.startswith(part + ".") for part in CONTROL):
            continue
        option = f"{key.split('.')[0]}.name"
        seen: dict[str | None, set[str | None]] = {}
        for run in runs:
            seen.setdefault(None if key == option else run.params.get(option), set()).add(run.params.get(key))
        if any(len(values) > 1 for values in seen.values()):
            found.append(key)
    return found


def _by_dataset(runs: Sequence[Logged]) -> dict[str, list[Logged]]:
    """By title, or name; and where several data sets have the same one, by what they differ in."""
    titled: dict[str, list[Logged]] = {}
    for run in runs:
        titled.setdefault(dataset_title(run), []).append(run)
    datasets: dict[str, list[Logged]] = {}
    for title, members in titled.items():
        varied = [key for key in varied_params(members) if key.startswith("dataset.") and not key.startswith(OF_THE_CONFIGURATION)]
        for run in members:
            others = (f"{key}={run.params[key]}" for key in varied if key != "dataset.name" and key in run.params)
            datasets.setdefault(" ".join([title, *others]), []).append(run)
    return datasets


def _label(settings: Mapping[str, str]) -> str:
    return " · ".join(value if key.endswith(".name") else f"{key}={value}" for key, value in settings.items())


def _table(dataset: str, runs: Sequence[Logged], varied: Sequence[str], metric: str, baseline: str | None, rope: float | None) -> Table:
    configurations = _configurations(runs, varied)
    references = _baselines(configurations, baseline)
    controls = [found for found in map(_control, references) if found.values(metric)]
    everything = [*configurations, *controls]
    ranks = _ranks(everything, metric)
    front = _front(everything)
    to_baseline = _differences(everything, references, metric, rope)
    to_control = _differences(everything, controls, metric, rope)
    together = zip(everything, ranks, to_baseline, to_control, front, strict=True)
    rows = [Row(found, _spreads(found, metric), float(rank), plain, control, on) for found, rank, plain, control, on in together]
    rows.sort(key=lambda row: -orientation(metric) * row.spreads[metric].mean)
    return Table(dataset, tuple(rows), tuple(_notes(configurations, rows, metric)))


def _configurations(runs: Sequence[Logged], varied: Sequence[str]) -> list[Configuration]:
    found: dict[tuple[tuple[str, str], ...], dict[Unit, Logged]] = {}
    for run in runs:
        settings = tuple((key, run.params[key]) for key in varied if key in run.params) or (("weighting.name", run.params.get("weighting.name", "")),)
        found.setdefault(settings, {})[tuple(run.params.get(key, "") for key in REPETITION)] = run
    # The same bits at every seed and split, judged the same, are one line.
    same: dict[object, list[tuple[tuple[str, str], ...]]] = {}
    for settings, members in found.items():
        bits = [(unit, run.tags.get("weights_sha256", run.id), tuple(run.metrics.get(f"test/{name}") for name in PANEL)) for unit, run in members.items()]
        same.setdefault(tuple(sorted(bits, key=lambda item: item[0])), []).append(settings)
    return [Configuration(tuple(_label(dict(one)) for one in alike), tuple(map(dict, alike)), found[alike[0]]) for alike in same.values()]


def _baselines(configurations: Sequence[Configuration], typed: str | None) -> list[Configuration]:
    """The configurations to compare with: the plain ones if none was typed; several if a sweep varies the model, say."""
    if typed is None:
        return [found for found in configurations if all(map(_is_plain, found.runs.values()))] or _weighted(configurations, "none")
    chosen = [found for found in configurations if typed in found.labels] or _weighted(configurations, typed)
    if not chosen:
        labels = [label for found in configurations for label in found.labels]
        raise ConfigError(f"baseline={typed}: there is no such configuration{suggestion(typed, labels)}")
    return chosen


def _is_plain(run: Logged) -> bool:
    return all(run.params.get(key, value) == value for key, value in PLAIN.items())


def _weighted(configurations: Sequence[Configuration], weighting: str) -> list[Configuration]:
    return [found for found in configurations if any(one.get("weighting.name") == weighting for one in found.settings)]


def _control(baseline: Configuration) -> Configuration:
    """The same models, decided by post-hoc logit adjustment: what weights must beat."""
    return replace(baseline, labels=(f"{baseline.labels[0]}, logit-adjusted post hoc",), rule=CONTROL_RULE)


def _reference(configuration: Configuration, references: Sequence[Configuration]) -> Configuration | None:
    """Of several, the one that differs in the weighting alone; or else in the method alone."""
    if len(references) == 1:
        return references[0]

    def others(settings: Mapping[str, str], of: tuple[str, ...]) -> dict[str, str]:
        return {key: value for key, value in settings.items() if not key.startswith(of)}

    for of in (("weighting.",), OF_THE_METHOD):
        for found in references:
            if any(others(mine, of) == others(theirs, of) for mine in configuration.settings for theirs in found.settings):
                return found
    return None


def _spreads(configuration: Configuration, metric: str) -> dict[str, Spread]:
    spreads = {}
    for name in dict.fromkeys((metric, *PANEL)):
        values = np.array(list(configuration.values(name).values()))
        if len(values):
            deviation = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
            spreads[name] = Spread(float(values.mean()), deviation, *significance.mean_interval(values), len(values))
    return spreads


def _ranks(configurations: Sequence[Configuration], metric: str) -> Floats:
    values = [configuration.values(metric) for configuration in configurations]
    shared = sorted(set.intersection(*(set(found) for found in values)))
    if not shared:
        return np.full(len(values), np.nan)
    scores = np.array([[found[unit] for found in values] for unit in shared])
    mean_ranks: Floats = significance.ranks(-orientation(metric) * scores).mean(axis=0)
    return mean_ranks


def _front(configurations: Sequence[Configuration]) -> list[bool]:
    means = [[np.mean(list(found.values(name).values()) or [np.nan]) for name in FRONT] for found in configurations]
    scores = np.array(means)
    return significance.pareto_front(scores).tolist() if not np.isnan(scores).any() else [False] * len(scores)


def _differences(configurations: Sequence[Configuration], references: Sequence[Configuration], metric: str, rope: float | None) -> list[Difference | None]:
    """One family of comparisons, corrected together."""
    pairs: dict[int, tuple[Configuration, dict[Unit, float]]] = {}
    for index, configuration in enumerate(configurations):
        reference = _reference(configuration, references)
        if reference is None or reference is configuration:
            continue
        mine, theirs = configuration.values(metric), reference.values(metric)
        shared = {unit: mine[unit] - theirs[unit] for unit in sorted(mine.keys() & theirs.keys())}
        if shared:
            pairs[index] = (reference, shared)
    tested = {
        index: _test(reference.labels[0] if not reference.rule else reference.label, by_unit, metric, rope) for index, (reference, by_unit) in pairs.items()
    }
    corrected = significance.holm([found.p if found.p is not None else 1.0 for found in tested.values()])
    needed = significance.pairs_needed(max(1, len(tested)))
    found: list[Difference | None] = [None] * len(configurations)
    for (index, difference), p in zip(tested.items(), corrected, strict=True):
        hopeless = difference.test == "permutation" and difference.pairs < needed
        found[index] = replace(difference, p=None if hopeless or difference.p is None else p, needed=needed)
    return found


def _test(reference: str, by_unit: Mapping[Unit, float], metric: str, rope: float | None) -> Difference:
    """Not yet corrected for other comparisons."""
    by_fold: dict[Unit, list[float]] = {}
    for unit, difference in by_unit.items():
        by_fold.setdefault(unit[:2], []).append(difference)
    folds = len({fold for _, fold in by_fold})
    differences = np.array(list(by_unit.values()))
    p: float | None
    if folds > 1:
        # Seeds of one fold are no data of their own: they are averaged first.
        differences = np.array([np.mean(of_seeds) for of_seeds in by_fold.values()])
        p, (low, high) = significance.nadeau_bengio(differences, 1 / (folds - 1))
        test = "nadeau_bengio"
    else:
        p, (low, high), test = significance.permutation_p(differences), significance.mean_interval(differences), "permutation"
    return Difference(
        reference=reference,
        mean=float(differences.mean()),
        low=low,
        high=high,
        pairs=len(differences),
        better=int((orientation(metric) * differences > 0).sum()),
        test=test,
        p=p,
        needed=0,
        effect=significance.rank_biserial(differences),
        posterior=None if rope is None else significance.bayesian_signed_rank(differences, rope),
    )


def _across(tables: Sequence[Table], metric: str) -> tuple[significance.Ranking | None, tuple[str, ...]]:
    """Friedman's test over the data sets, of the configurations that all of them have."""
    means = [{label: row.spreads[metric].mean for row in table.rows for label in row.configuration.labels} for table in tables]
    shared = tuple(label for label in means[0] if all(label in found for found in means))
    if len(tables) < 2 or len(shared) < 3:
        return None, ()
    scores = orientation(metric) * np.array([[found[label] for label in shared] for found in means])
    return significance.friedman(scores), shared


def _notes(configurations: Sequence[Configuration], rows: Sequence[Row], metric: str) -> list[str]:
    units = {unit for found in configurations for unit in found.runs}
    splits, seeds = {unit[:2] for unit in units}, {unit[2] for unit in units}
    differences = [found for row in rows for found in (row.to_baseline, row.to_control) if found]
    notes = []
    if any(found.test == "permutation" for found in differences):
        where = "one split" if len(splits) == 1 else f"{len(splits)} splits"
        notes.append(
            f"Pairs share seed and split: {len(seeds)} seeds on {where}. p is of a paired permutation test after Holm's correction; "
            "it covers the noise of training on such a split, not what other data would give."
        )
    if any(found.test == "nadeau_bengio" for found in differences):
        notes.append("p is of the t test over folds, seeds averaged within each, corrected for overlapping training sets (Nadeau and Bengio) and by Holm.")
    for found in {(found.pairs, found.needed) for found in differences if found.p is None}:
        notes.append(f"n < {found[1]}: with {found[0]} pairs and so many comparisons no difference could reach significance at all; {found[1]} pairs could.")
    fewest, most = min(len(found.runs) for found in configurations), max(len(found.runs) for found in configurations)
    if fewest < most:
        notes.append(f"Configurations have {fewest} to {most} runs; differences are over the pairs that are there.")
    best = {name: max((row for row in rows if name in row.spreads), key=lambda row: row.spreads[name].mean, default=None) for name in FRONT}
    leaders = {name: row.configuration.label for name, row in best.items() if row}
    if len(set(leaders.values())) > 1:
        notes.append("The metrics disagree on the best: " + "; ".join(f"{name} {label}" for name, label in leaders.items()) + ".")
    return notes
