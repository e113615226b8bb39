"""`python src/compare.py` and `python src/evaluate.py` as a user runs them, after a small sweep."""

import csv
import html
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as oracle

from equipoise.core.errors import ConfigError
from equipoise.runs.reevaluate import evaluate_again
from equipoise.tracking.artifacts import read_intervals, read_json
from equipoise.tracking.store import Store, open_store
from helpers import by_class, copy_project, imported_modules, read_back, train

pytestmark = pytest.mark.slow

QUICK = ["dataset=digits_lt", "model=mlp", "trainer.epochs=3", "trainer.threads=1"]
SWEEP = ["-m", "weighting=none,balanced", "seed=0,1", "sweep=small", *QUICK]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its own, since what is the latest here must not depend on other tests."""
    return copy_project(tmp_path_factory.mktemp("a comparison"), with_store=True)


@pytest.fixture(scope="module")
def sweep(project: Path) -> Any:
    found = train(project, *SWEEP)
    assert found.returncode == 0, found.stdout + found.stderr
    return found


@pytest.fixture(scope="module")
def store(project: Path, sweep: Any) -> Store:
    return open_store(project)


def table(output: str) -> list[str]:
    """From the line that names the sweep to the last note, without where to look further."""
    lines = output.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("Sweep ") and ":" not in line)
    return [line for line in lines[start:] if not line.startswith(("Written", "To see", "To compare", "  make -C"))]


def test_a_sweep_ends_with_the_table_that_compare_prints(
    project: Path, sweep: Any, store: Store, tmp_path: Path
) -> None:
    folder = project / "outputs/comparison/small"
    by_sweep = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert sorted(by_sweep) == ["comparison.csv", "comparison.html", "comparison.json"]
    assert f"Written to {folder}/comparison.html, .csv and .json" in sweep.stdout
    found = train(project, "sweep=small", script="compare.py", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert table(sweep.stdout) == table(found.stdout)
    notes = " ".join(found.stdout.split())
    assert "2 seeds on one split" in notes
    assert "training noise on this split" in notes
    assert "2 pairs and so many comparisons no difference could reach significance" in notes
    assert list(tmp_path.iterdir()) == [], "nothing lands in the working directory"

    rows = list(csv.DictReader((folder / "comparison.csv").read_text().splitlines()))
    for weighting in ("none", "balanced"):
        runs = store.runs(sweep_id="small", weighting=weighting)
        (row,) = [
            row
            for row in rows
            if weighting in row["configuration"]
            and "post hoc" not in row["configuration"]
            and row["metric"] == "macro_f1"
        ]
        assert float(row["mean"]) == pytest.approx(np.mean([run.data.metrics["test/macro_f1"] for run in runs]))
    (summary,) = store.runs(kind="sweep", sweep_id="small")
    for file in folder.iterdir():
        assert (
            project / "mlruns/digits_lt" / summary.info.run_id / "artifacts" / file.name
        ).read_bytes() == file.read_bytes()


def test_the_verdict_stands_first_in_every_place(project: Path, sweep: Any, store: Store) -> None:
    """In the terminal, on the page, in the summary run's note and in the experiment's description."""
    (verdict,) = [line for line in sweep.stdout.splitlines() if line.startswith("Verdict on digits_lt (test split, ")]
    assert table(sweep.stdout)[:2] == ["Sweep small", verdict]
    runs = {name: store.runs(sweep_id="small", weighting=name) for name in ("none", "balanced")}
    means = {name: np.mean([run.data.metrics["test/balanced_accuracy"] for run in of]) for name, of in runs.items()}
    assert f"is highest by balanced accuracy ({max(means.values()):.3f})" in verdict
    assert "2 seeds are too few to test" in verdict
    (summary,) = store.runs(kind="sweep", sweep_id="small")
    assert summary.data.tags["mlflow.note.content"].startswith(f"{verdict}\n\n**Sweep small**")
    experiment = store.client.get_experiment(summary.info.experiment_id)
    assert experiment.tags["mlflow.note.content"].startswith(f"{verdict}\n\nSweep small,")
    page = (project / "outputs/comparison/small/comparison.html").read_text()
    assert html.escape(verdict) in page
    assert page.index(html.escape(verdict)) < page.index("<table"), "before all numbers"


def test_validation_is_what_to_choose_by(project: Path, sweep: Any, store: Store) -> None:
    """The means of the logged metrics, with a table of every decision rule, in files of their own."""
    found = train(project, "sweep=small", "metric=val/macro_f1", script="compare.py")
    assert found.returncode == 0, found.stderr
    said = " ".join(found.stdout.split())
    assert "validation split, for choosing" in said
    assert "test split" not in said
    assert "test split, for judging, not choosing" in " ".join(sweep.stdout.split())
    written = json.loads((project / "outputs/comparison/small/validation.json").read_text())
    (dataset,) = written["datasets"]
    rows = {row["configuration"]: row for row in dataset["rows"]}
    for weighting in ("none", "balanced"):
        logged = [read_back(run) for run in store.runs(sweep_id="small", weighting=weighting)]
        for rule, mean in dataset["by_rule"][weighting].items():
            assert mean == pytest.approx(np.mean([found[f"val/decision/{rule}/macro_f1"] for found in logged]))
        assert rows[weighting]["metrics"]["macro_f1"]["mean"] == dataset["by_rule"][weighting]["argmax"]
    assert {"argmax", "tuned"} <= set(dataset["by_rule"]["none"])


def test_other_metrics_runs_and_filters(project: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = [str(run.info.run_id) for run in store.runs(sweep_id="small", model="mlp")]
    found = train(
        project, f"runs={','.join(chosen)}", "metric=mcc", "baseline=balanced", "rope=0.01", script="compare.py"
    )
    assert found.returncode == 0, found.stderr
    (folder,) = (project / "outputs/comparison").glob("runs-*")
    by_runs = json.loads((folder / "comparison.json").read_text())
    assert by_runs["metric"] == "mcc"
    rows = {row["configuration"]: row for row in by_runs["datasets"][0]["rows"]}
    assert rows["none"]["to_baseline"]["reference"] == "balanced"
    assert sum(rows["none"]["to_baseline"]["posterior"].values()) == pytest.approx(1)
    assert sorted(rows["none"]["runs"] + rows["balanced"]["runs"]) == sorted(chosen)
    outer = store.client.create_run(store.experiment("digits_lt")).info.run_id  # as `mlflow run -e compare` opens it
    monkeypatch.setenv("MLFLOW_RUN_ID", outer)
    found = train(
        project,
        "filter=tags.sweep_id = 'small' and tags.model = 'mlp'",
        "metric=mcc",
        "baseline=balanced",
        "rope=0.01",
        script="compare.py",
    )
    assert found.returncode == 0, found.stderr
    assert json.loads((folder / "comparison.json").read_text()) == by_runs, "the same runs, found in another way"
    assert store.client.get_run(outer).data.tags["kind"] == "comparison"
    assert read_json(store, outer, "comparison.json") == by_runs


@pytest.mark.parametrize(
    ("script", "words", "said"),
    [
        ("compare.py", ["sweep=absent"], "error: Sweep absent: no finished run"),
        ("compare.py", ["metrik=mcc"], "error: metrik=mcc: there is no option metrik; did you mean 'metric'?"),
        ("compare.py", ["runs=a", "sweep=b"], "error: sweep and runs contradict each other"),
        ("compare.py", ["metric=val/mcc", "split=test"], "error: metric=val/mcc and split=test contradict each other"),
        ("compare.py", ["rope=-1"], "error: rope=-1: must be a number greater than 0"),
        ("evaluate.py", [], "error: run is missing"),
        ("evaluate.py", ["run=absent"], "error: there is no run absent"),
        ("evaluate.py", ["run=latest", "model=mlp"], "error: model=mlp: the model is trained already"),
        (
            "evaluate.py",
            ["run=latest", "dataset=mnist_lt"],
            "error: dataset=mnist_lt has samples of shape (28, 28, 1); the model takes (8, 8, 1)",
        ),
        (
            "evaluate.py",
            ["run=latest", "dataset=synthetic"],
            "error: dataset=synthetic has the classes 0, 1, 2, 3; the model was trained on 0, 1, 2",
        ),
    ],
)
def test_a_mistake_exits_2_and_logs_nothing(
    project: Path, store: Store, script: str, words: list[str], said: str
) -> None:
    before = len(store.runs())
    found = train(project, *words, script=script)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith(said)
    assert len(store.runs()) == before


def test_a_fresh_project_has_nothing_to_compare_and_gets_no_store(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    for script, words in (("compare.py", []), ("evaluate.py", ["run=latest"]), ("register.py", [])):
        found = train(project, *words, script=script)
        assert found.returncode == 2
        assert "there are no runs yet" in found.stderr
    assert not (project / "mlflow.db").exists()


def test_help_is_there_at_once(project: Path) -> None:
    for script in ("compare.py", "evaluate.py"):
        environment = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
        found = subprocess.run(
            [sys.executable, str(project / "src" / script), "--help"],
            capture_output=True,
            text=True,
            env=environment,
            check=True,
        )
        assert f"python src/{script}" in found.stdout
        assert not imported_modules(found.stderr) & {"tensorflow", "mlflow", "sklearn", "scipy", "matplotlib"}


def test_a_model_is_judged_again(project: Path, store: Store) -> None:
    run = store.runs(sweep_id="small", weighting="balanced", seed="1")[0]
    before = dict(run.data.metrics)
    found = train(
        project,
        f"run={run.info.run_id}",
        "evaluation.groups=[8,60]",
        "dataset.target_prior=training",
        script="evaluate.py",
    )
    assert found.returncode == 0, found.stderr
    (again,) = store.runs(kind="evaluation")
    assert again.data.tags["evaluated_run"] == run.info.run_id
    assert "sweep_id" not in again.data.tags
    assert again.info.run_id in found.stdout
    assert store.client.get_run(run.info.run_id).data.metrics == before, "what was logged stays as it was"
    groups = ("test/recall_many", "test/recall_medium", "test/recall_few")
    changed = {key for key, value in again.data.metrics.items() if before[key] != pytest.approx(value, abs=1e-6)}
    assert {key for key in changed if not key.startswith(groups)} == {
        "test/log_loss_corrected",
        "test/ece_corrected",
    }
    found_counts = json.loads(run.data.tags["class_counts"])
    counts = np.array([found_counts[f"{index}"] for index in range(10)])
    recall = np.array([before[f"test/recall/{index}"] for index in range(10)])
    assert again.data.metrics["test/recall_few"] == pytest.approx(recall[counts < 8].mean())
    artifacts = project / "mlruns/digits_lt" / again.info.run_id / "artifacts/evaluation"
    assert "Would post-hoc adjustment" in (artifacts / "report.html").read_text()
    predictions = [
        pd.read_parquet(project / "mlruns/digits_lt" / one / "artifacts/evaluation/predictions.parquet")
        for one in (run.info.run_id, again.info.run_id)
    ]
    assert (predictions[0]["predicted"] == predictions[1]["predicted"]).all()
    with pytest.raises(ConfigError, match=f"run={again.info.run_id}: that run trained no model"):
        evaluate_again(store, again.info.run_id, [])


def test_a_warning_tells_of_test_samples_that_the_model_was_trained_on(project: Path, store: Store) -> None:
    run = store.runs(sweep_id="small", weighting="none", seed="0")[0]
    found = train(project, f"run={run.info.run_id}", "dataset.split_seed=1", script="evaluate.py")
    assert found.returncode == 0, found.stderr
    assert "of the 500 test samples are among those that the model was trained on" in found.stderr
    again = store.runs(kind="evaluation", evaluated_run=run.info.run_id)[-1]
    predictions = pd.read_parquet(
        project / "mlruns/digits_lt" / again.info.run_id / "artifacts/evaluation/predictions.parquet"
    )
    assert again.data.metrics["test/balanced_accuracy"] == pytest.approx(
        oracle.balanced_accuracy_score(predictions["label"], predictions["predicted"])
    )
    assert again.data.tags["data_sha256"] != run.data.tags["data_sha256"]


def test_intervals_and_rules_of_a_run(project: Path, store: Store) -> None:
    run = store.runs(sweep_id="small", weighting="none", seed="0")[0]
    metrics, table = read_back(run), by_class(project / "mlruns/digits_lt" / run.info.run_id / "artifacts")
    ends = read_intervals(store, run.info.run_id)
    for name in ("balanced_accuracy", "macro_f1", "mcc", "log_loss", "macro_auroc", "macro_average_precision"):
        assert ends[f"test/{name}_low"] < metrics[f"test/{name}"] < ends[f"test/{name}_high"], name
    assert (table["recall_low"] <= table["recall"]).all()
    assert (table["recall"] <= table["recall_high"]).all()
    predictions = pd.read_parquet(
        project / "mlruns/digits_lt" / run.info.run_id / "artifacts/evaluation/predictions.parquet"
    )
    probabilities = predictions[[f"p({index})" for index in range(10)]].to_numpy()
    prior = table["weight_share"].to_numpy()
    adjusted = (probabilities / prior).argmax(axis=1).astype(str)
    assert metrics["decision/logit_adjusted/balanced_accuracy"] == pytest.approx(
        oracle.balanced_accuracy_score(predictions["label"], adjusted)
    )
    assert metrics["decision/argmax/mcc"] == metrics["test/mcc"]
    assert metrics["test/prediction_shift"] == pytest.approx(np.abs(table["predicted_share"] - 0.1).sum() / 2)
    assert metrics["learning_rate_factor"] == 1, "adam"
