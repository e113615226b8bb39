"""From what was typed to checked jobs, before Hydra's main runs, so that a mistake costs nothing and leaves nothing.

Uses Hydra's own parser and composition: what is checked here is what Hydra will compose again for each job.
"""

import contextlib
import copy
import functools
import hashlib
import itertools
import math
import re
import secrets
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString, RangeSweep
from hydra.errors import HydraException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, OmegaConfBaseException

from equipoise import launchers, search
from equipoise.clock import clock
from equipoise.composing import is_value, refers
from equipoise.config import CONTROL, VALUES, Config, check_together, validate
from equipoise.data.prepare import prepare
from equipoise.data.sources import Dataset
from equipoise.naming import VARIED
from equipoise.options import ConfigError, as_typed, control_characters, dotted_keys, suggestion
from equipoise.paths import cache_folder, config_folder, project_root

DEEPEST = 20  # brackets in brackets; no option needs more than two
# What may hold a text: an option of a group, and no group or option of Hydra's.
OF_A_VALUE = re.compile(r"[+~]{0,2}(?!hydra\.)[A-Za-z_]\w*(\.\w+)+|cost", re.ASCII)
BETWEEN = re.compile(r"""\s+(?=[+~]{0,2}[A-Za-z_][\w./@]*=|~\w)(?=(?:[^'"]|'[^']*'|"[^"]*")*$)""")  # two words, outside of quotation marks
MOST_JOBS = 100_000  # of a sweep: Hydra lists them all before the first begins


@dataclass(frozen=True)
class Plan:
    """What a command line asks for."""

    jobs: tuple[Config, ...]
    sweep: "Sweep | None"  # None for a single run
    handed_over: tuple[str, ...]  # overrides that Hydra gets beside those that were typed
    shows_config: bool  # whether the config is to be shown and nothing to be run
    searching: search.Settings | None = None  # how to search among the values, where trials are chosen one after another


@dataclass(frozen=True)
class Sweep:
    """What a command line says of its sweep as a whole."""

    id: str  # ties the jobs
    command: str  # as it was typed
    grid: Mapping[str, str]  # what was typed with several values
    launcher: str
    launcher_options: launchers.Options | None
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
        raise ConfigError("--config-name, --config-path and --config-dir are not for this program: its config is conf/, a recipe is experiment=…")
    if parsed.cfg and parsed.multirun:
        raise ConfigError("--cfg shows the config of one run: leave -m out")
    launchers.forget_schemas()
    with initialize_config_dir(str(config_folder()), version_base="1.3"), as_config_error():
        return _plan(readable(parsed.overrides), multirun=parsed.multirun, shows_config=parsed.cfg is not None)


def words_for_hydra(arguments: Sequence[str], plan: Plan) -> list[str]:
    """What was typed and what is handed over, flags first: Hydra's parser refuses an override, a flag and an override again."""
    words = whole(arguments)
    overrides = get_args_parser().parse_intermixed_args(words).overrides
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        quoted = readable(overrides)
    return [*(word for word in words if word not in overrides), *quoted, *plan.handed_over]


def whole(arguments: Sequence[str]) -> list[str]:
    """The words, with those that one word `overrides=a=1 b=2` holds, as `mlflow run -P overrides=…` gives them, in its place.

    They end where a blank is followed by the next `key=`, so that values may hold blanks.
    """
    found: list[str] = []
    for word in arguments:
        key, equals, value = word.partition("=")
        found += [part for part in BETWEEN.split(value.strip()) if part] if equals and key == "overrides" else [word]
    return found


def readable(words: Sequence[str]) -> list[str]:
    """The words as Hydra's grammar takes them: a value that it cannot read can only be meant as a text, and is quoted.

    Hydra must be initialised.

    Raises
    ------
    ConfigError
        If a word has characters that nothing can show.
    """
    _check_characters(words)
    return [_readable(word) for word in words]


def or_one_text(word: str) -> str:
    """Of a list of values for a key that may hold a text: how it is typed as one text; nothing for other words."""
    key, _, value = word.partition("=")
    return f"; if it is one text: {as_typed(key, value)}" if OF_A_VALUE.fullmatch(key) and not set("[]{}()") & set(value) else ""


