"""Python as text: syntax trees, comments and long lines, as a person would write them down."""

import ast
import io
import textwrap
import tokenize
from collections.abc import Iterable, Sequence
from itertools import pairwise

from equipoise.core.errors import printable

WIDTH = 120
OPENING, CLOSING, QUOTES = "([{", ")]}", "'\""


def written(statements: Sequence[ast.stmt]) -> list[str]:
    """Return the statements' lines, none of them longer than WIDTH where that can be helped."""
    module = ast.fix_missing_locations(ast.Module(body=list(statements), type_ignores=[]))
    return [part for line in _double_quoted(ast.unparse(module)).splitlines() for part in wrapped(line)]


def expression(node: ast.expr) -> str:
    """Return the expression as text."""
    return _double_quoted(ast.unparse(ast.fix_missing_locations(node)))


def assignment(name: str, node: ast.expr) -> list[str]:
    """Return the line that gives the expression this name; none if it has it."""
    text = expression(node)
    return [] if text == name else wrapped(f"{name} = {text}")


def function(name: str, parameters: Sequence[str], document: str, body: Sequence[str]) -> list[str]:
    """Return a function's definition."""
    said = textwrap.wrap(document, WIDTH - 10) or [f"{name}, as its file has it."]
    opened = [f'    """{said[0]}"""'] if len(said) == 1 else [f'    """{said[0]}', *indented(said[1:]), '    """']
    inner = [part for line in indented(body) for part in wrapped(line)]
    return [f"def {name}({', '.join(parameters)}):", *opened, *inner]


def indented(lines: Iterable[str]) -> list[str]:
    """Return the lines one level deeper."""
    return [f"    {line}" if line else line for line in lines]


def comment(text: str, width: int = WIDTH) -> list[str]:
    """Return a comment: what was typed or read may stand in it."""
    return textwrap.wrap(_in_one_line(text), width, initial_indent="# ", subsequent_indent="# ")


def beside(code: str, text: str) -> str:
    """Return the line of code with a comment behind it, which may be cut."""
    line = f"{code}  # {_in_one_line(text)}"
    return line if len(line) <= WIDTH - 4 else f"{line[: WIDTH - 6]} …"


def in_docstring(text: str) -> str:
    """Return text that can stand in a docstring."""
    return printable(text).replace("\\", "/").replace('"""', "'''")


def summary(document: str | None) -> str:
    """Return the first paragraph of a docstring, in one line."""
    return " ".join((document or "").strip().split("\n\n")[0].split())


def wrapped(line: str) -> list[str]:
    """Return the line, opened up at its outermost brackets if it is too long."""
    if len(line) <= WIDTH or line.lstrip().startswith("#"):
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    for first, last in _brackets(line):
        if first < WIDTH and last > first + 1:
            inner = _filled(line[first + 1 : last], f"{indent}    ")
            return [line[: first + 1], *inner, *wrapped(f"{indent}{line[last:]}")]
    return [line]


def _brackets(line: str) -> list[tuple[int, int]]:
    """Return where each bracket opens and closes, the outermost and last first; those in strings do not count."""
    found, opened = [], []
    for place, char in _code_of(line):
        if char in OPENING:
            opened.append(place)
        elif char in CLOSING and opened:  # what was opened in a line before counts there
            found.append((len(opened), opened.pop(), place))
    return [(first, last) for _, first, last in sorted(found, key=lambda each: (each[0], -each[1]))]


def _filled(inner: str, indent: str) -> list[str]:
    """Return what stands in brackets, broken behind commas, or at the parts of a comprehension."""
    outer = _outermost(inner)
    if any(inner.startswith(" for ", place) for place in outer):
        ends = [place for place in outer if inner.startswith((" for ", " if "), place)]
        parts = [inner[first:last].strip() for first, last in pairwise([0, *ends, len(inner)])]
        return [line for part in parts for line in wrapped(f"{indent}{part}")]
    commas = [place + 1 for place in outer if inner[place] == ","]
    lines = [""]
    for item in (inner[first:last].strip() for first, last in pairwise([0, *commas, len(inner)])):
        if lines[-1] and len(f"{lines[-1]} {item},") > WIDTH - len(indent):
            lines.append("")
        lines[-1] = f"{lines[-1]} {item}".strip()
    if commas:
        lines[-1] = lines[-1].removesuffix(",") + ","
    return [part for line in lines for part in wrapped(f"{indent}{line}")]


def _outermost(line: str) -> list[int]:
    """Return the places that are in no string and no bracket."""
    found, depth = [], 0
    for place, char in _code_of(line):
        depth -= char in CLOSING
        if not depth:
            found.append(place)
        depth += char in OPENING
    return found


def _code_of(line: str) -> list[tuple[int, str]]:
    """Return each character that is not in a string, with its place."""
    quoted, found = "", []
    for place, char in enumerate(line):
        if quoted:
            quoted = "" if char == quoted else quoted
        elif char in QUOTES:
            quoted = char
        else:
            found.append((place, char))
    return found


def _double_quoted(code: str) -> str:
    """Return the code with double quotation marks around strings, as formatters write them."""
    tokens = []
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        text = token.string
        if token.type == tokenize.STRING and text[0] == "'" and not {'"', "\\"} & set(text):
            token = token._replace(string=f'"{text[1:-1]}"')
        tokens.append(token)
    return tokenize.untokenize(tokens)


def _in_one_line(text: str) -> str:
    return printable(" ".join(text.split()))
