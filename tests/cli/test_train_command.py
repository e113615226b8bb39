"""`python src/train.py` as a user runs it, and what it leaves in the project's MLflow store."""

import contextlib
import functools
import json
import os
import re
import resource
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as oracle

from equipoise.data.prepare import prepare
from equipoise.methods.weighting import STRATEGIES
from equipoise.runs import resume
from equipoise.tracking.store import Store, open_store
from helpers import by_class, composed, copy_project, imported_modules, jobs, read_back, served, train
from options import needed
from processes import Process, Processes

pytestmark = pytest.mark.slow

QUICK = ["dataset=digits_lt", "model=mlp", "trainer.epochs=3", "trainer.threads=1"]
SWEEP = ["loss=class_weight,sample_weight,custom", "-m", "weighting=balanced", *QUICK]
COUNTS = [104, 74, 53, 38, 27, 19, 14, 10, 7, 5]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of this file's own: it counts the runs of its store."""
    return copy_project(tmp_path_factory.mktemp("it's a project"))


@pytest.fixture(scope="module")
def sweep(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The three implementations as one sweep on a fresh store, started from an unrelated working directory."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    found = train(project, *SWEEP, cwd=elsewhere, cold=True)  # with all that the libraries say at their import
    assert found.returncode == 0, found.stdout + found.stderr
    assert list(elsewhere.iterdir()) == [], "nothing lands in the working directory"
    return found


@pytest.fixture(scope="module")
def store(project: Path, sweep: Any) -> Store:
    return open_store(project)


@pytest.fixture(scope="module")
def runs(store: Store, sweep: Any) -> list[Any]:
    """The runs of the sweep, oldest first."""
    (sweep_id,) = re.findall(r"^Sweep (\w+)$", sweep.stdout, re.MULTILINE)
    found = [run for run in store.runs(sweep_id=sweep_id) if "implementation" in run.data.tags]
    return sorted(found, key=lambda run: int(run.info.start_time))


def artifact(project: Path, run: Any, path: str) -> Path:
    return project / "mlruns" / "digits_lt" / str(run.info.run_id) / "artifacts" / path


def test_three_implementations_one_digest(sweep: Any, runs: list[Any]) -> None:
    assert [run.data.tags["implementation"] for run in runs] == ["class_weight", "sample_weight", "custom"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert [run.data.tags["engine"] for run in runs] == ["fit", "resident", "resident"]
    fit = (
        "note: trainer.engine=auto takes fit: loss.implementation=class_weight is Keras's own; "
        "trainer.engine=resident takes less time"
    )
    resident = "note: trainer.engine=auto takes resident: 351 samples fit in memory; the bits are those of fit"
    assert [line for line in sweep.stdout.splitlines() if line.startswith("note: ")] == [fit, resident], (
        "once, and not once a job"
    )
    (digest,) = {run.data.tags["weights_sha256"] for run in runs}
    assert len({run.data.tags["sweep_id"] for run in runs}) == 1
    assert len({run.data.tags["config_sha256"] for run in runs}) == 3
    table = sweep.stdout[sweep.stdout.rindex("\nSweep ") :]
    assert len(digest) == 64
    name = " ".join(
        re.split(" {2,}", line.strip())[0] for line in table.splitlines()
    )  # of the table's first column, which may be wrapped
    (labels,) = set(re.findall(r"(\w+ = \w+ = \w+) \(bitwise identical\)", name))
    assert set(labels.split(" = ")) == {"class_weight", "sample_weight", "custom"}


def test_the_terminal_shows_nothing_but_our_own_words(sweep: Any) -> None:
    ours = ("warning: never predicted: class", "warning: rough 95 % intervals")
    assert all(line.startswith(ours) for line in sweep.stderr.splitlines()), sweep.stderr
    for noise in ("oneDNN", "cuda", "absl", "WARNING", "alembic", "ms/step"):
        assert noise not in sweep.stdout


def test_a_run_leaves_all_its_tags_metrics_and_files(project: Path, runs: list[Any]) -> None:
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
    whole = "accuracy balanced_accuracy macro_f1 weighted_f1 g_mean mcc cohen_kappa log_loss brier ece ece_classwise"
    whole += " log_loss_corrected ece_corrected macro_average_precision macro_auroc"
    whole += " recall_many recall_medium recall_few worst_class_recall"
    expected = {f"test/{name}" for name in whole.split()}
    intervals = "balanced_accuracy macro_f1 mcc worst_class_recall log_loss"
    expected |= {f"test/{name}_{end}" for name in intervals.split() for end in ("low", "high")} | {
        "test/prediction_shift",
        "learning_rate_factor",
    }
    of_each = "test/recall test/precision test/f1 test/average_precision weight"
    expected |= {f"{name}/{index}" for name in of_each.split() for index in range(10)}
    expected |= {
        "train/loss",
        *(f"val/{name}" for name in ("loss", "log_loss", "accuracy", "balanced_accuracy", "macro_f1")),
    }
    rules, of_rules = ("logit_adjusted", "tuned"), ("balanced_accuracy", "macro_f1")
    expected |= {f"decision/{rule}/{name}" for rule in rules for name in of_rules}
    profiles = "recall precision f1 auroc predicted_share weight weight_share gradient_share loss_share"
    expected |= {f"profile/{name}" for name in profiles.split()} | {"weight_sample_mean", "effective_sample_size"}
    expected |= {"samples/train", "samples/validation", "samples/test"}
    assert set(metrics) == expected
    assert len(metrics) < 110, "of ten classes"
    every = {
        f"{split}decision/{rule}/{name}"
        for split in ("", "val/")
        for rule in ("argmax", *rules)
        for name in (*of_rules, "accuracy", "mcc", "worst_class_recall")
    }
    assert {key for key in read_back(run) if "decision/" in key} == every
    assert all(read_back(run)[key] == metrics[key] for key in every & set(metrics))
    assert json.loads(tags["class_counts"]) == {f"{index}": count for index, count in enumerate(COUNTS)}
    columns = "recall precision f1 average_precision auroc predicted_share prevalence recall_low recall_high"
    columns += (
        " weight_share loss_share_start gradient_share_start loss_share gradient_share effective_prior count weight"
        " calibration_intercept"
    )
    assert sorted(by_class(artifact(project, run, ""))) == sorted(columns.split())
    ends = json.loads(artifact(project, run, "evaluation/intervals.json").read_text())
    assert set(ends["test"]) > {"accuracy", "brier", "macro_auroc", "recall_few"}
    assert ends["test"]["mcc"]["low"] == metrics["test/mcc_low"]
    assert ends["val"]["macro_f1"]["low"] < metrics["val/macro_f1"] < ends["val"]["macro_f1"]["high"]
    files = "config/config.yaml config/overrides.yaml config/hydra.yaml weights.json data.json plain_keras.py"
    of_evaluation = "predictions.parquet per_class.json classes.json confusion_matrix.png training_curves.png"
    of_evaluation += " pr_curves.png reliability.png what_the_weights_did.png report.html calibration.json"
    for file in (*files.split(), *(f"evaluation/{name}" for name in of_evaluation.split())):
        assert artifact(project, run, file).stat().st_size > 0, file


def test_the_weights_are_those_of_the_counts(project: Path, runs: list[Any]) -> None:
    table = json.loads(artifact(project, runs[0], "weights.json").read_text())
    assert [row["count"] for row in table.values()] == COUNTS
    assert [row["weight"] for row in table.values()] == [sum(COUNTS) / (10 * count) for count in COUNTS]
    metrics, found = runs[0].data.metrics, by_class(artifact(project, runs[0], ""))
    assert found["count"].tolist() == COUNTS
    assert found["weight_share"].tolist() == pytest.approx([0.1] * 10)
    assert metrics["weight_sample_mean"] == pytest.approx(1)
    assert [metrics[f"samples/{split}"] for split in ("train", "validation", "test")] == [sum(COUNTS), 200, 500]
    for share in ("gradient_share", "loss_share"):
        start, end = (found[f"{share}{when}"].tolist() for when in ("_start", ""))
        assert sum(start) == pytest.approx(1)
        assert sum(end) == pytest.approx(1)
        assert start != pytest.approx(end, abs=1e-3), "training has changed it"
    # Before training every class's loss is near log 10, so its share of the loss is near its share of the weight.
    assert found["loss_share_start"].tolist() == pytest.approx([0.1] * 10, abs=0.05)


def test_metrics_follow_from_the_stored_predictions(project: Path, runs: list[Any]) -> None:
    predictions = pd.read_parquet(artifact(project, runs[0], "evaluation/predictions.parquet"))
    assert len(predictions) == 500
    metrics = runs[0].data.metrics
    truth, predicted = predictions["label"], predictions["predicted"]
    probabilities = predictions[[f"p({index})" for index in range(10)]].to_numpy()
    assert (np.array(list("0123456789"))[probabilities.argmax(axis=1)] == predicted).all()
    assert metrics["test/balanced_accuracy"] == pytest.approx(
        oracle.balanced_accuracy_score(truth, predicted), abs=1e-12
    )
    assert metrics["test/macro_f1"] == pytest.approx(oracle.f1_score(truth, predicted, average="macro"), abs=1e-12)
    assert metrics["test/log_loss"] == pytest.approx(oracle.log_loss(truth, probabilities), rel=1e-9)
    # The probabilities moved from the prior that the weights made, which is uniform, to the uniform target: no change.
    assert metrics["test/log_loss_corrected"] == pytest.approx(metrics["test/log_loss"], rel=1e-9)
    per_class = json.loads(artifact(project, runs[0], "evaluation/per_class.json").read_text())
    assert per_class["columns"][:3] == ["class", "recall", "precision"]
    assert [row[1] for row in per_class["data"]] == pytest.approx(
        oracle.recall_score(truth, predicted, average=None).tolist()
    )


def test_profiles_run_from_head_to_tail(store: Store, runs: list[Any]) -> None:
    profile = {
        point.step: point.value for point in store.client.get_metric_history(runs[0].info.run_id, "profile/recall")
    }
    assert [profile[rank] for rank in range(10)] == [
        runs[0].data.metrics[f"test/recall/{index}"] for index in range(10)
    ]
    shares = store.client.get_metric_history(runs[0].info.run_id, "profile/loss_share")
    assert sum(point.value for point in shares) == pytest.approx(1)
    epochs = store.client.get_metric_history(runs[0].info.run_id, "val/log_loss")
    assert [point.step for point in epochs] == [0, 1, 2]


def test_the_same_sweep_again_repeats_nothing(project: Path, store: Store, runs: list[Any]) -> None:
    before = len(store.runs())
    again = train(project, *SWEEP)
    assert again.returncode == 0
    assert again.stdout.count("is finished in this sweep already") == 3
    assert len(store.runs()) == before


def test_one_run_prints_its_classes_and_how_to_open_it(project: Path, store: Store, runs: list[Any]) -> None:
    found = train(project, "weighting=balanced", "trainer.profile=true", *QUICK, cwd=project / "conf", cold=True)
    assert found.returncode == 0, found.stderr
    run = store.runs(weighting="balanced", loss="class_weight")[-1]
    assert run.data.tags["weights_sha256"] == runs[0].data.tags["weights_sha256"], (
        "the same config gives the same bits, alone or in a sweep"
    )
    assert "sweep_id" not in run.data.tags
    for heading in (
        "class",
        "weight",
        "precision",
        "recall",
        "F1",
        "AP",
        "balanced_accuracy",
        "log_loss",
        "argmax (configured)",
        "logit_adjusted",
        "tuned",
    ):
        assert heading in found.stdout
    command = shlex.split(found.stdout.splitlines()[-1])
    assert command == ["make", "-C", str(project), "ui", f"RUN={run.info.experiment_id}/{run.info.run_id}"]
    times = json.loads(artifact(project, run, "timing.json").read_text())
    assert times == {
        key.removeprefix("time/"): value for key, value in run.data.metrics.items() if key.startswith("time/")
    }
    total = times.pop("total")
    assert sum(times.values()) == pytest.approx(total)
    assert list(times) == ["startup", "import", "prepare", "trace", "train", "evaluate", "pictures", "log", "rest"]
    assert times["import"] > times["prepare"] > 0, "TensorFlow is imported, and the data are prepared already"
    assert min(times.values()) >= 0
    assert f"total {total:.2f} 100%" in " ".join(found.stdout.split())


def test_the_best_on_the_data_that_were_trained_on_last_is_served(
    project: Path, store: Store, runs: list[Any], tmp_path: Path
) -> None:
    """What is no table goes in as the raw numbers of a sample in their order."""
    found = train(project, script="register.py")
    assert found.returncode == 0, found.stderr
    best = store.client.get_model_version_by_alias("digits_lt", "champion").run_id
    assert f"digits_lt, version 1: run {best} is models:/digits_lt@champion" in found.stdout
    assert "mean val/balanced_accuracy" in found.stdout
    samples = (
        prepare(composed("dataset=digits_lt").dataset, project / "cache").split("test").features[:20].reshape(20, 64)
        * 16
    )  # as scikit-learn has them
    pd.DataFrame(samples).to_csv(tmp_path / "digits.csv", index=False)
    here = served(project, "digits_lt", tmp_path / "digits.csv")
    expected = pd.read_parquet(project / "mlruns" / "digits_lt" / best / "artifacts/evaluation/predictions.parquet")[
        :20
    ]
    assert here["predicted"].astype(str).tolist() == expected["predicted"].tolist()
    columns = [f"p({index})" for index in range(10)]
    np.testing.assert_allclose(here[columns], expected[columns], atol=1e-6)


def test_every_option_trains(project: Path, store: Store) -> None:
    """Each shipped weighting, model and dataset that no other test runs, and the other label forms."""
    short = ["trainer.epochs=1", "trainer.threads=1"]
    untyped = [name for name in STRATEGIES if not needed(f"weighting={name}")]
    sweeps = [
        [
            f"weighting={','.join(untyped)}",
            "dataset=digits_lt",
            "model=linear",
        ],
        [
            "model=mlp",
            "dataset=synthetic",
            "dataset.labels=sparse,one_hot",
            "weighting=manual",
            "weighting.weights={0:1,1:2,2:3,3:4}",
        ],
        [
            "model=linear",
            "dataset=synthetic",
            "dataset.labels=binary",
            "dataset.class_counts=[90,10]",
            "dataset.target_prior=training,[0.8,0.2]",
        ],
    ]
    for overrides in sweeps:
        found = train(project, "-m", *overrides, *short)
        assert found.returncode == 0, found.stdout + found.stderr
    assert {run.data.tags["weighting"] for run in jobs(store)} == set(STRATEGIES)
    binary = [run for run in store.runs(dataset="synthetic") if run.data.params["dataset.labels"] == "binary"]
    assert len(binary) == 2
    by_prior = {run.data.params["dataset.target_prior"]: run for run in binary}
    moved = by_prior["[0.8, 0.2]"]
    predictions = pd.read_parquet(
        project / "mlruns" / "synthetic" / moved.info.run_id / "artifacts/evaluation/predictions.parquet"
    )
    probabilities = predictions[["p(0)", "p(1)"]].to_numpy() * np.array([0.8, 0.2]) / np.array([0.9, 0.1])
    expected = oracle.log_loss(predictions["label"], probabilities / probabilities.sum(axis=1, keepdims=True))
    assert moved.data.metrics["test/log_loss_corrected"] == pytest.approx(expected, rel=1e-9)
    assert moved.data.metrics["test/log_loss_corrected"] != pytest.approx(moved.data.metrics["test/log_loss"], rel=1e-6)
    for run in binary:
        assert 0.5 < run.data.metrics["reference/bayes_balanced_accuracy"] < 1
        assert "test/recall_few" not in run.data.metrics, "two classes have no terciles"


def test_the_users_own_table(project: Path, store: Store, tmp_path: Path) -> None:
    """Named by path, with class names that MLflow refuses in keys; then the same table with a mistake in it."""
    generator = np.random.default_rng(0)
    labels = np.repeat(["größe (L)", "größe [L]", "a/b"], [120, 60, 20])
    frame = pd.DataFrame(
        {"x": generator.normal(size=200) + (labels == "a/b"), "z": generator.choice(["u", "v"], 200), "class": labels}
    )
    frame.to_csv(tmp_path / "my table.csv", index=False)
    command = ["dataset=csv", "dataset.path='my table.csv'", "dataset.target=class", "model=linear", "trainer.epochs=2"]
    found = train(
        project,
        *command,
        "weighting=balanced",
        "dataset.sampling=square_root",
        "trainer.strategy=mirrored",
        "trainer.gpu_memory=99",
        cwd=tmp_path,
    )
    assert found.returncode == 0, found.stderr
    assert "größe [L]" in found.stdout
    assert "dataset.sampling=square_root and weighting=balanced correct the imbalance twice" in found.stderr
    assert "warning: trainer.strategy=mirrored has one replica here" in found.stderr
    assert "warning: trainer.gpu_memory=99 has no effect" in found.stderr
    (run,) = store.runs(dataset="csv")
    assert store.client.get_experiment(run.info.experiment_id).name == "csv-my_table"
    metrics = run.data.metrics
    assert json.loads(run.data.tags["class_counts"]) == {"größe _L_": 84, "größe _L__2": 42, "a_b": 14}
    assert [metrics[f"weight/{key}"] for key in ("größe _L_", "größe _L__2", "a_b")] == [
        140 / (3 * 84),
        140 / (3 * 42),
        140 / (3 * 14),
    ]
    table = by_class(project / "mlruns/csv-my_table" / run.info.run_id / "artifacts")
    assert table["effective_weight"]["a/b"] == pytest.approx(140 / (3 * 14) * table["sampling_ratio"]["a/b"])
    assert run.inputs.dataset_inputs[0].dataset.digest == run.data.tags["data_sha256"][:32]
    classes = json.loads(
        (project / "mlruns/csv-my_table" / run.info.run_id / "artifacts/evaluation/classes.json").read_text()
    )
    assert classes == {"a/b": "a_b", "größe (L)": "größe _L_", "größe [L]": "größe _L__2"}

    # Another file, judged by the same model with the encoders of its training rows.
    other = frame.sample(80, random_state=1).reset_index(drop=True)
    other.to_csv(tmp_path / "other.csv", index=False)
    again = train(project, f"run={run.info.run_id}", f"dataset.test_path='{tmp_path}/other.csv'", script="evaluate.py")
    assert again.returncode == 0, again.stderr + "; the table was named relative to another folder"
    assert "test samples are among those that the model was trained on" in again.stderr
    (judged,) = store.runs(kind="evaluation", evaluated_run=str(run.info.run_id))
    predictions = pd.read_parquet(
        project / "mlruns/csv-my_table" / judged.info.run_id / "artifacts/evaluation/predictions.parquet"
    )
    assert predictions["label"].tolist() == other["class"].tolist()
    first = pd.read_parquet(
        project / "mlruns/csv-my_table" / run.info.run_id / "artifacts/evaluation/predictions.parquet"
    )
    probabilities = [set(map(tuple, frame.filter(like="p(").round(5).to_numpy())) for frame in (first, predictions)]
    both = probabilities[0] & probabilities[1]
    assert both, "samples that stand in both files get the same probabilities"

    other.drop(columns="class").to_csv(tmp_path / "unlabelled.csv", index=False)
    new = train(
        project, f"run={run.info.run_id}", "dataset.test_path=unlabelled.csv", script="evaluate.py", cwd=tmp_path
    )
    assert (new.returncode, new.stdout, new.stderr.count("\n")) == (2, "", 1)
    assert (
        f"to predict them, python src/register.py run={run.info.run_id} and then the command that it prints"
        in new.stderr
    )

    before = sorted(path.name for path in (*(project / "cache").iterdir(), *(project / "outputs").rglob("*")))
    frame.assign(x=np.inf).to_csv(tmp_path / "my table.csv", index=False)
    wrong = train(project, *command, cwd=tmp_path)
    assert wrong.returncode == 2
    assert "one run of 2 epochs on csv-my_table" in wrong.stdout.splitlines()[0], "said before the table is read"
    assert wrong.stdout.count("\n") == 2
    assert wrong.stderr == (
        "error: column 'x' holds an infinite number: replace or remove it, "
        'or read it as missing with \'dataset.missing=["inf","-inf"]\'\n'
    )
    assert sorted(path.name for path in (*(project / "cache").iterdir(), *(project / "outputs").rglob("*"))) == before
    assert len(store.runs(dataset="csv")) == 2, "the one that trained, and the one that judged again"


def test_methods_and_their_evidence(project: Path, store: Store) -> None:
    """Losses, schedules, decision rules, costs and second stages log more than the metrics of every run."""
    short = ["dataset=digits_lt", "model=mlp", "trainer.epochs=2", "trainer.threads=1"]
    series = ["dataset=synthetic", "dataset.form=series", "dataset.class_counts=[90,10]", "dataset.labels=binary"]
    sweeps = [
        ["loss=balanced_softmax,logit_adjusted,vs,poly,label_smoothing,focal,ldam", "sweep=methods_losses"],
        ["loss=class_weight,cost_matrix", "decision=argmax,tuned,cost", "cost={1:{7:5}}", "sweep=methods_costs"],
        [
            "trainer.second_stage=crt,tau_norm",
            "weighting=balanced",
            "weighting.schedule=deferred",
            "weighting.start=0.5",
            "sweep=methods_stages",
        ],
        [
            "model=conv1d,linear",
            "loss=sigmoid",
            "loss.pos_weight=auto",
            "weighting=balanced",
            *series,
            "sweep=methods_binary",
        ],
    ]
    for overrides in sweeps:
        found = train(project, "-m", *short, *overrides)
        assert found.returncode == 0, found.stdout + found.stderr
    losses = {run.data.tags["loss"]: read_back(run) for run in jobs(store, sweep_id="methods_losses")}
    tables = {
        run.data.tags["loss"]: by_class(artifact(project, run, "")) for run in jobs(store, sweep_id="methods_losses")
    }
    for name in ("balanced_softmax", "logit_adjusted"):
        assert tables[name]["effective_prior"].tolist() == pytest.approx([0.1] * 10)
        assert losses[name]["decision/logit_adjusted/accuracy"] == losses[name]["decision/argmax/accuracy"]
        correction = tables[name]["correction"]
        assert correction["9"] / correction["0"] == pytest.approx(COUNTS[0] / COUNTS[-1])
    for name in ("vs", "poly", "label_smoothing", "focal", "ldam"):
        assert "effective_prior" not in tables[name]
        assert "decision/logit_adjusted/accuracy" not in losses[name]
    for run in jobs(store, sweep_id="methods_costs"):
        metrics, rule = read_back(run), run.data.tags["decision"]
        for metric in ("accuracy", "macro_f1", "expected_cost"):
            assert metrics[f"test/{metric}"] == metrics[f"decision/{rule}/{metric}"]
        assert ("decision/logit_adjusted/mcc" in metrics) == (run.data.tags["loss"] == "class_weight")
    stages = {run.data.params["trainer.second_stage"]: run for run in jobs(store, sweep_id="methods_stages")}
    for name, run in stages.items():
        history = store.client.get_metric_history(run.info.run_id, "weight_schedule")
        assert [point.value for point in history] == [0, 1]
        points = store.client.get_metric_history(run.info.run_id, "second_stage/val/balanced_accuracy")
        assert points[0].value == run.data.metrics["val/balanced_accuracy"], (
            "before the second stage, as after the last epoch"
        )
        assert (f"second_stage/{'train/loss' if name == 'crt' else 'tau'}") in run.data.metrics
    assert stages["crt"].data.tags["weights_sha256"] != stages["tau_norm"].data.tags["weights_sha256"]
    assert "weighting=balanced and loss=sigmoid both correct the class balance: together by up to 81" in found.stderr
    assert "error" not in found.stderr


def test_several_labels_a_sample(project: Path, store: Store, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(300, 2))
    rain = (x[:, 0] + generator.normal(size=300) > 1.5).astype(int)
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "rain": rain, "wind": (x[:, 1] > -0.5).astype(int)})
    frame.to_csv(tmp_path / "weather.csv", index=False)
    command = [
        "dataset=multilabel",
        f"dataset.path='{tmp_path}/weather.csv'",
        "dataset.targets=[rain,wind]",
        "model=linear",
        "loss=sigmoid",
    ]
    found = train(project, "-m", *command, "weighting=none,balanced", "trainer.epochs=20", "trainer.learning_rate=0.02")
    assert found.returncode == 0, found.stdout + found.stderr
    runs = {run.data.tags["weighting"]: run for run in store.runs(dataset="multilabel")}
    for run in runs.values():
        predictions = pd.read_parquet(
            project / "mlruns/multilabel-weather" / run.info.run_id / "artifacts/evaluation/predictions.parquet"
        )
        truth, predicted = (
            predictions[["label(rain)", "label(wind)"]],
            predictions[["predicted(rain)", "predicted(wind)"]],
        )
        assert run.data.metrics["test/macro_f1"] == pytest.approx(oracle.f1_score(truth, predicted, average="macro"))
        assert run.data.metrics["test/hamming_loss"] == pytest.approx(oracle.hamming_loss(truth, predicted))
        assert "decision/tuned/macro_f1" in run.data.metrics
    weights = [runs["balanced"].data.metrics[f"weight/{name}"] for name in ("rain", "wind")]
    found_counts = json.loads(runs["balanced"].data.tags["class_counts"])
    counts = [found_counts[name] for name in ("rain", "wind")]
    assert weights == pytest.approx([(210 - count) / count for count in counts])
    assert runs["balanced"].data.metrics["test/recall/rain"] > runs["none"].data.metrics["test/recall/rain"]
    assert "balanced" in found.stdout[found.stdout.index("Sweep") :]
    again = train(
        project, f"run={runs['none'].info.run_id}", "decision=tuned", "decision.metric=macro_f1", script="evaluate.py"
    )
    assert again.returncode == 0, again.stderr
    (judged,) = store.runs(kind="evaluation", evaluated_run=str(runs["none"].info.run_id))
    assert judged.data.metrics["test/macro_f1"] == read_back(judged)["decision/tuned/macro_f1"]
    assert train(project, f"run={runs['none'].info.run_id}", "name=weather", script="register.py").returncode == 0
    here = served(project, "weather", tmp_path / "weather.csv")
    predictions = pd.read_parquet(
        project / "mlruns/multilabel-weather" / runs["none"].info.run_id / "artifacts/evaluation/predictions.parquet"
    )
    columns = ["p(rain)", "p(wind)"]
    distances = np.abs(predictions[columns].to_numpy()[:, None] - here[columns].to_numpy()[None]).max(axis=2)
    assert distances.min(axis=1).max() < 1e-6
    assert (
        predictions[["predicted(rain)", "predicted(wind)"]].to_numpy() == (predictions[columns] > 0.5).to_numpy()
    ).all()
    assert (here[["predicted(rain)", "predicted(wind)"]].to_numpy() == (here[columns] > 0.5).to_numpy()).all()


