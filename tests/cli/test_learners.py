"""A learner beside Keras by the commands: without TensorFlow, from training to answers."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from helpers import imported_modules

pytestmark = pytest.mark.slow


def run(project: Path, program: str, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-X", "importtime", str(project / "src" / program), *words]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=300)


def test_a_run_and_its_predictions_load_no_tensorflow(project: Path, tmp_path: Path) -> None:
    table = pd.DataFrame({"x": range(200), "y": ["rare" if number % 5 == 0 else "often" for number in range(200)]})
    table.to_csv(tmp_path / "t.csv", index=False)
    typed = ["dataset=csv", f"dataset.path='{tmp_path}/t.csv'", "dataset.target=y", "dataset.title=learners"]
    trained = run(project, "train.py", *typed, "model=logistic", "weighting=balanced", "evaluation.resamples=0")
    assert trained.returncode == 0, trained.stderr[-2000:]
    assert "balanced · class_weight · logistic · seed 0: fitted on cpu" in trained.stdout
    assert {"sklearn", "mlflow"} <= imported_modules(trained.stderr)
    assert not {"tensorflow", "keras"} & imported_modules(trained.stderr)
    (logged,) = [line for line in trained.stdout.splitlines() if line.startswith("Logged as run ")]
    words = [f"run={logged.split()[3].rstrip('.')}", f"input={tmp_path}/t.csv", f"output={tmp_path}/found.csv"]
    predicted = run(project, "predict.py", *words)
    assert predicted.returncode == 0, predicted.stderr[-2000:]
    assert not {"tensorflow", "mlflow"} & imported_modules(predicted.stderr)
    found = pd.read_csv(tmp_path / "found.csv")
    assert len(found) == 200
    assert {*found["predicted"]} <= {"rare", "often"}
