"""Turn a command line into checked jobs before Hydra's main runs, so that a mistake costs no time and leaves no files.

A plan holds the jobs that a command line asks for, and the launcher, folder and id of a sweep.
"""

import contextlib
import hashlib
import math
import secrets
import shlex
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import InterpolationToMissingValueError, OmegaConfBaseException

from equipoise.config import command_line
from equipoise.config.checked import compose_one
from equipoise.config.checks import check_prepared, check_typed
from equipoise.config.differences import differences, line
from equipoise.config.estimators import seeds_in_vain
from equipoise.config.model import CONTROL, Config, below
from equipoise.config.naming import VARIED, experiment_of, run_name, told_apart
from equipoise.config.overrides import (
    MOST_JOBS,
    as_config_error,
    check_name,
    compose_settings,
    or_one_value,
    parse,
    quoted,
    readable,
    values_of,
)
from equipoise.config.tree import Tree
from equipoise.core.clock import clock
from equipoise.core.commands import command
from equipoise.core.errors import ConfigError, counted, suggestion
from equipoise.core.paths import cache_folder, project_root
from equipoise.core.schema import NONE
from equipoise.data.prepare import prepare
from equipoise.data.prepared import Prepared
from equipoise.methods.models import estimator
from equipoise.sweeps import candidates, race_plan, search
from equipoise.sweeps.launchers import choose

# The plugins that replace Hydra's own.
PLANNED = {
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper": "hydra_plugins.planned.PlannedSweeper",
    "hydra._internal.core_plugins.basic_launcher.BasicLauncher": "hydra_plugins.planned.PlannedLauncher",
}


MOST_CHARACTERS = 100  # of what a sweep varies, on its first line


@dataclass(frozen=True)
class Plan:
    """What a command line asks for."""

    jobs: tuple[Config, ...]
    sweep: "Sweep | None"  # None for a single run
    handed_over: tuple[str, ...]  # overrides for Hydra in addition to the typed ones
    shows_config: bool  # whether the config is shown and nothing is run
    searching: search.Settings | None = None  # how a search chooses its trials; None if every combination is a job
    repetitions: int = 1  # of each trial of a search
    racing: race_plan.Planned | None = None  # how a race chooses its repetitions

    @property
    def is_open(self) -> bool:
        """Whether the jobs are not known yet: `jobs` holds every option that one of them can have."""
        return self.searching is not None or self.racing is not None


@dataclass(frozen=True)
class Sweep:
    """What a command line asks for its sweep as a whole."""

    id: str  # shared by the jobs
    command: str  # as it was typed
    flags: tuple[str, ...]  # those of it that a single job of the sweep needs as well
    grid: Mapping[str, str]  # the options that were typed with several values
    launcher: str
    launcher_options: choose.Options | None
    folder: Path  # in which Hydra makes a folder for each job


def plan(arguments: Sequence[str], announce: Callable[[str], None] | None = None) -> Plan:
    """Compose and check every job.

    Parameters
    ----------
    announce : told what will be done as soon as that is known, of a sweep before its jobs are composed, and then what
        its config has that the default has not

    Raises
    ------
    ConfigError
        With one line for each mistake in any of the jobs; or if there are none, since help is asked for or the like.
    """
    asked = command_line.read(arguments)
    if asked.asks_for_help:
        raise ConfigError("give overrides alone, such as weighting=balanced, and no flags")
    choose.forget_schemas()
    with asked.tree.opened(), as_config_error():
        typed = _read(readable(asked.overrides), asked.tree, announce, shows_config=asked.shown is not None)
        is_sweep = asked.is_sweep or str(typed.settings.hydra.mode).endswith("MULTIRUN")
        found = _plan_sweep(typed) if is_sweep else _plan_run(typed)
        check_typed([override.key_or_group for override in typed.overrides], found.jobs)
        for note in seeds_in_vain(found.jobs):
            typed.say(f"note: {note}")
        _say_differences(typed)
        return found