def test_a_job_that_fails_is_logged_and_the_others_go_on(project: Path, store: Store) -> None:
    found = train(project, "-m", "trainer.learning_rate=1e9,0.01", "trainer.optimizer=sgd", "sweep=one_fails", *QUICK)
    assert found.returncode == 1
    runs = jobs(store, sweep_id="one_fails")
    assert [run.info.status for run in runs] == ["FAILED", "FINISHED"]
    assert "training diverged" in artifact(project, runs[0], "traceback.txt").read_text()
    assert "error: training diverged" in found.stderr
    assert "1 of 2 jobs did not finish" in found.stderr
    assert "trainer.learning_rate=1000000000.0" in found.stderr
    assert "Traceback" not in found.stderr
    assert "Sweep one_fails" in found.stdout, "what is finished is shown all the same"


def test_a_late_refusal_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    """By what is known only within a job: of Hydra's lines, and of its folder, nothing."""
    project = copy_project(tmp_path)
    store = open_store(project)
    store.client.delete_experiment(store.experiment("gone"))
    before = set(project.rglob("outputs/*/*"))
    for words in ((), ("-m", "seed=0,1")):
        found = train(project, *words, "dataset.title=gone", *QUICK)
        assert found.returncode == 2, found.stderr
        (said,) = found.stderr.splitlines()
        assert re.match(
            r"error: the MLflow experiment 'gone' was deleted: .*mlflow experiments restore --experiment-id \d+, "
            r"or set dataset.title$",
            said,
        )
        assert set(project.rglob("outputs/*/*")) == before
    found = train(project, "hydra.run.dir=/proc/none", *QUICK)
    assert (found.returncode, found.stderr) == (1, "error: [Errno 2] No such file or directory: '/proc/none'\n")


