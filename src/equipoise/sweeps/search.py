"""A search: each trial learns from earlier ones which values of the searched options are best.

Optuna chooses the values. This module defines what it may choose from, keeps the trials in one file, so that a search
continues where it was interrupted, and prunes hopeless trials. Optuna is imported when a search runs, not before.
"""

import os
import shlex
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import product
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from pydantic import BeforeValidator, Field, ValidationError

from equipoise.config.messages import explained
from equipoise.config.model import REPETITION, Config, Monitored, epochs_of
from equipoise.core.errors import ConfigError
from equipoise.core.schema import PositiveInt, Section, Seed
from equipoise.metrics.orientation import orientation

if TYPE_CHECKING:
    import optuna

TARGET = "hydra_plugins.optuna_search.OptunaSweeper"
# Variable in the environment of a trial's process: the trial's id in Optuna's storage, and after a point the number of
# the repetition unless it is the first.
TRIAL = "EQUIPOISE_TRIAL"
# Attributes of a trial: the overrides of its jobs, each repetition's metrics, and how exactly validation measures each.
OVERRIDES, REPETITIONS, STANDARD_ERRORS = "overrides", "repetitions", "standard_errors"
ERROR = "_standard_error"  # what ends the name of a metric's standard error
Z = 1.959964  # standard errors that a 95 % interval reaches to either side

# The metrics that a trial's job returns: empty if it was pruned, None if it failed.
Outcome = Mapping[str, float] | None
Launch = Callable[[Sequence[Sequence[str]]], Sequence[Outcome]]


class Settings(Section):
    """How to search, as in conf/hydra/sweeper/optuna.yaml."""

    metric: Annotated[
        tuple[Monitored, ...],
        Field(strict=False, min_length=1),
        BeforeValidator(lambda typed: [typed] if isinstance(typed, str) else typed),
    ]
    n_trials: PositiveInt
    n_jobs: PositiveInt
    sampler: Literal["tpe", "random", "qmc", "nsgaii"]
    pruner: Literal["auto", "none", "median", "hyperband", "successive_halving"]
    startup_trials: Annotated[int, Field(ge=0)]
    startup_epochs: Annotated[int, Field(ge=0)]
    seed: Seed

    @property
    def prunes(self) -> bool:
        return self.pruner != "none" and len(self.metric) == 1


@dataclass(frozen=True)
class Among:
    """One of these values, as they are typed."""

    values: tuple[str, ...]

    def __str__(self) -> str:
        return " or ".join(self.values)


@dataclass(frozen=True)
class Between:
    """A number from low to high, both included; integers if both are, in steps if there is one."""

    low: float
    high: float
    step: int | None
    log: bool

    def __str__(self) -> str:
        return (
            f"{self.low} to {self.high}"
            + (f" by {self.step}" if self.step else "")
            + (", logarithmic" if self.log else "")
        )


@dataclass(frozen=True)
class Space:
    """The space of a search."""

    given: tuple[str, ...]  # overrides with one value
    searched: Mapping[str, Among | Between]  # by the key of the override
    repeated: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # seeds, splits and folds of each trial

    @property
    def repetitions(self) -> list[list[str]]:
        """The overrides of each repetition of a trial; one without any if nothing is repeated."""
        words = ([f"{key}={value}" for value in values] for key, values in self.repeated.items())
        return [list(one) for one in product(*words)]

    @property
    def units(self) -> int:
        """How many splits or folds a trial has, each with validation samples of its own."""
        return prod(len(values) for key, values in self.repeated.items() if key != "seed")


def read_settings(composed: Any) -> Settings:
    """Return the checked settings of `hydra.sweeper`, without its target and params.

    Raises
    ------
    ConfigError
        With one line for each wrong setting.
    """
    try:
        settings = Settings.model_validate(composed)
    except ValidationError as error:
        raise ConfigError(explained(error, composed, "hydra.sweeper")) from None
    if settings.pruner not in ("auto", "none") and len(settings.metric) > 1:
        raise ConfigError(
            f"hydra.sweeper.pruner={settings.pruner} needs a single metric: "
            "with several metrics use hydra.sweeper.pruner=auto or none"
        )
    if find_spec("optuna") is None:
        raise ConfigError("hydra/sweeper=optuna needs Optuna: make setup EXTRA=sweeps")
    return settings


