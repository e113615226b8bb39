"""Turn typed words into overrides, and overrides into one composed config, which `checked` makes a value of.

Hydra's own parser and composition do the work, so that a config which passes here is the one that Hydra composes for
the job. The schema is imported only where a value's type matters: a wrong name is told without it.
"""

import contextlib
import copy
import functools
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hydra import compose
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString, RangeSweep
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from equipoise.config import swapping
from equipoise.config.composing import is_value, refers
from equipoise.config.tree import SHIPPED, Tree
from equipoise.core import plugins
from equipoise.core.errors import ConfigError, control_characters, suggestion
from equipoise.core.plugins import Own
from equipoise.core.typed import VALUES, as_typed, dotted_keys, for_shell, names_in, number_in, text_of

DEEPEST = 20  # brackets in brackets; no option needs more than two
# The words whose value may be a text: options of a group, but no group and no option of Hydra's.
OF_A_VALUE = re.compile(r"[+~]{0,2}(?!hydra\.)[A-Za-z_]\w*(\.\w+)+|cost", re.ASCII)
MOST_JOBS = 100_000  # in a sweep: Hydra lists all of them before the first begins


def readable(words: Sequence[str]) -> list[str]:
    """Return the words so that Hydra's grammar can read them; a value that it cannot read is a text, and is quoted.

    Hydra must be initialised.

    Raises
    ------
    ConfigError
        If a word has characters that no terminal can show, or a mapping that names something twice.
    """
    _check_characters(words)
    for word in words:
        _check_named_once(word)
    return [_readable(word) for word in words]


def or_one_value(word: str) -> str:
    """Return a hint how `key=a,b` is typed as one list, one mapping or one text, whichever the key takes.

    Returns an empty text if the word is no such list of values.
    """
    key, _, value = word.partition("=")
    if not OF_A_VALUE.fullmatch(key) or set("[]{}()") & set(value):
        return ""
    for what, inner in (("list", f"[{value}]"), ("mapping", f"{{{value}}}")):
        with contextlib.suppress(OverrideParseException, ConfigError):
            if _takes(key, parse_one(f"{key}={inner}").value()):
                return f"; if it is one {what}: {for_shell(f'{key}={inner}')}"
    return f"; if it is one text: {as_typed(key, value)}"


def _takes(key: str, value: Any) -> bool:
    """Whether any option of that key takes the value."""
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    from equipoise.config.model import annotations

    for annotation in annotations(key):
        with contextlib.suppress(ValidationError):
            TypeAdapter(annotation, config=ConfigDict(strict=True)).validate_python(value)
            return True
    return False


def _readable(word: str) -> str:
    key, equals, value = word.partition("=")
    # A list or a mapping without its closing bracket is a typing error, and no text.
    ends = {"[": "]", "{": "}"}.get(value.strip()[:1], "")
    is_open = not value.strip().endswith(ends) or any(
        value.count(left) != value.count(right) for left, right in ("[]", "{}") if ends
    )
    if not equals or not OF_A_VALUE.fullmatch(key) or is_open:
        return word
    try:
        override = parse_one(word)
        is_read = not value or (
            bool(value.strip()) and (override.is_sweep_override() or _is_meant(key, value, override.value()))
        )
    except OverrideParseException:
        is_read = False
    except ConfigError:  # a number, but one of thousands of digits
        return word
    return word if is_read else f"{key}={quoted(value)}"


def quoted(text: str) -> str:
    """Return the text in quotation marks, as Hydra's grammar reads it back."""
    return QuotedString(text, Quote.single).with_quotes()


def _is_meant(key: str, typed: str, value: Any) -> bool:
    """Whether the typed word can mean the value that Hydra reads in it.

    For an option that takes a name, `null` and `1e5` mean that text, as does `null` for a class in a mapping.
    """
    if isinstance(value, dict):
        return all(name is not None and _is_meant(key, "", item) for name, item in value.items())
    if not typed or isinstance(value, QuotedString | str) or refers(typed) or typed.strip() == text_of(value):
        return True
    from equipoise.config.model import annotations
    from equipoise.core.schema import Name

    kinds = annotations(key)
    is_name = bool(kinds) and all(kind in (Name, Name | None) for kind in kinds)
    return not is_name or (value is None and any(kind != Name for kind in kinds))


