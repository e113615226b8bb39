"""Sharpness-aware steps: those of NumPy by hand, with the bits of plain ones where they look nowhere else."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trainings
from equipoise.data.prepare import prepare
from equipoise.runs.resume import made_by
from equipoise.runs.weigh import weigh
from equipoise.training.checkpoints import Checkpoints
from helpers import composed
from trainings import IMPLEMENTATIONS

pytestmark = pytest.mark.usefixtures("tensorflow")

SAM = ["trainer.sharpness=sam", "trainer.sharpness_rho=0.5"]
SGD = ["trainer.optimizer=sgd", "trainer.learning_rate=0.1"]
X = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
Y, W = np.array([0, 1, 1, 0, 1]), np.array([1, 4, 4, 1, 4], np.float32)


def compiled(*overrides: str, layers: Any = ()) -> Any:
    """A model of these layers and a linear one, made for the config's trainer."""
    import keras

    from equipoise.methods.implementations import PerSampleLoss
    from equipoise.methods.losses import cross_entropy
    from equipoise.training.optimizer import optimizer_of, spared_of
    from equipoise.training.sharpness import sharpness_aware

    trainer = composed(*overrides).trainer
    keras.utils.set_random_seed(0)
    bare = keras.Sequential([keras.Input((3,)), *[make() for make in layers], keras.layers.Dense(2, dtype="float32")])
    model = sharpness_aware(bare, trainer)
    optimizer = optimizer_of(trainer, spared_of(model), np.array([1.0, 4.0]))
    model.compile(optimizer, PerSampleLoss(cross_entropy, "cross_entropy"))
    optimizer.build(model.trainable_variables)
    return model


def step(model: Any) -> list[Any]:
    """Take one step on weighted samples; return the model's weights."""
    model.train_step((X, Y, W))
    return [array.copy() for array in model.get_weights()]


def probabilities(x: Any, kernel: Any, bias: Any) -> Any:
    exponentials = np.exp(x @ kernel + bias)
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def gradient(x: Any, kernel: Any, bias: Any) -> tuple[Any, Any]:
    """Of the mean over the samples of weight x cross-entropy."""
    errors = (probabilities(x, kernel, bias) - np.eye(2)[Y]) * W[:, None] / len(Y)
    return x.T @ errors, errors.sum(axis=0)


def uphill(x: Any, kernel: Any, bias: Any) -> tuple[Any, Any]:
    """The gradient at w + rho g / ||g||."""
    first = gradient(x, kernel, bias)
    share = 0.5 / length(first)
    return gradient(x, kernel + share * first[0], bias + share * first[1])


def length(parts: Any) -> float:
    return float(np.sqrt(sum((part**2).sum() for part in parts)))