def space(overrides: Sequence[Override]) -> Space:
    """Return the space that the overrides span in Hydra's syntax: lists, choice, range, interval, tag(log, …).

    Several seeds, splits or folds are not searched: each trial is trained on all of them.

    Raises
    ------
    ConfigError
        If an interval is empty, or a logarithmic one reaches 0.
    """
    given: dict[str, str] = {}
    searched: dict[str, Among | Between] = {}
    repeated: dict[str, tuple[str, ...]] = {}
    for override in overrides:
        key = override.get_key_element()
        if key.startswith("hydra"):
            continue  # an option of the search itself
        for there in (given, searched, repeated):
            there.pop(key, None)  # the last override of a key counts
        if override.is_sweep_override() and key in REPETITION:
            repeated[key] = _repeated(override)
        elif override.is_sweep_override():
            searched[key] = _searched(override)
        else:
            given[key] = f"{key}={override.get_value_element_as_str()}"
    return Space(tuple(given.values()), searched, repeated)


def to_check(searched: Space) -> Iterator[list[str]]:
    """Yield jobs, as overrides, that together hold every value of a list and both ends of every interval.

    The first values have all repetitions, the others one.
    """
    ends = {
        key: values.values if isinstance(values, Among) else (_typed(values.low), _typed(values.high))
        for key, values in searched.searched.items()
    }
    first = {key: values[0] for key, values in ends.items()}
    for repetition in searched.repetitions:
        yield [*searched.given, *(f"{key}={value}" for key, value in first.items()), *repetition]
    once = searched.repetitions[0]
    for key, values in ends.items():
        for value in values[1:]:
            yield [*searched.given, *(f"{name}={typed}" for name, typed in (first | {key: value}).items()), *once]


def check_known(root: Path, sweep: str, settings: Settings, searched: Space) -> None:
    """Refuse to continue a search with another aim.

    Raises
    ------
    ConfigError
        If the sweep's earlier trials had other metrics or another space.
    """
    if not _file(root, sweep).exists():
        return
    known = load(root, sweep, settings).user_attrs.get("search")
    if known is not None and known != _identity(settings, searched):
        raise ConfigError(
            f"sweep={sweep} is a search for {known['metric']} over {known['among']}"
            f"{known.get('repeated', '')}: use sweep=new, or another id"
        )


def run(root: Path, sweep: str, settings: Settings, searched: Space, launch: Launch) -> None:
    """Run trials until `n_trials` are finished or pruned; interrupted ones go first.

    Parameters
    ----------
    launch : runs jobs, which are given by their overrides, and returns their outcomes

    Raises
    ------
    ConfigError
        If another process runs this search.
    """
    from filelock import FileLock, Timeout
    from optuna.trial import TrialState

    _file(root, sweep).parent.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(_file(root, sweep).with_suffix(".lock"), timeout=0)
        with lock:
            study = load(root, sweep, settings)
            study.set_user_attr("search", _identity(settings, searched))
            _name_metrics(study, settings)
            interrupted = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
            left = settings.n_trials - len(
                study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
            )
            while left > 0:
                batch = [
                    interrupted.pop(0) if interrupted else _ask(study, settings, searched)
                    for _ in range(min(left, settings.n_jobs))
                ]
                for trial, outcomes in zip(batch, _outcomes(batch, searched, launch), strict=True):
                    _tell(study, trial, settings, outcomes, searched.units)
                left -= len(batch)
    except Timeout:
        raise ConfigError(f"sweep={sweep} is being searched by another process") from None


def _outcomes(batch: "Sequence[optuna.trial.FrozenTrial]", space: Space, launch: Launch) -> list[list[Outcome]]:
    """Return the outcomes of each trial's repetitions; what fails or is pruned in the first one has no others."""
    first, *others = space.repetitions
    found = [[outcome] for outcome in launch([_job(trial, first, 0) for trial in batch])]
    going_on = [number for number, outcomes in enumerate(found) if outcomes[0]]
    jobs = [
        (number, _job(batch[number], words, place))
        for number in going_on
        for place, words in enumerate(others, start=1)
    ]
    if jobs:
        for (number, _), outcome in zip(jobs, launch([job for _, job in jobs]), strict=True):
            found[number].append(outcome)
    return found


def _job(trial: "optuna.trial.FrozenTrial", repetition: Sequence[str], place: int) -> list[str]:
    """Return the overrides of a repetition of a trial, of which the first alone may be pruned."""
    name = f"{trial._trial_id}.{place}" if place else str(trial._trial_id)
    return [*trial.user_attrs[OVERRIDES], *repetition, f"++hydra.job.env_set.{TRIAL}='{name}'"]


def trial() -> str | None:
    """Return the number of the trial that this process carries out, if it does."""
    return os.environ[TRIAL].partition(".")[0] if TRIAL in os.environ else None


