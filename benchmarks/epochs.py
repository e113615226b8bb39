"""Time an epoch by each engine, by what a user would write instead, and by a loop written by hand.

All train the same model on the same samples: `model.fit`, without and with `class_weight=`; this project's engines; and
a tf.function that only gathers, differentiates and steps. Neither validation nor the epoch that traces is timed. Start
TensorFlow before importing this module.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image

from equipoise.config.model import Config, validate
from equipoise.core.paths import config_folder
from equipoise.data.feed import feature_batches
from equipoise.data.images.dataset import ImageFiles
from equipoise.data.prepared import Prepared
from equipoise.data.types import Samples
from equipoise.methods.weighting import class_weights
from equipoise.training import fit, graph
from paired import in_turn, ratio, summary, table

CLASSES, VALIDATION = 10, 200


@dataclass(frozen=True)
class Case:
    """A model, the shape of its samples, and what XLA compiles in the loop by hand."""

    model: str
    shape: tuple[int, ...]
    batch_size: int
    epochs: int
    xla: Literal["epoch", "step"] | None = None
    from_files: bool = False
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Made(Prepared):
    """Random samples in memory, which training takes as prepared ones."""

    splits: Mapping[str, Samples] = field(default_factory=dict)

    def split(self, name: str) -> Samples:
        """Return the samples of a split."""
        return self.splits[name]


# Overrides of this project's command line.
ENGINES = {
    "`loss=class_weight trainer.engine=fit`": ["loss=class_weight", "trainer.engine=fit"],
    "`loss=custom trainer.engine=fit`": ["loss=custom", "trainer.engine=fit"],
    "`loss=custom trainer.engine=resident`": ["loss=custom", "trainer.engine=resident"],
}


def measured(cases: Mapping[str, tuple[Case, Mapping[str, list[str]]]], rounds: int) -> tuple[dict[str, Any], str]:
    """Return seconds an epoch of each way in each case, and the table of their ratios to `model.fit`."""
    times = {}
    for name, (case, more) in cases.items():
        print(f" {name}, seconds an epoch", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            times[name] = in_turn(_ways(case, _data(case, Path(folder)), ENGINES | dict(more)), rounds)
    names = list(dict.fromkeys(way for of_case in times.values() for way in of_case))
    lines = [[name, *(_cell(of_case, name) for of_case in times.values())] for name in names]
    return {name: summary(of_case) for name, of_case in times.items()}, table(["an epoch", *times], lines)


def _cell(times: dict[str, list[float]], name: str) -> str:
    first = next(iter(times))
    if name == first:
        return f"1 ({statistics.median(times[name]):.2g} s)"
    return str(ratio(times[name], times[first])) if name in times else "–"


def _data(case: Case, folder: Path) -> Prepared:
    """Return random samples of ten classes in the form that training takes."""
    generator = np.random.default_rng(0)

    def files(count: int, shape: tuple[int, int, int]) -> ImageFiles:
        names = [f"{index % CLASSES}/{index}.png" for index in range(count)]
        for name in names:
            (folder / name).parent.mkdir(exist_ok=True)
            Image.fromarray(generator.integers(0, 255, shape, dtype=np.uint8)).save(folder / name)
        return ImageFiles(
            str(folder),
            np.array([name.encode() for name in names]),
            shape,
            ("PNG",),
            np.zeros(len(names), np.uint8),
        )

    def samples(count: int) -> Samples:
        return Samples(generator.random((count, *case.shape[1:]), np.float32), np.arange(count) % CLASSES)

    train = (
        Samples(files(case.shape[0], (case.shape[1], case.shape[2], case.shape[3])), np.arange(case.shape[0]) % CLASSES)
        if case.from_files
        else samples(case.shape[0])
    )
    splits, counts = {"train": train, "validation": samples(VALIDATION)}, np.bincount(train.labels)
    return Made(tuple("0123456789"), counts, folder, case.shape[1:], "", {}, splits=splits)


def _ways(case: Case, data: Prepared, engines: Mapping[str, list[str]]) -> dict[str, Callable[[], float]]:
    """Return each way as a function that returns its seconds an epoch."""
    common = [
        f"model={case.model}",
        *case.options,
        "weighting=balanced",
        f"trainer.batch_size={case.batch_size}",
        f"trainer.epochs={case.epochs + 1}",
    ]
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        composed = {name: compose("config", [*common, *options]) for name, options in engines.items()}
    configs = {name: validate(OmegaConf.to_container(each, resolve=True)) for name, each in composed.items()}  # type: ignore[arg-type]
    config = next(iter(configs.values()))
    ways = {
        "`model.fit`": _plain(config, data, {}),
        "`model.fit(class_weight=…)`": _plain(config, data, dict.fromkeys(range(CLASSES), 1.0)),
    }
    ways |= {name: _ours(config, data) for name, config in configs.items()}
    ways["loop by hand"] = _by_hand(config, data, None)
    if case.xla:
        ways["loop by hand, XLA"] = _by_hand(config, data, case.xla)
    return ways


class _Kept(fit.Supervisor):
    """The watch of the latest training, which has the seconds of each epoch without validation."""

    last: "_Kept"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        _Kept.last = self


def _ours(config: Config, data: Prepared) -> Callable[[], float]:
    """Return a training by this project; its first epoch does not count."""
    model, weights = graph.Compiled(config, data), class_weights(config.weighting, data.counts, data.classes)

    def seconds() -> float:
        fit.Supervisor = _Kept  # type: ignore[misc, assignment]
        fit.fit(model, config, data, weights, lambda *_: None)
        return statistics.mean(_Kept.last.seconds[1:])

    return seconds


def _plain(config: Config, data: Prepared, class_weight: dict[int, float]) -> Callable[[], float]:
    """`model.fit` on arrays, or on the dataset that Keras makes of a folder."""
    model, train = graph.build(config, data), data.split("train")
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    if isinstance(train.features, ImageFiles):
        files = keras.utils.image_dataset_from_directory(
            train.features.root, batch_size=config.trainer.batch_size, image_size=data.shape[:2], seed=0, verbose=False
        )
        fed = {"x": files.map(lambda images, labels: (images / 255, labels)), "shuffle": False}
    else:
        fed = {"x": train.features, "y": train.labels, "batch_size": config.trainer.batch_size}
    return _timed(lambda epochs: model.fit(**fed, epochs=epochs, verbose=0, class_weight=class_weight or None), config)


def _by_hand(config: Config, data: Prepared, xla: Literal["epoch", "step"] | None) -> Callable[[], float]:
    """Return the least that training can be: tensors in memory, steps in one graph, or an epoch as one XLA program."""
    model, optimizer, size = graph.build(config, data), keras.optimizers.Adam(), config.trainer.batch_size
    train = data.split("train")
    features, labels = tf.constant(np.concatenate(list(feature_batches(train.features)))), tf.constant(train.labels)
    optimizer.build(model.trainable_variables)
    last = len(labels) // size * size if xla == "epoch" else len(labels)  # XLA wants batches of one size

    @tf.function(jit_compile=True if xla == "step" else None)  # type: ignore[untyped-decorator]
    def step(rows: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            logits = model(tf.gather(features, rows), training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(tf.gather(labels, rows), logits))
        optimizer.apply_gradients(
            zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True)
        )

    @tf.function(jit_compile=True if xla == "epoch" else None)  # type: ignore[untyped-decorator]
    def epoch(order: tf.Tensor) -> None:
        for start in tf.range(0, last, size):
            step(tf.slice(order, [start], [size]) if xla == "epoch" else order[start : start + size])

    def epochs(count: int) -> None:
        for number in range(count):
            epoch(tf.random.experimental.stateless_shuffle(tf.range(len(labels)), [0, number]))

    return _timed(epochs, config)


def _timed(epochs: Callable[[int], object], config: Config) -> Callable[[], float]:
    """Time an epoch of a function that trains for the given number of epochs."""
    epochs(1)  # traces
    count = config.trainer.epochs - 1

    def seconds() -> float:
        start = time.perf_counter()
        epochs(count)
        return (time.perf_counter() - start) / count

    return seconds