def test_a_step_goes_by_the_weighted_gradient_uphill() -> None:
    model = compiled(*SGD, *SAM)
    kernel, bias = model.get_weights()
    after, expected, plain = step(model), uphill(X, kernel, bias), gradient(X, kernel, bias)
    np.testing.assert_allclose(after[0], kernel - 0.1 * expected[0], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(after[1], bias - 0.1 * expected[1], rtol=1e-5, atol=1e-7)
    assert not np.allclose(after[0], kernel - 0.1 * plain[0], atol=1e-3), "the place is another"
    losses = -np.log(probabilities(X, kernel, bias)[np.arange(5), Y]) * W
    assert float(model.get_metrics_result()["loss"]) == pytest.approx(losses.mean(), rel=1e-5), "of the weights"


def test_what_is_clipped_is_the_second_gradient_and_what_decays_the_weights() -> None:
    model = compiled(*SGD, *SAM, "trainer.clip_norm=0.01", "trainer.weight_decay=0.5")
    kernel, bias = model.get_weights()
    after, expected = step(model), uphill(X, kernel, bias)
    clipped = [0.1 * 0.01 / length(expected) * part for part in expected]
    np.testing.assert_allclose(after[0], kernel * 0.95 - clipped[0], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(after[1], bias - clipped[1], rtol=1e-5, atol=1e-7)


def test_what_is_frozen_is_not_moved_uphill_either() -> None:
    import keras

    model = compiled(*SGD, *SAM, layers=[lambda: keras.layers.Dense(3, name="frozen")])
    model.get_layer("frozen").trainable = False
    *frozen, kernel, bias = model.get_weights()
    *same, after, _ = step(model)
    np.testing.assert_array_equal(same[0], frozen[0])
    np.testing.assert_array_equal(same[1], frozen[1])
    expected = uphill(X @ frozen[0] + frozen[1], kernel, bias)
    np.testing.assert_allclose(after, kernel - 0.1 * expected[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_a_step_that_looks_nowhere_else_is_a_plain_one_to_the_bit(precision: str) -> None:
    """Both passes drop the same units, and the statistics of batch norm and the state of dropout move on once."""
    import keras

    layers = [lambda: keras.layers.Dense(8), keras.layers.BatchNormalization, lambda: keras.layers.Dropout(0.5)]
    keras.config.set_dtype_policy(precision)
    given = [f"trainer.precision={precision}", "trainer.ema=0.9"]
    near = [*SAM[:1], "trainer.sharpness_rho=1e-30"]
    plain, sharp, wide = (compiled(*given, *more, layers=layers) for more in ([], near, SAM))
    for _ in range(2):
        for left, right in zip(step(plain), step(sharp), strict=True):
            np.testing.assert_array_equal(left, right)
    for left, right in zip(plain.variables, sharp.variables, strict=True):
        np.testing.assert_array_equal(left.numpy(), right.numpy(), err_msg=left.path)
    step(wide), step(wide)
    assert any((left != right).any() for left, right in zip(wide.get_weights(), sharp.get_weights(), strict=True))


def test_a_gradient_of_nothing_moves_nothing() -> None:
    import tensorflow as tf

    from equipoise.methods.sharpness import sam

    weights = [tf.Variable([1.0, 2.0]), tf.Variable([[3.0]])]
    assert [each.numpy().tolist() for each in sam(weights, [tf.zeros(2), tf.zeros((1, 1))], sharpness_rho=0.5)] == [
        [1, 2],
        [[3]],
    ]
    moved = sam(weights, [tf.constant([3.0, 0.0]), tf.constant([[4.0]])], sharpness_rho=0.5)
    assert [each.numpy().tolist() for each in moved] == [pytest.approx([1.3, 2.0]), [pytest.approx([3.4])]]


def fit(cache: Path, *overrides: str, folder: Path | None = None, end: int | None = None) -> tuple[str, int]:
    """Return weights' digest and the steps that the last epoch counted; `end` is after which epoch it breaks off."""
    from equipoise.training import fit as training
    from equipoise.training.graph import Compiled

    config = composed(*trainings.SMALL, "trainer.epochs=3", "weighting=balanced", *SAM, *overrides)
    data = prepare(config.dataset, cache)
    built = Compiled(config, data)

    def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
        if epoch == end:
            raise InterruptedError

    kept = Checkpoints(folder, made_by(config, data), first=0) if folder else None
    training.fit(built, config, data, weigh(config, data), on_epoch, kept)
    return training.weights_sha256(built.model), int(built.first_bad.taken.numpy())


@pytest.mark.slow
def test_implementations_and_engines_leave_the_same_bits(cache: Path, tmp_path: Path) -> None:
    given = ["trainer.clip_norm=0.5", "trainer.ema=0.9", "model.dropout=0.3"]
    ways = [[f"loss={name}", "trainer.engine=fit"] for name in IMPLEMENTATIONS]
    expected, *others = [fit(cache, *given, *way) for way in ways]
    assert [expected] * 2 == others
    assert expected[1] == 6, "of two passes, one counts"
    resident = [*given, "loss=custom", "trainer.engine=resident"]
    with pytest.raises(InterruptedError):
        fit(cache, *resident, folder=tmp_path, end=1)
    assert fit(cache, *resident, folder=tmp_path) == expected, "gone on with in another engine"
