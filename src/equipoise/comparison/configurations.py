"""Which runs are repetitions of one configuration, and which configurations the others are compared with.

Runs of one configuration differ only in the split and the seed. Where several configurations are compared, only the
places (split, fold and seed) count that all of them share: a mean over other runs would be a different mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from equipoise.comparison import splits
from equipoise.comparison.repetitions import Place
from equipoise.config.model import CONTROL, REPETITION
from equipoise.core.errors import ConfigError, listing, suggestion
from equipoise.tracking.history import Logged

# Keys of a dataset that do not change which data it is.
OF_THE_CONFIGURATION = (
    "dataset.labels",
    "dataset.sampling",  # and its options
    "dataset.augment",
    "dataset.mix",
    "dataset.mix_alpha",
    "dataset.target_prior",
)
CONTROL_RULE = "logit_adjusted"
# The baseline: cross-entropy without weights, resampling, a second stage or steps that look around.
PLAIN = {
    "weighting.name": "none",
    "loss.function": "cross_entropy",
    "dataset.sampling": "none",
    "trainer.second_stage": "none",
    "trainer.sharpness": "none",
}
BOOSTED = ("boosting", "lightgbm", "xgboost", "catboost")  # models that are boosted trees
OF_THE_METHOD = ("weighting.", "loss.", "dataset.sampling", "trainer.second_stage", "trainer.sharpness")

Settings = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Configuration:
    """Runs that are repetitions of each other.

    Attributes
    ----------
    labels : what sets it apart; several if configurations trained the very same bits
    runs : the runs that count, by their place; in a comparison, those at places that all its configurations share
    rule : the decision rule whose metrics count, if it is not the configured one of the runs
    split : whose metrics count
    """

    labels: tuple[str, ...]
    settings: tuple[Mapping[str, str], ...]
    runs: Mapping[Place, Logged]
    rule: str | None = None
    split: str = splits.TEST

    @property
    def label(self) -> str:
        return joined(self.labels)

    def values(self, metric: str) -> dict[Place, float]:
        """Return the metric of each run that has it, by the run's place."""
        keys = {place: splits.key(run, metric, self.split, self.rule) for place, run in self.runs.items()}
        return {place: run.metrics[keys[place]] for place, run in self.runs.items() if keys[place] in run.metrics}


def dataset_title(run: Logged) -> str:
    """Return the title of a run's data set, or its name if it has no title."""
    title = run.params.get("dataset.title", "None")
    return run.params.get("dataset.name", "data") if title == "None" else title


def varied_params(runs: Sequence[Logged]) -> list[str]:
    """Return the params that set configurations apart: they differ between runs with the same option of their group.

    An alpha that `weighting=power` has and `weighting=balanced` lacks follows from the option itself.
    """
    found = []
    for key in sorted({key for run in runs for key in run.params}):
        if (
            key in REPETITION
            or key == "dataset.title"
            or any(key == part or key.startswith(part + ".") for part in CONTROL)
        ):
            continue
        option = f"{key.split('.')[0]}.name"
        seen: dict[str | None, set[str | None]] = {}
        for run in runs:
            seen.setdefault(None if key == option else run.params.get(option), set()).add(run.params.get(key))
        if any(len(values) > 1 for values in seen.values()):
            found.append(key)
    return found


def by_dataset(runs: Sequence[Logged]) -> dict[str, list[Logged]]:
    """Group runs by the title or name of their data set, and if several share it, by the keys in which they differ."""
    titled: dict[str, list[Logged]] = {}
    for run in runs:
        titled.setdefault(dataset_title(run), []).append(run)
    datasets: dict[str, list[Logged]] = {}
    for title, members in titled.items():
        varied = [
            key
            for key in varied_params(members)
            if key.startswith("dataset.") and not key.startswith(OF_THE_CONFIGURATION)
        ]
        for run in members:
            others = (f"{key}={run.params[key]}" for key in varied if key != "dataset.name" and key in run.params)
            datasets.setdefault(" ".join([title, *others]), []).append(run)
    return datasets


def joined(labels: Sequence[str]) -> str:
    return labels[0] if len(labels) == 1 else " = ".join(labels) + " (bitwise identical)"


def _label(settings: Mapping[str, str]) -> str:
    return " · ".join(value if key.endswith(".name") else f"{key}={value}" for key, value in settings.items())


def by_settings(runs: Sequence[Logged], varied: Sequence[str]) -> dict[Settings, dict[Place, Logged]]:
    """Group runs by the settings that set configurations apart, and by their place.

    Split seeds that gave the same data are the same split.
    """
    found: dict[Settings, dict[Place, Logged]] = {}
    splits: dict[str, Place] = {}
    for run in runs:
        settings = tuple((key, run.params[key]) for key in varied if key in run.params) or (
            ("weighting.name", run.params.get("weighting.name", "")),
        )
        *split, seed = (run.params.get(key, "") for key in REPETITION)
        same = splits.setdefault(run.tags.get("data_sha256", " ".join(split)), tuple(split))
        found.setdefault(settings, {})[*same, seed] = run
    return found


