"""What benchmarks make of their numbers: ratios, exponents and pages; and one quick part as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from helpers import REPOSITORY, clone_of, program_of


@pytest.fixture
def growth(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    return program_of("benchmarks/growth.py")


@pytest.mark.parametrize(
    ("constant", "factor", "exponent"), [(7.0, 2e-5, 1.0), (7.0, 3e-9, 2.0), (0.0, 0.02, 0.5), (0.5, 1e-4, 1.3)]
)
@pytest.mark.parametrize("sizes", [(1_000, 10_000, 100_000), (100, 1_000, 10_000, 50_000, 100_000)])
def test_an_exponent_is_found_again(
    growth: ModuleType, constant: float, factor: float, exponent: float, sizes: tuple[int, ...]
) -> None:
    found = growth.fit(sizes, [constant + factor * size**exponent for size in sizes])
    assert (found.constant, found.share, found.exponent) == pytest.approx(
        (constant, factor * 1e5**exponent, exponent), rel=1e-3, abs=1e-6
    )


def test_times_that_hardly_grow_are_flat(growth: ModuleType) -> None:
    found = growth.fit([10, 100, 1_000], [400, 380, 420])
    assert (str(found), found.constant) == ("flat", 400)
    assert str(growth.fit([10, 100, 1_000], [400, 380, 800])) != "flat"


def test_ratios_are_those_of_the_rounds(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    paired = program_of("benchmarks/paired.py")
    theirs, ours = iter([2.0, 10.0, 4.0]), iter([1.0, 2.0, 3.0])
    times = paired.in_turn({"theirs": lambda: next(theirs), "ours": lambda: next(ours)}, 3)
    assert [line.split(": ")[1].split()[0] for line in capsys.readouterr().out.splitlines()] == ["theirs", "ours"] * 3
    assert times == {"theirs": [2, 10, 4], "ours": [1, 2, 3]}
    assert paired.summary(times)["ours"] == {
        "seconds": [1, 2, 3],
        "median": 2,
        "ratio": {"median": 0.5, "low": 0.2, "high": 0.75},
    }
    assert paired.table(["", "of theirs"], [["ours", str(paired.ratio(times["ours"], times["theirs"]))]]) == (
        "|  | of theirs |\n| --- | --- |\n| ours | 0.50 (0.20 to 0.75) |"
    )


@pytest.mark.slow
def test_a_part_replaces_its_own_and_leaves_the_others(tmp_path: Path) -> None:
    clone_of(tmp_path)
    folder, tables = tmp_path / "docs" / "performance", tmp_path / "docs" / "performance" / "results.md"
    before, told = json.loads((folder / "results.json").read_text()), tables.read_text()

    def bench(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, str(tmp_path / "benchmarks" / "bench.py"), *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    refused = bench("metrix", "rounds=1")
    assert (refused.returncode, refused.stderr) == (
        2,
        "error: metrix: there is no such part; did you mean 'metrics'?\n",
    )
    assert tables.read_text() == told

    found = bench("metrics", "rounds=1")
    assert found.returncode == 0, found.stderr
    after = json.loads((folder / "results.json").read_text())
    assert list(after) == list(before)
    assert {part for part in after if after[part] != before[part]} == {"metrics"}
    assert after["metrics"]["rounds"] == 1
    assert str(tmp_path) not in json.dumps(after)
    evaluation = after["metrics"]["found"]["evaluation, 100,000 × 100"]
    assert all(np.isfinite(way["seconds"]).all() and len(way["seconds"]) == 1 for way in evaluation.values())
    median = 1000 * evaluation["Equipoise"]["median"]
    assert f"| evaluation, 100,000 × 100 | {median:.1f} ms |" in tables.read_text()
    around = [
        text.partition("<!-- metrics -->")[0] + text.partition("<!-- end of metrics -->")[2]
        for text in (told, tables.read_text())
    ]
    assert around[0] == around[1]


@pytest.mark.slow
def test_equal_learners_on_repeated_splits_are_rarely_told_apart() -> None:
    """Of nominal 5 % `compare` stays within three standard errors; a permutation test of splits has 4 times that."""
    found = program_of("benchmarks/false_positives.py").rates("decision stump", 200, 0.2, 600)
    assert abs(found.compared - 0.05) <= 3 * (0.05 * 0.95 / 600) ** 0.5
    assert found.permuted > 0.2


@pytest.mark.slow
def test_a_family_of_comparisons_over_three_splits_is_rarely_wrong() -> None:
    found = program_of("benchmarks/false_positives.py").family_rates(40)
    assert found.compared <= 0.05 + 3 * (0.05 * 0.95 / 40) ** 0.5
    assert found.permuted > 0.3, "of 15 runs that are taken for independent"


def test_published_coverage_is_as_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    coverage = program_of("benchmarks/coverage.py")
    page = (REPOSITORY / "docs" / "coverage.md").read_text(encoding="utf-8")
    recalls, others = (
        [[cell.strip() for cell in line.split("|")[1:-1]] for line in part.splitlines() if line.startswith("| ")]
        for part in page.split("## Class frequencies")[0].split("## Other")
    )
    assert [row[0] for row in recalls[2:]] == [row[0] for row in coverage.RECALLS]
    assert all(0.93 <= float(row[3]) <= 0.97 for row in recalls[2:]), "what a run has of balanced accuracy"
    assert [row[0] for row in others[2:]] == [model.name for model in coverage.MODELS]
    fine = [
        (name, float(cell))
        for row in others[2:]
        for name, cell in zip(others[0][2:], row[2:], strict=True)
        if not cell.startswith("(")
    ]
    assert all(0.93 <= share <= (1 if name == "worst recall" else 0.97) for name, share in fine), (
        "and of what is not called rough"
    )
    again = [line.split("|") for line in coverage.of_recalls(40).splitlines()[2:]]
    assert [row[1].strip() for row in again] == [row[0] for row in recalls[2:]]