def test_mlflow_s_own_variables_are_heeded_or_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = copy_project(tmp_path)
    for key, value in {
        "EXPERIMENT_NAME": "Our digits",
        "RUN_NAME": "Tuesday",
        "TRACKING_URI": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(f"MLFLOW_{key}", value)
    sweep = train(project, "-m", "seed=0,1", *QUICK)
    judged = train(project, "run=latest", "decision=logit_adjusted", script="evaluate.py")
    compared = train(project, script="compare.py")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "../elsewhere")
    outside = train(project, *QUICK)
    for found in (sweep, judged, compared):
        assert found.returncode == 0, found.stderr
        assert found.stderr.count("MLFLOW_TRACKING_URI is not heeded: tracking=local keeps runs in sqlite:///") == 1
        assert "MLFLOW_EXPERIMENT_NAME is ignored" not in found.stderr
    assert outside.returncode == 2
    assert outside.stderr.startswith("error: MLFLOW_EXPERIMENT_NAME='../elsewhere': it becomes a folder's name")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    store = open_store(project)
    names = {run.info.run_name for run in store.search("attributes.status = 'FINISHED'")}
    assert {"Tuesday · none · seed 0", "Tuesday · none · seed 1", "Tuesday · judged again"} < names
    assert {experiment.name for experiment in store.client.search_experiments()} == {"Default", "Our digits"}
    assert not (tmp_path.parent / "elsewhere").exists()


