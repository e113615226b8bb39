"""docs/library.md is what its program writes, and has every public name and every loss."""

import re
from types import ModuleType

import pytest

import equipoise
from equipoise.core import plugins
from helpers import REPOSITORY, program_of

PAGE = (REPOSITORY / "docs" / "library.md").read_text()


@pytest.fixture(scope="module")
def library() -> ModuleType:
    return program_of("docs/library.py")


def test_the_page_is_what_is_written(library: ModuleType) -> None:
    assert library.page() == PAGE, "docstrings have changed: make methods"


def test_every_public_name_is_there() -> None:
    assert {*equipoise.__all__} - {"ConfigError", "losses"} == set(re.findall(r"^## eq\.(\w+)$", PAGE, re.M)) - {
        "losses"
    }
    losses = (REPOSITORY / "src/equipoise/losses.py").read_text()
    assert set(re.findall(r"^class ([A-Z]\w+)\(", losses, re.M)) <= set(re.findall(r"^### `(\w+)`$", PAGE, re.M))


def test_every_name_in_the_introduction_and_the_readme_is_there() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    for text in (PAGE, readme):
        assert set(re.findall(r"\beq\.(\w+)\(", text)) >= {*equipoise.__all__} - {
            "ConfigError",
            "losses",
            "logits",
            *plugins.KINDS,  # they are written above functions
        }
        assert set(re.findall(r"\beq\.(\w+)", text)) <= {*equipoise.__all__}


def test_a_docstring_in_markdown(library: ModuleType) -> None:
    text = """Say it.

Parameters
----------
one, two : of them,
    with more (docs/methods.md)

Raises
------
ConfigError
    If it is wrong.

Examples
--------
>>> 1 + 1
2
"""
    assert list(library.as_markdown(text)) == [
        "Say it.\n",
        "- `one`, `two`: of them, with more ([methods](methods.md))\n",
        "Raises `ConfigError` if it is wrong.\n",
        "```python\n>>> 1 + 1\n2\n```\n",
    ]
