"""Each loss, value and gradient, against numbers by hand and an oracle in NumPy; and identities between losses."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from scipy.special import expit, log_softmax, softmax

import warm
from equipoise.core.errors import ConfigError
from equipoise.core.schema import keywords
from equipoise.methods.losses import LOSSES, Known, Loss, normalised_classifier, positive_factors, raised_by_features
from processes import LIMIT

pytestmark = pytest.mark.usefixtures("tensorflow")

COUNTS = np.array([100.0, 10.0, 1.0])
COSTS = np.array([[0.0, 1, 1], [1, 0, 1], [10, 1, 0]])
ALPHA, WEIGHTS = np.array([0.25, 1.0, 2.0]), np.array([1.0, 2.0, 5.0])
FUNCTIONS = sorted({loss.function.__name__ for loss in LOSSES.values() if not loss.yes_or_no})
Z = np.array([[2.0, 0.5, -1.0], [0.2, 0.0, -0.1], [-3.0, 4.0, 0.1], [0.3, -0.2, 1.5]])
Y = np.array([0, 2, 0, 1])


def _ce(y: Any, z: Any) -> Any:
    return -(y * log_softmax(z, axis=1)).sum(axis=1)


# The oracle of each loss: the paper's formula on one-hot rows, in float64; its defaults are the options of the tests.
def oracle_cross_entropy(y: Any, z: Any) -> Any:
    return _ce(y, z)


def oracle_focal(y: Any, z: Any, *, gamma: float = 2.0, alpha: Any = ALPHA) -> Any:
    return -(y * alpha * (1 - softmax(z, axis=1)) ** gamma * log_softmax(z, axis=1)).sum(axis=1)


def oracle_balanced_softmax(y: Any, z: Any) -> Any:
    return np.log((COUNTS * np.exp(z)).sum(axis=1)) - (y * (z + np.log(COUNTS))).sum(axis=1)


def oracle_logit_adjusted(y: Any, z: Any, *, tau: float = 0.7) -> Any:
    return _ce(y, z + tau * np.log(COUNTS / 111))


def oracle_ldam(y: Any, z: Any, *, max_margin: float = 0.5, scale: float = 3.0) -> Any:
    return _ce(y, z - scale * y * max_margin * np.array([100**-0.25, 10**-0.25, 1.0]))


def oracle_vs(y: Any, z: Any, *, gamma: float = 0.3, tau: float = 1.0) -> Any:
    return _ce(y, z * np.array([1, 0.1**gamma, 0.01**gamma]) + tau * np.log(COUNTS / 111))


def oracle_poly(y: Any, z: Any, *, epsilon: float = 1.0) -> Any:
    return _ce(y, z) + epsilon * (1 - (y * softmax(z, axis=1)).sum(axis=1))


def oracle_label_smoothing(y: Any, z: Any, *, head: float = 0.3, tail: float = 0.0) -> Any:
    # counts 100, 10, 1: between head and tail by sin(pi/2 (n - 1) / 99)
    e = y @ (tail + (head - tail) * np.sin(np.pi / 2 * np.array([1.0, 9 / 99, 0.0])))
    return (1 - e) * _ce(y, z) + e * -log_softmax(z, axis=1).mean(axis=1)


def oracle_cost_matrix(y: Any, z: Any, *, strength: float = 0.5) -> Any:
    return _ce(y, z) + strength * ((y @ COSTS) * softmax(z, axis=1)).sum(axis=1)


def oracle_predicted_class(y: Any, z: Any, *, weights: Any = WEIGHTS) -> Any:
    return _ce(y, z) * weights[z.argmax(axis=1)]


def oracle_class_balanced_focal(y: Any, z: Any, *, gamma: float = 2.0, beta: float = 0.9) -> Any:
    number = (1 - beta**COUNTS) / (1 - beta)  # of effective samples
    return oracle_focal(y, z, gamma=gamma, alpha=3 / number / (1 / number).sum())


def oracle_influence_balanced(y: Any, z: Any, *, alpha: float = 10.0, epsilon: float = 0.5, start: float = 0.5) -> Any:
    """Once it has begun, with the mean of the logits, or 0, for the norm of the features."""
    influence = np.abs(softmax(z, axis=1) - y).sum(axis=1) * np.maximum(z.mean(axis=1), 0)
    return _ce(y, z) * (y @ (3 / COUNTS / (1 / COUNTS).sum())) * alpha / (influence + epsilon)


# Those of a batch: the value of each sample, whose mean is the paper's formula (tests below).
def oracle_lade(y: Any, z: Any, *, strength: float = 0.3, penalty: float = 0.2) -> Any:
    bound = 0.0
    for c, p in enumerate(COUNTS / 111):
        own = y[:, c].sum()
        first = (y[:, c] * z[:, c]).sum() / own if own else 0.0
        second = np.log(np.mean(np.exp(z[:, c]) / p * (1 / 3)))
        bound += p * (first - second - penalty * second**2)
    return oracle_balanced_softmax(y, z) - strength * bound


def oracle_recall(y: Any, z: Any) -> Any:
    wrong = y * (np.arange(3) != z.argmax(axis=1)[:, np.newaxis])
    return _ce(y, z) * (y @ (np.maximum(wrong.sum(axis=0), 1) / np.maximum(y.sum(axis=0), 1)))


def oracle_soft_f1(y: Any, z: Any) -> Any:
    p = softmax(z, axis=1)
    tp, fp, fn = (y * p).sum(axis=0), ((1 - y) * p).sum(axis=0), (y * (1 - p)).sum(axis=0)
    return len(y) * (((1 - y) * p + y * (1 - p)) / (2 * tp + fp + fn)).mean(axis=1)


def oracle_auc_margin(y: Any, z: Any, *, margin: float = 1.0) -> Any:
    p, parts = softmax(z, axis=1), np.zeros(z.shape)
    for c, h in enumerate(p.T):
        one, other = y[:, c], 1 - y[:, c]
        if one.sum() and other.sum():
            a, b = (h * one).sum() / one.sum(), (h * other).sum() / other.sum()
            alpha = max(0, margin + b - a)
            spread = one * (h - a) ** 2 / one.sum() + other * (h - b) ** 2 / other.sum()
            between = 2 * alpha * (margin / len(y) + other * h / other.sum() - one * h / one.sum()) - alpha**2 / len(y)
            parts[:, c] = len(y) * (spread + between)
    return parts.mean(axis=1)


def oracle_of(name: str) -> Callable[[Any, Any], Any]:
    """The oracle of a loss function."""
    found: Callable[[Any, Any], Any] | None = globals().get(f"oracle_{name}")
    assert found is not None, f"tests/methods/test_losses.py has no oracle_{name} for the loss function {name}"
    return found


def options_of(name: str) -> dict[str, Any]:
    """The options at which a loss is compared with its oracle."""
    parameters = inspect.signature(oracle_of(name)).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}


def of(name: str, counts: Any = None, **options: Any) -> Callable[[Any, Any], Any]:
    """The loss of single classes with its tables, by its function's name."""
    record = {loss.function.__name__: loss for loss in LOSSES.values()}[name]
    known = Known.of_classes(COUNTS, COSTS) if counts is None else Known.of_classes(counts, 1 - np.eye(len(counts)))
    return with_tables(record, known, {**options_of(name), **options})


