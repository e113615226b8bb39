"""Runs and sweeps from a script: those of the command, with the same ids, and what they leave as they found it."""

import os
import signal
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

import equipoise as eq
from equipoise.config.naming import VARIED
from equipoise.core.paths import ROOT
from equipoise.sweeps import planning
from equipoise.tracking.store import open_store
from pages import check_self_contained

pytestmark = [pytest.mark.usefixtures("tensorflow"), pytest.mark.slow]

QUICK = ["trainer.epochs=2", "trainer.threads=1", "trainer.device=cpu", "evaluation.resamples=50"]
DATA = ["dataset=synthetic", "dataset.class_counts=[60,25,8]", "model=linear", *QUICK]
SWEEP = ["weighting=none,balanced", "seed=0,1", *DATA]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, tensorflow: object) -> Path:
    return tmp_path_factory.mktemp("root")


@pytest.fixture(autouse=True)
def _in_the_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ROOT, str(root))


def test_a_run_is_what_the_command_logs(root: Path) -> None:
    before = {key: value for key, value in os.environ.items() if key.startswith("MLFLOW")}
    handlers, tracked = signal.getsignal(signal.SIGTERM), mlflow.get_tracking_uri()
    run = eq.run("weighting=balanced", "loss=custom", *DATA)
    assert signal.getsignal(signal.SIGTERM) is handlers
    assert mlflow.get_tracking_uri() == tracked
    assert {key: value for key, value in os.environ.items() if key.startswith("MLFLOW")} == before
    assert run.model.output_shape == (None, 3)
    assert mlflow.get_tracking_uri() == tracked
    logged = open_store(root).client.get_run(run.id)
    assert logged.info.status == "FINISHED"
    assert {f"test/{name}": value for name, value in run.metrics.items()}.items() <= logged.data.metrics.items()
    assert logged.data.params["weighting.name"] == "balanced"
    assert logged.data.tags["mlflow.source.name"] == "src/train.py"
    check_self_contained((run.folder / "evaluation" / "report.html").read_text())

    features = np.random.default_rng(0).normal(size=(5, run.model.input_shape[1])).astype(np.float32)
    assert run.model(features).shape == (5, 3)
    assert run.per_class["weight"].tolist() == eq.class_weights({0: 60, 1: 25, 2: 8}).weights.tolist()
    for shown in (repr(run), run._repr_html_()):
        assert "2 epochs on cpu" in shown
        assert "balanced_accuracy" in shown
    assert run.save(root / "page.html").exists()


def test_an_evaluation_of_a_run_s_predictions_is_the_run_s() -> None:
    run = eq.run("weighting=balanced", "loss=custom", *DATA)
    probabilities = run.frame[["p(0)", "p(1)", "p(2)"]].to_numpy()
    w = eq.class_weights({0: 60, 1: 25, 2: 8}, "balanced")
    r = eq.evaluate(
        run.frame["label"],
        eq.logits(probabilities),
        weights=w,
        resamples=50,
        test_counts_fixed=True,
        target_prior="uniform",
    )
    same = {name: value for name, value in run.metrics.items() if name in r.metrics}
    assert {"mcc", "ece", "log_loss", "recall_few", "macro_auroc"} <= {*same}
    assert {name: r.metrics[name] for name in same} == pytest.approx(same)
    pd.testing.assert_frame_equal(r.intervals, run.intervals.loc[r.intervals.index], check_exact=False, rtol=1e-6)
    assert r.rules.loc["logit_adjusted"].tolist() == pytest.approx(run.rules.loc["logit_adjusted"].tolist())


def test_several_labels_have_a_page_of_their_own(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": np.arange(200) % 9, "a": np.arange(200) % 9 > 6, "b": np.arange(200) % 2 == 0})
    frame.astype(int).to_csv(tmp_path / "table.csv", index=False)
    words = ["dataset=multilabel", f"dataset.path={tmp_path / 'table.csv'}", "dataset.targets=[a,b]", "loss=sigmoid"]
    run = eq.run(*words, "model=linear", *QUICK)
    assert run.per_class.index.tolist() == ["a", "b"]
    assert run.per_class["n_test"].tolist() == [run.frame["label(a)"].sum(), run.frame["label(b)"].sum()]
    assert "Which labels suffer?" in run.save(tmp_path / "page.html").read_text()


def test_a_sweep_is_that_of_the_command_and_does_only_what_is_missing(root: Path) -> None:
    runs = eq.sweep(*SWEEP)
    assert runs.frame[["weighting", "seed", "dataset.split_seed"]].values.tolist() == [
        [weighting, seed, 0] for weighting in ("none", "balanced") for seed in (0, 1)
    ]
    assert runs.id == planning.plan(["-m", *SWEEP]).sweep.id
    logged = open_store(root).client.get_run(runs.frame.index[0]).data
    assert runs.frame["macro_f1"].iloc[0] == logged.metrics["test/macro_f1"]
    assert logged.tags["mlflow.runName"] == "none · seed 0"
    assert not any(name.endswith("_low") for name in runs.frame)
    assert VARIED not in os.environ
    assert (root / "outputs").is_dir()

    again = eq.sweep(*SWEEP)
    assert [*again.frame.index] == [*runs.frame.index]
    assert "4 of 4 jobs are finished" in again._repr_html_()
    found = eq.compare(again.frame, unit="dataset.split_seed", seed="seed", configuration="weighting", value="mcc")
    assert found.frame.loc["balanced", "pairs"] == 2


def test_a_job_that_fails_is_told_and_the_others_are_done() -> None:
    heavy = ["weighting=manual", "weighting.weights={0:1e15,1:1e15,2:1e15}", "trainer.optimizer=sgd"]
    runs = eq.sweep(*heavy, "trainer.learning_rate=1e-17,1e9", *DATA)
    assert runs.frame["trainer.learning_rate"].tolist() == [1e-17]
    assert list(runs.unfinished) == ["trainer.learning_rate=1000000000.0"]
    assert runs.notes[0].startswith("not finished: trainer.learning_rate=1000000000.0 (")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["weighting=balnced"], "weighting=balnced: there is no such weighting; did you mean 'balanced'"),
        (["weighting=none,balanced"], "is a list of values: add -m"),
        (["-m", "weighting=none,balanced"], "give overrides alone, .*; of several runs: eq.sweep"),
        (["--help"], "give overrides alone"),
        (["trainer.strategy=multi_worker"], "needs a process on each worker"),
    ],
)
def test_what_is_no_run(words: list[str], message: str) -> None:
    with pytest.raises(eq.ConfigError, match=message):
        eq.run(*words, *DATA)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["weighting=none,balnced"], "there is no such weighting; did you mean 'balanced'"),
        (["seed=0,1", "hydra/launcher=joblib"], "needs the command line: python src/train.py -m seed=0,1"),
        (["trainer.learning_rate=interval(0.1,1)", "hydra/sweeper=optuna"], "needs the command line"),
        (["seed=0,1", "trainer.strategy=multi_worker"], "its workers train one run at a time, by the command line"),
        (["--help"], "give overrides alone"),
    ],
)
def test_what_is_no_sweep_here(words: list[str], message: str) -> None:
    with pytest.raises(eq.ConfigError, match=message):
        eq.sweep(*words, *DATA)