def test_a_file_or_a_memory_that_may_not_grow_is_told_in_a_line(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    command = [sys.executable, str(project / "src" / "train.py"), *QUICK]
    for limit, most, said in (
        (resource.RLIMIT_FSIZE, 200 << 10, "File too large"),
        (resource.RLIMIT_AS, 1 << 30, "failed to map segment"),
    ):
        limited = functools.partial(resource.setrlimit, limit, (most, most))
        found = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=300, preexec_fn=limited)
        assert found.returncode == 1
        assert "Traceback" not in found.stderr
        assert re.search(f"^error: .*{said}.*; the same command goes on where this one stopped$", found.stderr, re.M), (
            found.stderr
        )


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_an_interrupted_run_is_killed_with_what_it_had_logged(
    project: Path, store: Store, processes: Processes, sent: signal.Signals, code: int
) -> None:
    process, run = start_endless(processes, project, store, f"interrupted-{sent.name}")
    process.send_signal(sent)
    output, errors = processes.said(process)
    assert process.returncode == code, output + errors
    assert "KILLED" in errors
    assert "Traceback" not in errors
    logged = store.client.get_run(run.info.run_id)
    assert logged.info.status == "KILLED"
    assert logged.data.metrics["train/loss"] > 0
    assert "KeyboardInterrupt" in artifact(project, run, "traceback.txt").read_text()