def words_for_hydra(arguments: Sequence[str], plan: Plan) -> list[str]:
    """Return the typed words and the plan's overrides, flags first: Hydra's parser refuses a flag between overrides."""
    asked = command_line.read(arguments)
    with asked.tree.opened():  # what it makes known to Hydra stays known
        quoted = readable(asked.overrides)
    return [*(word for word in asked.words if word not in asked.overrides), *quoted, *plan.handed_over]


@clock.part("prepare")
def prepare_all(plan: Plan) -> None:
    """Prepare the data of every job, so that the jobs find them in the cache.

    Raises
    ------
    ConfigError
        If some data are unfit for learning, or for a job's model, or the cache cannot be written.
    """
    found: dict[str, Prepared] = {}
    for config in plan.jobs:
        key = config.dataset.model_dump_json()
        try:
            found[key] = found.get(key) or prepare(config.dataset, cache_folder())
        except OSError as error:
            raise ConfigError(f"the data cannot be prepared in {cache_folder()}: {error.strerror or error}") from None
        check_prepared(config, found[key])


@dataclass(frozen=True)
class _Typed:
    """A command line that has been read, before its jobs are composed."""

    words: list[str]
    tree: Tree  # the configs that they choose among
    overrides: list[Override]
    settings: DictConfig  # Hydra's own included, without what is swept over
    stamp: str  # of this command, in the names of its folders
    shows_config: bool
    announce: Callable[[str], None] | None

    @property
    def launcher(self) -> str:
        return str(self.settings.hydra.runtime.choices["hydra/launcher"])

    def say(self, line: str) -> None:
        """Say what will be done, if anybody wants to know."""
        if self.announce:
            self.announce(line)


def _read(words: list[str], tree: Tree, announce: Callable[[str], None] | None, *, shows_config: bool) -> _Typed:
    overrides = parse(words)
    for override in overrides:
        _check_launcher(override)
        check_name(override, tree)
    settings = compose_settings([override for override in overrides if not override.is_sweep_override()], tree)
    _check_settings(settings, overrides)
    stamp = time.strftime("%Y-%m-%d/%H-%M-%S-") + secrets.token_hex(2)
    return _Typed(words, tree, overrides, settings, stamp, shows_config, None if shows_config else announce)


def _plan_run(typed: _Typed) -> Plan:
    for override in typed.overrides:
        if override.is_sweep_override():
            line = str(override.input_line)
            raise ConfigError(f"{line} is a list of values: add -m to run a sweep over them{or_one_value(line)}")
    choose.check(typed.launcher)
    if typed.launcher != choose.IN_THIS_PROCESS:
        raise ConfigError(f"hydra/launcher={typed.launcher} runs the jobs of a sweep: add -m")
    if typed.settings.sweep == "new":
        raise ConfigError("sweep=new has no effect without -m: one run is always a new one")
    job = compose_one(typed.words, typed.tree)
    length = counted(job.trainer.epochs, "epoch", "epochs") if estimator(job.model.name) is None else "one fit"
    typed.say(f"{run_name(job)}: one run of {length} on {experiment_of(job.dataset)}")
    return Plan((job,), None, _folders(typed), typed.shows_config)


def _say_differences(typed: _Typed) -> None:
    """Say what the config has that the default has not, as far as all jobs have it."""
    if typed.announce is None:
        return
    composed = typed.settings.copy()
    with open_dict(composed):
        del composed["hydra"]
    with contextlib.suppress(OmegaConfBaseException):  # what refers to a value that only a job has
        resolved: dict[str, Any] = OmegaConf.to_container(composed, resolve=True)  # type: ignore[assignment]
        typed.say(line(differences(resolved, typed.tree)))