def shared_places(by_settings: Mapping[Settings, Mapping[Place, Logged]]) -> tuple[set[Place], str]:
    """Return the places that all configurations share, and a note on the others; "" if there are none."""
    places = [set(members) for members in by_settings.values()]
    shared, fewest, most = set.intersection(*places), min(map(len, places)), max(map(len, places))
    if len(shared) == most:
        return shared, ""
    counts = (
        f"Configurations have {fewest} to {most} runs"
        if fewest < most
        else "Configurations have runs at different seeds or splits"
    )
    if not shared:
        note = (
            f"{counts}, and no split and seed that all of them share: each mean is over the configuration's own runs, "
            "and the order of the rows says nothing."
        )
        return shared, note
    names = [key.removeprefix("dataset.") for key in REPETITION]
    apart = [
        " ".join(
            [_label(dict(settings)), *(f"{name}={value}" for name, value in zip(names, place, strict=True) if value)]
        )
        for settings, members in by_settings.items()
        for place in sorted(members.keys() - shared)
    ]
    note = (
        f"{counts}; all numbers are over the {len(shared)} places (split, seed) that all of them share. "
        f"Omitted: {listing(apart, 6)}."
    )
    return shared, note


def merged(
    by_settings: Mapping[Settings, Mapping[Place, Logged]],
    shared: set[Place],
    judged_by: Sequence[str],
    split: str = splits.TEST,
) -> list[Configuration]:
    """Make configurations of the shared runs, or of all runs if none are shared.

    Settings that trained the same bits at every place, with the same metrics, are one configuration. The bits are
    those that the metrics are of: a model that was trained once more on all rows does not count.
    """
    counted = {
        settings: {place: run for place, run in members.items() if not shared or place in shared}
        for settings, members in by_settings.items()
    }
    same: dict[object, list[Settings]] = {}
    for settings, members in counted.items():
        bits = [
            (
                place,
                run.tags.get("judged_weights_sha256", run.tags.get("weights_sha256", run.id)),
                tuple(run.metrics.get(splits.key(run, name, split)) for name in judged_by),
            )
            for place, run in members.items()
        ]
        same.setdefault(tuple(sorted(bits, key=lambda item: item[0])), []).append(settings)
    return [
        Configuration(
            tuple(_label(dict(one)) for one in alike), tuple(map(dict, alike)), counted[alike[0]], split=split
        )
        for alike in same.values()
    ]


def baselines(configurations: Sequence[Configuration], typed: str | None) -> list[Configuration]:
    """Return the configurations to compare with: the typed ones, or the plain ones, one of each model, say."""
    if typed is None:
        return [found for found in configurations if is_plain(found)] or _weighted(configurations, "none")
    chosen = [found for found in configurations if typed in found.labels] or _weighted(configurations, typed)
    if not chosen:
        labels = [label for found in configurations for label in found.labels]
        raise ConfigError(f"baseline={typed}: there is no such configuration{suggestion(typed, labels)}")
    return chosen


def is_plain(configuration: Configuration) -> bool:
    """Return whether it is cross-entropy without any correction."""
    return all(
        run.params.get(key, value) == value for run in configuration.runs.values() for key, value in PLAIN.items()
    )


def is_of_trees(configuration: Configuration) -> bool:
    """Return whether its models are boosted trees."""
    return all(run.params.get("model.name") in BOOSTED for run in configuration.runs.values())


def is_of_keras(configuration: Configuration) -> bool:
    """Return whether its models are of Keras, as a tag of the runs says."""
    return all("keras" in run.tags for run in configuration.runs.values())


def _weighted(configurations: Sequence[Configuration], weighting: str) -> list[Configuration]:
    return [found for found in configurations if any(one.get("weighting.name") == weighting for one in found.settings)]


def control(baseline: Configuration) -> Configuration:
    """Return the same models decided by post-hoc logit adjustment, which weights must beat."""
    return replace(baseline, labels=(f"{baseline.labels[0]}, logit-adjusted post hoc",), rule=CONTROL_RULE)


def reference(configuration: Configuration, references: Sequence[Configuration]) -> Configuration | None:
    """Choose from several references the one that differs only in the weighting, or else only in the method."""
    if len(references) == 1:
        return references[0]

    def others(settings: Mapping[str, str], of: tuple[str, ...]) -> dict[str, str]:
        return {key: value for key, value in settings.items() if not key.startswith(of)}

    for of in (("weighting.",), OF_THE_METHOD):
        for found in references:
            if any(
                others(mine, of) == others(theirs, of) for mine in configuration.settings for theirs in found.settings
            ):
                return found
    return None
