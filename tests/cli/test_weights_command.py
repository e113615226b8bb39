"""`python src/weights.py` as a user runs it: the weights side by side, and nothing trained."""

import os
import re
from pathlib import Path

import pytest

from equipoise.commands import weights
from helpers import copy_project, imported_modules, train

pytestmark = pytest.mark.slow

COUNTS = [104, 74, 53, 38, 27, 19, 14, 10, 7, 5]


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the dataset prepared."""
    project = copy_project(tmp_path_factory.mktemp("weights"))
    assert train(project, "dataset=digits_lt", "weighting=none", script="weights.py").returncode == 0
    return project


def rows(output: str) -> dict[str, list[str]]:
    cells = [re.split(r"\s{2,}", line.strip()) for line in output.splitlines()]
    return {first: others for first, *others in cells}


def test_the_weights_side_by_side(warm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    found = train(
        warm,
        "dataset=digits_lt",
        "weighting=none,balanced,manual",
        f"weighting.weights={{{','.join(f'{i}:{i + 1}' for i in range(10))}}}",
        script="weights.py",
    )
    assert found.returncode == 2, "only manual has weights"
    found = train(warm, "dataset=digits_lt", "weighting=none,balanced,inverse", script="weights.py")
    assert found.returncode == 0, found.stderr
    table = rows(found.stdout)
    assert table["class"] == ["n", "none", "balanced", "inverse"]
    for index, count in enumerate(COUNTS):
        assert table[str(index)] == [str(count), "1", f"{sum(COUNTS) / (10 * count):.4g}", f"{sum(COUNTS) / count:.4g}"]
    assert table["sample mean"] == ["1", "1", "10"]
    assert table["max / min"] == ["1", "20.8", "20.8"]
    # balanced: (sum n w)^2 / sum n w^2 = N^2 / sum (N / C)^2 / n
    assert table["effective n"][:3] == [
        str(sum(COUNTS)),
        str(sum(COUNTS)),
        f"{100 / sum(1 / count for count in COUNTS):.4g}",
    ]
    assert not imported_modules(found.stderr) & {"tensorflow", "mlflow", "sklearn", "matplotlib", "pandas"}
    assert "warning:" not in found.stderr, "adam divides a constant factor out again"


def test_all_strategies_options_side_by_side_and_warnings(warm: Path) -> None:
    every = train(warm, "dataset=digits_lt", "trainer.optimizer=sgd", script="weights.py")
    assert every.returncode == 0
    for name in ("none", "balanced", "effective_number", "median_frequency", "log_smoothed", "log_damped"):
        assert name in every.stdout
    warned = [line.split()[1] for line in every.stderr.splitlines()]
    assert "weighting=inverse:" in warned
    assert "weighting=balanced:" not in warned
    assert "weighting=inverse: the mean weight of a sample is 10, and under trainer.optimizer=sgd" in every.stderr
    betas = train(
        warm, "dataset=digits_lt", "weighting=effective_number", "weighting.beta=0.9,auto", script="weights.py"
    )
    assert "effective_number beta=0.9 " in betas.stdout
    assert "effective_number beta=auto" in betas.stdout
    assert not (warm / "mlflow.db").exists()


def test_many_classes_are_shown_by_both_ends_with_the_warnings_of_their_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(weights, "cache_folder", lambda: tmp_path / "cache")
    (tmp_path / "t.csv").write_text(
        "x,z,y\n" + "".join(f"{i / 7:.4f},{i * i % 307},{i % 50}\n" for i in range(300)) * 2
    )
    weights.show(["dataset=csv", f"dataset.path='{tmp_path}/t.csv'", "dataset.target=y", "weighting=balanced"])
    shown = capsys.readouterr()
    table = rows(shown.out)
    assert (table["…"], len(set(table) & {str(index) for index in range(50)})) == (["…", "…"], 40)
    assert "warning: leakage: " in shown.err


def test_mistakes_exit_2(warm: Path) -> None:
    for overrides, message in (
        (["weighting=balnced"], "did you mean 'balanced'?"),
        (["dataset=digits_lt,synthetic", "weighting=none"], "for one dataset only"),
    ):
        found = train(warm, *overrides, script="weights.py")
        assert found.returncode == 2
        assert found.stdout == ""
        assert message in found.stderr
    assert os.listdir(warm / "cache"), "what is prepared stays"


def test_several_labels_weigh_their_positives(warm: Path, tmp_path: Path) -> None:
    lines = [f"{i},{'yes' if i % 5 == 0 else 'no'},{'TRUE' if i % 2 else 'FALSE'}" for i in range(100)]
    (tmp_path / "t.csv").write_text("\n".join(["x,rain,wind", *lines]) + "\n")
    found = train(
        warm, "dataset=multilabel", f"dataset.path={tmp_path}/t.csv", "dataset.targets=[rain,wind]", script="weights.py"
    )
    assert found.returncode == 0, found.stderr
    table = rows(found.stdout)
    assert table["class"] == ["n", "none", "balanced"]
    for label in ("rain", "wind"):
        count = int(table[label][0])
        assert table[label][2] == f"{(70 - count) / count:.4g}", "negatives over positives of the 70 training rows"