def _readable(word: str) -> str:
    key, equals, value = word.partition("=")
    # A list or a mapping that is not closed is a slip of the pen, and no text.
    ends = {"[": "]", "{": "}"}.get(value.strip()[:1], "")
    is_open = not value.strip().endswith(ends) or any(value.count(left) != value.count(right) for left, right in ("[]", "{}") if ends)
    if not equals or not OF_A_VALUE.fullmatch(key) or is_open:
        return word
    try:
        _parse_one(word)
        is_read = not value or bool(value.strip())
    except OverrideParseException:
        is_read = False
    except ConfigError:  # a number, but one of thousands of digits
        return word
    return word if is_read else f"{key}={QuotedString(value, Quote.single).with_quotes()}"


@contextlib.contextmanager
def as_config_error() -> Iterator[None]:
    """Whatever Hydra makes of what was typed."""
    try:
        yield
    except OverrideParseException as error:
        lines = [line for line in str(error).splitlines() if line and not line.startswith(("Error parsing override", "See http"))]
        what = lines[0] if lines else "it is no value"
        raise ConfigError(f"{error.override.split('=')[0] or 'an empty word'} cannot be read: {what}") from None
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(str(error)) from None


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
        check_name(override)
    swept = [override for override in overrides if override.is_sweep_override()]
    settings = _compose([o.input_line or "" for o in overrides if o not in swept], return_hydra_config=True)
    _check_settings(settings, overrides)
    multirun = multirun or str(settings.hydra.mode).endswith("MULTIRUN")
    if swept and not multirun:
        line = str(swept[0].input_line)
        raise ConfigError(f"{line} is a list of values: add -m to run a sweep over them{or_one_text(line)}")
    stamp = time.strftime("%Y-%m-%d/%H-%M-%S-") + secrets.token_hex(2)
    folders = _folders(settings, stamp)
    launcher = str(settings.hydra.runtime.choices["hydra/launcher"])
    launchers.check(launcher)
    if not multirun:
        if launcher != launchers.IN_THIS_PROCESS:
            raise ConfigError(f"hydra/launcher={launcher} runs the jobs of a sweep: add -m")
        if settings.sweep == "new":
            raise ConfigError("sweep=new has no effect without -m: one run is always a new one")
        return Plan((compose_one(words),), None, folders, shows_config)
    if not all(OmegaConf.is_dict(node) and "_target_" in node for node in (settings.hydra.sweeper, settings.hydra.launcher)):
        raise ConfigError("hydra.sweeper and hydra.launcher have options and are no values: choose one as hydra/sweeper=… or hydra/launcher=…")
    grid = settings.hydra.sweeper.get("params") or {}
    overrides = parse([f"{key}={value}" for key, value in grid.items()]) + overrides
    for override in overrides:
        if override.is_sweep_override() and not override.key_or_group.startswith("hydra") and _is_control(override.key_or_group):
            raise ConfigError(f"{override.input_line}: {override.key_or_group} changes nothing in the result, so there is nothing to sweep over")
    varied = [override.key_or_group for override in overrides if override.is_sweep_override()]
    searching = search_settings(settings.hydra.sweeper)
    numbers = {override.key_or_group: len(_values(override)) for override in overrides if override.is_discrete_sweep()}
    if not searching and math.prod(numbers.values()) > MOST_JOBS:
        raise ConfigError(f"{' times '.join(f'{number} values of {key}' for key, number in numbers.items())} are more than {MOST_JOBS} jobs")
    jobs = _trials(search.space(overrides)) if searching else _jobs(overrides)
    composed: dict[str, Any] = OmegaConf.to_container(settings.hydra.launcher)  # type: ignore[assignment]
    if shows_config:
        return Plan(jobs, None, folders, shows_config)
    sweep = Sweep(
        id=_sweep_id(settings.sweep, overrides, kind="search" if searching else ""),
        command=f"python src/train.py -m {shlex.join(words)}",
        grid={o.key_or_group: (o.input_line or "").partition("=")[2] for o in overrides if o.is_sweep_override()},
        launcher=launcher,
        launcher_options=launchers.read_options(composed),
        folder=_outputs(stamp) if any(line.startswith("hydra.sweep.dir") for line in folders) else Path(settings.hydra.sweep.dir).absolute(),
    )
    if searching:
        search.check_known(project_root(), sweep.id, searching, search.space(overrides))
    share = launchers.threads(composed, searching.n_jobs if searching else len(jobs))
    threads = (f"trainer.threads={share}",) if share and all(job.trainer.threads == "auto" for job in jobs) else ()
    return Plan(jobs, sweep, (*folders, *threads, f"sweep={sweep.id}", _varied(varied)), shows_config, searching)


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


