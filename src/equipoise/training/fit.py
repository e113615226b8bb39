"""Fit a Keras model with the weights put in as configured, and tell after each epoch how it went.

Knows nothing of MLflow, of the terminal or of the test split.
"""

import hashlib
import math
import statistics
import time
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from equipoise.config.model import Config
from equipoise.core.clock import clock
from equipoise.core.schema import Floats, Integers
from equipoise.data.prepared import Prepared
from equipoise.methods.implementations import check_labels
from equipoise.methods.learning_rates import factor_at
from equipoise.methods.phases import Span, spans
from equipoise.methods.schedules import SCHEDULES, share_at, stretches, weights_at
from equipoise.methods.tasks.choose import task_of
from equipoise.methods.weighting import ClassWeights
from equipoise.training.audit import weighted_losses
from equipoise.training.checkpoints import Checkpoints, State, pack, unpack
from equipoise.training.divergence import Divergence
from equipoise.training.graph import Compiled
from equipoise.training.learner import OnEpoch
from equipoise.training.monitored import score
from equipoise.training.optimizer import Average
from equipoise.training.workers import from_chief


@clock.part("train")
def fit(
    compiled: Compiled,
    config: Config,
    data: Prepared,
    weights: ClassWeights,
    on_epoch: OnEpoch,
    checkpoints: Checkpoints | None = None,
) -> None:
    """Train the model in place, from the newest checkpoint on if there is one.

    Every source of randomness is a function of the seed and the epoch, so that a training that was interrupted and
    goes on at the end of an epoch ends with the same bits as one that was not.

    Parameters
    ----------
    on_epoch : called with the epoch, from 0, and its metrics: `train/loss`, `val/…`, and `weight_schedule` and
        `learning_rate` if these change; also for each epoch that a checkpoint has behind it. If it returns True,
        training ends with that epoch.
    checkpoints : where the state is kept at the end of an epoch; None: nowhere. Of several workers, the chief's decide.

    Raises
    ------
    ConfigError
        If the labels do not fit the weights, a loss or gradient is no longer finite, or what early stopping watches is
        not defined.
    """
    factors = task_of(data).factors(weights)
    check_labels(data.training.labels, factors, len(data.classes))
    watch = Supervisor(compiled, config, data, factors, on_epoch)
    enter = compiled.begin(config, factors, watch)
    watch.checkpoints = checkpoints
    watch.go_on(_begun(compiled.strategy, checkpoints))
    for span in spans(config.trainer.phases, config.trainer.epochs):
        if watch.stopped or span.end <= watch.done:
            continue
        watch.begin(span)
        for first, end, share in stretches(config.weighting, config.trainer.epochs):
            first, end = max(first, span.first, watch.done), min(end, span.end)
            if watch.stopped or end <= first:
                continue
            compiled.set_weights(weights_at(factors, share))
            enter(first, end)
    watch.restore_best()
    epoch, *others = watch.seconds or [0.0]
    clock.move(max(0.0, epoch - statistics.median(others or [epoch])), "train", "trace")


