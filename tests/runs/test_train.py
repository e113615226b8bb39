"""A run from Python: the five steps, each from the config and the steps before, and what `train` returns."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score

from equipoise.config.model import config_sha256
from equipoise.core.paths import ROOT
from equipoise.data.prepare import prepare
from equipoise.runs.evaluate import evaluate
from equipoise.runs.run import Finished, run, train
from equipoise.runs.session import Session
from equipoise.runs.weigh import weigh
from equipoise.tracking.store import open_store
from equipoise.training.trained import Trained
from helpers import composed

pytestmark = [pytest.mark.usefixtures("tensorflow"), pytest.mark.slow]

CONFIG = ["dataset=synthetic", "dataset.class_counts=[60,25,8]", "model=linear", "weighting=balanced", "loss=custom"]
QUICK = ["trainer.epochs=2", "trainer.threads=1", "trainer.device=cpu", "evaluation.resamples=0"]
CONFIG += QUICK


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def shown() -> list[tuple[Finished, list[str]]]:
    """What was shown of the run, and the files that its evaluation had left by then."""
    return []


@pytest.fixture(scope="module")
def finished(root: Path, shown: list[tuple[Finished, list[str]]], tensorflow: object) -> Finished:
    def show(found: Finished) -> None:
        shown.append((found, _evaluation(found)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ROOT, str(root))
        (root / "run").mkdir()
        with Session(open_store(root), root / "run") as session:
            found = run(composed(*CONFIG), session, show=show)
    assert isinstance(found, Finished)
    return found


def _evaluation(finished: Finished) -> list[str]:
    return sorted(file.name for file in (finished.folder / "evaluation").glob("*"))


def test_the_result_is_shown_before_it_is_logged_and_drawn(
    finished: Finished, shown: list[tuple[Finished, list[str]]]
) -> None:
    ((early, files),) = shown
    assert (early.run_id, early.metrics, files) == (finished.run_id, finished.metrics, [])
    assert {"report.html", "confusion_matrix.png", "per_class.json"} < set(_evaluation(finished))


def test_it_returns_its_metrics_which_are_those_that_are_logged(finished: Finished, root: Path) -> None:
    rows = pd.read_parquet(finished.folder / "evaluation" / "predictions.parquet")
    expected = balanced_accuracy_score(rows["label"], rows["predicted"])
    assert finished.metrics["test/balanced_accuracy"] == pytest.approx(expected)
    logged = open_store(root).client.get_run(finished.run_id)
    assert logged.info.status == "FINISHED"
    assert {name: logged.data.metrics[name] for name in finished.metrics} == finished.metrics
    assert (finished.epochs, finished.device, finished.is_uploaded) == (2, "cpu", True)


@pytest.mark.parametrize("typed", [["loss.pos_weight=auto"], ["weighting=balanced", "loss.gamma_neg=2.0"]])
def test_several_labels_are_judged_whatever_their_loss(
    typed: list[str], tmp_path: Path, tensorflow: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ROOT, str(tmp_path))
    frame = pd.DataFrame({"x": np.arange(200) % 9, "a": np.arange(200) % 9 > 6, "b": np.arange(200) % 2 == 0})
    frame.astype(int).to_csv(tmp_path / "table.csv", index=False)
    words = ["dataset=multilabel", f"dataset.path='{tmp_path / 'table.csv'}'", "dataset.targets=[a,b]", "loss=sigmoid"]
    finished = train(composed(*words, *typed, "model=linear", *QUICK))
    rows = pd.read_parquet(finished.folder / "evaluation" / "predictions.parquet")
    right = [rows[f"label({label})"] == rows[f"predicted({label})"] for label in "ab"]
    assert finished.metrics["test/accuracy"] == pytest.approx(np.mean(right))


def test_steps_have_no_memory(finished: Finished, root: Path) -> None:
    """To judge the logged logits once more gives the same numbers: no step sees the run that it was part of."""
    config = composed(*CONFIG)
    data = prepare(config.dataset, root / "cache")
    weights = weigh(config, data)
    np.testing.assert_array_equal(weights.weights, finished.evidence.weights.weights)
    logits = np.log(np.exp(finished.evidence.log_probabilities))
    validation = np.zeros((len(data.split("validation").labels), 3))
    again = evaluate(config, data, weights, Trained(logits, validation, finished.evidence.history, {}, ""))
    assert again.evidence.evaluation.summary == pytest.approx(finished.evidence.evaluation.summary)


def test_the_same_command_goes_on_in_the_same_store(finished: Finished, root: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ROOT, str(root))
        second = train(composed(*CONFIG, "evaluation.pictures=false"))
    assert second.run_id != finished.run_id, "a finished run is not gone on with"
    assert second.metrics == finished.metrics
    missing = {*_evaluation(finished)} - {*_evaluation(second)}
    assert missing == {name for name in _evaluation(finished) if name.endswith(".png")} != set()
    pages = [(one.folder / "evaluation" / "report.html").read_text() for one in (finished, second)]
    assert pages[0].count("<figure") == pages[1].count("<figure") > 3
    assert config_sha256(composed(*CONFIG, "evaluation.pictures=false")) == config_sha256(composed(*CONFIG))
