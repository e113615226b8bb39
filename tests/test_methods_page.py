"""docs/methods.md is what its program writes, and has every option of every group and every recipe."""

import importlib
import re
from types import ModuleType

import pytest

from helpers import REPOSITORY, program_of

PAGE = (REPOSITORY / "docs" / "methods.md").read_text()


@pytest.fixture(scope="module")
def methods() -> ModuleType:
    return program_of("docs/methods.py")


def test_the_page_is_what_is_written(methods: ModuleType) -> None:
    assert methods.page() == PAGE, "docstrings, conf/ or recipes have changed: make methods"


def test_every_option_and_recipe_is_there(methods: ModuleType) -> None:
    found = re.findall(r"^### `(\w+)`$", PAGE, re.MULTILINE)
    for chapter in methods.CHAPTERS:
        module = importlib.import_module(f"equipoise.{chapter.module.removesuffix('.py').replace('/', '.')}")
        assert {*getattr(module, chapter.registry)} <= set(found), chapter.title
    recipes = [recipe for chapter in methods.CHAPTERS for recipe in chapter.recipes]
    assert sorted(recipes) == sorted(path.stem for path in (REPOSITORY / "conf" / "experiment").glob("*.yaml"))


def test_versions_agree() -> None:
    """Of the package, of what to cite, and of the newest changes."""
    files = {
        "pyproject.toml": r'^version = "(.*)"',
        "CITATION.cff": r"^version: (.*)",
        "CHANGELOG.md": r"^## .*?(\d+\.\d+\.\d+)",
    }
    found = {
        name: re.findall(pattern, (REPOSITORY / name).read_text(), re.MULTILINE)[0] for name, pattern in files.items()
    }
    assert len(set(found.values())) == 1, found
