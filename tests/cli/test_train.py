"""`python src/train.py` as a user runs it, and what it leaves in the project's MLflow store."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as oracle

from equipoise.tracking import Store, open_store
from helpers import copy_project, train

pytestmark = pytest.mark.slow

QUICK = ["dataset=digits_lt", "model=mlp", "trainer.epochs=3", "trainer.threads=1"]
SWEEP = ["-m", "loss=class_weight,sample_weight,custom", "weighting=balanced", *QUICK]
COUNTS = [104, 74, 53, 38, 27, 19, 14, 10, 7, 5]


@pytest.fixture(scope="module")
def sweep(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The three implementations as one sweep on a fresh store, started from an unrelated working directory."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    found = train(project, *SWEEP, cwd=elsewhere)
    assert found.returncode == 0, found.stdout + found.stderr
    assert list(elsewhere.iterdir()) == [], "nothing lands in the working directory"
    return found


@pytest.fixture(scope="module")
def store(project: Path, sweep: Any) -> Store:
    return open_store(project)


@pytest.fixture(scope="module")
def runs(store: Store, sweep: Any) -> list[Any]:
    found = store.runs(implementation="class_weight") + store.runs(implementation="sample_weight") + store.runs(implementation="custom")
    return sorted(found, key=lambda run: str(run.info.start_time))[:3]


def artifact(project: Path, run: Any, path: str) -> Path:
    return project / "mlruns" / "digits_lt" / str(run.info.run_id) / "artifacts" / path


def test_three_implementations_one_digest(sweep: Any, runs: list[Any]) -> None:
    assert [run.data.tags["implementation"] for run in runs] == ["class_weight", "sample_weight", "custom"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    (digest,) = {run.data.tags["weights_sha256"] for run in runs}
    assert len({run.data.tags["sweep_id"] for run in runs}) == 1
    assert len({run.data.tags["config_sha256"] for run in runs}) == 3
    table = sweep.stdout[sweep.stdout.index("Sweep ") :]
    assert len(digest) == 64
    flat = " ".join(table.split())
    assert "class_weight = custom = sample_weight" in flat.replace("class_weight = sample_weight = custom", "class_weight = custom = sample_weight"), table
    assert "bitwise" in table


def test_the_terminal_shows_nothing_but_our_own_words(sweep: Any) -> None:
    assert all(line.startswith("warning: never predicted: class") for line in sweep.stderr.splitlines()), sweep.stderr
    for noise in ("oneDNN", "cuda", "absl", "WARNING", "alembic", "ms/step"):
        assert noise not in sweep.stdout


def test_what_a_run_leaves(project: Path, runs: list[Any]) -> None:
    run = runs[0]
    tags, params, metrics = run.data.tags, run.data.params, run.data.metrics
    for key, value in {
        "weighting": "balanced",
        "loss": "class_weight",
        "function": "cross_entropy",
        "model": "mlp",
        "dataset": "digits_lt",
        "seed": "0",
    }.items():
        assert tags[key] == value
    assert all(len(tags[key]) == 64 for key in ("config_sha256", "data_sha256", "weights_sha256"))
    assert tags["mlflow.runColor"].startswith("#")
    assert params["dataset.imbalance_ratio"] == "20.0"
    assert params["trainer.epochs"] == "3"
    whole = "accuracy balanced_accuracy macro_f1 weighted_f1 g_mean mcc cohen_kappa log_loss brier ece ece_classwise log_loss_corrected ece_corrected"
    whole += " macro_average_precision macro_auroc recall_many recall_medium recall_few worst_class_recall"
    expected = {f"test/{name}" for name in whole.split()}
    intervals = "accuracy balanced_accuracy macro_f1 weighted_f1 g_mean mcc cohen_kappa worst_class_recall log_loss brier log_loss_corrected"
    intervals += " recall_many recall_medium recall_few macro_average_precision macro_auroc"
    expected |= {f"test/{name}_{end}" for name in intervals.split() for end in ("low", "high")} | {"test/prediction_shift", "learning_rate_factor"}
    rules = "accuracy balanced_accuracy macro_f1 mcc worst_class_recall"
    expected |= {f"decision/{rule}/{name}" for rule in ("argmax", "logit_adjusted") for name in rules.split()}
    per_class = "test/prevalence test/recall_low test/recall_high "
    per_class += "test/recall test/precision test/f1 test/average_precision test/auroc test/predicted_share weight count weight_share"
    per_class += " gradient_share_start gradient_share loss_share_start loss_share"
    expected |= {f"{name}/{index}" for name in per_class.split() for index in range(10)}
    expected |= {"train/loss", *(f"val/{name}" for name in ("loss", "log_loss", "accuracy", "balanced_accuracy", "macro_f1"))}
    expected |= {f"profile/{name}" for name in ("recall", "precision", "f1", "weight")} | {"weight_sample_mean", "effective_sample_size"}
    assert set(metrics) == expected
    files = "config/config.yaml config/overrides.yaml config/hydra.yaml weights.json"
    files += " evaluation/predictions.parquet evaluation/per_class.json evaluation/classes.json evaluation/confusion_matrix.png"
    files += " evaluation/training_curves.png evaluation/pr_curves.png evaluation/reliability.png evaluation/what_the_weights_did.png evaluation/report.html"
    for file in files.split():
        assert artifact(project, run, file).stat().st_size > 0, file


def test_the_weights_are_those_of_the_counts(project: Path, runs: list[Any]) -> None:
    table = json.loads(artifact(project, runs[0], "weights.json").read_text())
    assert [row["count"] for row in table.values()] == COUNTS
    assert [row["weight"] for row in table.values()] == [sum(COUNTS) / (10 * count) for count in COUNTS]
    metrics = runs[0].data.metrics
    assert [metrics[f"weight_share/{index}"] for index in range(10)] == pytest.approx([0.1] * 10)
    assert metrics["weight_sample_mean"] == pytest.approx(1)
    for share in ("gradient_share_start", "gradient_share", "loss_share_start", "loss_share"):
        assert sum(metrics[f"{share}/{index}"] for index in range(10)) == pytest.approx(1), share


def test_metrics_follow_from_the_stored_predictions(project: Path, runs: list[Any]) -> None:
    predictions = pd.read_parquet(artifact(project, runs[0], "evaluation/predictions.parquet"))
    assert len(predictions) == 500
    metrics = runs[0].data.metrics
    truth, predicted = predictions["label"], predictions["predicted"]
    probabilities = predictions[[f"p({index})" for index in range(10)]].to_numpy()
    assert (np.array(list("0123456789"))[probabilities.argmax(axis=1)] == predicted).all()
    assert metrics["test/balanced_accuracy"] == pytest.approx(oracle.balanced_accuracy_score(truth, predicted), abs=1e-12)
    assert metrics["test/macro_f1"] == pytest.approx(oracle.f1_score(truth, predicted, average="macro"), abs=1e-12)
    assert metrics["test/log_loss"] == pytest.approx(oracle.log_loss(truth, probabilities), rel=1e-9)
    per_class = json.loads(artifact(project, runs[0], "evaluation/per_class.json").read_text())
    assert per_class["columns"][:3] == ["class", "recall", "precision"]
    assert [row[1] for row in per_class["data"]] == pytest.approx(oracle.recall_score(truth, predicted, average=None).tolist())


def test_profiles_run_from_head_to_tail(store: Store, runs: list[Any]) -> None:
    profile = {point.step: point.value for point in store.client.get_metric_history(runs[0].info.run_id, "profile/recall")}
    assert [profile[rank] for rank in range(10)] == [runs[0].data.metrics[f"test/recall/{index}"] for index in range(10)]
    epochs = store.client.get_metric_history(runs[0].info.run_id, "val/log_loss")
    assert [point.step for point in epochs] == [0, 1, 2]


def test_the_same_sweep_again_repeats_nothing(project: Path, store: Store, runs: list[Any]) -> None:
    before = len(store.runs())
    again = train(project, *SWEEP)
    assert again.returncode == 0
    assert again.stdout.count("is finished in this sweep already") == 3
    assert len(store.runs()) == before


def test_one_run_prints_its_classes_and_how_to_open_it(project: Path, store: Store, runs: list[Any]) -> None:
    found = train(project, "weighting=balanced", *QUICK, cwd=project / "conf")
    assert found.returncode == 0, found.stderr
    run = store.runs(weighting="balanced", loss="class_weight")[-1]
    assert run.data.tags["weights_sha256"] == runs[0].data.tags["weights_sha256"], "the same config gives the same bits, alone or in a sweep"
    assert "sweep_id" not in run.data.tags
    for heading in ("class", "weight", "precision", "recall", "F1", "AP", "balanced_accuracy", "log_loss"):
        assert heading in found.stdout
    assert f"make -C {project} ui RUN={run.info.experiment_id}/{run.info.run_id}" in found.stdout


def test_every_option_trains(project: Path, store: Store) -> None:
    """Each shipped weighting, model and dataset that no other test runs, and the other label forms."""
    short = ["trainer.epochs=1", "trainer.threads=1"]
    sweeps = [
        ["weighting=none,inverse,max_ratio,power,effective_number", "dataset=digits_lt", "model=linear"],
        ["model=mlp", "dataset=synthetic", "dataset.labels=sparse,one_hot", "weighting=manual", "weighting.weights={0:1,1:2,2:3,3:4}"],
        ["model=linear", "dataset=synthetic", "dataset.labels=binary", "dataset.class_counts=[90,10]", "dataset.target_prior=training,[0.8,0.2]"],
    ]
    for overrides in sweeps:
        found = train(project, "-m", *overrides, *short)
        assert found.returncode == 0, found.stdout + found.stderr
    assert {run.data.tags["weighting"] for run in store.runs()} == {"none", "balanced", "inverse", "max_ratio", "power", "effective_number", "manual"}
    binary = [run for run in store.runs(dataset="synthetic") if run.data.params["dataset.labels"] == "binary"]
    assert len(binary) == 2
    for run in binary:
        assert 0.5 < run.data.metrics["reference/bayes_balanced_accuracy"] < 1
        assert "test/recall_few" not in run.data.metrics, "two classes have no terciles"


def test_a_job_that_fails_is_logged_and_the_others_go_on(project: Path, store: Store) -> None:
    found = train(project, "-m", "trainer.learning_rate=1e30,0.01", "trainer.optimizer=sgd", "sweep=one_fails", *QUICK)
    assert found.returncode == 1
    runs = store.runs(sweep_id="one_fails")
    assert [run.info.status for run in runs] == ["FAILED", "FINISHED"]
    assert "training loss became" in artifact(project, runs[0], "traceback.txt").read_text()
    assert "error: the training loss became" in found.stderr
    assert "Traceback" not in found.stderr
    assert "Sweep one_fails" in found.stdout, "what is finished is shown all the same"


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupted_run_is_killed_with_what_it_had_logged(project: Path, store: Store, sent: signal.Signals, code: int) -> None:
    process, run = start_endless(project, store, f"interrupted-{sent.name}")
    process.send_signal(sent)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == code, output + errors
    assert "KILLED" in errors
    assert "Traceback" not in errors
    logged = store.client.get_run(run.info.run_id)
    assert logged.info.status == "KILLED"
    assert logged.data.metrics["train/loss"] > 0
    assert "KeyboardInterrupt" in artifact(project, run, "traceback.txt").read_text()


def test_a_run_whose_process_is_gone_is_closed_by_the_next_command(project: Path, store: Store) -> None:
    process, run = start_endless(project, store, "killed")
    process.kill()
    process.communicate()
    assert store.client.get_run(run.info.run_id).info.status == "RUNNING"
    assert train(project, script="doctor.py").returncode == 0
    assert store.client.get_run(run.info.run_id).info.status == "KILLED"


def start_endless(project: Path, store: Store, title: str) -> tuple["subprocess.Popen[str]", Any]:
    """A run that would train for hours, once it has logged an epoch."""
    command = [sys.executable, str(project / "src/train.py"), *QUICK, "trainer.epochs=1000000", f"sweep={title}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(600):
        time.sleep(0.1)
        found = store.runs(sweep_id=title)
        if found and "train/loss" in found[0].data.metrics:
            return process, found[0]
    process.kill()
    raise AssertionError(process.communicate())


def test_two_at_once_on_a_fresh_store(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    command = [sys.executable, str(project / "src/train.py"), "dataset=digits_lt", "model=linear", "trainer.epochs=1"]
    processes = [subprocess.Popen([*command, f"seed={seed}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for seed in (0, 1)]
    outputs = [process.communicate(timeout=200) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    runs = open_store(project).runs()
    assert sorted((run.data.tags["seed"], run.info.status) for run in runs) == [("0", "FINISHED"), ("1", "FINISHED")]
    assert len(list((project / "cache").iterdir())) == 1


@pytest.mark.parametrize(
    "arguments", [["weighting=balnced"], ["trainer.batch_size=-1", "seed=x"], ["-m", "weighting=none,balnced"], ["--cfg", "job", "seed=x"]]
)
def test_a_mistake_exits_2_and_leaves_nothing(arguments: list[str], tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    before = {path for path in project.rglob("*") if "__pycache__" not in path.parts}
    found = train(project, *arguments)
    assert found.returncode == 2
    assert found.stdout == ""
    assert all(line.startswith(("error: ", "  ")) for line in found.stderr.splitlines()), found.stderr
    assert {path for path in project.rglob("*") if "__pycache__" not in path.parts} == before


def test_help_lists_groups_and_options_and_loads_nothing_heavy(project: Path) -> None:
    environment = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    command = [sys.executable, str(project / "src/train.py"), "--help"]
    found = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert "weighting: balanced, effective_number, inverse, manual, max_ratio, none, power" in found.stdout
    assert "python src/train.py weighting=balanced" in found.stdout
    assert "batch_size: 32" in found.stdout
    for heavy in ("tensorflow", "mlflow", "sklearn", "matplotlib"):
        assert f" {heavy}\n" not in found.stderr, heavy


def test_the_composed_config_is_shown_without_a_run(project: Path) -> None:
    found = train(project, "--cfg", "job", "weighting=power")
    assert found.returncode == 0
    assert "alpha: 0.5" in found.stdout
