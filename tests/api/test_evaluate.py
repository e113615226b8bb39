"""Predictions of any library judged: scikit-learn as oracle, rules, priors, the page and MLflow."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import equipoise as eq
from equipoise.api.evaluate import How
from equipoise.config.choice import choice
from helpers import composed, read_back
from pages import check_self_contained

NAMES = np.array(["emu", "cat", "dog"])
FEW = {"resamples": 50}


def data(size: int = 600) -> tuple[np.ndarray, np.ndarray]:
    x, y = make_classification(
        size, 8, n_informative=6, n_classes=3, weights=[0.8, 0.15, 0.05], class_sep=0.7, random_state=0
    )
    return x, NAMES[y]


X, Y = data()
TRAIN, VALIDATION, TEST = slice(300), slice(300, 450), slice(450, 600)


@pytest.fixture(scope="module")
def logistic() -> tuple[LogisticRegression, Any]:
    """A model of another library, trained with class weights."""
    w = eq.class_weights(Y[TRAIN], "balanced")
    return LogisticRegression().fit(X[TRAIN], Y[TRAIN], sample_weight=w.sample_weight(Y[TRAIN])), w


def judged(model: Any, **how: Any) -> Any:
    def answers(part: slice) -> tuple[np.ndarray, np.ndarray]:
        return Y[part], eq.logits(model.predict_proba(X[part]))

    return eq.evaluate(*answers(TEST), model.classes_, **{"validation": answers(VALIDATION), **FEW, **how})


def test_weights_of_a_scikit_learn_estimator_are_its_own(logistic: Any) -> None:
    own = LogisticRegression(class_weight="balanced").fit(X[TRAIN], Y[TRAIN])
    np.testing.assert_allclose(logistic[0].coef_, own.coef_, atol=1e-4)


def test_metrics_are_those_of_scikit_learn(logistic: Any) -> None:
    model, w = logistic
    r = judged(model, weights=w)
    truth, predicted, probabilities = Y[TEST], model.predict(X[TEST]), model.predict_proba(X[TEST])
    expected = {
        "accuracy": metrics.accuracy_score(truth, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, predicted),
        "macro_f1": metrics.f1_score(truth, predicted, average="macro"),
        "mcc": metrics.matthews_corrcoef(truth, predicted),
        "log_loss": metrics.log_loss(truth, probabilities, labels=model.classes_),
        "macro_auroc": metrics.roc_auc_score(truth, probabilities, multi_class="ovr", labels=model.classes_),
    }
    assert {name: r.metrics[name] for name in expected} == pytest.approx(expected)
    recalls = metrics.recall_score(truth, predicted, average=None, labels=model.classes_)
    assert r.per_class["recall"].tolist() == pytest.approx(recalls.tolist())
    assert r.per_class.index.tolist() == ["cat", "dog", "emu"]
    assert r.per_class["n"].tolist() == w.counts.tolist()
    assert r.per_class["n_test"].sum() == 150
    assert r.rules.loc["argmax", "balanced_accuracy"] == pytest.approx(expected["balanced_accuracy"])
    assert r.frame["predicted"].tolist() == predicted.tolist()
    np.testing.assert_allclose(r.frame["p(dog)"], probabilities[:, 1], atol=1e-9)
    low, high = r.intervals.loc["balanced_accuracy", ["low", "high"]]
    assert low < expected["balanced_accuracy"] < high
    assert r.table.loc["macro_f1", "value"] == pytest.approx(expected["macro_f1"])


def test_the_prior_of_weights_and_loss_is_taken_back(logistic: Any) -> None:
    model, w = logistic
    r = judged(model, weights=w)
    assert {"argmax", "logit_adjusted", "tuned"} <= {*r.rules.index}
    # Under balanced weights the prior is uniform: nothing is adjusted, and p_c is moved back to the training prior.
    assert r.rules.loc["logit_adjusted"].tolist() == pytest.approx(r.rules.loc["argmax"].tolist())
    moved = model.predict_proba(X[TEST]) * w.counts
    moved /= moved.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(r.frame["p_corrected(emu)"], moved[:, 2], atol=1e-9)
    assert r.metrics["log_loss_corrected"] == pytest.approx(metrics.log_loss(Y[TEST], moved, labels=model.classes_))
    uniform = judged(model, weights=w, target_prior="uniform")
    assert uniform.metrics["log_loss_corrected"] == pytest.approx(r.metrics["log_loss"])
    typed = judged(model, weights=w, target_prior=w.counts)
    assert typed.metrics["log_loss_corrected"] == pytest.approx(r.metrics["log_loss_corrected"])


def test_of_a_forest_without_anything_known_of_its_training(tmp_path: Path) -> None:
    forest = RandomForestClassifier(20, random_state=0).fit(X[TRAIN], Y[TRAIN])
    r = judged(forest, validation=None)
    assert {"logit_adjusted", "tuned", "cost"}.isdisjoint(r.rules.index)
    assert "log_loss_corrected" not in r.metrics
    assert "recall_few" not in r.metrics
    assert "weight" not in r.per_class
    assert r.notes[0].startswith("nothing is known of the training")
    assert "nothing is known of the training" in r._repr_html_()
    page = r.save(tmp_path / "report.html").read_text()
    check_self_contained(page)
    assert "What did the weights do?" not in page
    assert "training samples" not in page
    assert "n train" not in page
    assert "The prior that this model learned under is not known" in page
    assert page.count("<figcaption>") == 5, "recall, confusion, curves, and two of calibration"


def test_the_page_of_a_model_with_weights(logistic: Any, tmp_path: Path) -> None:
    model, w = logistic
    r = judged(model, weights=w, name="logistic <b>")
    page = r.save(str(tmp_path / "report.html")).read_text()
    check_self_contained(page)
    assert "logistic &lt;b&gt;" in page
    assert "What did the weights do?" in page
    assert "an optimiser without a scale of its own" in page
    assert page.count("<figcaption>Shares in training of each class") == 1
    for table in (r._repr_html_(), repr(r)):
        assert "balanced_accuracy" in table
        assert "By decision rule" in table
    assert "<td>cat</td>" not in r._repr_html_()
    assert "<th>cat</th>" in r._repr_html_()


def test_numbers_binary_and_rows() -> None:
    y, z = np.array([0, 1, 1, 0]), np.array([-1.0, 2.0, -0.5, -2.0])
    r = eq.evaluate(y, z, **FEW)
    assert r.metrics["accuracy"] == 0.75
    assert r.per_class.index.tolist() == ["0", "1"]
    for labels, logits, classes in (
        (y, np.stack([0 * z, z], axis=1), None),
        (y, z[:, np.newaxis], ["no", "yes"]),
        (np.where(y, "yes", "no"), z, ["no", "yes"]),
        (np.eye(2)[y], z, None),
        (y.astype(bool), z, [False, True]),
        (y.astype(bool), z, None),
    ):
        assert eq.evaluate(labels, logits, classes, **FEW).metrics == r.metrics


def test_costs_and_decisions() -> None:
    y, z = [0, 0, 1, 1], np.array([[1.0, 0], [0.4, 0], [0.5, 0], [0, 1.0]])
    r = eq.evaluate(y, z, ["cat", "dog"], costs={"dog": {"cat": 5}}, decision="cost", **FEW)
    # A dog is predicted from p(dog) = 1/6 on, which all samples have: two cats are mistaken, each of which costs 1.
    assert r.metrics["expected_cost"] == 0.5
    assert r.rules.loc["argmax", "expected_cost"] == 1.25
    assert eq.evaluate(y, z, costs=[[0, 1], [5, 0]], decision="cost", **FEW).metrics["expected_cost"] == 0.5
    w = eq.class_weights({"cat": 90, "dog": 10}, "none")
    r = eq.evaluate(y, z, weights=w, decision="logit_adjusted", decision_options={"tau": 0.2}, **FEW)
    assert r.rules.loc["argmax", "accuracy"] == 0.75
    assert r.metrics["accuracy"] == 0.5, "dogs gain 0.2 log 9 = 0.44: the second cat is one now, the first dog is not"


def test_defaults_are_those_of_a_run() -> None:
    options = composed().evaluation
    assert set(How.__annotations__) > {"groups", "resamples"}
    y, z = np.arange(30) % 3, np.random.default_rng(0).normal(size=(30, 3))
    r, same = eq.evaluate(y, z), eq.evaluate(y, z, groups=options.groups, resamples=options.resamples)
    assert r.intervals.to_dict() == same.intervals.to_dict()


Z = [[2.0, 0.0], [0.0, 2.0]]


class Poly:
    """Stands for a loss of the library, which would need TensorFlow here."""

    options = choice("loss", "poly", {})


@pytest.mark.parametrize(
    ("words", "how", "message"),
    [
        ((["a", "b"], Z), {}, "classes is missing"),
        (([0, 1], Z, ["a", "b", "c"]), {}, r"logits has the shape \(2, 2\)"),
        (([0, 1, 1], Z), {}, "y_test has 3 samples, and logits 2"),
        (([0, 2], Z), {}, "y_test holds 2"),
        (([0, 1], Z), {"decision": "tuned"}, r"decision=tuned needs validation=\(labels, logits\)"),
        (([0, 1], Z), {"decision": "cost"}, "decision=cost needs costs"),
        (([0, 1], Z), {"decision": "logit_adjusted"}, "needs weights, and a loss whose prior"),
        (([0, 1], Z), {"decision": "agmax"}, "no such decision; did you mean 'argmax'"),
        (([0, 1], Z), {"costs": [[0, 1, 1]] * 3}, "a right prediction costs nothing"),
        (([0, 1], Z), {"costs": 1 - np.eye(3)}, r"costs has the shape \(3, 3\) for 2 classes"),
        (([0, 1], Z), {"target_prior": "even"}, "target_prior=even: give training, uniform"),
        (([0, 1], Z), {"target_prior": [1, 0]}, "a number above 0 for each of 2 classes"),
        (([0, 1], Z), {"resamples": -1}, "^resamples=-1: must be greater than or equal to 0"),
        (([0, 1], Z), {"loss": "focal"}, "loss: give one of equipoise.losses"),
        (([0, 1], Z), {"loss": Poly}, "loss needs weights, too"),
        (([0, 1], Z, ["a", "b"]), {"weights": {"a": 1, "c": 1}}, "weights are of the classes a, c"),
    ],
)
def test_mistakes_are_told(words: Any, how: dict[str, Any], message: str) -> None:
    if "weights" in how:
        how = {**how, "weights": eq.class_weights(how["weights"])}
    with pytest.raises(eq.ConfigError, match=message):
        eq.evaluate(*words, **how)


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow")
def test_the_prior_of_a_loss(logistic: Any) -> None:
    model, w = logistic
    none = eq.class_weights(Y[TRAIN], "none")
    r = judged(model, weights=none, loss=eq.losses.BalancedSoftmax(none.counts))
    assert r.metrics["log_loss_corrected"] == pytest.approx(judged(model, weights=w).metrics["log_loss_corrected"])
    unknown = judged(model, weights=none, loss=eq.losses.Focal())
    assert "logit_adjusted" not in unknown.rules.index
    assert "recall_few" in unknown.metrics


@pytest.mark.slow
def test_logged_into_the_run_that_is_open(logistic: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # which set_tracking_uri writes
    model, w = logistic
    r = judged(model, weights=w)
    with pytest.raises(eq.ConfigError, match=r"no MLflow run is open: with mlflow.start_run\(\): r.log\(\)"):
        r.log()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'own.db'}")
    mlflow.create_experiment("mine/own", artifact_location=(tmp_path / "artifacts").as_uri())
    mlflow.set_experiment("mine/own")
    with mlflow.start_run(run_name="theirs") as run:
        mlflow.log_metric("own", 1)
        r.log()
        assert mlflow.active_run().info.run_id == run.info.run_id
        mlflow.log_metric("later", 2)
    client = mlflow.MlflowClient()
    found = client.get_run(run.info.run_id)
    assert (found.info.status, found.info.run_name) == ("FINISHED", "theirs")
    assert not {"folder", "pid", "host"} & {*found.data.tags}
    assert found.data.metrics["own"] == 1
    assert found.data.metrics["later"] == 2
    assert found.data.metrics["test/macro_f1"] == pytest.approx(r.metrics["macro_f1"])
    assert found.data.metrics["test/recall/dog"] == pytest.approx(r.per_class.loc["dog", "recall"])
    assert found.data.metrics["test/balanced_accuracy_low"] == pytest.approx(
        r.intervals.loc["balanced_accuracy", "low"]
    )
    rule = r.rules.loc["tuned", "mcc"]
    assert read_back(found)["decision/tuned/mcc"] == pytest.approx(rule)
    files = {file.path for file in client.list_artifacts(run.info.run_id, "evaluation")}
    assert {"evaluation/report.html", "evaluation/per_class.json", "evaluation/predictions.parquet"} <= files
