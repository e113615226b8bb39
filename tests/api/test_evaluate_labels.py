"""Predictions of several labels a sample: scikit-learn as oracle, thresholds, the page and MLflow."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics
from sklearn.datasets import make_multilabel_classification
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

import equipoise as eq
from pages import check_self_contained

X, Y = make_multilabel_classification(600, 12, n_classes=4, n_labels=2, random_state=0)
TRAIN, VALIDATION, TEST = slice(200), slice(200, 400), slice(400, 600)
NAMES = ["news", "sport", "law", "art"]
Z = [[1.0, -1.0], [2.0, 3.0], [-1.0, -2.0]]
TWO = [[1, 0], [1, 1], [0, 0]]


@pytest.fixture(scope="module")
def model() -> OneVsRestClassifier:
    """A model of another library."""
    return OneVsRestClassifier(LogisticRegression()).fit(X[TRAIN], Y[TRAIN])


def answers(model: Any, part: slice) -> tuple[np.ndarray, np.ndarray]:
    return Y[part], eq.logits(model.predict_proba(X[part]), several_labels=True)


def judged(model: Any, **how: Any) -> Any:
    return eq.evaluate(
        *answers(model, TEST), NAMES, **{"validation": answers(model, VALIDATION), "resamples": 100, **how}
    )


def test_metrics_are_those_of_scikit_learn(model: OneVsRestClassifier) -> None:
    r = judged(model)
    truth, predicted, probabilities = Y[TEST], model.predict(X[TEST]), model.predict_proba(X[TEST])
    expected = {
        "subset_accuracy": metrics.accuracy_score(truth, predicted),
        "hamming_loss": metrics.hamming_loss(truth, predicted),
        "macro_f1": metrics.f1_score(truth, predicted, average="macro"),
        "micro_f1": metrics.f1_score(truth, predicted, average="micro"),
        "macro_average_precision": metrics.average_precision_score(truth, probabilities),
        "macro_auroc": metrics.roc_auc_score(truth, probabilities),
        "log_loss": metrics.log_loss(truth.ravel(), probabilities.ravel()),
        "brier": metrics.brier_score_loss(truth.ravel(), probabilities.ravel()),
    }
    assert {name: r.metrics[name] for name in expected} == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(r.per_class["recall"], metrics.recall_score(truth, predicted, average=None))
    np.testing.assert_allclose(r.per_class["f1"], metrics.f1_score(truth, predicted, average=None))
    assert r.per_class["n_test"].to_dict() == dict(zip(NAMES, truth.sum(axis=0), strict=True))
    assert "n" not in r.per_class, "training counts are not known"
    for name in ("macro_f1", "subset_accuracy"):
        assert r.intervals.loc[name, "low"] < expected[name] < r.intervals.loc[name, "high"]
    np.testing.assert_allclose(r.frame["p(law)"], probabilities[:, 2], rtol=1e-6)
    assert r.title == "evaluation: 200 test samples of 4 labels"


def test_thresholds_are_the_best_of_the_validation_samples(model: OneVsRestClassifier) -> None:
    shifted = [(truth, values - 1.5) for truth, values in (answers(model, part) for part in (TEST, VALIDATION))]
    r = eq.evaluate(*shifted[0], NAMES, validation=shifted[1], decision="tuned", resamples=0)
    truth, values = shifted[1]
    predicted = r.found.verdict.decide(values)
    for label in range(4):
        tried = [metrics.f1_score(truth[:, label], values[:, label] >= cut) for cut in values[:, label]]
        assert metrics.f1_score(truth[:, label], predicted[:, label]) == pytest.approx(max(tried))
    expected = metrics.f1_score(shifted[0][0], r.found.verdict.decide(shifted[0][1]), average="macro")
    assert r.rules.loc["tuned", "macro_f1"] == r.metrics["macro_f1"] == pytest.approx(expected)
    assert r.rules.loc["argmax", "macro_f1"] < expected


def test_without_validation_nothing_is_tuned(model: OneVsRestClassifier) -> None:
    assert list(judged(model, validation=None).rules.index) == ["argmax"]


def test_rows_that_all_hold_one_label_are_classes_unless_it_is_said() -> None:
    rows, logits = [[1, 0], [0, 1], [1, 0]], [[1.0, -1.0], [-1.0, 2.0], [1.0, 1.0]]
    assert "subset_accuracy" not in eq.evaluate(rows, logits, resamples=0).metrics
    said = eq.evaluate(rows, logits, resamples=0, several_labels=True)
    assert said.metrics["subset_accuracy"] == pytest.approx(2 / 3)
    assert list(said.per_class.index) == ["0", "1"]


def test_the_page_has_every_label_and_rule(model: OneVsRestClassifier, tmp_path: Path) -> None:
    r = judged(model, name="one against the rest")
    page = r.save(tmp_path / "report.html").read_text()
    check_self_contained(page)
    for text in ("4 labels and 200 test samples", "Which labels suffer?", *NAMES, "tuned", "subset_accuracy"):
        assert text in page
    assert f"<td>{r.metrics['hamming_loss']:.3f}</td>" in page
    assert "macro_f1" in r._repr_html_()


@pytest.mark.parametrize(
    ("words", "how", "message"),
    [
        ((TWO, [[0.5, 0.2], [0.9, 0.8], [0.1, 0.3]]), {}, "as probabilities do: eq.logits.*several_labels=True"),
        ((TWO, [[0.5], [0.9], [0.1]]), {}, r"logits has the shape \(3, 1\), and y_test \(3, 2\)"),
        ((TWO, [[1.0, np.nan], *Z[1:]]), {}, "logits holds NaN"),
        ((TWO, Z, ["a"]), {}, "give 2 different names"),
        ((TWO, Z, ["a", "a"]), {}, "give 2 different names"),
        ((TWO, Z), {"decision": "tuned"}, "decision=tuned needs validation"),
        (
            (TWO, Z),
            {"decision": "conformal", "decision_options": {"alpha": {"1": 1.5}}},
            "decision.alpha: .*, not 1.5",
        ),
        ((TWO, Z), {"decision": "conformal", "decision_options": {"alpha": {"1": 0.0}}}, "decision.alpha"),
        ((TWO, Z), {"decision": "cost"}, "decision=cost is not for several labels"),
        ((TWO, Z), {"costs": [[0, 1], [1, 0]]}, "costs: means nothing where a sample has several labels"),
        ((TWO, Z), {"validation": ([[1, 0, 1]], [[1.0, 2.0, 3.0]])}, "the validation labels have 3 columns"),
        ((["a", "b"], Z), {"several_labels": True}, "y_test: give 0 and 1"),
    ],
)
def test_mistakes_are_told(words: Any, how: dict[str, Any], message: str) -> None:
    with pytest.raises(eq.ConfigError, match=message):
        eq.evaluate(*words, **how)


@pytest.mark.slow
def test_logged_into_the_run_that_is_open(
    model: OneVsRestClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    mlflow.set_experiment("labels")  # another test of this process may have set one of its own store
    try:
        r = judged(model)
        with mlflow.start_run() as run:
            r.log()
        found = mlflow.get_run(run.info.run_id).data.metrics
        assert found["test/macro_f1"] == pytest.approx(r.metrics["macro_f1"])
        files = {file.path for file in mlflow.MlflowClient().list_artifacts(run.info.run_id, "evaluation")}
        assert {"evaluation/report.html", "evaluation/pr_curves.png", "evaluation/per_class.json"} <= files
    finally:
        mlflow.set_tracking_uri(None)