def test_an_interruption_before_a_run_has_begun_is_a_line(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    (project / "plugins").mkdir()
    (project / "plugins" / "mine.py").write_text(
        "import signal\nimport equipoise\n\n\n@equipoise.dataset\ndef slow():\n    signal.raise_signal(signal.SIGINT)\n"
    )
    found = train(project, "dataset=slow")
    assert (found.returncode, found.stdout, found.stderr) == (130, "", "interrupted: nothing had begun\n")
    assert not (project / "outputs").exists()


def test_a_run_whose_process_is_gone_is_closed_by_the_next_command(
    project: Path, store: Store, processes: Processes
) -> None:
    process, run = start_endless(processes, project, store, "killed")
    process.kill()
    process.communicate()
    assert store.client.get_run(run.info.run_id).info.status == "RUNNING"
    assert train(project, script="doctor.py").returncode == 0
    assert store.client.get_run(run.info.run_id).info.status == "KILLED"


def test_a_run_that_is_killed_twice_is_finished_by_the_same_command(
    project: Path, store: Store, runs: list[Any], processes: Processes
) -> None:
    """In training and in evaluation: with the bits and the points of the run of a sweep that nobody has disturbed."""
    command = [*QUICK, "loss=class_weight", "weighting=balanced"]
    undisturbed, outputs = runs[0], project / "outputs"
    before = set(outputs.rglob("*.npz"))
    alike = {run.info.run_id for run in store.runs(config_sha256=undisturbed.data.tags["config_sha256"])}
    kill_once(processes, lambda: bool(set(outputs.rglob("*.npz")) - before), project, *command)
    (begun,) = (
        run for run in store.runs(config_sha256=undisturbed.data.tags["config_sha256"]) if run.info.run_id not in alike
    )
    folder, folders = Path(begun.data.tags["folder"]), set(outputs.rglob(".hydra"))
    assert begun.info.status == "RUNNING"
    assert not (folder / "evaluation").exists()
    kill_once(processes, lambda: any(folder.glob("images/*.webp")), project, *command)
    found = train(project, *command)
    assert found.returncode == 0, found.stderr
    assert f"Going on after epoch 3 of 3 of run {begun.info.run_id}" in found.stdout
    assert set(outputs.rglob(".hydra")) == folders, "and leaves no folder beside"
    run = store.client.get_run(begun.info.run_id)
    assert run.info.status == "FINISHED"
    assert not store.search("attributes.status = 'RUNNING'")
    assert run.data.tags["weights_sha256"] == undisturbed.data.tags["weights_sha256"]
    assert points_of(project, run) == points_of(project, undisturbed)
    assert len(store.client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")) == 1
    assert len(run.outputs.model_outputs) == 1
    assert len(store.client.list_artifacts(run.info.run_id, "images")) == 2, "one image, large and small"
    assert not list(folder.glob("checkpoints"))
    again = composed(*command)
    assert resume.interrupted(store, again, run.data.tags["data_sha256"]) is None, (
        "a finished run is run again as a new one"
    )


def kill_once(processes: Processes, met: Callable[[], bool], project: Path, *command: str) -> None:
    """Start a run, and end it by SIGKILL once the condition is met."""
    process = processes.start([sys.executable, str(project / "src/train.py"), *command])
    processes.until(met, process)
    process.kill()
    _, errors = processes.said(process)
    assert process.returncode == -signal.SIGKILL, errors


def points_of(project: Path, run: Any) -> list[tuple[str, int, float]]:
    """Every row that the store has of a run's metrics, time stamps apart."""
    with contextlib.closing(sqlite3.connect(project / "mlflow.db")) as connection:
        return connection.execute(
            "SELECT key, step, value FROM metrics WHERE run_uuid = ? ORDER BY key, step, value", [run.info.run_id]
        ).fetchall()


def start_endless(processes: Processes, project: Path, store: Store, title: str) -> tuple[Process, Any]:
    """A run that would train for hours, once it has logged an epoch."""
    command = [sys.executable, str(project / "src/train.py"), *QUICK, "trainer.epochs=1000000", f"sweep={title}"]
    process = processes.start(command)
    (run,) = processes.until(
        lambda: [run for run in jobs(store, sweep_id=title) if "train/loss" in run.data.metrics], process
    )
    return process, run


def test_two_at_once_on_a_fresh_store(tmp_path: Path, processes: Processes) -> None:
    project = copy_project(tmp_path)
    command = [sys.executable, str(project / "src/train.py"), "dataset=digits_lt", "model=linear", "trainer.epochs=1"]
    begun = [processes.start([*command, f"seed={seed}"]) for seed in (0, 1)]
    outputs = [processes.said(process) for process in begun]
    assert [process.returncode for process in begun] == [0, 0], outputs
    runs = open_store(project).runs()
    assert sorted((run.data.tags["seed"], run.info.status) for run in runs) == [("0", "FINISHED"), ("1", "FINISHED")]
    assert len(list((project / "cache").glob("digits_lt-*"))) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["weighting=balnced"],
        ["trainer.batch_size=-1", "seed=x"],
        ["-m", "weighting=none,balnced"],
        ["--cfg", "job", "seed=x"],
    ],
)
def test_a_mistake_exits_2_and_leaves_nothing(arguments: list[str], tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    before = {path for path in project.rglob("*") if "__pycache__" not in path.parts}
    found = train(project, *arguments)
    assert found.returncode == 2
    assert found.stdout == ""
    assert found.stderr.startswith("error: ")
    assert all(line.startswith(("error: ", "  ")) for line in found.stderr.splitlines()), found.stderr
    assert {path for path in project.rglob("*") if "__pycache__" not in path.parts} == before


def test_help_lists_groups_and_options_and_loads_nothing_heavy(project: Path) -> None:
    environment = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    command = [sys.executable, str(project / "src/train.py"), "--help"]
    found = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert (
        "weighting: balanced, effective_number, inverse, log_damped, log_smoothed, manual, max_ratio, "
        "median_frequency, none, power" in found.stdout
    )
    assert "python src/train.py weighting=balanced" in found.stdout
    assert "batch_size: 32" in found.stdout
    assert not imported_modules(found.stderr) & {"tensorflow", "mlflow", "sklearn", "matplotlib"}


@pytest.mark.parametrize("words", [["--cfg", "job", "weighting=power"], ["weighting=power", "--cfg", "job", "seed=3"]])
def test_the_composed_config_is_shown_without_a_run(words: list[str], project: Path) -> None:
    found = train(project, *words)
    assert found.returncode == 0, found.stderr
    assert "alpha: 0.5" in found.stdout
