"""Learners beside Keras: weights as the libraries' own class_weight, shares by hand, logits row by row."""

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.core.errors import ConfigError
from equipoise.core.schema import arguments
from equipoise.data.prepare import prepare
from equipoise.data.prepared import Prepared
from equipoise.data.resampling import resampled
from equipoise.methods.estimators import ESTIMATORS, FLOOR, OUTSIDE, Estimator, boosting, log_probabilities
from equipoise.methods.weighting import ClassWeights
from equipoise.runs.weigh import weigh
from equipoise.training.estimator_learner import EstimatorLearner
from helpers import composed

SMALL = ["dataset=synthetic", "dataset.class_counts=[60,25,8]", "dataset.features=6", "weighting=balanced"]
# Few parts, so that each fits in a moment; of boosting, leaves of few rows.
FEW: dict[str, list[str]] = {
    "boosting": ["model.max_iter=5", "model.min_samples_leaf=2"],
    "random_forest": ["model.n_estimators=5", "model.max_depth=3"],
    "logistic": [],
    "lda": ["weighting=none"],
    "balanced_random_forest": ["model.n_estimators=5"],
    "easy_ensemble": ["model.n_estimators=2", "weighting=none"],
    "rus_boost": ["model.n_estimators=3"],
    "lightgbm": ["model.n_estimators=5", "model.min_child_samples=2"],
    "xgboost": ["model.n_estimators=5"],
    "catboost": ["model.iterations=5"],
}
# Those that no extra installs are tried where somebody has installed them.
TRIED = [
    name for name in FEW if ESTIMATORS[name].package not in OUTSIDE or importlib.util.find_spec(ESTIMATORS[name].module)
]
WITH_CLASS_WEIGHT = ("boosting", "random_forest", "logistic", "lightgbm", "catboost")


def learner(cache: Path, name: str, *overrides: str) -> tuple[EstimatorLearner, ClassWeights, Prepared]:
    """The learner before its fit, its weights and its data."""
    record = ESTIMATORS[name]
    if importlib.util.find_spec(record.module) is None:
        pytest.skip(f"{record.package} is not installed")
    config = composed(*SMALL, f"model={name}", *FEW[name], *overrides)
    data = prepare(config.dataset, cache)
    return EstimatorLearner(config, data, record), weigh(config, data), data


def fitted(cache: Path, name: str, *overrides: str) -> tuple[EstimatorLearner, list[dict[str, float]], Prepared]:
    made, weights, data = learner(cache, name, *overrides)
    told: list[dict[str, float]] = []
    made.fit(weights, lambda _, metrics: told.append(metrics), None)
    return made, told, data


def its_estimator(made: EstimatorLearner) -> Any:
    kept: list[Any] = []
    made.save(lambda model, _: kept.append(model))
    return kept[0]


def test_every_estimator_is_tried_here() -> None:
    assert FEW.keys() == ESTIMATORS.keys()


@pytest.mark.parametrize("name", TRIED)
def test_a_fit_tells_one_epoch_and_repeats_its_bits(name: str, cache: Path) -> None:
    made, (metrics,), data = fitted(cache, name)
    assert metrics.keys() == {"train/loss", "val/loss", "val/accuracy", "val/balanced_accuracy", "val/macro_f1",
                              "val/log_loss"}  # fmt: skip
    logits = made.logits(data.split("test").features)
    assert (logits.dtype, logits.shape) == (np.float32, (len(data.split("test").labels), 3))
    np.testing.assert_allclose(np.exp(logits).sum(axis=1), 1, atol=1e-5)
    again, (same,), _ = fitted(cache, name, "trainer.threads=2")
    assert (again.weights_sha256(), same) == (made.weights_sha256(), metrics)
    other = fitted(cache, name, "seed=1")[0]
    assert (other.weights_sha256() != made.weights_sha256()) is ESTIMATORS[name].draws


def by_class_weight(name: str, weights: dict[int, float], options: dict[str, Any]) -> Any:
    """The library's own estimator with its own class_weight; of XGBoost, which has none, nothing."""
    if name == "catboost":
        made = ESTIMATORS[name].build(0, 1, **options)
        return made.set_params(class_weights=[weights[label] for label in range(3)])
    return ESTIMATORS[name].build(0, 1, **options).set_params(class_weight=weights)


@pytest.mark.parametrize("name", [name for name in WITH_CLASS_WEIGHT if name in TRIED])
def test_class_weights_are_the_library_s_own_class_weight(name: str, cache: Path) -> None:
    made, weights, data = learner(cache, name)
    made.fit(weights, lambda *_: None, None)
    config = composed(*SMALL, f"model={name}", *FEW[name])
    options = arguments(config.model, ESTIMATORS[name].build)
    theirs = by_class_weight(name, dict(enumerate(weights.weights.tolist())), options)
    train, test = data.split("train"), np.asarray(data.split("test").features)
    theirs.fit(np.asarray(train.features), np.asarray(train.labels))
    np.testing.assert_allclose(np.exp(made.logits(test)), theirs.predict_proba(test), rtol=1e-4, atol=2 * FLOOR)
    plain = fitted(cache, name, "weighting=none")[0]
    assert not np.allclose(plain.logits(test), made.logits(test), atol=1e-2), "weights do something here"


