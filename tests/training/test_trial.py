"""One batch before training: what a loss, a model and a weighting of anybody's own must keep to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.config.model import Config
from equipoise.core.errors import ConfigError
from equipoise.data.prepare import prepare
from equipoise.data.prepared import Prepared
from equipoise.methods.losses import LOSSES, Loss, cross_entropy
from equipoise.methods.models import MODELS, Architecture
from equipoise.methods.weighting import STRATEGIES, class_weights
from helpers import composed
from options import of_loss
from trainings import SMALL

pytestmark = [pytest.mark.usefixtures("tensorflow"), pytest.mark.slow]

BINARY = [*SMALL, "dataset.class_counts=[80,13]", "dataset.labels=binary"]
FORMS = {"sparse": SMALL, "one hot": [*SMALL, "dataset.labels=one_hot"], "binary": BINARY}


def fits(loss: Loss, form: str) -> bool:
    """Whether the loss takes labels of this form."""
    return loss.head is None if form == "binary" else not loss.yes_or_no


CASES = [(form, name) for form in FORMS for name, loss in LOSSES.items() if fits(loss, form)]


def of(cache: Path, *overrides: str) -> tuple[Config, Prepared]:
    config = composed(*overrides)
    return config, prepare(config.dataset, cache)


def named_mine(function: Callable[..., Any]) -> Callable[..., Any]:
    def mine(labels: Any, logits: Any) -> Any:
        return function(labels, logits)

    return mine


def tf() -> Any:
    import tensorflow

    return tensorflow


BAD_LOSSES: dict[str, tuple[Callable[..., Any], str]] = {
    "a scalar": (
        lambda y, z: tf().reduce_mean(cross_entropy(y, z)),
        r"returns the shape \(\) for 6 samples; it must return one value a sample, \(6,\)",
    ),
    "a value a logit": (lambda y, z: tf().nn.softmax(z), r"returns the shape \(6, 3\)"),
    "a column": (lambda y, z: cross_entropy(y, z)[:, tf().newaxis], r"returns the shape \(6, 1\)"),
    "other numbers": (
        lambda y, z: tf().cast(cross_entropy(y, z), tf().float64), r"returns float64; it must return float32"
    ),
    "no numbers": (lambda y, z: tf().math.log(-tf().abs(z[:, 0])), r"is not finite: it returns nan"),
    "infinity": (lambda y, z: tf().where(y == 2, float("inf"), cross_entropy(y, z)), r"is not finite: it returns inf"),
    "no gradient": (lambda y, z: tf().stop_gradient(cross_entropy(y, z)), r"has no gradient"),
    "of the labels alone": (lambda y, z: tf().cast(y, tf().float32), r"has no gradient"),
    "rounded": (lambda y, z: tf().round(cross_entropy(y, z)), r"has no gradient"),
    "out of NumPy": (lambda y, z: np.asarray(cross_entropy(y, z)), r"has no gradient"),
    "constant": (lambda y, z: 0 * cross_entropy(y, z), r"has a gradient of 0 for every sample"),
    "an endless gradient": (lambda y, z: tf().sqrt(0 * cross_entropy(y, z)), r"has a gradient that is not finite"),
    "the mean for all": (
        lambda y, z: tf().reduce_mean(cross_entropy(y, z)) + 0 * z[:, 0],
        "gives a sample another value if others are in its batch",
    ),
    "by the batch": (
        lambda y, z: cross_entropy(y, z) / tf().reduce_sum(cross_entropy(y, z)), r"gives a sample another value"
    ),
    "by its place": (lambda y, z: cross_entropy(y, z) * tf().range(1.0, len(z) + 1.0), r"gives a sample another value"),
    "nothing": (
        lambda y, z: None,
        r"returns None; it must return one value a sample: is its `return` missing\? \([^ ]*test_trial.py, line \d+\)",
    ),
    "no tensor": (lambda y, z: {"loss": z}, r"fails on labels .*: ValueError: .* \([^ ]*test_trial.py, line \d+\)"),
    "a Python if": (
        lambda y, z: z[:, 0] if z[0, 0] > 9 else cross_entropy(y, z),
        r"cannot be compiled .*bool`.*_trial.py, line \d+\); .* keras.ops.where",
    ),
    "a Python loop": (
        lambda y, z: tf().stack([cross_entropy(y[i:i + 1], z[i:i + 1])[0] for i in range(len(y))]),
        r"cannot be compiled for training",
    ),
    "an error": (
        lambda y, z: cross_entropy(y, z) @ z,
        r"fails on labels int64 \(6,\) and logits float32 \(6, 3\): \w+Error: .*\([^ ]*test_trial.py, line \d+\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD_LOSSES)
def test_a_loss_that_cannot_be_trained_on_is_refused_by_name(
    what: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from equipoise.training.trial import check_loss

    function, said = BAD_LOSSES[what]
    config, data = of(cache, *SMALL)
    monkeypatch.setitem(LOSSES.shipped, "class_weight", Loss(named_mine(function)))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"^loss=class_weight: its function mine " + said):
        check_loss(config, data)


def test_a_class_without_a_gradient_is_told(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from equipoise.training.trial import check_loss

    config, data = of(cache, *SMALL)
    halting = named_mine(lambda y, z: tf().where(y == 1, 0.0, cross_entropy(y, z)))
    monkeypatch.setitem(LOSSES.shipped, "class_weight", Loss(halting))  # type: ignore[arg-type]
    assert check_loss(config, data) == [
        "loss=class_weight has no gradient for samples of class 1: their weight has no effect"
    ]


@pytest.mark.parametrize(("form", "name"), CASES)
def test_every_loss_of_ours_passes(form: str, name: str, cache: Path) -> None:
    from equipoise.training.trial import check_loss

    typed = of_loss(name, classes=2 if form == "binary" else 3)
    assert check_loss(*of(cache, *FORMS[form], f"loss={name}", *typed)) == []


@pytest.mark.parametrize("classes", [2, 32, 64, 65])
def test_any_number_of_classes_is_tried(classes: int, cache: Path) -> None:
    from equipoise.training.trial import Trial, check_loss

    counts = ",".join(["3"] * classes)
    config, data = of(
        cache, "dataset=synthetic", f"dataset.class_counts=[{counts}]", f"dataset.features={classes}", "model=linear"
    )
    assert check_loss(config, data) == []
    trial = Trial.of(config, data)
    labels, logits = trial.labels, trial.logits
    assert len(labels) == len(logits) != classes, "axes of one length could be mistaken for each other"
    assert len(set(labels.numpy().tolist())) == min(classes, 64)


def dense_model(*ends: Any) -> Callable[..., Any]:
    """A model function whose last layers are these; an integer is a dense layer of so many units."""

    def mine(shape: tuple[int, ...], logits: int, **_: Any) -> Any:
        import keras

        inputs = x = keras.Input(shape)
        for end in ends:
            x = end(logits)(x)
        return keras.Model(inputs, x)

    return mine


def layer(name: str, *arguments: Any, **options: Any) -> Callable[[int], Any]:
    """A layer of Keras; of as many units as there are logits, if it is dense."""

    def make(logits: int) -> Any:
        import keras

        return getattr(keras.layers, name)(*([logits] if name == "Dense" else arguments), **options)

    return make


def probabilities(logits: int) -> Any:
    """A softmax that nothing in the model tells of."""

    def call(x: Any) -> Any:
        shifted = tf().exp(x - tf().reduce_max(x, axis=-1, keepdims=True))
        return shifted / tf().reduce_sum(shifted, axis=-1, keepdims=True)

    import keras

    return keras.layers.Lambda(call)


def operation(name: str) -> Callable[[int], Any]:
    def make(logits: int) -> Any:
        import keras

        return getattr(keras.ops, name)

    return make


def inner(logits: int) -> Any:
    """A model within the model."""
    import keras

    return keras.Sequential([keras.layers.Dense(logits), keras.layers.Activation("sigmoid")])


DENSE = layer("Dense")
BAD_MODELS: dict[str, tuple[list[Any], list[str], str]] = {
    "a softmax": ([layer("Dense", activation="softmax")], SMALL, r"ends in softmax; it must end in logits"),
    "a layer of it": ([DENSE, layer("Softmax")], SMALL, "ends in softmax"),
    "an operation": ([DENSE, operation("softmax")], SMALL, "ends in softmax"),
    "an activation": ([DENSE, layer("Activation", "softmax")], SMALL, "ends in softmax"),
    "one of its own": ([DENSE, probabilities], SMALL, "gives rows that sum to 1, as a softmax does"),
    "a sigmoid": ([layer("Dense", activation="sigmoid")], [*BINARY, "loss=sigmoid"], "ends in sigmoid"),
    "a sigmoid within": ([inner], [*BINARY, "loss=sigmoid"], "ends in sigmoid"),
    "sigmoids": ([layer("Dense", activation="sigmoid")], SMALL, "ends in sigmoid"),
    "too few": (
        [lambda _: layer("Dense")(2)],
        SMALL,
        r"ends in the shape \(None, 2\); it must end in \(None, 3\), 3 logits",
    ),
    "two for one": (
        [lambda _: layer("Dense")(2)],
        BINARY,
        r"ends in the shape \(None, 2\); it must end in \(None, 1\)",
    ),
    "no numbers": (
        [layer("Dense", kernel_initializer=lambda shape, dtype: tf().fill(shape, float("inf")))],
        SMALL,
        r"gives (nan|-?inf) for training samples",
    ),
    "nothing to train": ([layer("Dense", trainable=False)], SMALL, "has no weights to train"),
    "no last layer": (
        [DENSE, layer("ReLU")],
        [*SMALL, "trainer.second_stage=crt"],
        "trainer.second_stage=crt makes the last layer anew",
    ),
}


@pytest.mark.parametrize("what", BAD_MODELS)
def test_a_model_that_does_not_end_in_logits_is_refused_by_name(
    what: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from equipoise.training.graph import Compiled
    from equipoise.training.trial import check_model

    ends, overrides, said = BAD_MODELS[what]
    config, data = of(cache, *overrides)
    monkeypatch.setitem(MODELS.shipped, "mlp", Architecture(dense_model(*ends)))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=rf"^(model=mlp: mine )?{said}"):
        check_model(Compiled(config, data), config, data)


def test_ldam_needs_a_last_layer_that_it_can_make_anew(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from equipoise.training.graph import Compiled

    config, data = of(cache, *SMALL, "loss=ldam")
    monkeypatch.setitem(MODELS.shipped, "mlp", Architecture(dense_model(DENSE, layer("ReLU"))))  # type: ignore[arg-type]
    with pytest.raises(
        ConfigError, match="loss=ldam makes the last layer of a model anew, which must be Dense; this one ends in ReLU"
    ):
        Compiled(config, data)


@pytest.mark.parametrize(
    "overrides",
    [
        SMALL,
        BINARY,
        [*SMALL, "loss=ldam"],
        ["dataset=digits_lt", "model=cnn"],
        ["dataset=synthetic", "dataset.form=series", "model=conv1d"],
    ],
)
def test_every_model_of_ours_passes_and_is_as_it_was(overrides: list[str], cache: Path) -> None:
    import random

    from equipoise.training import fit
    from equipoise.training.graph import Compiled
    from equipoise.training.trial import check_loss, check_model

    config, data = of(cache, *overrides)
    built = Compiled(config, data)
    weights, state, drawn = fit.weights_sha256(built.model), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[union-attr, index]
    check_loss(config, data)
    check_model(built, config, data)
    assert fit.weights_sha256(built.model) == weights
    assert random.getstate() == state
    assert np.random.get_state()[1].tolist() == drawn  # type: ignore[union-attr, index]


@pytest.mark.parametrize(
    "options",
    [["model.dropout=0.5"], ["trainer.engine=fit", "trainer.jit=true"], ["loss=focal"], ["trainer.strategy=mirrored"]],
)
def test_the_bits_are_those_without_a_trial(options: list[str], cache: Path) -> None:
    from equipoise.training import fit
    from equipoise.training.graph import Compiled
    from equipoise.training.trial import check_loss, check_model

    config, data = of(cache, *SMALL, "weighting=balanced", "trainer.epochs=2", *options)
    digests = []
    for tried in (False, True):
        if tried:
            check_loss(config, data)
        built = Compiled(config, data)
        if tried:
            check_model(built, config, data)
        fit.fit(built, config, data, class_weights(config.weighting, data.counts, data.classes), lambda *_: None)
        digests.append(fit.weights_sha256(built.model))
    assert digests[0] == digests[1]


@pytest.mark.parametrize("name", ["class_weight", "sample_weight", "custom"])
def test_twice_the_weight_is_twice_the_loss_of_its_class_however_it_is_put_in(name: str, cache: Path) -> None:
    """As Keras computes it, before its first step: the mean over the batch of weight times loss."""
    import keras

    from equipoise.methods.implementations import IMPLEMENTATIONS, Parts, PerSampleLoss

    labels, logits = (
        tf().constant([0, 0, 1, 2]),
        tf().constant(np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)),
    )
    alone, found = cross_entropy(labels, logits).numpy(), []
    for table in ([1.0, 1.0, 1.0], [1.0, 2.0, 1.0]):
        batches = tf().data.Dataset.from_tensors((logits, labels))
        parts = IMPLEMENTATIONS[name].put_in(Parts(batches, PerSampleLoss(cross_entropy, "loss")), tf().Variable(table))
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, kernel_initializer="identity")])
        model.compile("sgd", parts.loss)
        found.append(model.fit(parts.batches, verbose=0, shuffle=False, **parts.fit).history["loss"][0])
    assert found[1] - found[0] == pytest.approx(alone[2] / 4, rel=1e-5)


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ([1.0, -1.0, 1.0], "gives the class 1 the weight -1; a weight must be finite, and not below 0"),
        ([1.0, 1.0, np.nan], "gives the class 2 the weight nan"),
        ([np.inf, 1.0, 1.0], "gives the class 0 the weight inf"),
        (
            [1.0, 1.0],
            r"returns float64 of shape \(2,\); it must return one number a class, a NumPy array of shape \(3,\)",
        ),
        ([[1.0], [1.0], [1.0]], r"returns float64 of shape \(3, 1\)"),
    ],
)
def test_a_weighting_that_is_no_weighting_is_refused_by_name(
    returned: list[Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mine(_: Any) -> Any:
        return np.array(returned)

    monkeypatch.setitem(STRATEGIES.shipped, "balanced", mine)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"weighting=balanced: its function mine " + said):
        composed(*SMALL, "weighting=balanced")
    monkeypatch.setitem(STRATEGIES.shipped, "balanced", lambda _: [1.0, 2.0, 3.0])  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="returns list; it must return one number a class"):
        composed(*SMALL, "weighting=balanced")