def weights_sha256(model: keras.Model) -> str:
    """Return the digest of all the model's weights, in order, with their shapes."""
    digest = hashlib.sha256()
    for array in model.get_weights():
        digest.update(f"{array.dtype} {array.shape} ".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def spoiled(model: keras.Model) -> str | None:
    """Return the path of the first of the model's weights that is not finite; None if all are numbers."""
    for variable, array in zip(model.weights, model.get_weights(), strict=True):
        if not np.isfinite(array).all():
            return str(variable.path)
    return None


def _begun(strategy: tf.distribute.Strategy, checkpoints: Checkpoints | None) -> State | None:
    """Return the state to go on from: on every worker the chief's."""
    newest = checkpoints.newest() if checkpoints else None
    return unpack(from_chief(strategy, pack(newest) if newest else b""))


class Supervisor(keras.callbacks.Callback):
    """Sets what the epoch decides, validates, reports, keeps the state, and stops early if so configured."""

    checkpoints: Checkpoints | None = None

    def __init__(self, compiled: Compiled, config: Config, data: Prepared, weights: Floats, on_epoch: OnEpoch) -> None:
        super().__init__()
        self.compiled, self.config, self.weights, self.on_epoch = compiled, config, weights, on_epoch
        self.diverged = Divergence(compiled.work, compiled.first_bad, config, data.classes)
        self.validation = data.split("validation")
        self.task = task_of(data)
        self.best, self.waited, self.stopped = -math.inf, 0, False
        self.best_weights: Sequence[Floats] | None = None
        self.history: list[dict[str, float]] = []
        self.seconds: list[float] = []  # of each epoch's steps
        self.average = Average() if config.trainer.ema is not None else None
        self.rate = config.trainer.learning_rate
        self.is_last = True  # of the phases, the only one that is stopped early

    @property
    def done(self) -> int:
        """How many epochs are over."""
        return len(self.history)

    def go_on(self, state: State | None) -> None:
        """Take up the state of a checkpoint."""
        if state is None:
            return
        model, values = self.model, state.values
        model.set_weights(state.arrays["weights"])
        self._optimizer = state.arrays["optimizer"]
        if not self.config.trainer.phases:
            self._take_up_optimizer()
        if self.average:
            self.average.put_in(model)
        self.best, self.waited, self.stopped = values["best"], values["waited"], values["stopped"]
        self.best_weights = state.arrays["best"] or None
        for epoch, metrics in enumerate(values["history"]):
            self.history.append(metrics)
            self.on_epoch(epoch, metrics)

    def begin(self, span: Span) -> None:
        """Begin a phase, or go on within it."""
        phase = span.phase
        if phase is None:
            return
        self.compiled.begin_phase(self.config, self.weights, phase)
        self.rate = phase.learning_rate or self.config.trainer.learning_rate
        if span.first < self.done:
            self._take_up_optimizer()
        self.is_last = span.end == self.config.trainer.epochs

    def _take_up_optimizer(self) -> None:
        for variable, value in zip(self.model.optimizer.variables, self._optimizer, strict=True):
            variable.assign(value)

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self.epoch = epoch
        if self.average:
            self.average.take_out(self.model)
        self.compiled.set_epoch(epoch)
        self._set_learning_rate(epoch)
        self.begun = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        # The mean over the epoch so far: one step's loss that is not finite stays in it.
        if not math.isfinite(float((logs or {})["loss"])):
            raise self.diverged.error(self.epoch, batch)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.seconds.append(time.perf_counter() - self.begun)
        loss = float((logs or {})["loss"])
        if self.average:
            self.average.put_in(self.model)
        labels = np.asarray(self.validation.labels)
        raw = self.compiled.predict(self.validation.features)
        # The loss is from before the last steps, the predictions are from after them.
        if not (math.isfinite(loss) and np.isfinite(raw).all()):
            raise self.diverged.error(epoch)
        weights = spoiled(self.model)
        if weights:
            raise self.diverged.hidden(epoch, weights)
        share = share_at(self.config.weighting, epoch, self.config.trainer.epochs)
        in_force = weights_at(self.weights, share)
        metrics = {
            "train/loss": loss,
            "val/loss": self._loss(labels, raw, in_force, epoch),
        }
        if SCHEDULES[self.config.weighting.schedule].has_start:
            metrics["weight_schedule"] = share
        if self.config.trainer.schedule != "constant" or self.config.trainer.phases:
            metrics["learning_rate"] = self.rate
        metrics |= {f"val/{name}": value for name, value in self.task.epoch_metrics(labels, raw).items()}
        self.history.append(metrics)
        enough = self.on_epoch(epoch, metrics)
        self._stop_early(metrics)
        if enough:
            self.stopped = self.model.stop_training = True
        self._keep()

    def _loss(self, labels: Integers, raw: Floats, weights: Floats, epoch: int) -> float:
        """Return the mean loss on the validation split, weighted as in training at this epoch."""
        function = self.compiled.function_at(epoch)
        losses = weighted_losses(function, labels, raw, weights, self.config.dataset.labels)
        rows = self.validation.weights
        return float((losses if rows is None else losses * rows).mean())

    def _stop_early(self, metrics: dict[str, float]) -> None:
        trainer = self.config.trainer
        if trainer.early_stopping is None:
            return
        value = score(trainer.monitor, metrics, "early stopping")
        if value > self.best:
            self.best, self.best_weights, self.waited = value, self.model.get_weights(), 0
        else:
            self.waited += self.is_last
        # Of several workers the chief decides: machines of other kinds may validate to other last bits.
        self.stopped = self.model.stop_training = (
            from_chief(self.compiled.strategy, bytes([self.waited >= trainer.early_stopping])) == b"\1"
        )

    def _set_learning_rate(self, epoch: int) -> None:
        trainer, scores = self.config.trainer, []
        if trainer.schedule == "constant":
            return
        if trainer.schedule == "reduce_on_plateau":
            who = "trainer.schedule=reduce_on_plateau"
            scores = [score(trainer.monitor, metrics, who) for metrics in self.history]
        # As of stopping, the chief decides.
        factor = np.float64(factor_at(trainer, epoch, trainer.epochs, scores))
        (factor,) = np.frombuffer(from_chief(self.compiled.strategy, factor.tobytes()))
        self.rate = trainer.learning_rate * float(factor)
        self.compiled.set_learning_rate(self.rate)

    def _keep(self) -> None:
        last = self.stopped or self.done == self.config.trainer.epochs
        if self.checkpoints is None or not self.checkpoints.due(last=last):
            return
        values = {"best": self.best, "waited": self.waited, "stopped": self.stopped, "history": self.history}
        optimizer = [variable.numpy() for variable in self.model.optimizer.variables]
        weights = self.average.trained if self.average else self.model.get_weights()
        arrays = {"weights": weights, "optimizer": optimizer, "best": self.best_weights or []}
        self.checkpoints.save(self.done, State(arrays, values))

    def restore_best(self) -> None:
        """Go back to the best weights, if early stopping kept them.

        Keras's callback at the end of `fit` is no place for it: a schedule enters `fit` again.
        """
        if self.best_weights is not None:
            self.model.set_weights(self.best_weights)