def with_tables(record: Loss, known: Known, options: dict[str, Any]) -> Callable[[Any, Any], Any]:
    import tensorflow as tf

    def only(part: Callable[..., Any]) -> dict[str, Any]:
        return {name: options[name] for name in keywords(part)}

    found = record.tables(known, **only(record.tables)) if record.tables else {}

    def call(labels: Any, logits: Any) -> Any:
        tables = {key: tf.constant(values, tf.float32) for key, values in found.items()}
        return record.function(labels, logits, **tables, **only(record.function))

    return call


def value_and_gradient(
    loss: Callable[[Any, Any], Any], labels: Any, logits: Any, jit: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    import tensorflow as tf

    @tf.function(jit_compile=jit)
    def run(labels: Any, logits: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(logits)
            losses = loss(labels, logits)
        return losses, tape.gradient(losses, logits)

    losses, gradient = run(tf.constant(labels), tf.constant(logits, tf.float32))
    return losses.numpy(), gradient.numpy()


def test_every_loss_is_tested() -> None:
    for name, loss in LOSSES.items():
        function = loss.function.__name__
        if loss.yes_or_no:
            assert f"Test{function.title().replace('_', '')}" in globals(), f"loss={name} has no class of tests here"
        else:
            options = {key for part in loss.parts for key in keywords(part)}
            assert options_of(function).keys() == options, f"loss={name}: oracle_{function} takes other options"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_value_and_gradient_equal_the_oracle_for_every_form_of_labels(name: str) -> None:
    rows = np.eye(3)[Y]
    expected = oracle_of(name)(rows, Z)
    slope = approx_fprime(Z.ravel(), lambda z: oracle_of(name)(rows, z.reshape(Z.shape)).sum(), 1e-7).reshape(Z.shape)
    for labels in (Y, Y[:, np.newaxis], rows.astype(np.float32)):
        for jit in (False, True):
            losses, gradient = value_and_gradient(of(name), labels, Z, jit)
            assert losses.shape == (4,)
            assert losses.dtype == np.float32
            np.testing.assert_allclose(losses, expected, rtol=2e-6, atol=1e-6)
            np.testing.assert_allclose(gradient, slope, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_soft_labels_are_shares_of_classes(name: str) -> None:
    soft = np.array([[0.7, 0.2, 0.1], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0], [0.2, 0.2, 0.6]])
    losses, _ = value_and_gradient(of(name), soft.astype(np.float32), Z)
    np.testing.assert_allclose(losses, oracle_of(name)(soft, Z), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("name", sorted({*FUNCTIONS} - {"ldam", "influence_balanced"}))
def test_a_single_logit_is_the_second_of_two(name: str) -> None:
    counts = np.array([90.0, 10.0])
    options = {key: value[:2] for key, value in options_of(name).items() if isinstance(value, np.ndarray)}
    single = np.array([[2.0], [-1.0], [0.5]])
    one, _ = eager(of(name, counts, **options), np.array([[1.0], [0.0], [1.0]], np.float32), single)
    two, _ = value_and_gradient(of(name, counts, **options), np.array([1, 0, 1]), np.hstack([0 * single, single]))
    np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-7)


def test_by_hand() -> None:
    """At p = 1/2 each: CE = log 2."""
    half = np.zeros((1, 2))
    counts = np.array([3.0, 1.0])

    def first(name: str, **options: Any) -> float:
        losses, _ = value_and_gradient(of(name, counts, **options), np.array([1]), half)
        return float(losses[0])

    assert first("focal", gamma=2.0, alpha=None) == pytest.approx(0.25 * np.log(2))
    assert first("focal", gamma=1.0, alpha=np.array([1.0, 3.0])) == pytest.approx(1.5 * np.log(2))
    assert first("balanced_softmax") == pytest.approx(np.log(4)), "-log(1 / (3 + 1))"
    assert first("logit_adjusted", tau=2.0) == pytest.approx(np.log(10)), "-log(1 / (9 + 1))"
    assert first("ldam", max_margin=0.5, scale=2.0) == pytest.approx(np.log(1 + np.e)), (
        "the rarest class gets all of the margin"
    )
    assert first("vs", gamma=0.3, tau=1.0) == pytest.approx(np.log(4))
    assert first("poly", epsilon=2.0) == pytest.approx(np.log(2) + 1)
    assert first("label_smoothing", head=0.1, tail=0.1) == pytest.approx(np.log(2))
    assert first("cost_matrix", strength=4.0) == pytest.approx(np.log(2) + 2), "half of the probability costs 1"
    assert first("predicted_class", weights=np.array([7.0, 1.0])) == pytest.approx(7 * np.log(2)), (
        "of equal logits the first is predicted"
    )


def test_published_values() -> None:
    """Lin et al. 2017: with gamma = 2, p = 0.9 costs 100 times and p = 0.968 about 1000 times less than plain."""
    p = np.array([0.9, 0.968])
    logits = np.log(np.stack([p, 1 - p], axis=1))
    focal, _ = value_and_gradient(of("focal", gamma=2.0, alpha=None), np.array([0, 0]), logits)
    assert (-np.log(p) / focal).tolist() == pytest.approx([100, 1 / 0.032**2], rel=1e-4)
    # Constant smoothing by 0.1 as Keras computes it.
    import keras

    keras_loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1, reduction=None)
    found, _ = value_and_gradient(of("label_smoothing", head=0.1, tail=0.1), Y, Z)
    np.testing.assert_allclose(found, keras_loss(np.eye(3)[Y], Z.astype(np.float32)), rtol=1e-6)


IDENTITIES = [
    ("focal", {"gamma": 0.0, "alpha": None}),
    ("class_balanced_focal", {"gamma": 0.0, "beta": 0.0}),
    ("logit_adjusted", {"tau": 0.0}),
    ("ldam", {"max_margin": 0.0, "scale": 1.0}),
    ("vs", {"gamma": 0.0, "tau": 0.0}),
    ("poly", {"epsilon": 0.0}),
    ("label_smoothing", {"head": 0.0, "tail": 0.0}),
    ("cost_matrix", {"strength": 0.0}),
    ("predicted_class", {"weights": np.ones(3)}),
]


@st.composite
def problems(draw: st.DrawFn, largest: float = 30.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, logits and counts of any shape."""
    classes, size = draw(st.integers(2, 12)), draw(st.integers(1, 6))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    logits = generator.uniform(-largest, largest, (size, classes)).astype(np.float32)
    return generator.integers(classes, size=size), logits, generator.integers(1, 10**6, classes).astype(float)


def eager(loss: Callable[[Any, Any], Any], labels: Any, logits: Any) -> tuple[np.ndarray, np.ndarray]:
    import tensorflow as tf

    variable = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        losses = loss(tf.constant(labels), variable)
    return losses.numpy(), tape.gradient(losses, variable).numpy()


@pytest.mark.parametrize(("name", "options"), IDENTITIES, ids=[name for name, _ in IDENTITIES])
@given(problem=problems())
@settings(max_examples=20, deadline=None)
def test_with_its_option_off_a_loss_is_cross_entropy(name: str, options: dict[str, Any], problem: Any) -> None:
    labels, logits, counts = problem
    options = {key: np.ones(logits.shape[1]) if key == "weights" else value for key, value in options.items()}
    for found, expected in zip(
        eager(of(name, counts, **options), labels, logits), eager(of("cross_entropy"), labels, logits), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@given(problem=problems())
@settings(max_examples=20, deadline=None)
def test_identities_between_losses(problem: Any) -> None:
    labels, logits, counts = problem
    balanced = eager(of("balanced_softmax", counts), labels, logits)
    for other in (of("logit_adjusted", counts, tau=1.0), of("vs", counts, gamma=0.0, tau=1.0)):
        for found, expected in zip(eager(other, labels, logits), balanced, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    uniform = np.full(logits.shape[1], 7.0)
    for found, expected in zip(
        eager(of("balanced_softmax", uniform), labels, logits), eager(of("cross_entropy"), labels, logits), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", FUNCTIONS)
@given(problem=problems(largest=1e4))
@settings(max_examples=25, deadline=None)
def test_extreme_logits_stay_finite(name: str, problem: Any) -> None:
    labels, logits, counts = problem
    options = {
        key: np.ones(logits.shape[1]) for key, value in options_of(name).items() if isinstance(value, np.ndarray)
    }
    if name == "focal":
        options["gamma"] = 0.5  # whose power has an infinite slope at 0
    logits[:, 0] = 1e4
    logits[0, -1] = -1e4
    for array in eager(of(name, counts, **options), labels, logits):
        assert np.isfinite(array).all()


def mean_of(name: str, labels: Any, logits: Any, counts: Any = None, **options: Any) -> float:
    losses, gradient = eager(of(name, counts, **options), np.asarray(labels), np.asarray(logits, np.float32))
    assert np.isfinite(gradient).all()
    return float(losses.mean())


class TestBatches:
    """The mean over samples is what the paper calls the loss."""

    Y = np.array([0, 0, 0, 1, 1, 0])  # none of class 2

    def test_soft_f1_is_one_minus_the_mean_of_f1_scores(self) -> None:
        from sklearn.metrics import f1_score

        right = np.eye(3)[Y] * 200 - 100  # decisions as good as certain
        predicted = np.array([0, 2, 1, 1])
        certain = np.eye(3)[predicted] * 200 - 100
        assert mean_of("soft_f1", Y, right) == pytest.approx(0)
        assert mean_of("soft_f1", Y, certain) == pytest.approx(1 - f1_score(Y, predicted, average="macro"))

    def test_lade_is_balanced_softmax_without_its_term(self) -> None:
        losses = eager(of("lade", strength=0.0, penalty=0.1), Y, Z.astype(np.float32))
        for found, expected in zip(losses, eager(of("logit_adjusted", tau=1.0), Y, Z.astype(np.float32)), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-6)

    def test_lade_by_hand(self) -> None:
        # p = 3/4, 1/4; z = 0: balanced softmax is -log p_y; e_c = log(1 / (2 p_c)) = -log 1.5 and log 2.
        expected = np.log(4) - 0.5 * (0.75 * np.log(1.5) - 0.25 * np.log(2))
        found = mean_of("lade", [1], np.zeros((1, 2)), np.array([3.0, 1.0]), strength=0.5, penalty=0.0)
        assert found == pytest.approx(expected, rel=1e-6)

    def test_auc_margin_is_variances_and_the_squared_margin_that_is_missing(self) -> None:
        logits = np.random.default_rng(0).normal(size=(6, 3))
        p, expected = softmax(logits, axis=1), 0.0
        for c in (0, 1):  # class 2 has no pair
            own, rest = p[c == self.Y, c], p[c != self.Y, c]
            expected += own.var() + rest.var() + max(0, 0.3 - own.mean() + rest.mean()) ** 2
        assert mean_of("auc_margin", self.Y, logits, margin=0.3) == pytest.approx(expected / 3, rel=1e-5)

    def test_auc_margin_is_a_mean_over_pairs(self) -> None:
        """Where no margin is reached: the AUC square loss, the mean of (margin - (h+ - h-))^2 (eq. 1 of the paper)."""
        h = np.array([0.2, 0.5, 0.4, 0.1])
        logits, labels = np.stack([np.zeros(4), np.log(h / (1 - h))], axis=1), np.array([1, 1, 0, 0])
        pairs = np.mean([(1 - (h[i] - h[j])) ** 2 for i in (0, 1) for j in (2, 3)])
        found = mean_of("auc_margin", labels, logits, np.ones(2), margin=1.0)
        assert found == pytest.approx(pairs, rel=1e-5), "both classes have the pairs of the other"

    def test_recall_leaves_out_what_is_right_already(self) -> None:
        # Of class 0 one of four is wrong, of class 1 both, weights 1/4 and 1.
        logits = np.array([[9, 0, 0], [9, 0, 0], [9, 0, 0], [9, 0, 0], [9, 0, 0], [0, 9, 0]], np.float32)
        losses, _ = eager(of("recall"), self.Y, logits)
        cross_entropy, _ = eager(of("cross_entropy"), self.Y, logits)
        np.testing.assert_allclose(losses / cross_entropy, [0.25, 0.25, 0.25, 1, 1, 0.25], rtol=1e-6)
        unsure, _ = eager(of("recall"), self.Y[:1], logits[:1])
        assert unsure == pytest.approx(cross_entropy[:1]), "of one sample"

    @pytest.mark.parametrize("name", [name for name in FUNCTIONS if LOSSES.get(name, LOSSES["focal"]).of_batches])
    def test_a_batch_of_one_class_has_numbers(self, name: str) -> None:
        for labels in ([0], [2, 2, 2]):
            assert np.isfinite(mean_of(name, labels, Z[: len(labels)]))


PLAIN = {"pos_weight": None, "gamma_pos": 0.0, "gamma_neg": 0.0, "clip": 0.0}


class TestSigmoid:
    TRUTH = np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    LOGITS = np.array([[2.0, -1.0, 0.0], [3.0, 0.5, -2.0]])

    def loss(self, **options: Any) -> Callable[[Any, Any], Any]:
        # Of 10 samples 1, 2 and 5 have the label: 9, 4 and 1 negatives over each positive.
        known = Known(np.array([1.0, 2.0, 5.0]), 10, several_labels=True)
        return with_tables(LOSSES["sigmoid"], known, {**PLAIN, **options})

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"pos_weight": "auto"},
            {"pos_weight": 3.0},
            {"pos_weight": np.array([1.0, 2.0, 3.0])},
            {"gamma_pos": 1.0, "gamma_neg": 4.0, "clip": 0.05},
            {"gamma_neg": 2.0},
        ],
    )
    @pytest.mark.parametrize("jit", [False, True])
    def test_value_and_gradient_equal_the_oracle(self, options: dict[str, Any], jit: bool) -> None:
        o = {**PLAIN, **options}
        weight = (
            {"auto": np.array([9.0, 4.0, 1.0])}.get(o["pos_weight"], 1.0)
            if isinstance(o["pos_weight"], str | None)
            else o["pos_weight"]
        )

        def oracle(z: Any) -> Any:
            p = expit(z)
            q = np.maximum(p - o["clip"], 0)
            positive = weight * (1 - p) ** o["gamma_pos"] * np.log(p)
            return -(self.TRUTH * positive + (1 - self.TRUTH) * q ** o["gamma_neg"] * np.log(1 - q)).mean(axis=1)

        slope = approx_fprime(self.LOGITS.ravel(), lambda z: oracle(z.reshape(2, 3)).sum(), 1e-7).reshape(2, 3)
        losses, gradient = value_and_gradient(self.loss(**options), self.TRUTH.astype(np.float32), self.LOGITS, jit)
        np.testing.assert_allclose(losses, oracle(self.LOGITS), rtol=2e-6)
        np.testing.assert_allclose(gradient, slope, rtol=1e-4, atol=1e-6)

    def test_a_single_logit_takes_any_form_of_labels(self) -> None:
        expected = [np.log1p(np.exp(-2)), np.log1p(np.exp(-1))]
        for labels in (np.array([1, 0]), np.array([[1.0], [0.0]], np.float32)):
            losses, _ = value_and_gradient(self.loss(), labels, np.array([[2.0], [-1.0]]))
            assert losses.tolist() == pytest.approx(expected, rel=1e-6)

    def test_weighing_the_positives_is_what_tensorflow_calls_it(self) -> None:
        import tensorflow as tf

        oracle = tf.nn.weighted_cross_entropy_with_logits(self.TRUTH, self.LOGITS, 3.0).numpy().mean(axis=1)
        losses, _ = value_and_gradient(self.loss(pos_weight=3.0), self.TRUTH.astype(np.float32), self.LOGITS)
        np.testing.assert_allclose(losses, oracle, rtol=1e-6)

    def test_negatives_over_positives(self) -> None:
        known = Known(np.array([10.0, 50.0, 80.0]), 100, several_labels=True)
        assert positive_factors(known, pos_weight="auto").tolist() == [9, 1, 0.25]
        assert positive_factors(Known.of_classes(np.array([75, 25])), pos_weight="auto").tolist() == [3]

    @pytest.mark.parametrize(
        "options", [{}, {"gamma_pos": 0.5, "gamma_neg": 0.5, "clip": 0.05}, {"gamma_pos": 1.0, "gamma_neg": 4.0}]
    )
    def test_extreme_logits_stay_finite(self, options: dict[str, float]) -> None:
        logits = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]])
        for labels in (self.TRUTH, 1 - self.TRUTH):
            for array in eager(self.loss(**options), labels.astype(np.float32), logits):
                assert np.isfinite(array).all()


def of_labels(name: str, **options: Any) -> Callable[[Any, Any], Any]:
    """The loss of three labels, which 1, 2 and 5 of 10 samples have."""
    return with_tables(LOSSES[name], Known(np.array([1.0, 2.0, 5.0]), 10, several_labels=True), options)


class TestDistributionBalanced:
    OPTIONS: ClassVar = {"gamma": 2.0, "alpha": 0.1, "beta": 10.0, "mu": 0.2, "neg_scale": 2.0, "init_bias": 0.05}
    TRUTH = np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    LOGITS = np.array([[2.0, -1.0, 0.0], [3.0, 0.5, -2.0], [0.1, 0.2, 0.3]])

    @staticmethod
    def oracle(z: Any, y: Any, o: dict[str, float]) -> Any:
        """The authors' `ResampleLoss`, step by step."""
        inverse = 1 / np.array([1.0, 2.0, 5.0])
        rate = (y * inverse).sum(axis=1, keepdims=True)
        with np.errstate(divide="ignore"):
            weight = o["alpha"] + expit(o["beta"] * (inverse / rate - o["mu"]))
        z = z - np.log(10 * inverse - 1) * o["init_bias"] / o["neg_scale"]
        z = z * (1 - y) * o["neg_scale"] + z * y
        weight = weight / o["neg_scale"] * (1 - y) + weight * y
        cross_entropy = np.log1p(np.exp(z)) - y * z
        return (2 * (1 - np.exp(-cross_entropy)) ** o["gamma"] * weight * cross_entropy).mean(axis=1)

    @pytest.mark.parametrize("changed", [{}, {"gamma": 0.5, "mu": 0.3, "neg_scale": 5.0}])
    @pytest.mark.parametrize("jit", [False, True])
    def test_value_and_gradient_equal_the_authors(self, changed: dict[str, float], jit: bool) -> None:
        options = {**self.OPTIONS, **changed}

        def summed(z: Any) -> Any:
            return self.oracle(z.reshape(3, 3), self.TRUTH, options).sum()

        slope = approx_fprime(self.LOGITS.ravel(), summed, 1e-7).reshape(3, 3)
        loss = of_labels("distribution_balanced", **options)
        losses, gradient = value_and_gradient(loss, self.TRUTH.astype(np.float32), self.LOGITS, jit)
        np.testing.assert_allclose(losses, self.oracle(self.LOGITS, self.TRUTH, options), rtol=1e-5)
        np.testing.assert_allclose(gradient, slope, rtol=1e-3, atol=1e-6)

    def test_with_its_options_off_it_is_binary_cross_entropy(self) -> None:
        """beta=0 makes every weight 1/2 + alpha."""
        off = {"gamma": 0.0, "alpha": 0.0, "beta": 0.0, "mu": 0.0, "neg_scale": 1.0, "init_bias": 0.0}
        losses, _ = eager(of_labels("distribution_balanced", **off), self.TRUTH, self.LOGITS)
        plain, _ = eager(of_labels("sigmoid", **PLAIN), self.TRUTH, self.LOGITS)
        np.testing.assert_allclose(losses, plain, rtol=1e-6)

    def test_extreme_logits_and_a_label_of_every_sample_stay_finite(self) -> None:
        known = Known(np.array([10.0, 2.0, 5.0]), 10, several_labels=True)
        loss = with_tables(LOSSES["distribution_balanced"], known, {**self.OPTIONS, "gamma": 0.5})
        for array in eager(loss, self.TRUTH.astype(np.float32), np.where(self.TRUTH, -1e4, 1e4)):
            assert np.isfinite(array).all()


class TestSigmoidF1:
    TRUTH, LOGITS = TestSigmoid.TRUTH, TestSigmoid.LOGITS

    @pytest.mark.parametrize("options", [{"slope": 1.0, "shift": 0.0}, {"slope": 5.0, "shift": -0.5}])
    @pytest.mark.parametrize("jit", [False, True])
    def test_the_mean_and_its_gradient_are_the_authors(self, options: dict[str, float], jit: bool) -> None:
        def oracle(z: Any) -> Any:
            s, y = 1 / (1 + np.exp(-options["slope"] * (z + options["shift"]))), self.TRUTH
            tp, fp, fn = (s * y).sum(axis=0), (s * (1 - y)).sum(axis=0), ((1 - s) * y).sum(axis=0)
            return (1 - 2 * tp / (2 * tp + fn + fp + 1e-16)).mean()

        slope = approx_fprime(self.LOGITS.ravel(), lambda z: oracle(z.reshape(2, 3)), 1e-7).reshape(2, 3)
        loss = of_labels("sigmoid_f1", **options)
        losses, gradient = value_and_gradient(loss, self.TRUTH.astype(np.float32), self.LOGITS, jit)
        assert losses.mean() == pytest.approx(oracle(self.LOGITS), rel=1e-5)
        np.testing.assert_allclose(gradient / 2, slope, rtol=1e-3, atol=1e-6)

    def test_a_label_that_no_sample_of_the_batch_has_and_extreme_logits_stay_finite(self) -> None:
        for labels in (self.TRUTH, 0 * self.TRUTH):
            for logits in (np.full((2, 3), -1e4), np.full((2, 3), -40.0), np.full((2, 3), 1e4)):
                loss = of_labels("sigmoid_f1", slope=1.0, shift=0.0)
                for array in eager(loss, labels.astype(np.float32), logits.astype(np.float32)):
                    assert np.isfinite(array).all()


def test_half_precision_logits_are_raised_to_float32() -> None:
    import tensorflow as tf

    for name in FUNCTIONS:
        losses = of(name)(tf.constant(Y), tf.constant(Z, tf.float16))
        assert losses.dtype == tf.float32
        np.testing.assert_allclose(losses, oracle_of(name)(np.eye(3)[Y], Z), rtol=3e-3)


@pytest.mark.slow
def test_ten_thousand_classes() -> None:
    counts = np.arange(1, 10_001, dtype=float)
    logits = np.random.default_rng(0).normal(size=(4, 10_000)).astype(np.float32)
    labels = np.array([0, 9_999, 5_000, 17])
    losses, gradient = eager(of("balanced_softmax", counts), labels, logits)
    expected = (
        np.log((counts * np.exp(logits.astype(float))).sum(axis=1)) - logits[range(4), labels] - np.log(counts[labels])
    )
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    assert gradient.shape == logits.shape


@pytest.mark.slow
@pytest.mark.parametrize("name", ["class_weight", "ldam", "influence_balanced"])
def test_a_saved_model_loads_without_this_code_and_predicts_the_same_bits(name: str, tmp_path: Path) -> None:
    """Most losses leave the model as it is; what two of them make of the last layer is of stock layers."""
    import keras

    from equipoise.methods.models import mlp

    keras.utils.set_random_seed(0)
    model = mlp((5,), 3, hidden=(4,), dropout=0.0, embedding="auto")
    head = LOSSES[name].head
    model = head(model, **({"scale": 30.0} if name == "ldam" else {})) if head else model
    features = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "features.npy", features)
    program = (
        "import sys, numpy as np, keras; model = keras.saving.load_model(sys.argv[1] + '/model.keras'); "
        "assert 'equipoise' not in sys.modules; "
        "np.save(sys.argv[1] + '/logits.npy', model(np.load(sys.argv[1] + '/features.npy')).numpy())"
    )
    found = warm.run(["-c", program, str(tmp_path)], tmp_path, LIMIT)
    assert found.returncode == 0, found.stderr
    assert np.load(tmp_path / "logits.npy").tobytes() == model(features).numpy().tobytes()


def test_the_normalised_classifier_gives_scaled_cosines() -> None:
    import keras

    from equipoise.methods.models import mlp

    plain = mlp((5,), 3, hidden=(4,), dropout=0.0, embedding="auto")
    features = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    hidden = keras.Model(plain.input, plain.layers[-1].input)(features).numpy()
    model = normalised_classifier(plain, scale=30.0)
    vectors = model.get_layer("cosines").kernel.numpy()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=0), 1, rtol=1e-5)
    lengths = np.maximum(np.linalg.norm(hidden, axis=1, keepdims=True), 1e-6)
    np.testing.assert_allclose(model(features).numpy(), 30 * hidden / lengths @ vectors, rtol=1e-4, atol=1e-4)