def _plan_sweep(typed: _Typed) -> Plan:
    choose.check(typed.launcher)
    plugins = typed.settings.hydra.sweeper, typed.settings.hydra.launcher
    if not all(OmegaConf.is_dict(node) and "_target_" in node for node in plugins):
        raise ConfigError(
            "hydra.sweeper and hydra.launcher hold options and are no values themselves: "
            "choose one as hydra/sweeper=… or hydra/launcher=…"
        )
    recipe = typed.settings.hydra.sweeper.get("params") or {}
    overrides = parse([f"{key}={value}" for key, value in recipe.items()]) + typed.overrides
    _check_varied(overrides)
    if typed.settings.hydra.sweeper._target_ == race_plan.TARGET:
        return _plan_race(typed, overrides)
    searching = search_settings(typed.settings.hydra.sweeper)
    space = search.space(overrides) if searching else None
    sweep = _sweep(typed, overrides, [*typed.tree.flags, *["search"] * bool(searching)])
    if searching and space:
        typed.say(f"Sweep {sweep.id}: a search of {counted(searching.n_trials, 'trial', 'trials')}")
        jobs = _trials(space, typed.tree)
    else:
        lines = _jobs(overrides)
        typed.say(f"Sweep {sweep.id}: {counted(len(lines), 'job', 'jobs')}{_varied(sweep)}")
        jobs = _compose_all(lines, typed.tree)
    if typed.shows_config:
        return Plan(jobs, None, _folders(typed), shows_config=True)
    if searching and space:
        search.check_known(project_root(), sweep.id, searching, space)
    if any(job.trainer.stacked for job in jobs):
        _check_one_process(typed, is_open=searching is not None)
    repetitions = len(space.repetitions) if space else 1
    at_once = searching.n_jobs * repetitions if searching else len(jobs)
    handed_over = (
        *_folders(typed),
        *_threads(typed.settings, jobs, at_once),
        *_without_hydra_log(typed),
        f"sweep={sweep.id}",
        # Tells each job what its sweep varies.
        f"++hydra.job.env_set.{VARIED}='{','.join(told_apart(sweep.grid, jobs))}'",
        *_planned(typed.settings),
    )
    return Plan(jobs, sweep, handed_over, typed.shows_config, searching, repetitions)


def _check_one_process(typed: _Typed, *, is_open: bool) -> None:
    """Refuse to stack jobs that are not known beforehand, or that other processes do."""
    if is_open:
        raise ConfigError(
            "trainer.stacked=true trains jobs that are known beforehand, and here results choose the next one: "
            "leave it out"
        )
    if typed.launcher != choose.IN_THIS_PROCESS:
        raise ConfigError(
            f"trainer.stacked=true trains jobs together in one process, and hydra/launcher={typed.launcher} gives each "
            "to another: leave one of the two out"
        )


def _plan_race(typed: _Typed, overrides: Sequence[Override]) -> Plan:
    options = _options(typed.settings.hydra.sweeper)
    settings = race_plan.read_settings({key: value for key, value in options.items() if key != "params"})
    field = candidates.field(overrides)
    sweep = _sweep(typed, overrides, [*typed.tree.flags, "race", settings.metric])
    starters = counted(len(field.candidates), "candidate", "candidates")
    typed.say(f"Sweep {sweep.id}: a race of {starters}, within {settings.minutes:g} minutes")
    decided = any(word.startswith("decision=") for word in field.given)
    shared = [*field.given, *(() if decided else race_plan.judged_by(settings.metric))]
    baseline = compose_one([*shared, *field.baseline.words], typed.tree)
    composed = {field.baseline: baseline}
    reasons: dict[str, str] = {}
    for candidate in field.candidates[1:]:
        try:
            composed[candidate] = compose_one([*shared, *candidate.words], typed.tree)
        except ConfigError as error:
            if field.typed:
                raise ConfigError(f"{error}\n  (in the candidate {candidate.label})") from None
            reasons[candidate.label] = str(error).splitlines()[0]
    if baseline.trainer.stacked:
        _check_one_process(typed, is_open=True)
    field = replace(field, candidates=tuple(composed))
    at_once = choose.at_once(_options(typed.settings.hydra.launcher))
    planned = race_plan.Planned(settings, field, tuple(composed.values()), reasons, at_once)
    sweep = replace(
        sweep,
        command=f"{command('decide')} {shlex.join([*typed.tree.flags, *race_plan.as_typed(typed.words)])}",
        grid={word.partition("=")[0]: "" for candidate in field.candidates for word in candidate.words}
        | {"dataset.split_seed": "", "seed": ""},
    )
    handed_over = (
        *_folders(typed),
        *_threads(typed.settings, planned.configs, len(planned.configs)),
        *_without_hydra_log(typed),
        f"sweep={sweep.id}",
        f"++hydra.job.env_set.{VARIED}='{','.join(sweep.grid)}'",
        *_planned(typed.settings),
    )
    return Plan(planned.configs, sweep, handed_over, typed.shows_config, racing=planned)


