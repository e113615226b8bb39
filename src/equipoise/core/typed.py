"""Lists and mappings typed as a text, since Hydra's grammar refuses some characters in them: `(`, `>`, `=` and more."""

from collections.abc import Iterator
from typing import Any

OPEN, CLOSE = "[{(", "]})"


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