def parse(lines: Sequence[str]) -> list[Override]:
    """What was typed, by Hydra's grammar; Hydra must be initialised."""
    _check_characters(lines)
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    parsed: list[Override] = []
    for line in lines:
        try:
            parsed += parser.parse_overrides([line])
        except ValueError as error:  # of Python, where a number has thousands of digits
            raise ConfigError(f"{line.split('=')[0]} cannot be read: {str(error).split(';')[0]}") from None
    return parsed


def _check_characters(words: Sequence[str]) -> None:
    for word in words:
        odd = control_characters(word)
        if odd:
            raise ConfigError(f"{word.split('=')[0]} holds the control character {odd[0]!a}, or what is no UTF-8 text")
        depths = itertools.accumulate((char in "[{(") - (char in ")}]") for char in word)
        if max(depths, default=0) > DEEPEST:  # Hydra's parser would run out of stack
            raise ConfigError(f"{word.split('=')[0]} is nested more than {DEEPEST} deep")


@functools.lru_cache(maxsize=4096)
def _parse_one(line: str) -> Override:
    return parse([line])[0]


def _jobs(overrides: list[Override]) -> tuple[Config, ...]:
    """Every combination, as Hydra's basic sweeper will make them."""
    for override in overrides:
        if override.is_interval_sweep():
            raise ConfigError(f"{override.input_line}: an interval has no end of values; search it with hydra/sweeper=optuna, or type a list")
    return _compose_all(lines for batch in BasicSweeper.split_arguments(overrides, max_batch_size=None) for lines in batch)


def _values(override: Override) -> list[Any]:
    """Of a list, a range or a glob."""
    value = override.value()
    try:
        values = value.range() if isinstance(value, RangeSweep) else override.sweep_string_iterator()
        found = list(itertools.islice(values, MOST_JOBS + 1))
    except (ValueError, ArithmeticError, HydraException) as error:
        raise ConfigError(f"{override.input_line}: {error}") from None
    if not found:
        raise ConfigError(f"{override.input_line}: there is no such value")
    if len(found) > MOST_JOBS:
        raise ConfigError(f"{override.input_line}: these are more than {MOST_JOBS} values")
    return found


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
    return search.read_settings({str(key): value for key, value in OmegaConf.to_container(composed).items() if key not in ("_target_", "params")})  # type: ignore[union-attr]


def _trials(space: search.Space) -> tuple[Config, ...]:
    """Jobs that hold every value that a trial can have, or the ends of an interval of values; not every combination."""
    if not space.searched:
        raise ConfigError("hydra/sweeper=optuna: nothing is left open; type a list or an interval: 'trainer.learning_rate=tag(log,interval(1e-4,1e-1))'")
    configs = _compose_all(search.to_check(space))
    if any(config.trainer.second_stage != "none" for config in configs):
        raise ConfigError("hydra/sweeper=optuna judges trials before a second stage: use trainer.second_stage=none")
    return configs


def compose_one(lines: Sequence[str]) -> Config:
    """The checked config of one job's overrides; Hydra must be initialised.

    Hydra composes once for each choice of options, and the values are set here, as Hydra sets them: after everything else.
    """
    parsed = [(line, _parse_one(line)) for line in lines]
    together = any(map(refers, lines))
    options = tuple(line for line, override in parsed if together or not is_value(override))
    composed = copy.deepcopy(_composed(options))
    for line, override in parsed:
        if line not in options and not _set(composed, override.key_or_group.split("."), override.value()):
            raise ConfigError(_explain(ConfigError(f"{line} cannot be set"), lines))
    config = validate(composed)
    check_together(config)
    return config


