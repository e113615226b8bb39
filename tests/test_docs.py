"""What the pages say of files and commands is there: links lead somewhere, scripts and recipes exist."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from helpers import REPOSITORY

PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md")])


LINKS = [
    (page, target)
    for page in PAGES
    if page.name == "README.md"  # the others' are checked by what builds the site (test_site.py)
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL))
]
EVERY_PAGE = "\n".join(page.read_text() for page in PAGES)
SCRIPTS = sorted(set(re.findall(r"python ((?:src|examples|docs|pipelines|benchmarks)/\w+\.py)", EVERY_PAGE)))
RECIPES = sorted({*re.findall(r"experiment=(\w+)", EVERY_PAGE)} - {"NAME"})


@pytest.mark.parametrize(("page", "target"), LINKS, ids=[f"{page.name} {target}" for page, target in LINKS])
def test_a_link_leads_to_a_file(page: Path, target: str) -> None:
    assert (page.parent / target).exists()


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_there(script: str) -> None:
    assert (REPOSITORY / script).is_file()


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_there(recipe: str) -> None:
    assert (REPOSITORY / f"conf/experiment/{recipe}.yaml").is_file()


def test_the_numbers_of_the_paper_are_those_of_the_study_s_page() -> None:
    """Both are written by one command; that it repeats them from the table of runs, test_study_analysis.py shows."""
    page, paper = (REPOSITORY.joinpath("docs", *name).read_text() for name in (["study.md"], ["paper", "paper.md"]))
    table = re.findall(r"^(\| hypothesis \|.*?)\n\n", page, re.MULTILINE | re.DOTALL)[0]
    assert table.count("\n") == 9, "seven verdicts and that of half the weights, below a heading"
    assert table in paper


def test_the_readme_has_the_differences_that_its_recipe_states() -> None:
    readme, recipe = (
        (REPOSITORY / name).read_text() for name in ("README.md", "conf/experiment/mnist_lt_control.yaml")
    )
    found = re.findall(r"^\| `.*?\| ([+-]\d\.\d+ ± \d\.\d+) \| (\d+ of 15) \|", readme, re.MULTILINE)
    assert len(found) == 5
    for difference, higher in found:
        assert re.search(rf"{re.escape(difference.replace('±', '+-'))} +higher in {higher}", recipe), difference


def test_the_page_on_performance_quotes_what_was_measured() -> None:
    page, results = ((REPOSITORY / "docs" / name).read_text() for name in ("performance.md", "performance/results.md"))
    measured = json.loads((REPOSITORY / "docs/performance/results.json").read_text())
    passages = dict(re.findall(r"<!-- (\w+) -->(.*?)<!-- end of \1 -->", results, re.DOTALL))
    assert list(passages) == list(measured)
    assert [*measured][-4:] == ["stacked", "metrics", "growth", "large"]
    assert len(measured) == 10
    measured.pop("large")
    tables = re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE)
    assert len(tables) == 10
    one_round = tables.pop(3)
    assert "deterministic=false" in one_round, "a table that `make bench` does not write"
    for table, passage in zip(tables, map(passages.__getitem__, measured), strict=True):
        found = {cell.strip() for line in table.splitlines()[2:] for cell in line.split("|")[2:-1]}
        written = {cell for line in passage.splitlines() for cell in re.findall(r"[\d,.]+", line)}
        assert found, table
        for cell in found:
            assert set(re.findall(r"[\d,.]+", cell)) <= written, cell


def test_the_page_on_scale_quotes_what_was_measured() -> None:
    page, results = ((REPOSITORY / "docs" / name).read_text() for name in ("scale.md", "performance/results.md"))
    (passage,) = re.findall(r"<!-- large -->(.*?)<!-- end of large -->", results, re.DOTALL)
    (table,) = re.findall(r"^\| what \| time \|.*\n((?:\|.*\n)+)", page, re.MULTILINE)
    written = set(re.findall(r"[\d,.]+", passage))
    for line in table.splitlines()[1:]:
        assert set(re.findall(r"[\d,.]+", " ".join(line.split("|")[2:-1]))) <= written, line


def tracked() -> list[Path]:
    """Return the files that git tracks and that are there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    return [file for name in listed.split("\0") if name and (file := REPOSITORY / name).is_file()]


def test_no_package_registry_is_named() -> None:
    """Where packages come from is each installation's own affair: a mirror, or none."""
    host = re.compile(rb"\b(?:pypi|pythonhosted|anaconda|npmjs)[.](?:org|com)\b")
    assert [file for file in tracked() if host.search(file.read_bytes())] == []


def test_no_data_set_is_tracked() -> None:
    """What an example or a user writes into data/ stays out of git, and so does anything large."""
    assert [file.name for file in tracked() if (REPOSITORY / "data") in file.parents] == ["README.md"]
    # The study's runs may take 5 MB, which its own test sees to.
    assert {file.name for file in tracked() if file.stat().st_size > 1 << 20} <= {"results.parquet"}
    ignored = ["git", "check-ignore", "--no-index", "-q"]
    for name, code in {"data/mails.csv": 0, "data/raw/table.csv.dvc": 1}.items():
        assert subprocess.run([*ignored, name], cwd=REPOSITORY, check=False).returncode == code, name