def _sweep(typed: _Typed, overrides: Sequence[Override], beside: Sequence[str]) -> Sweep:
    hydra = typed.settings.hydra
    return Sweep(
        id=_sweep_id(typed.settings.sweep, overrides, beside),
        command=f"{command('train')} -m {shlex.join([*typed.tree.flags, *typed.words])}",
        flags=typed.tree.flags,
        grid={o.key_or_group: (o.input_line or "").partition("=")[2] for o in overrides if o.is_sweep_override()},
        launcher=typed.launcher,
        launcher_options=choose.read_options(_options(hydra.launcher)),
        folder=_outputs(typed) if _is_default(hydra.sweep) else Path(hydra.sweep.dir).absolute(),
    )


def _check_launcher(override: Override) -> None:
    known = [choose.IN_THIS_PROCESS, *choose.PACKAGES]
    if override.key_or_group == "hydra/launcher" and override.value() not in known:
        raise ConfigError(f"{override.input_line}: there is no such launcher{suggestion(str(override.value()), known)}")


def _check_settings(settings: Any, overrides: Sequence[Override]) -> None:
    """Refuse an option of Hydra's that refers to a value which does not exist.

    Hydra would find it late and report it in a traceback, or not at all.
    """
    for override in overrides:
        if override.key_or_group.startswith("hydra."):
            try:
                value = OmegaConf.select(settings, override.key_or_group)
                if OmegaConf.is_config(value):
                    OmegaConf.to_container(value, resolve=True)
            except InterpolationToMissingValueError:  # a value that only a job has, such as its number
                pass
            except OmegaConfBaseException as error:
                raise ConfigError(f"{override.input_line}: {str(error).splitlines()[0]}") from None


def _check_varied(overrides: Sequence[Override]) -> None:
    """Refuse a sweep over an option that does not change the result."""
    for override in overrides:
        key = override.key_or_group
        if override.is_sweep_override() and not key.startswith("hydra") and below(key, CONTROL):
            raise ConfigError(
                f"{override.input_line}: {key} changes nothing in the result, so there is nothing to sweep over"
            )


def _threads(settings: DictConfig, jobs: Sequence[Config], at_once: int) -> tuple[str, ...]:
    """Return the override that shares the machine's cores among the jobs, unless their threads were typed."""
    share = choose.threads(_options(settings.hydra.launcher), at_once)
    return (f"trainer.threads={share}",) if share and all(job.trainer.threads == "auto" for job in jobs) else ()


def _without_hydra_log(typed: _Typed) -> list[str]:
    """Return the override that keeps Hydra from naming every job, unless the user typed how it logs."""
    keys = {override.key_or_group.replace("/", ".") for override in typed.overrides}
    is_typed = any(below(key, ("hydra.hydra_logging", "hydra.verbose")) for key in keys)
    return [] if is_typed else ["hydra/hydra_logging=disabled"]


def _planned(settings: DictConfig) -> list[str]:
    """Return the overrides that replace Hydra's own sweeper and launcher by those which rely on the plan."""
    return [
        f"hydra.{plugin}._target_={PLANNED[node._target_]}"
        for plugin in ("sweeper", "launcher")
        if (node := settings.hydra[plugin])._target_ in PLANNED
    ]


def _varied(sweep: Sweep) -> str:
    """Return what the sweep varies, as it was typed."""
    grid = " × ".join(f"{key}={values}" for key, values in sweep.grid.items())
    return f" of {grid if len(grid) <= MOST_CHARACTERS else ' × '.join(sweep.grid)}" * bool(grid)