@contextlib.contextmanager
def as_config_error() -> Iterator[None]:
    """Turn Hydra's and OmegaConf's errors about the typed words into a ConfigError."""
    try:
        yield
    except OverrideParseException as error:
        lines = [
            line
            for line in str(error).splitlines()
            if line and not line.startswith(("Error parsing override", "See http"))
        ]
        what = lines[0] if lines else "it is no value"
        raise ConfigError(f"{error.override.split('=')[0] or 'an empty word'} cannot be read: {what}") from None
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(str(error)) from None


def parse(lines: Sequence[str]) -> list[Override]:
    """Parse the words by Hydra's grammar; Hydra must be initialised."""
    _check_characters(lines)
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    parsed: list[Override] = []
    for line in lines:
        try:
            parsed += parser.parse_overrides([line])
        except ValueError as error:  # Python raises it for a number with thousands of digits
            raise ConfigError(f"{line.split('=')[0]} cannot be read: {str(error).split(';')[0]}") from None
    return parsed


def _check_named_once(word: str) -> None:
    """Refuse a mapping with two names that mean the same; Hydra would silently keep the last one."""
    key, _, value = word.partition("=")
    for names in names_in(value):
        seen: dict[Any, str] = {}
        for name in names:
            number = number_in(name)
            said = {"true": 1, "false": 0}.get(name.lower(), name) if number is None else number
            if said in seen:
                again = "" if name == seen[said] else f", the second time as {name}"
                raise ConfigError(f"{key} names {seen[said]} twice{again}: type each name once")
            seen[said] = name


def _check_characters(words: Sequence[str]) -> None:
    for word in words:
        odd = control_characters(word)
        if odd:
            raise ConfigError(f"{word.split('=')[0]} holds the control character {odd[0]!a}, or text that is not UTF-8")
        depths = itertools.accumulate((char in "[{(") - (char in ")}]") for char in word)
        if max(depths, default=0) > DEEPEST:  # deeper nesting overflows the stack of Hydra's parser
            raise ConfigError(f"{word.split('=')[0]} is nested more than {DEEPEST} deep")


@functools.lru_cache(maxsize=4096)
def parse_one(line: str) -> Override:
    return parse([line])[0]


def values_of(override: Override) -> list[Any]:
    """Return the values of a list, a range or a glob."""
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


def compose_settings(overrides: Sequence[Override], tree: Tree = SHIPPED) -> DictConfig:
    """Compose the overrides as `compose_words` does, with Hydra's own options, but as little as need be.

    Options are swapped in where that is enough. Values are set as Hydra sets them, after everything else.

    Raises
    ------
    ConfigError
        If Hydra cannot compose them.
    """
    parts = divided(overrides, tree)
    composed = copy.deepcopy(composed_once(parts.composed, tree))
    parts.swap_in(composed)
    try:
        for override in parts.values:
            OmegaConf.update(composed, override.key_or_group, override.value())
    except OmegaConfBaseException:
        unknown = _unknown(overrides, dotted_keys(_unresolved(composed)))
        if unknown:
            raise ConfigError(unknown) from None
        lines = [override.input_line or "" for override in overrides]
        return compose_words(lines, tree, return_hydra_config=True)  # which tells what Hydra says
    return composed


@dataclass(frozen=True)
class Parts:
    """Overrides by what has to be done with them.

    Attributes
    ----------
    composed : words that Hydra composes
    swapped : choices of options whose files are put in place afterwards
    values : what is set at last
    """

    composed: tuple[str, ...]
    swapped: tuple[Override, ...]
    values: tuple[Override, ...]

    def swap_in(self, composed: DictConfig) -> None:
        """Put the chosen options into what Hydra has composed."""
        for choice in self.swapped:
            swapping.swap(composed, choice)


