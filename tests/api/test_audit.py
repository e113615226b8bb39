"""What weights do to a Keras model, by hand, for every form of labels and any loss."""

from typing import Any

import numpy as np
import pytest

import equipoise as eq

pytestmark = [pytest.mark.usefixtures("tensorflow"), pytest.mark.slow]

X, Y = np.zeros((4, 1), np.float32), np.array([0, 0, 0, 1])


def even(logits: int, *more: Any) -> Any:
    """A model whose logits are 0."""
    import keras

    return keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(logits, kernel_initializer="zeros"), *more])


@pytest.mark.parametrize("labels", [Y, np.eye(2)[Y], np.where(Y, "dog", "cat"), ["cat"] * 3 + ["dog"]], ids=str)
def test_shares_by_hand(labels: Any) -> None:
    """Where all probabilities are one half, shares are those of the weights."""
    plain = eq.audit(even(2), X, labels)
    assert plain["n"].tolist() == [3, 1]
    assert plain["weight"].tolist() == [1, 1]
    assert plain["loss_share"].tolist() == plain["gradient_share"].tolist() == pytest.approx([0.75, 0.25])
    for logits in (2, 1):
        w = eq.class_weights(labels, "manual", weights=dict(zip(eq.class_weights(labels).classes, (1, 6), strict=True)))
        found = eq.audit(even(logits), X, labels, w)
        for share in ("weight_share", "loss_share", "gradient_share"):
            assert found[share].tolist() == pytest.approx([1 / 3, 2 / 3])


def test_losses_of_keras_and_of_ones_own() -> None:
    import keras
    import tensorflow as tf

    rows, w = np.eye(2)[Y], eq.class_weights(Y)
    for labels, loss in (
        (Y, keras.losses.SparseCategoricalCrossentropy(from_logits=True)),
        (rows, keras.losses.CategoricalCrossentropy(from_logits=True)),
        (Y, eq.losses.Focal()),
        (rows, lambda labels, logits: tf.reduce_sum((labels - logits) ** 2, axis=-1)),
    ):
        assert eq.audit(even(2), X, labels, w, loss=loss)["loss_share"].tolist() == pytest.approx([0.5, 0.5])
    # log 4 and log 4/3 of the classes' shares 3/4 and 1/4
    found = eq.audit(even(2), X, Y, loss=eq.losses.BalancedSoftmax([3, 1]))["loss_share"]
    first, second = 3 * np.log(4 / 3), np.log(4)
    assert found.tolist() == pytest.approx([first / (first + second), second / (first + second)])


def test_models_of_any_kind() -> None:
    import keras

    class Sum(keras.Model):
        """A model whose logits are the sums of two inputs."""

        def call(self, inputs: Any) -> Any:
            first, second = (inputs["a"], inputs["b"]) if isinstance(inputs, dict) else inputs
            return first + second

    a, b = np.array([[1.0, 0], [0, 0], [0, 0], [0, 0]]), np.array([[-1.0, 0], [0, 0], [0, 0], [0, 0]])
    for x in ({"a": a, "b": b}, (a, b)):
        assert eq.audit(Sum(), x, Y, eq.class_weights(Y))["loss_share"].tolist() == pytest.approx([0.5, 0.5])


def test_mistakes_are_told() -> None:
    import keras

    with pytest.raises(
        eq.ConfigError, match=r"what the model says has the shape \(1, 3\); needed is one number a class"
    ):
        eq.audit(even(3), X, Y)
    with pytest.raises(eq.ConfigError, match="rows that sum to 1, which are probabilities"):
        eq.audit(even(2, keras.layers.Softmax()), X, Y)
    with pytest.raises(eq.ConfigError, match="takes probabilities: make it with from_logits=True"):
        eq.audit(even(2), X, Y, loss=keras.losses.SparseCategoricalCrossentropy())