def _jobs(overrides: list[Override]) -> list[list[str]]:
    """Return the words of every combination of values, in the order of Hydra's basic sweeper."""
    for override in overrides:
        if override.is_interval_sweep():
            raise ConfigError(
                f"{override.input_line}: an interval is no list of values; "
                "search it with hydra/sweeper=optuna, or type a list"
            )
    numbers = {o.key_or_group: len(values_of(o)) for o in overrides if o.is_discrete_sweep()}
    if math.prod(numbers.values()) > MOST_JOBS:
        product = " times ".join(f"{number} values of {key}" for key, number in numbers.items())
        raise ConfigError(f"{product} are more than {MOST_JOBS} jobs")
    batches = BasicSweeper.split_arguments(overrides, max_batch_size=None)
    return [list(lines) for batch in batches for lines in batch]


def _compose_all(jobs: Iterable[Sequence[str]], tree: Tree) -> tuple[Config, ...]:
    configs: list[Config] = []
    problems: dict[str, str] = {}
    for lines in jobs:
        try:
            configs.append(compose_one(lines, tree))
        except ConfigError as error:
            problems.setdefault(str(error), " ".join(lines))
    if problems:
        raise ConfigError("\n".join(f"{problem}\n  (in the job {job})" for problem, job in problems.items()))
    return tuple(configs)


def search_settings(composed: Any) -> search.Settings | None:
    """Return the settings of a search from `hydra.sweeper`; None if every combination of values is a job."""
    if composed._target_ != search.TARGET:
        return None
    return search.read_settings({key: value for key, value in _options(composed).items() if key != "params"})


def _trials(space: search.Space, tree: Tree) -> tuple[Config, ...]:
    """Return jobs that together hold every listed value and both ends of every interval, but not every combination."""
    if not space.searched:
        raise ConfigError(
            "hydra/sweeper=optuna: there is nothing to search; "
            "type a list or an interval: 'trainer.learning_rate=tag(log,interval(1e-4,1e-1))'; "
            "seeds, splits and folds repeat each trial"
        )
    configs = _compose_all(search.to_check(space), tree)
    if any(config.trainer.second_stage != NONE for config in configs):
        raise ConfigError("hydra/sweeper=optuna judges trials before a second stage: use trainer.second_stage=none")
    return configs


def _sweep_id(given: str, overrides: Sequence[Override], beside: Sequence[str]) -> str:
    """Return a sweep's id: `auto` gives the same command the same id, `new` a new one; anything else is the id.

    Parameters
    ----------
    beside : what decides the sweep besides the overrides
    """
    if given == "new":
        return time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(2)
    if given != "auto":
        return given
    varying = [o for o in overrides if not o.key_or_group.startswith("hydra") and not below(o.key_or_group, CONTROL)]
    lines = sorted(override.input_line or "" for override in varying)
    return hashlib.sha256("\n".join([*lines, *beside]).encode()).hexdigest()[:10]


def _folders(typed: _Typed) -> tuple[str, ...]:
    """Return the overrides that have Hydra write below the project root, unless the user typed another folder."""
    hydra = typed.settings.hydra
    modes = [mode for mode in ("run", "sweep") if _is_default(hydra[mode])]
    return tuple(f"hydra.{mode}.dir={quoted(str(_outputs(typed)))}" for mode in modes)


def _is_default(section: DictConfig) -> bool:
    """Whether the folder is Hydra's default, which is named after the time."""
    return "now:" in str(OmegaConf.to_container(section, resolve=False)["dir"])  # type: ignore[call-overload, index]


def _outputs(typed: _Typed) -> Path:
    return project_root() / "outputs" / typed.stamp


def _options(plugin: DictConfig) -> dict[str, Any]:
    """Return the options of a sweeper or launcher, without the class that takes them."""
    composed: dict[str, Any] = OmegaConf.to_container(plugin)  # type: ignore[assignment]
    return {key: value for key, value in composed.items() if key != "_target_"}