def compose_dataset(lines: Sequence[str]) -> Dataset:
    """The checked dataset section of these overrides, without a look at whether a model or a loss goes with it.

    Raises
    ------
    ConfigError
        If one of them is of another section, or wrong.
    """
    with initialize_config_dir(str(config_folder()), version_base="1.3"), as_config_error():
        lines = readable(lines)
        for override in parse(lines):
            check_name(override)
            if override.key_or_group.split(".")[0] != "dataset":
                raise ConfigError(f"{override.input_line}: only dataset=… and its options decide what is written")
        return validate(OmegaConf.to_container(_compose(lines), resolve=True)).dataset  # type: ignore[arg-type]


@functools.lru_cache(maxsize=256)
def _composed(lines: tuple[str, ...]) -> dict[str, Any]:
    return OmegaConf.to_container(_compose(lines), resolve=True)  # type: ignore[return-value]


def _set(tree: dict[str, Any], path: list[str], value: Any) -> bool:
    """Set a value in place; false if there is no such key."""
    for part in path[:-1]:
        tree = tree.get(part)  # type: ignore[assignment]
        if not isinstance(tree, dict):
            return False
    if path[-1] not in tree:
        return False
    old = tree[path[-1]]
    tree[path[-1]] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    return True


def _compose(lines: Sequence[str], *, return_hydra_config: bool = False) -> Any:
    try:
        return compose("config", list(lines), return_hydra_config=return_hydra_config)
    except Exception as error:  # Hydra raises many kinds for what it cannot merge
        raise ConfigError(_explain(error, lines)) from None


def _explain(error: Exception, lines: Sequence[str]) -> str:
    """Hydra's message, or a better one where an override names a key that its group does not have."""
    overrides = parse(lines)
    groups = [line for line, override in zip(lines, overrides, strict=True) if "." not in override.key_or_group]
    try:
        tree: Any = OmegaConf.to_container(compose("config", groups, return_hydra_config=True))
    except Exception:
        return str(error)
    keys = dotted_keys(tree)
    for override in overrides:
        key = override.key_or_group
        if "." in key and key not in keys and not override.is_add():
            return f"{override.input_line}: there is no option {key}{suggestion(key, [k for k in keys if k.split('.')[0] == key.split('.')[0]])}"
    return str(error)


def check_name(override: Override) -> None:
    """Unknown groups and options get the nearest match; Hydra names none."""
    name = override.key_or_group
    head = name.split(".")[0]
    if name == "hydra/launcher":
        known = [launchers.IN_THIS_PROCESS, *launchers.PACKAGES]
        if override.value() not in known:
            raise ConfigError(f"{override.input_line}: there is no such launcher{suggestion(str(override.value()), known)}")
    if name == "hydra":
        raise ConfigError(f"{override.input_line}: its options are typed one by one, as in hydra.run.dir=…")
    if head == "hydra" or head.startswith("hydra/") or "@" in (override.input_line or ""):
        return
    folders = [folder for folder in config_folder().iterdir() if folder.is_dir() and folder.name != "hydra"]
    groups = {folder.name: sorted(file.stem for file in folder.glob("*.yaml")) for folder in folders}
    known = [*groups, "evaluation", *VALUES]
    if head not in known:
        raise ConfigError(f"{override.input_line}: there is no option {head}{suggestion(head, known)}")
    if name not in groups or override.is_delete():
        return
    chosen = override.value()
    if isinstance(chosen, list):
        raise ConfigError(f"{override.input_line}: a run has one {name}; to try several: -m {name}={','.join(map(str, chosen))}")
    values = _values(override) if override.is_discrete_sweep() else [chosen]
    for value in values:
        if str(value) not in groups[name]:
            shown = "null" if value is None else str(value)
            raise ConfigError(f"{name}={shown}: there is no such {name}{suggestion(shown, groups[name])}")


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
    return tuple(f"hydra.{mode}.dir='{outputs}'" for mode in ("run", "sweep") if "now:" in _raw(settings.hydra[mode], "dir"))


def _outputs(stamp: str) -> Path:
    return project_root() / "outputs" / stamp


def _raw(node: Any, key: str) -> str:
    return str(OmegaConf.to_container(node, resolve=False)[key])  # type: ignore[call-overload, index]