def test_resampled_rows_are_what_is_fitted(cache: Path) -> None:
    over = pytest.importorskip("imblearn.over_sampling")
    config = composed(*SMALL, "model=boosting", *FEW["boosting"], "dataset.sampling=smote", "seed=3")
    data = resampled(config.dataset, prepare(config.dataset, cache), config.seed)
    made, weights = EstimatorLearner(config, data, ESTIMATORS["boosting"]), weigh(config, data)
    made.fit(weights, lambda *_: None, None)
    rows, labels = over.SMOTE(random_state=3).fit_resample(*(getattr(data.split("train"), key)
                                                             for key in ("features", "labels")))  # fmt: skip
    theirs = by_class_weight("boosting", dict(enumerate(weights.weights.tolist())), arguments(config.model, boosting))
    theirs.fit(rows, labels)
    test = np.asarray(data.split("test").features)
    np.testing.assert_allclose(np.exp(made.logits(test)), theirs.predict_proba(test), rtol=1e-4, atol=2 * FLOOR)
    assert made.shares(weights.weights, 0)["loss"].sum() == pytest.approx(1)


class Told:
    """Probabilities of which the first row's are said."""

    def __init__(self, rows: list[list[float]]) -> None:
        self.rows = np.array(rows)

    def predict_proba(self, features: Any) -> Any:
        return self.rows[np.asarray(features)[:, 0].astype(int)]


def test_no_probability_is_below_the_floor() -> None:
    found = log_probabilities(Told([[0.0, 1.0], [0.25, 0.75]]), np.array([[0.0], [1.0]]))
    np.testing.assert_allclose(found, np.log([[FLOOR, 1], [0.25, 0.75]]), rtol=1e-6)


def test_a_row_s_bits_do_not_depend_on_the_others(cache: Path) -> None:
    made, _, data = fitted(cache, "logistic")
    features = np.asarray(data.split("train").features)
    together = made.logits(features)
    for row in (0, 7):
        np.testing.assert_array_equal(made.logits(features[row : row + 1])[0], together[row])


def with_probabilities(cache: Path, record: Estimator, rows: list[list[float]]) -> EstimatorLearner:
    """A learner that says these probabilities of samples of the classes 0, 0, 1, whose first feature counts them."""
    made, _, _ = learner(cache, "logistic")
    three: Any = type("Three", (), {"split": lambda *_: Three, "training": Three, "classes": ("a", "b"), "words": None})
    made._data, made._record, made._fitted = three, record, Told(rows)
    return made


class Three:
    """Three samples of two classes."""

    features = np.array([[0.0], [1.0], [2.0]], np.float32)
    labels = np.array([0, 0, 1])
    weights = np.array([1.0, 2.0, 1.0])


def test_shares_by_hand(cache: Path) -> None:
    rows = [[0.5, 0.5], [0.25, 0.75], [0.8, 0.2]]
    found = with_probabilities(cache, ESTIMATORS["boosting"], rows).shares(np.array([1.0, 3.0]), 0)
    losses = [np.log(2) * 1, np.log(4) * 2, np.log(5) * 3]
    np.testing.assert_allclose(found["loss"], [sum(losses[:2]) / sum(losses), losses[2] / sum(losses)], rtol=1e-6)
    # |p - y| at two logits is sqrt(2) (1 - p_y), of which the root cancels
    norms = [0.5 * 1, 0.75 * 2, 0.8 * 3]
    np.testing.assert_allclose(found["gradient"], [sum(norms[:2]) / sum(norms), norms[2] / sum(norms)], rtol=1e-6)
    of_forest = with_probabilities(cache, ESTIMATORS["random_forest"], rows).shares(np.array([1.0, 3.0]), 0)
    assert of_forest.keys() == {"loss"}, "a forest descends no gradient"


def test_before_the_fit_no_share_is_known(cache: Path) -> None:
    made, weights, _ = learner(cache, "logistic")
    assert made.shares(weights.weights, 0) == {}


def no_probabilities(seed: int, threads: int) -> Any:
    from sklearn.svm import LinearSVC

    return LinearSVC()


class OfTwo:
    """It learns nothing, and knows two classes."""

    def fit(self, features: Any, labels: Any, sample_weight: Any) -> None:
        assert features.shape == (93, 6)
        assert sample_weight.shape == (93,)

    def predict_proba(self, features: Any) -> Any:
        return np.full((len(features), 2), 0.5)


def of_two(seed: int, threads: int) -> Any:
    return OfTwo()


def failing(seed: int, threads: int) -> Any:
    raise KeyError("depth")


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (no_probabilities, r"model=logistic: its function returns LinearSVC, which has no predict_proba"),
        (of_two, r"predict_proba of 2 rows returns the shape \(2, 2\); of 3 classes it must be \(2, 3\)"),
        (failing, r"model=logistic: its function failing fails: KeyError: 'depth' \(.*line \d+\)"),
    ],
)
def test_what_is_no_estimator_is_told(function: Callable[..., Any], said: str, cache: Path) -> None:
    made, weights, _ = learner(cache, "logistic")
    made._record = Estimator(function, own=True)
    made._options = dict  # type: ignore[method-assign]
    with pytest.raises(ConfigError, match=said):
        made.fit(weights, lambda *_: None, None)


def test_a_model_that_is_worse_than_none_is_told(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Half of the weight is of each class, so that to say so costs log 2 for each unit of 6 on 3 rows."""
    good, bad = [[0.9, 0.1], [0.9, 0.1], [0.1, 0.9]], [[0.5, 0.5], [0.5, 0.5], [0.9, 0.1]]
    for rows in (good, bad):
        made = with_probabilities(cache, ESTIMATORS["boosting"], rows)
        weights = np.array([1.0, 3.0])
        losses = -np.log([rows[0][0], rows[1][0], rows[2][1]]) @ np.array([1.0, 2.0, 3.0]) / 3
        made._tell_divergence(losses, weights)
        told = capsys.readouterr().err
        said = "the loss is 3, and 1.39 without a model, by the classes' shares: it has diverged; try a lower"
        assert (said in told.replace("\n", " ")) is (rows is bad)
