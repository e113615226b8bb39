"""From what was typed to checked jobs, before Hydra's main runs, so that a mistake costs nothing and leaves nothing.

A plan says what a command line asks for: its jobs, and of a sweep its launcher, its folder and its id.
"""

import hashlib
import math
import secrets
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, OmegaConfBaseException

from equipoise.config.model import CONTROL, Config
from equipoise.config.naming import VARIED
from equipoise.config.overrides import (
    MOST_JOBS,
    as_config_error,
    check_name,
    compose_one,
    compose_words,
    or_one_value,
    parse,
    readable,
    values_of,
    whole,
)
from equipoise.core.clock import clock
from equipoise.core.paths import cache_folder, config_folder, project_root
from equipoise.core.schema import ConfigError, suggestion
from equipoise.data.prepare import prepare
from equipoise.sweeps import search
from equipoise.sweeps.launchers import choose

# In place of Hydra's own plugins.
PLANNED = {
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper": "hydra_plugins.planned.PlannedSweeper",
    "hydra._internal.core_plugins.basic_launcher.BasicLauncher": "hydra_plugins.planned.PlannedLauncher",
}


@dataclass(frozen=True)
class Plan:
    """What a command line asks for."""

    jobs: tuple[Config, ...]
    sweep: "Sweep | None"  # None for a single run
    handed_over: tuple[str, ...]  # overrides that Hydra gets beside those that were typed
    shows_config: bool  # whether the config is to be shown and nothing to be run
    searching: search.Settings | None = (
        None  # how to search among the values, where trials are chosen one after another
    )


@dataclass(frozen=True)
class Sweep:
    """What a command line says of its sweep as a whole."""

    id: str  # ties the jobs
    command: str  # as it was typed
    grid: Mapping[str, str]  # what was typed with several values
    launcher: str
    launcher_options: choose.Options | None
    folder: Path  # that Hydra makes a folder a job in


def plan(arguments: Sequence[str]) -> Plan | None:
    """Compose and check every job; None if only help or the like is asked for.

    Raises
    ------
    ConfigError
        With a line for each thing that is wrong, in any of the jobs.
    """
    parsed = get_args_parser().parse_intermixed_args(whole(arguments))
    if parsed.help or parsed.hydra_help or parsed.info or parsed.shell_completion:
        return None
    if parsed.config_name or parsed.config_path or parsed.config_dir:
        raise ConfigError(
            "--config-name, --config-path and --config-dir are not for this program: its config is conf/, a recipe is experiment=…"
        )
    if parsed.cfg and parsed.multirun:
        raise ConfigError("--cfg shows the config of one run: leave -m out")
    choose.forget_schemas()
    with initialize_config_dir(str(config_folder()), version_base="1.3"), as_config_error():
        return _plan(readable(parsed.overrides), multirun=parsed.multirun, shows_config=parsed.cfg is not None)


def words_for_hydra(arguments: Sequence[str], plan: Plan) -> list[str]:
    """What was typed and what is handed over, flags first: Hydra's parser refuses an override, a flag and an override again."""
    words = whole(arguments)
    overrides = get_args_parser().parse_intermixed_args(words).overrides
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        quoted = readable(overrides)
    return [*(word for word in words if word not in overrides), *quoted, *plan.handed_over]


@clock.part("prepare")
def prepare_all(plan: Plan) -> None:
    """Prepare the data of every job, so that the jobs find them in the cache.

    Raises
    ------
    ConfigError
        If some data are not fit to learn from, or the cache cannot be written.
    """
    for dataset in {config.dataset.model_dump_json(): config.dataset for config in plan.jobs}.values():
        try:
            prepare(dataset, cache_folder())
        except OSError as error:
            raise ConfigError(f"the data cannot be prepared in {cache_folder()}: {error.strerror or error}") from None


