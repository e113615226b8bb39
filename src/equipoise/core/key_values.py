"""Command lines of `key=value` words that are no config, and how every command except train.py ends."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from equipoise.core import process
from equipoise.core.commands import as_typed
from equipoise.core.errors import ConfigError, complain, interrupted, suggestion
from equipoise.core.typed import without_quiet


def answer(
    words: Sequence[str],
    document: str | None,
    act: Callable[[Sequence[str]], int | None],
    *,
    can_be_quiet: bool = False,
) -> int:
    """Do what was typed, or print the document if help is asked for; return the exit code, 2 for a user's mistake.

    Parameters
    ----------
    can_be_quiet : whether the command takes --quiet, and says aloud what is its result
    """
    process.begin()
    if can_be_quiet:
        from equipoise.core.terminal import quietly  # not where a served model does without rich

        words, is_quiet = without_quiet(words)
        with quietly(is_quiet):
            return answer(words, document, act)
    if {"-h", "--help"} & set(words):
        print(as_typed(document or "").strip())
        return 0
    try:
        return act(words) or 0
    except ConfigError as error:
        return complain(error)
    except KeyboardInterrupt as interrupt:
        return interrupted(interrupt)


def read(words: Iterable[str], known: Sequence[str]) -> dict[str, str]:
    """Return the values by their keys, as typed.

    Raises
    ------
    ConfigError
        If a word is not `key=value`, or its key is unknown or typed twice.
    """
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not value:
            raise ConfigError(f"{word}: expected key=value, with a key of {', '.join(known)}")
        if key not in known:
            raise ConfigError(f"{word}: there is no option {key}{suggestion(key, known)}")
        if key in found:
            raise ConfigError(f"{word}: {key} is typed twice")
        found[key] = value
    return found


def store(options: Mapping[str, str]) -> str:
    """Return the store that `tracking=` names, by default the project's own."""
    return choice(options, "tracking", ("local", "server"))


def choice(options: Mapping[str, str], key: str, known: Sequence[str]) -> str:
    """Return one of the known words, the first if the key was not typed."""
    typed = options.get(key, known[0])
    if typed not in known:
        raise ConfigError(f"{key}={typed}: there is no such {key}{suggestion(typed, known)}")
    return typed


def number(options: dict[str, str], key: str) -> float | None:
    """Return a positive number, or None if the key was not typed."""
    if key not in options:
        return None
    try:
        value = float(options[key])
    except ValueError:
        value = float("nan")
    if not 0 < value < float("inf"):
        raise ConfigError(f"{key}={options[key]}: must be a number greater than 0")
    return value


def whole_number(options: dict[str, str], key: str) -> int | None:
    """Return a whole number from 1, or None if the key was not typed."""
    if key not in options:
        return None
    if not re.fullmatch("0*[1-9][0-9]{0,8}", options[key], re.ASCII):
        raise ConfigError(f"{key}={options[key]}: must be a whole number from 1")
    return int(options[key])
