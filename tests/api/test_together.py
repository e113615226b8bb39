"""Weights, losses and comparison together, in the code of somebody who uses neither runs nor sweeps."""

from typing import Any

import pandas as pd
import pytest
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold

import equipoise as eq

FOLDS = 5
X, Y = make_classification(
    500, 6, n_informative=6, n_redundant=0, weights=[0.93], class_sep=0.8, flip_y=0, random_state=3
)


def compared(fits: dict[str, Any]) -> pd.DataFrame:
    """Each way to fit, on the same folds: functions of a fold's features and labels to a model's `predict`."""
    scores = []
    for fold, (train, test) in enumerate(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(X, Y)):
        for name, fit in fits.items():
            score = balanced_accuracy_score(Y[test], fit(X[train], Y[train])(X[test]))
            scores.append({"fold": fold, "model": name, "balanced_accuracy": score})
    return eq.compare(
        pd.DataFrame(scores), units="folds", unit="fold", configuration="model", value="balanced_accuracy"
    ).frame


def test_an_estimator_of_scikit_learn() -> None:
    def weighted(weighting: str) -> Any:
        def fit(x: Any, y: Any) -> Any:
            w = eq.class_weights(y, weighting)
            return LogisticRegression().fit(x, y, sample_weight=w.sample_weight(y)).predict

        return fit

    found = compared({name: weighted(name) for name in ("none", "balanced")})
    row = found.loc["balanced"]
    assert row["difference"] > 0.05
    assert row["p"] < 0.05
    assert (row["better"], row["pairs"]) == (FOLDS, FOLDS)


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow")
def test_a_loop_in_plain_keras() -> None:
    import keras
    import tensorflow as tf

    def trained(loss_of: Any) -> Any:
        def fit(x: Any, y: Any) -> Any:
            keras.utils.set_random_seed(0)
            model = keras.Sequential([keras.layers.Input((6,)), keras.layers.Dense(2)])
            loss, optimizer = loss_of(eq.class_weights(y, "balanced")), keras.optimizers.Adam(0.05)

            @tf.function
            def step(features: Any, labels: Any) -> None:
                with tf.GradientTape() as tape:
                    value = loss(labels, model(features, training=True))
                gradients = tape.gradient(value, model.trainable_weights)
                optimizer.apply_gradients(zip(gradients, model.trainable_weights, strict=True))

            optimizer.build(model.trainable_weights)
            for _ in range(60):
                step(tf.constant(x, tf.float32), tf.constant(y))
            return lambda features: model(features).numpy().argmax(axis=1)

        return fit

    found = compared(
        {
            "none": trained(lambda w: eq.losses.CrossEntropy()),
            "weights": trained(lambda w: eq.losses.CrossEntropy(class_weights=w.weights)),
            "balanced softmax": trained(lambda w: eq.losses.BalancedSoftmax(w.counts)),
        }
    )
    assert found.index[-1] == "none"
    for name in ("weights", "balanced softmax"):
        assert found.loc[name, "difference"] > 0.05
        assert found.loc[name, "better"] == FOLDS
