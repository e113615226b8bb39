"""Trainings so small that tests can repeat them."""

from pathlib import Path
from typing import Any

from equipoise.config.model import Config
from equipoise.data.prepare import prepare
from equipoise.data.prepared import Prepared
from equipoise.data.resampling import resampled
from equipoise.runs.weigh import weigh
from helpers import composed

IMPLEMENTATIONS = ("class_weight", "sample_weight", "custom")
# 93 samples in batches of 16: the last batch holds 13.
SMALL = [
    "dataset=synthetic",
    "dataset.class_counts=[60,25,8]",
    "dataset.features=6",
    "model=mlp",
    "model.hidden=[8]",
    "trainer.batch_size=16",
]
# The gradient times the step is beyond float32.
HUGE = [
    "weighting=manual",
    "weighting.weights={0:1e30,1:1e30,2:1e30}",
    "trainer.learning_rate=1e9",
    "trainer.optimizer=sgd",
]
# Two classes, of 80 and 13 samples.
TWO = [*SMALL, "dataset.class_counts=[80,13]"]


def small_resnet(shape: tuple[int, ...], logits: int, *, depth: int) -> Any:
    """Two blocks of `model=resnet`, which TensorFlow compiles in a moment."""
    from keras import Input, Model, layers

    from equipoise.methods.models import _normalised, _residual

    inputs = Input(shape, name="features")
    x = _residual(_residual(_normalised(inputs, 4, 1), 4, 1), 8, 2)
    return Model(inputs, layers.Dense(logits, name="logits")(layers.GlobalAveragePooling2D()(x)))


def fit(cache: Path, *overrides: str, shared: bool = False) -> tuple[str, list[dict[str, float]], Any, Prepared]:
    """Train three epochs; return the weights' digest, the history, the model and the data.

    Parameters
    ----------
    shared : with what an earlier training has traced, and its model, if only variables tell it from this one, as jobs
        of a sweep do; test_graph.py holds that it changes no bit
    """
    from equipoise.training import fit as training
    from equipoise.training.graph import Compiled, compiled

    config: Config = composed("trainer.epochs=3", *overrides)
    data = resampled(config.dataset, prepare(config.dataset, cache), config.seed)
    weights = weigh(config, data)
    built = (compiled if shared else Compiled)(config, data)
    history: list[dict[str, float]] = []
    training.fit(built, config, data, weights, lambda _, metrics: history.append(metrics))
    return training.weights_sha256(built.model), history, built.model, data