def test_logits_raised_by_the_features_have_their_norm_for_a_mean_and_the_same_probabilities() -> None:
    import keras

    from equipoise.methods.models import mlp

    plain = mlp((5,), 3, hidden=(4,), dropout=0.0, embedding="auto")
    features = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    hidden = keras.Model(plain.input, plain.layers[-1].input)(features).numpy()
    before, model = plain(features).numpy(), raised_by_features(plain)
    after = model(features).numpy()
    np.testing.assert_allclose(after.mean(axis=1), np.abs(hidden).sum(axis=1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(softmax(after, axis=1), softmax(before, axis=1), rtol=1e-5)
    assert all(one is other for one, other in zip(model.weights, plain.weights, strict=True))
    with pytest.raises(ConfigError, match="needs a logit for each class"):
        raised_by_features(keras.Sequential([keras.layers.Input((5,)), keras.layers.Dense(1)]))


def test_influence_balanced_is_cross_entropy_until_it_begins() -> None:
    import tensorflow as tf

    function, factors = LOSSES["influence_balanced"].function, tf.constant([1.0, 2.0, 3.0])

    def before(labels: Any, logits: Any) -> Any:
        return function(labels, logits, factors, tf.constant(0.0), alpha=1000.0, epsilon=0.001)

    logits = Z.astype(np.float32)
    for found, expected in zip(eager(before, Y, logits), eager(of("cross_entropy"), Y, logits), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_labels_that_keras_would_weigh_wrongly_are_refused() -> None:
    from equipoise.methods.implementations import check_labels

    weights, even = np.array([1.0, 2.0, 3.0]), np.ones(3)
    check_labels(Y, weights, 3)
    check_labels(np.eye(3), weights, 3)
    check_labels(np.array([[0.5, 0.5, 0.0]]), even, 3)
    for labels, given_weights, message in (
        (np.array([0, 3]), weights, "the label 3 is outside the classes 0 to 2"),
        (np.array([0, -1]), weights, "the label -1 is outside"),
        (Y, np.ones(2), "2 weights for 3 classes"),
        (np.eye(4), weights, "rows of 4 numbers for 3 classes"),
        (np.array([[0.5, 0.5, 0.0]]), weights, "soft labels with class weights"),
        (np.array([[1.0, 1.0, 0.0]]), weights, "several classes and class weights"),
    ):
        with pytest.raises(ConfigError, match=message):
            check_labels(labels, given_weights, 3)


class TestCrossEntropy:
    LOGITS = np.array([[2.0, 0.0, -1.0], [0.0, 0.0, 0.0]], np.float32)

    def loss(self, labels: Any, logits: Any = None) -> list[float]:
        import tensorflow as tf

        from equipoise.methods.losses import cross_entropy

        found: list[float] = (
            cross_entropy(tf.constant(labels), tf.constant(self.LOGITS if logits is None else logits)).numpy().tolist()
        )
        return found

    def test_by_hand(self) -> None:
        # -log(e^2 / (e^2 + 1 + e^-1)) and log 3
        expected = [np.log(np.exp(2) + 1 + np.exp(-1)) - 2, np.log(3)]
        assert self.loss([0, 2]) == pytest.approx(expected, rel=1e-6)
        assert self.loss([[0], [2]]) == pytest.approx(expected, rel=1e-6), (
            "labels of shape (n, 1) do not broadcast to (n, n)"
        )
        assert self.loss([[1.0, 0, 0], [0, 0, 1.0]]) == pytest.approx(expected, rel=1e-6)

    def test_of_a_single_logit(self) -> None:
        expected = [np.log1p(np.exp(-2)), np.log1p(np.exp(1))]
        for labels in ([1.0, 1.0], [[1.0], [1.0]]):
            assert self.loss(labels, np.array([[2.0], [-1.0]], np.float32)) == pytest.approx(expected, rel=1e-6)

    def test_extreme_logits_stay_finite(self) -> None:
        import tensorflow as tf

        from equipoise.methods.losses import cross_entropy

        logits = tf.Variable([[1e4, -1e4], [1e4, -1e4]])
        with tf.GradientTape() as tape:
            losses = cross_entropy(tf.constant([0, 1]), logits)
        assert losses.numpy().tolist() == [0, 2e4]
        assert np.isfinite(tape.gradient(losses, logits).numpy()).all()