def watch(root: Path, settings: Settings, config: Config) -> Callable[[int, Mapping[str, float]], None] | None:
    """Return the function that a trial's process calls after each epoch to prune a hopeless trial.

    It raises `Pruned` to end the trial. Outside of a search that prunes, and after a trial's first repetition, return
    None: trials are pruned by what the same seed and split showed of others.

    Raises
    ------
    ConfigError
        If this machine does not see the search's file.
    """
    if "." in os.environ.get(TRIAL, ".") or not settings.prunes:
        return None
    if not _file(root, config.sweep).exists():
        raise ConfigError(
            "pruning compares trials through the search's file in the project's folder, "
            "which this machine does not see: hydra.sweeper.pruner=none"
        )
    import optuna

    from equipoise.tracking.run import Pruned

    trial = optuna.trial.Trial(load(root, config.sweep, settings), int(os.environ[TRIAL]))

    def on_epoch(epoch: int, metrics: Mapping[str, float]) -> None:
        trial.report(metrics[settings.metric[0]], epoch)
        if epoch + 1 < epochs_of(config) and trial.should_prune():  # after the last epoch, pruning saves nothing
            raise Pruned(f"after epoch {epoch + 1}")

    return on_epoch


def watched(settings: Settings, config: Config) -> list[str]:
    """Return the metrics that `outcome` reads; the ends of intervals are some that an older version logged."""
    ends = (f"{key}_{end}" for key in settings.metric for end in ("low", "high"))
    return [*settings.metric, config.trainer.monitor, *ends]


def outcome(
    points: Sequence[Mapping[str, Any]], ends: Mapping[str, float], settings: Settings, config: Config
) -> dict[str, float]:
    """Return the metrics of a finished run's final weights: of its last epoch, or of its best one if it stops early.

    Beside each is its standard error, `<metric>_standard_error`, by the 95 % interval that the run has logged.

    Parameters
    ----------
    points : `{key, step, value}` of each epoch, oldest first
    ends : of the intervals, as `val/macro_f1_low`
    """
    history: dict[str, dict[int, float]] = {key: {} for key in watched(settings, config)}
    for point in points:
        if point["key"] in history:
            history[point["key"]][point["step"]] = point["value"]
    monitored, better = history[config.trainer.monitor], orientation(config.trainer.monitor)
    kept = (
        max(monitored)
        if config.trainer.early_stopping is None
        else max(sorted(monitored), key=lambda epoch: better * monitored[epoch])
    )
    found: dict[str, float] = {key: history[key][kept] for key in settings.metric}
    for key in settings.metric:
        logged = [[*history[f"{key}_{end}"].values()] for end in ("low", "high")]
        low, high = ([ends.get(f"{key}_{end}"), *old][-1] for end, old in zip(("low", "high"), logged, strict=True))
        if low is not None and high is not None:
            found[f"{key}{ERROR}"] = (high - low) / (2 * Z)
    return found


def load(root: Path, sweep: str, settings: Settings) -> "optuna.Study":
    """Return the trials of a sweep's search, none if it begins."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.study import StudyDirection

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # A file rather than a database: processes on several machines can share it, and it needs no schema.
    storage = JournalStorage(JournalFileBackend(str(_file(root, sweep))))
    directions = [
        StudyDirection.MAXIMIZE if orientation(key) == 1 else StudyDirection.MINIMIZE for key in settings.metric
    ]
    return optuna.create_study(
        storage=storage, study_name=sweep, directions=directions, pruner=_pruner(settings), load_if_exists=True
    )


def dashboard(root: Path, sweep: str) -> str:
    """Return the command that shows a search's trials in a browser, while it runs and after."""
    return f"optuna-dashboard {shlex.quote(str(_file(root, sweep)))}"


def _name_metrics(study: "optuna.Study", settings: Settings) -> None:
    """Let the dashboard show the metrics' names, not `Objective 0`."""
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names([*settings.metric])


def _searched(override: Override) -> Among | Between:
    value = override.value()
    if isinstance(value, RangeSweep) and all(isinstance(end, int) for end in (value.start, value.stop, value.step)):
        numbers = value.range()
        assert isinstance(numbers, range)
        if numbers and numbers.step > 0:
            return Between(numbers[0], numbers[-1], numbers.step, log=False)
    if isinstance(value, IntervalSweep):
        low, high = value.start, value.end
        assert low is not None
        assert high is not None
        log = "log" in value.tags
        unknown = value.tags - {"log"}
        if unknown:
            raise ConfigError(
                f"{override.input_line}: there is no tag {', '.join(sorted(unknown))}; "
                "tag(log, interval(…)) searches on a logarithmic scale"
            )
        if not low < high or (log and low <= 0):
            raise ConfigError(
                f"{override.input_line}: an interval goes from a smaller to a larger number, "
                "and a logarithmic one starts above 0"
            )
        return Between(low, high, 1 if isinstance(low, int) and isinstance(high, int) else None, log)
    return Among(tuple(dict.fromkeys(override.sweep_string_iterator())))


