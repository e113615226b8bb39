"""Time each loss against Keras's own cross-entropy, and the look-up of weights among 10 and 10,000 classes.

    python benchmarks/losses.py

Both losses train the same model on the same batches and alternate; the result is the median ratio of processor seconds
on one thread, so that other work on the machine matters little.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from equipoise.training import runtime

runtime.start("cpu", 1, deterministic=True)

import keras
import numpy as np
import tensorflow as tf
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from equipoise.config.model import validate
from equipoise.core.paths import cache_folder, config_folder
from equipoise.data.prepare import prepare
from equipoise.data.prepared import Prepared
from equipoise.methods.implementations import ClassWeightedLoss, PerSampleLoss
from equipoise.methods.label_forms import cross_entropy
from equipoise.methods.losses import LOSSES
from equipoise.training.graph import build
from equipoise.training.loss import loss_function

ROUNDS = 15
BATCH, STEPS = 128, 10
NEEDS = {
    "cost_matrix": ["cost={4:{9:5}}"],
    "predicted_class": ["loss.weights={0:1,1:1,2:1,3:1,4:1,5:1,6:1,7:1,8:1,9:2}"],
}


def main() -> None:
    """Print the median ratio of each loss, and the microseconds of a look-up."""
    generator = np.random.default_rng(0)
    features = generator.random((BATCH * STEPS, 28, 28, 1)).astype(np.float32)
    labels = generator.integers(10, size=BATCH * STEPS)
    batches = tf.data.Dataset.from_tensor_slices((features, labels)).batch(BATCH).cache().prefetch(2)
    data = prepare(_config("model=cnn").dataset, cache_folder())  # of this shape, too
    plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for name, record in LOSSES.items():
        # The same function as custom; another kind of labels.
        if name in ("class_weight", "sample_weight") or record.yes_or_no:
            continue
        config = _config("model=cnn", f"loss={name}", *NEEDS.get(name, []))
        function = loss_function(config, data)
        theirs, ours = (_trainer(config, data, loss, batches) for loss in (plain, PerSampleLoss(function, name)))
        print(f"{name:18} {_median_ratio(theirs, ours):.3f} times Keras's cross-entropy", flush=True)
    for classes in (10, 10_000):
        print(f"look-up among {classes:6} classes: {_lookup(classes):.0f} microseconds a batch of {BATCH}", flush=True)


def _config(*overrides: str) -> Any:
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return validate(OmegaConf.to_container(compose("config", list(overrides)), resolve=True))  # type: ignore[arg-type]


def _trainer(config: Any, data: Prepared, loss: Any, batches: tf.data.Dataset) -> Any:
    """Return a function that trains once and returns processor seconds a step."""
    model = build(config, data)
    model.compile("adam", loss, steps_per_execution=STEPS)

    def seconds() -> float:
        start = time.process_time()
        model.fit(batches, verbose=0, shuffle=False)
        return (time.process_time() - start) / STEPS

    seconds()  # traces
    return seconds


def _median_ratio(theirs: Callable[[], float], ours: Callable[[], float]) -> float:
    ratios = []
    for number in range(ROUNDS):
        first, second = (theirs, ours) if number % 2 else (ours, theirs)
        times = {id(timed): timed() for timed in (first, second)}
        ratios.append(times[id(ours)] / times[id(theirs)])
    return statistics.median(ratios)


def _lookup(classes: int) -> float:
    """Return what weights add to the loss of a batch with ten logits, in microseconds."""
    logits = tf.random.stateless_normal((BATCH, 10), (0, 0))
    labels = tf.constant(np.arange(BATCH) % 10)
    bare = PerSampleLoss(cross_entropy, "bare")
    weighted = ClassWeightedLoss(cross_entropy, "weighted", tf.Variable(tf.ones(classes)))
    without, with_weights = (tf.function(loss.call) for loss in (bare, weighted))

    def seconds(function: Any) -> float:
        start = time.process_time()
        for _ in range(1000):
            function(labels, logits)
        return (time.process_time() - start) / 1000

    seconds(without), seconds(with_weights)
    return statistics.median(seconds(with_weights) - seconds(without) for _ in range(ROUNDS)) * 1e6


if __name__ == "__main__":
    main()
