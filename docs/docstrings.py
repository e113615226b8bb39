"""How docstrings of this project become those of NumPy's form, which mkdocstrings reads."""

import re
import textwrap
from typing import Any

import griffe

SECTION = re.compile(r"^(Parameters|Attributes|Returns)\n-+\n(.*?)(?=\n\n\w+\n-+\n|\Z)", re.MULTILINE | re.DOTALL)
ITEM = re.compile(r"\n(?=\S)")


class Docstrings(griffe.Extension):
    """Put what stands behind `name : ` on a line of its own: NumPy's form has the type there, which the code has."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of a class, a function or a module."""
        if obj.docstring:
            returned = str(getattr(obj, "returns", None) or "")
            obj.docstring.value = numpy_form(obj.docstring.value, returned)


def numpy_form(text: str, returned: str) -> str:
    """Return a docstring in NumPy's form, with links."""
    linked = re.sub(r"\(docs/(\w+)\.md\)", r"([\1](\1.md))", text)
    return SECTION.sub(lambda section: _section(section[1], section[2], returned), linked)


def _section(title: str, body: str, returned: str) -> str:
    heading = f"{title}\n{'-' * len(title)}\n"
    if title == "Returns":
        return f"{heading}{returned}\n{textwrap.indent(_one_line(body), '    ')}"
    items = (item.partition(" : ") for item in ITEM.split(body))
    return heading + "\n".join(f"{name}\n    {_one_line(said)}" for name, _, said in items)


def _one_line(text: str) -> str:
    return " ".join(text.split())