def _plan(words: list[str], *, multirun: bool, shows_config: bool) -> Plan:
    overrides = parse(words)
    for override in overrides:
        _check_launcher(override)
        check_name(override)
    swept = [override for override in overrides if override.is_sweep_override()]
    settings = compose_words([o.input_line or "" for o in overrides if o not in swept], return_hydra_config=True)
    _check_settings(settings, overrides)
    multirun = multirun or str(settings.hydra.mode).endswith("MULTIRUN")
    if swept and not multirun:
        line = str(swept[0].input_line)
        raise ConfigError(f"{line} is a list of values: add -m to run a sweep over them{or_one_value(line)}")
    stamp = time.strftime("%Y-%m-%d/%H-%M-%S-") + secrets.token_hex(2)
    folders = _folders(settings, stamp)
    launcher = str(settings.hydra.runtime.choices["hydra/launcher"])
    choose.check(launcher)
    if not multirun:
        if launcher != choose.IN_THIS_PROCESS:
            raise ConfigError(f"hydra/launcher={launcher} runs the jobs of a sweep: add -m")
        if settings.sweep == "new":
            raise ConfigError("sweep=new has no effect without -m: one run is always a new one")
        return Plan((compose_one(words),), None, folders, shows_config)
    if not all(
        OmegaConf.is_dict(node) and "_target_" in node for node in (settings.hydra.sweeper, settings.hydra.launcher)
    ):
        raise ConfigError(
            "hydra.sweeper and hydra.launcher have options and are no values: choose one as hydra/sweeper=… or hydra/launcher=…"
        )
    grid = settings.hydra.sweeper.get("params") or {}
    overrides = parse([f"{key}={value}" for key, value in grid.items()]) + overrides
    for override in overrides:
        if (
            override.is_sweep_override()
            and not override.key_or_group.startswith("hydra")
            and _is_control(override.key_or_group)
        ):
            raise ConfigError(
                f"{override.input_line}: {override.key_or_group} changes nothing in the result, so there is nothing to sweep over"
            )
    varied = [override.key_or_group for override in overrides if override.is_sweep_override()]
    searching = search_settings(settings.hydra.sweeper)
    numbers = {
        override.key_or_group: len(values_of(override)) for override in overrides if override.is_discrete_sweep()
    }
    if not searching and math.prod(numbers.values()) > MOST_JOBS:
        raise ConfigError(
            f"{' times '.join(f'{number} values of {key}' for key, number in numbers.items())} are more than {MOST_JOBS} jobs"
        )
    jobs = _trials(search.space(overrides)) if searching else _jobs(overrides)
    composed: dict[str, Any] = OmegaConf.to_container(settings.hydra.launcher)  # type: ignore[assignment]
    if shows_config:
        return Plan(jobs, None, folders, shows_config)
    sweep = Sweep(
        id=_sweep_id(settings.sweep, overrides, kind="search" if searching else ""),
        command=f"python src/train.py -m {shlex.join(words)}",
        grid={o.key_or_group: (o.input_line or "").partition("=")[2] for o in overrides if o.is_sweep_override()},
        launcher=launcher,
        launcher_options=choose.read_options(composed),
        folder=_outputs(stamp)
        if any(line.startswith("hydra.sweep.dir") for line in folders)
        else Path(settings.hydra.sweep.dir).absolute(),
    )
    if searching:
        search.check_known(project_root(), sweep.id, searching, search.space(overrides))
    share = choose.threads(composed, searching.n_jobs if searching else len(jobs))
    threads = (f"trainer.threads={share}",) if share and all(job.trainer.threads == "auto" for job in jobs) else ()
    handed_over = (*folders, *threads, f"sweep={sweep.id}", _varied(varied), *_planned(settings))
    return Plan(jobs, sweep, handed_over, shows_config, searching)


def _check_launcher(override: Override) -> None:
    known = [choose.IN_THIS_PROCESS, *choose.PACKAGES]
    if override.key_or_group == "hydra/launcher" and override.value() not in known:
        raise ConfigError(f"{override.input_line}: there is no such launcher{suggestion(str(override.value()), known)}")