def divided(overrides: Sequence[Override], tree: Tree) -> Parts:
    """Divide the overrides; together they make what Hydra makes of all of them."""
    choices = [override for override in overrides if not is_value(override)]
    swapped = swapping.swaps(choices, tree)
    composed = [choice.input_line or "" for choice in choices if choice not in swapped]
    return Parts(tuple(composed), tuple(swapped), tuple(filter(is_value, overrides)))


def composed_once(options: tuple[str, ...], tree: Tree) -> DictConfig:
    """Return what these choices of options compose to, Hydra's own included: one object, which nobody may change."""
    return _composed(options, tree, made_of(tree))


@functools.lru_cache(maxsize=256)
def _composed(options: tuple[str, ...], tree: Tree, _: tuple[Own | ConfigLoader, ...]) -> DictConfig:
    return compose_words(options, tree, return_hydra_config=True)


def made_of(tree: Tree) -> tuple[Own | ConfigLoader, ...]:
    """Return what compositions depend on that may change within a process: the user's own options, and configs."""
    return (*plugins.every(), *(() if tree == SHIPPED else (GlobalHydra.instance().config_loader(),)))


def compose_words(lines: Sequence[str], tree: Tree = SHIPPED, *, return_hydra_config: bool = False) -> DictConfig:
    """Compose the overrides as Hydra does; Hydra must be initialised.

    Raises
    ------
    ConfigError
        If Hydra cannot compose them.
    """
    try:
        return compose(tree.primary, list(lines), return_hydra_config=return_hydra_config)
    except Exception as error:  # Hydra raises many kinds for what it cannot merge
        raise ConfigError(explained(error, lines, tree)) from None


def explained(error: Exception, lines: Sequence[str], tree: Tree) -> str:
    """Return Hydra's message, or a better one if an override names an option that its group does not have."""
    overrides = parse(lines)
    groups = [line for line, override in zip(lines, overrides, strict=True) if "." not in override.key_or_group]
    try:
        chosen = _unresolved(compose(tree.primary, groups, return_hydra_config=True))
    except Exception:
        return str(error)
    return _unknown(overrides, dotted_keys(chosen)) or str(error)


def _unresolved(composed: DictConfig) -> Any:
    return OmegaConf.to_container(composed)


def _unknown(overrides: Sequence[Override], keys: Sequence[str]) -> str | None:
    """Return what is to be said of the first override whose key is none of these; None if all are."""
    for override in overrides:
        key = override.key_or_group
        if "." in key and key not in keys and not override.is_add():
            of_group = [other for other in keys if other.split(".")[0] == key.split(".")[0]]
            return f"{override.input_line}: there is no option {key}{suggestion(key, of_group)}"
    return None


def check_name(override: Override, tree: Tree = SHIPPED) -> None:
    """Refuse an unknown group or choice with the nearest match, which Hydra does not name.

    Raises
    ------
    ConfigError
        If there is no such group, no such choice in it, or a list is chosen for one run.
    """
    name = override.key_or_group
    head = name.split(".")[0]
    if name == "hydra":
        raise ConfigError(f"{override.input_line}: type its options one by one, as in hydra.run.dir=…")
    if head == "hydra" or head.startswith("hydra/") or "@" in (override.input_line or ""):
        return
    groups = tree.options()
    known = [*groups, "evaluation", *VALUES]
    if head not in known:
        raise ConfigError(f"{override.input_line}: there is no option {head}{suggestion(head, known)}")
    if name not in groups or override.is_delete():
        return
    chosen = override.value()
    if isinstance(chosen, list):
        raise ConfigError(
            f"{override.input_line}: a run has one {name}; to try several: -m {name}={','.join(map(str, chosen))}"
        )
    values = values_of(override) if override.is_discrete_sweep() else [chosen]
    for value in values:
        if str(value) not in groups[name]:
            shown = "null" if value is None else str(value)
            raise ConfigError(f"{name}={shown}: there is no such {name}{suggestion(shown, groups[name])}")
