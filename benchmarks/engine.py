"""Seconds an epoch of each engine, beside what a user would write instead and a loop by hand.

    python benchmarks/engine.py [ROUNDS]

The same model on the same arrays four ways, in turn: `model.fit` on NumPy arrays; trainer.engine=fit; trainer.engine=resident;
and a tf.function that does no more than gather, differentiate and step. Validation is not timed, nor an epoch that is traced.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from equipoise import runtime

runtime.start("cpu", "auto", deterministic=True)

import keras
import numpy as np
import tensorflow as tf
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from equipoise import training
from equipoise.config import Config, validate
from equipoise.data.sources import Samples
from equipoise.paths import config_folder
from equipoise.weighting import class_weights

CLASSES, EPOCHS, VALIDATION = 10, 6, 200
CASES = {
    "MLP, 58,000 x 9, batch 256": ("mlp", (58_000, 9), 256),
    "Conv1D, 1,000 x 128, batch 32": ("conv1d", (1_000, 128, 1), 32),
    "CNN, 12,800 x 28 x 28, batch 128": ("cnn", (12_800, 28, 28, 1), 128),
}


def main(rounds: int) -> None:
    """Print the medians of seconds, and of the ratios of each round."""
    for case, (model, shape, batch_size) in CASES.items():
        print(f"\n{case}: medians of {rounds} rounds of {EPOCHS} epochs, and of their ratios")
        ways = arrangements(model, arrays(shape), batch_size)
        found: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, seconds in ways.items():
                found[name].append(seconds())
        print(f"{'':16} seconds an epoch" + "".join(f"{'of ' + other:>24}" for other in found))
        for name, times in found.items():
            print(f"{name:16} {statistics.median(times):16.4f}" + "".join(f"{ratio(times, found[other]):>24}" for other in found), flush=True)


def ratio(times: list[float], others: list[float]) -> str:
    """The median of the rounds' ratios, and their range."""
    found = [mine / theirs for mine, theirs in zip(times, others, strict=True)]
    return f"{statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})"


def arrays(shape: tuple[int, ...]) -> Any:
    """Random samples of ten classes, as training takes them."""
    generator = np.random.default_rng(0)

    def samples(count: int) -> Samples:
        return Samples(generator.random((count, *shape[1:]), np.float32), np.arange(count) % CLASSES)

    splits = {"train": samples(shape[0]), "validation": samples(VALIDATION)}
    counts = np.bincount(splits["train"].labels)
    return SimpleNamespace(classes=tuple("0123456789"), shape=shape[1:], counts=counts, several_labels=False, split=splits.__getitem__)


def arrangements(model: str, data: Any, batch_size: int) -> dict[str, Callable[[], float]]:
    """The four ways to train, each a function that returns its seconds an epoch."""
    overrides = [f"model={model}", "loss=custom", "weighting=balanced", f"trainer.batch_size={batch_size}", f"trainer.epochs={EPOCHS + 1}"]
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        configs = [
            validate(OmegaConf.to_container(compose("config", [*overrides, f"trainer.engine={engine}"]), resolve=True))  # type: ignore[arg-type]
            for engine in ("fit", "resident")
        ]
    return {
        "model.fit": plain(configs[0], data),
        "engine=fit": lambda: ours(configs[0], data),
        "engine=resident": lambda: ours(configs[1], data),
        "loop by hand": by_hand(configs[0], data),
    }


def ours(config: Config, data: Any) -> float:
    """Of a training by this project, all but its first epoch."""
    begun, taken = [0.0], []
    begin_epoch, end_epoch = training._Watch.on_epoch_begin, training._Watch.on_epoch_end

    def on_epoch_begin(watch: training._Watch, epoch: int, logs: object = None) -> None:
        begin_epoch(watch, epoch, logs)
        begun[0] = time.perf_counter()

    def on_epoch_end(watch: training._Watch, epoch: int, logs: Any = None) -> None:
        taken.append(time.perf_counter() - begun[0])
        end_epoch(watch, epoch, logs)

    model = training.build(config, data)
    weights = class_weights(config.weighting, data.counts, data.classes)
    training._Watch.on_epoch_begin, training._Watch.on_epoch_end = on_epoch_begin, on_epoch_end
    try:
        training.fit(model, training.Predictor(model), config, data, weights, lambda *_: None)
    finally:
        training._Watch.on_epoch_begin, training._Watch.on_epoch_end = begin_epoch, end_epoch
    return statistics.mean(taken[1:])


def plain(config: Config, data: Any) -> Callable[[], float]:
    """`model.fit` on arrays."""
    model, train = training.build(config, data), data.split("train")
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return timed(lambda epochs: model.fit(train.features, train.labels, batch_size=config.trainer.batch_size, epochs=epochs, verbose=0))


def by_hand(config: Config, data: Any) -> Callable[[], float]:
    """The least that training can be."""
    model, optimizer, size = training.build(config, data), keras.optimizers.Adam(), config.trainer.batch_size
    features, labels = tf.constant(data.split("train").features), tf.constant(data.split("train").labels)
    optimizer.build(model.trainable_variables)

    @tf.function
    def epoch(seed: tf.Tensor) -> None:
        order = tf.random.experimental.stateless_shuffle(tf.range(len(labels)), [0, seed])
        for start in tf.range(0, len(labels), size):
            rows = order[start : start + size]
            with tf.GradientTape() as tape:
                logits = model(tf.gather(features, rows), training=True)
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(tf.gather(labels, rows), logits))
            optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True))

    def epochs(count: int) -> None:
        for number in range(count):
            epoch(tf.constant(number))

    return timed(epochs)


def timed(epochs: Callable[[int], object]) -> Callable[[], float]:
    """Seconds an epoch of a function that trains for so many."""
    epochs(1)  # traces

    def seconds() -> float:
        start = time.perf_counter()
        epochs(EPOCHS)
        return (time.perf_counter() - start) / EPOCHS

    return seconds


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
