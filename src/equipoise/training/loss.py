"""The configured loss as training calls it: of labels and logits, with what it looks up in the data at hand."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from equipoise.config.model import Config
from equipoise.core.schema import Floats, arguments
from equipoise.data.prepared import Prepared
from equipoise.methods.costs import cost_matrix
from equipoise.methods.implementations import PerSample
from equipoise.methods.losses import LOSSES, Loss
from equipoise.methods.schedules import epoch_of
from equipoise.methods.tasks.choose import task_of


@dataclass(frozen=True)
class ConfiguredLoss:
    """The configured loss of (labels, logits), one value a sample, without weights.

    Attributes
    ----------
    options : of the function
    tables : float32, what the function looks up, by the name of its parameter
    """

    record: Loss
    options: Mapping[str, Any]
    tables: Mapping[str, Floats]

    def __call__(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        tables = {name: tf.constant(values) for name, values in self.tables.items()}
        return self.record(labels, logits, **tables, **self.options)

    def at(self, epoch: int, begins: int | None) -> "ConfiguredLoss":
        """Return the loss as it is at an epoch, from 0, where it is what it is named after from `begins` on."""
        if begins is None:
            return self
        return replace(self, tables={**self.tables, "begun": np.array(epoch >= begins, np.float32)})

    def held(self) -> dict[str, tf.Variable]:
        """Make a variable of each table that training holds in one."""
        if self.record.constant_tables:
            return {}
        return {name: tf.Variable(values, trainable=False) for name, values in self.tables.items()}

    def reading(self, held: Mapping[str, tf.Variable]) -> PerSample:
        """Return the loss, which reads its tables from these variables."""
        if self.record.constant_tables:
            return self

        def call(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
            tables = {name: variable.read_value() for name, variable in held.items()}
            return self.record(labels, logits, **tables, **self.options)

        return call

    @property
    def in_graph(self) -> dict[str, Any]:
        """What of the tables decides the graph: their values, or their shapes where variables hold the values."""
        is_constant = self.record.constant_tables
        return {name: values.tolist() if is_constant else values.shape for name, values in self.tables.items()}


def logits_of(config: Config, data: Prepared) -> int:
    """Return how many logits a model ends in."""
    return 1 if config.dataset.labels == "binary" else len(data.classes)


def loss_function(config: Config, data: Prepared) -> ConfiguredLoss:
    """Return the configured loss, with its tables as these data have them."""
    task, record = task_of(data), LOSSES[config.loss.name]
    costs = None if config.cost is None else cost_matrix(config.cost, data.classes)
    options = task.loss_options(config.weighting, config.loss)
    tables = record.tables_of(task.known(data, costs), options, data.classes)
    as_float32 = {name: np.asarray(values, np.float32) for name, values in tables.items()}
    return ConfiguredLoss(record, arguments(options, record.function, data.classes), as_float32)


def begins_at(config: Config) -> int | None:
    """Return the epoch, from 0, at which the loss becomes what it is named after; None if it is so from the start."""
    begins = LOSSES[config.loss.name].begins
    return None if begins is None else epoch_of(begins(**arguments(config.loss, begins)), config.trainer.epochs)