def _repeated(override: Override) -> tuple[str, ...]:
    """Return the seeds, splits or folds of each trial."""
    if override.is_interval_sweep():
        raise ConfigError(f"{override.input_line}: trials are repeated, so give a list: {override.key_or_group}=0,1,2")
    return tuple(dict.fromkeys(override.sweep_string_iterator()))


def _identity(settings: Settings, searched: Space) -> dict[str, str]:
    among = (f"{key} {values}" for key, values in sorted(searched.searched.items()))
    found = {"metric": ", ".join(settings.metric), "among": "; ".join(among)}
    repeated = (f"{key}={','.join(values)}" for key, values in sorted(searched.repeated.items()))
    return found | ({"repeated": f", each at {' '.join(repeated)}"} if searched.repeated else {})


def _file(root: Path, sweep: str) -> Path:
    return root / "outputs" / "searches" / f"{sweep}.journal"


def _pruner(settings: Settings) -> "optuna.pruners.BasePruner":
    from optuna import pruners

    first, epochs = settings.startup_trials, settings.startup_epochs
    made: dict[str, Callable[[], pruners.BasePruner]] = {
        "none": pruners.NopPruner,
        "median": lambda: pruners.MedianPruner(n_startup_trials=first, n_warmup_steps=epochs),
        "hyperband": lambda: pruners.HyperbandPruner(min_resource=max(1, epochs)),
        "successive_halving": lambda: pruners.SuccessiveHalvingPruner(min_resource=max(1, epochs)),
    }
    return made["none" if not settings.prunes else "median" if settings.pruner == "auto" else settings.pruner]()


def _sampler(settings: Settings, number: int) -> "optuna.samplers.BaseSampler":
    """Return the sampler, seeded by the trial's number: an interrupted search continues as if it had not stopped."""
    from optuna import samplers

    seed = int(np.random.SeedSequence([settings.seed, number]).generate_state(1)[0])
    made: dict[str, Callable[[], samplers.BaseSampler]] = {
        "tpe": lambda: samplers.TPESampler(n_startup_trials=settings.startup_trials, seed=seed),
        "random": lambda: samplers.RandomSampler(seed=seed),
        # One sequence, which the storage keeps.
        "qmc": lambda: samplers.QMCSampler(scramble=True, seed=settings.seed, warn_independent_sampling=False),
        "nsgaii": lambda: samplers.NSGAIISampler(population_size=max(2, settings.startup_trials), seed=seed),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna warns that some of them are experimental
        return made[settings.sampler]()


def _ask(study: "optuna.Study", settings: Settings, searched: Space) -> "optuna.trial.FrozenTrial":
    study.sampler = _sampler(settings, len(study.get_trials(deepcopy=False)))
    trial = study.ask({key: _distribution(values) for key, values in searched.searched.items()})
    trial.set_user_attr(
        OVERRIDES, [*searched.given, *(f"{key}={_typed(value)}" for key, value in trial.params.items())]
    )
    return study.get_trials(deepcopy=False)[trial.number]


def _distribution(values: Among | Between) -> "optuna.distributions.BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(values, Among):
        return CategoricalDistribution(values.values)
    if values.step is not None:
        return IntDistribution(int(values.low), int(values.high), log=values.log, step=values.step)
    return FloatDistribution(values.low, values.high, log=values.log)


def _tell(
    study: "optuna.Study",
    trial: "optuna.trial.FrozenTrial",
    settings: Settings,
    outcomes: Sequence[Outcome],
    units: int,
) -> None:
    """Tell the mean over the repetitions; without one of them the trial has failed, or was pruned."""
    from optuna.trial import TrialState

    found = [outcome for outcome in outcomes if outcome]
    if len(found) < len(outcomes):
        study.tell(trial.number, state=TrialState.FAIL if None in outcomes else TrialState.PRUNED)
        return
    errors = {
        # Seeds on one split share its validation samples.
        key: float(np.sqrt(np.mean([one[f"{key}{ERROR}"] ** 2 for one in found]) / units))
        for key in settings.metric
        if all(f"{key}{ERROR}" in one for one in found)
    }
    values = [[one[key] for one in found] for key in settings.metric]
    for name, attribute in ((REPETITIONS, values), (STANDARD_ERRORS, errors)):
        study._storage.set_trial_user_attr(trial._trial_id, name, attribute)
    study.tell(trial.number, [float(np.mean(of_each)) for of_each in values])


def _typed(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)
