"""Values as they are typed, and read back: numbers, names, and lists and mappings typed as a text.

Hydra's grammar refuses some characters in these last: `(`, `>`, `=` and more.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

# The options that belong to no group.
VALUES = ("seed", "cost", "sweep")
NUMBER = re.compile(r"[+-]?((\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,9})?|inf)", re.ASCII)
# The blanks between two words, outside of quotation marks.
BETWEEN = re.compile(r"""\s+(?=[+~]{0,2}[A-Za-z_][\w./@]*=|~\w|--quiet(?:\s|$))(?=(?:[^'"]|'[^']*'|"[^"]*")*$)""")
OPEN, CLOSE = "[{(", "]})"
QUIET = "--quiet"  # a flag: only warnings, errors and the result are shown


def whole(arguments: Sequence[str]) -> list[str]:
    """Replace a word `overrides=a=1 b=2`, as `mlflow run -P overrides=…` passes it on, by the words that it holds.

    Each of these ends where a blank and the next `key=` follow, so that values may hold blanks.
    """
    found: list[str] = []
    for word in arguments:
        key, equals, value = word.partition("=")
        found += [part for part in BETWEEN.split(value.strip()) if part] if equals and key == "overrides" else [word]
    return found


def without_quiet(words: Sequence[str]) -> tuple[list[str], bool]:
    """Return the typed words without --quiet, and whether it was among them."""
    return [word for word in words if word != QUIET], QUIET in words


def list_in(text: str) -> list[str] | None:
    """Return the items of a list such as `[a (x), "b,c"]`; None if the text is not a list."""
    inner = _inside(text, "[]")
    return None if inner is None else [_unquoted(item) for item in _divided(inner, ",")]


def mapping_in(text: str) -> dict[str, Any] | None:
    """Return names to numbers, or to such mappings, of `{>50K: 5, <=50K: 1}`; None if the text is not a mapping."""
    inner = _inside(text, "{}")
    if inner is None:
        return None
    found: dict[str, Any] = {}
    for item in _divided(inner, ","):
        *key, value = _divided(item, ":")
        name = _unquoted(":".join(key))
        if not key or name in found:
            return None
        nested = mapping_in(value.strip())
        found[name] = _number(value) if nested is None else nested
    return found


def names_in(text: str) -> Iterator[list[str]]:
    """Yield the names of each mapping in the text, as they are typed."""
    for item in _divided(text, ","):
        inner = _inside(item, "{}")
        if inner is not None:
            pairs = [_divided(pair, ":") for pair in _divided(inner, ",")]
            yield [_unquoted(":".join(key)) for *key, _ in pairs]
            for *_, value in pairs:
                yield from names_in(value)


def number_in(text: str) -> Decimal | None:
    """Return the exact number that a text is; None if it is not a number."""
    return Decimal(text) if NUMBER.fullmatch(text) else None


def text_of(value: Any) -> Any:
    """Return a name as it was typed if YAML has read it as a number, a boolean or nothing; anything else as it is."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value) if isinstance(value, int | float) else value


def dotted_keys(tree: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return every key of a nested mapping as it is typed, branches and leaves."""
    keys = []
    for key, value in tree.items():
        keys.append(f"{prefix}{key}")
        if isinstance(value, Mapping):
            keys += dotted_keys(value, f"{prefix}{key}.")
    return keys


def as_typed(key: str, value: str | Sequence[str]) -> str:
    """Return `key=value` as a shell takes it, such as `dataset.drop=[id]`, quoted where Hydra or the shell needs it."""
    override = (
        f"{key}={_word_of_hydra(value) if isinstance(value, str) else '[' + ','.join(map(_word_of_hydra, value)) + ']'}"
    )
    return for_shell(override)


def for_shell(override: str) -> str:
    """Return a word, in quotation marks if a shell needs them; square brackets alone need none."""
    return override if re.fullmatch(r"[\w.,=\[\]]+", override, re.ASCII) else shlex.quote(override)


def _word_of_hydra(text: str) -> str:
    if re.fullmatch(r"[^\W\d]\w*", text, re.ASCII) and text.lower() not in ("true", "false", "null", "nan", "inf"):
        return text
    # Backslashes are doubled only before a quotation mark.
    quoted = '"' + re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + ("\\" if found[2] else "") + found[2], text) + '"'
    return quoted.replace("${", "\\${")  # which would refer to another option


def _inside(text: str, ends: str) -> str | None:
    text = text.strip()
    return text[1:-1] if len(text) >= 2 and text[0] == ends[0] and text[-1] == ends[1] else None


def _divided(text: str, separator: str) -> list[str]:
    """Return the parts between separators outside brackets and quotation marks, without empty ones."""
    return [part for part in _parts(text, separator) if part.strip()]


def _parts(text: str, separator: str) -> Iterator[str]:
    depth, quote, start = 0, "", 0
    for place, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"" and not text[start:place].strip():
            quote = char
        elif char in OPEN + CLOSE:
            depth += 1 if char in OPEN else -1
        elif char == separator and depth <= 0:
            yield text[start:place]
            start = place + 1
    yield text[start:]


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"" else text


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text.strip()
