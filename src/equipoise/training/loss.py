"""The configured loss as training calls it: of labels and logits, with what it needs of the data at hand."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from equipoise.config.model import Config
from equipoise.core.schema import Floats, arguments
from equipoise.data.feed import encode
from equipoise.data.prepared import Prepared
from equipoise.methods.costs import cost_matrix
from equipoise.methods.implementations import PerSample
from equipoise.methods.losses import LOSSES, positive_weights, tables_held


def logits_of(config: Config, data: Prepared) -> int:
    """How many a model ends in."""
    return 1 if config.dataset.labels == "binary" else len(data.classes)


def loss_function(config: Config, data: Prepared) -> PerSample:
    """The configured loss of (labels, logits), one value a sample, without weights."""
    function = LOSSES[config.loss.name]
    options = arguments(config.loss, function, data.classes)
    counts = data.counts.astype(np.float64)
    at_hand: dict[str, Callable[[], Floats]] = {
        "counts": lambda: counts,
        "costs": lambda: cost_matrix(config.cost or {}, data.classes),
        # Of a single logit, class 1 is the positive one.
        "balance": lambda: positive_weights(
            *((counts, len(data.split("train").labels)) if data.several_labels else (counts[1:], int(counts.sum())))
        ),
    }
    if data.several_labels and config.weighting.name == "balanced":
        options["pos_weight"] = "auto"  # what weights balanced are where a sample has no one class
    asked = [name for name in list(inspect.signature(function).parameters)[2:] if name in at_hand]
    given: dict[str, Floats] = {name: at_hand[name]() for name in asked}
    return lambda labels, logits: function(labels, logits, **given, **options)


def loss_tables(function: PerSample, config: Config, data: Prepared) -> list[Floats]:
    """The tables that a loss looks things up in, in the order in which it asks for them."""
    asked: list[Floats] = []

    def hold(values: Any) -> tf.Tensor:
        asked.append(np.asarray(values, np.float32))
        return tf.constant(asked[-1])

    labels = encode(tf.constant(np.asarray(data.split("train").labels[:1])), len(data.classes), config.dataset.labels)
    with tables_held(hold):
        function(labels, tf.zeros((1, logits_of(config, data))))
    return asked