def _check_settings(settings: Any, overrides: Sequence[Override]) -> None:
    """What Hydra's own options refer to must be there; Hydra would come upon it late, and say it in a traceback or not at all."""
    for override in overrides:
        if override.key_or_group.startswith("hydra."):
            try:
                value = OmegaConf.select(settings, override.key_or_group)
                if OmegaConf.is_config(value):
                    OmegaConf.to_container(value, resolve=True)
            except InterpolationToMissingValueError:  # what only a job knows, such as its number
                pass
            except OmegaConfBaseException as error:
                raise ConfigError(f"{override.input_line}: {str(error).splitlines()[0]}") from None


def _varied(keys: Sequence[str]) -> str:
    """The override by which every job knows what its sweep varies, wherever it runs."""
    return f"++hydra.job.env_set.{VARIED}='{','.join(keys)}'"


def _planned(settings: Any) -> list[str]:
    """The overrides by which Hydra's own sweeper and launcher leave out what the plan has done."""
    return [
        f"hydra.{plugin}._target_={PLANNED[node._target_]}"
        for plugin in ("sweeper", "launcher")
        if (node := settings.hydra[plugin])._target_ in PLANNED
    ]


def _jobs(overrides: list[Override]) -> tuple[Config, ...]:
    """Every combination, as Hydra's basic sweeper will make them."""
    for override in overrides:
        if override.is_interval_sweep():
            raise ConfigError(
                f"{override.input_line}: an interval has no end of values; search it with hydra/sweeper=optuna, or type a list"
            )
    return _compose_all(
        lines for batch in BasicSweeper.split_arguments(overrides, max_batch_size=None) for lines in batch
    )


def _compose_all(jobs: Iterable[Sequence[str]]) -> tuple[Config, ...]:
    configs: list[Config] = []
    problems: dict[str, str] = {}
    for lines in jobs:
        try:
            configs.append(compose_one(lines))
        except ConfigError as error:
            problems.setdefault(str(error), " ".join(lines))
    if problems:
        raise ConfigError("\n".join(f"{problem}\n  (in the job {job})" for problem, job in problems.items()))
    return tuple(configs)


def search_settings(composed: Any) -> search.Settings | None:
    """Of `hydra.sweeper`; None if every combination is a job."""
    if composed._target_ != search.TARGET:
        return None
    typed: dict[str, Any] = OmegaConf.to_container(composed)  # type: ignore[assignment]
    return search.read_settings({key: value for key, value in typed.items() if key not in ("_target_", "params")})


def _trials(space: search.Space) -> tuple[Config, ...]:
    """Jobs that hold every value that a trial can have, or the ends of an interval of values; not every combination."""
    if not space.searched:
        raise ConfigError(
            "hydra/sweeper=optuna: nothing is left open; type a list or an interval: 'trainer.learning_rate=tag(log,interval(1e-4,1e-1))'"
        )
    configs = _compose_all(search.to_check(space))
    if any(config.trainer.second_stage != "none" for config in configs):
        raise ConfigError("hydra/sweeper=optuna judges trials before a second stage: use trainer.second_stage=none")
    return configs


def _sweep_id(given: str, overrides: Sequence[Override], kind: str) -> str:
    """`auto` gives the same command the same id; `new` never; anything else is the id."""
    if given == "new":
        return time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(2)
    if given != "auto":
        return given
    lines = sorted(o.input_line or "" for o in overrides if not _is_control(o.key_or_group))
    return hashlib.sha256("\n".join(lines + [kind] * bool(kind)).encode()).hexdigest()[:10]


def _is_control(key: str) -> bool:
    return key.startswith("hydra") or any(key == part or key.startswith(part + ".") for part in CONTROL)


def _folders(settings: Any, stamp: str) -> tuple[str, ...]:
    """Where Hydra writes: below the project root, unless the user typed something else."""
    outputs = str(_outputs(stamp)).replace("\\", "\\\\").replace("'", "\\'")
    return tuple(
        f"hydra.{mode}.dir='{outputs}'" for mode in ("run", "sweep") if "now:" in _raw(settings.hydra[mode], "dir")
    )


def _outputs(stamp: str) -> Path:
    return project_root() / "outputs" / stamp


def _raw(node: Any, key: str) -> str:
    return str(OmegaConf.to_container(node, resolve=False)[key])  # type: ignore[call-overload, index]
