"""Fit a Keras model with the weights put in as configured, and say after each epoch how it went.

Knows nothing of MLflow, of the terminal or of the test split.
"""

import functools
import gc
import hashlib
import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from equipoise import distribution, multilabel
from equipoise.audit import weighted_losses
from equipoise.checkpoints import Checkpoints, State, pack, unpack
from equipoise.config import Config
from equipoise.costs import cost_matrix
from equipoise.data.feed import class_indices, feature_batches, resident_batches, training_batches
from equipoise.data.prepared import Prepared
from equipoise.data.sampling import sampling
from equipoise.implementations import IMPLEMENTATIONS, Parts, PerSample, PerSampleLoss, check_labels
from equipoise.losses import LOSSES, positive_weights
from equipoise.metrics import class_logits, epoch_metrics
from equipoise.models import MODELS, normalise_classifier
from equipoise.options import ConfigError, Floats, arguments, listing
from equipoise.precision import loss_scaled
from equipoise.resident import Resident, engine_of
from equipoise.runtime import device_taken, strategy_of
from equipoise.schedules import share_at, stretches, weights_at
from equipoise.weighting import ClassWeights

# Steps that one call of the compiled training function takes: fewer returns to Python, the same weights.
STEPS_PER_CALL = 50
LOWER_IS_BETTER = {"val/log_loss"}

OnEpoch = Callable[[int, dict[str, float]], None]


class Predictor:
    """A model's logits for any number of samples, compiled once."""

    def __init__(self, model: keras.Model) -> None:
        shape = tf.TensorSpec([None, *model.input_shape[1:]], tf.float32)
        # A part of a model may end in half precision.
        self._logits = tf.function(lambda batch: tf.cast(model(batch, training=False), tf.float32), input_signature=[shape])

    def __call__(self, features: Any) -> Floats:
        """float32 (n, logits) for features of shape (n, *shape), or images still to be decoded."""
        return np.concatenate([self._logits(batch).numpy() for batch in feature_batches(features)])


def build(config: Config, data: Prepared) -> keras.Model:
    """The configured model with freshly drawn weights, which depend on the seed alone."""
    keras.backend.clear_session()
    gc.freeze()  # what has outlived a run is there to stay: in a sweep, Python would look for garbage in it again and again
    keras.config.set_dtype_policy(config.trainer.precision)
    keras.utils.set_random_seed(config.seed)
    function = MODELS[config.model.name].build
    logits = 1 if config.dataset.labels == "binary" else len(data.classes)
    with strategy_of(config.trainer.strategy).scope():
        model = function(data.shape, logits, **arguments(config.model, function))
        if config.loss.name == "ldam":
            model = normalise_classifier(model, arguments(config.loss, LOSSES["ldam"])["scale"])
    return model


def loss_function(config: Config, data: Prepared) -> PerSample:
    """The configured loss of (labels, logits), one value a sample, without weights."""
    function = LOSSES[config.loss.name]
    options = arguments(config.loss, function, data.classes)
    counts = data.counts.astype(np.float64)
    at_hand: dict[str, Callable[[], Floats]] = {
        "counts": lambda: counts,
        "costs": lambda: cost_matrix(config.cost or {}, data.classes),
        # Of a single logit, class 1 is the positive one.
        "balance": lambda: positive_weights(*((counts, len(data.split("train").labels)) if data.several_labels else (counts[1:], int(counts.sum())))),
    }
    if data.several_labels and config.weighting.name == "balanced":
        options["pos_weight"] = "auto"  # what weights balanced are where a sample has no one class
    asked = [name for name in list(inspect.signature(function).parameters)[2:] if name in at_hand]
    given: dict[str, Floats] = {name: at_hand[name]() for name in asked}
    return lambda labels, logits: function(labels, logits, **given, **options)


def fit(
    model: keras.Model,
    predictor: Predictor,
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
    on_epoch : called with the epoch, from 0, and its metrics: `train/loss`, `val/…`, and `weight_schedule` if there is
        one; also for each epoch that a checkpoint has behind it
    checkpoints : where the state is kept at the end of an epoch; None: nowhere. Of several workers, the chief's decide.

    Raises
    ------
    ConfigError
        If the labels do not fit the weights, a loss or gradient is no longer finite, or what early stopping watches is not defined.
    """
    epoch = tf.Variable(0, dtype=tf.int64)
    train = data.split("train")
    if data.several_labels:
        weights = replace(weights, weights=np.ones(len(data.classes)))  # they are in the loss, label by label
    check_labels(train.labels, weights.weights, len(data.classes))
    function = loss_function(config, data)
    strategy = strategy_of(config.trainer.strategy)
    engine, _ = engine_of(config, data, device_taken())
    batch_size, steps = config.trainer.batch_size, -(-len(train.labels) // config.trainer.batch_size)
    decides: dict[str, Any] = {
        "classes": len(data.classes),
        "labels": config.dataset.labels,
        "seed": config.seed,
        "epoch": epoch,
        "sampling": sampling(config.dataset.sampling, train.labels, data.counts, config.trainer.epochs),
    }
    batches_of = functools.partial(training_batches, train, batch_size=batch_size, **decides)
    batches = resident_batches(train, **decides) if engine == "resident" else batches_of(part=distribution.place_of_this_worker(strategy))
    first_bad = _FirstBadStep(strategy)
    bare = Parts(batches, PerSampleLoss(first_bad.watched(function), config.loss.function))
    # Without Keras's `fit` the dataset takes the weights that `fit` would put into it.
    put_in = IMPLEMENTATIONS["sample_weight" if config.loss.implementation == "class_weight" and engine != "fit" else config.loss.implementation]
    table = tf.Variable(weights.weights, trainable=False, dtype=tf.float32)
    described = {"class_name": config.trainer.optimizer, "config": {"learning_rate": config.trainer.learning_rate}}
    loss = put_in(bare, table).loss
    with strategy.scope():
        optimizer = loss_scaled(keras.optimizers.get(described), config.trainer.precision, weights.weights)
        model.compile(optimizer, loss, jit_compile=config.trainer.jit, steps_per_execution=min(STEPS_PER_CALL, steps))
        optimizer.build(model.trainable_variables)
    watch = _Watch(predictor, config, data, weights.weights, function, epoch, on_epoch, strategy)
    watch.diverged = _Diverged(first_bad, batches_of, steps, config, data.classes)
    watch.set_model(model)
    watch.checkpoints = checkpoints
    watch.go_on(_begun(strategy, checkpoints))
    enter = {
        "fit": lambda: _keras_fit(model, watch),
        "resident": lambda: _resident_fit(model, watch, put_in(bare, table), batch_size),
        "replicas": lambda: _replicas_fit(strategy, model, watch, len(train.labels), config),
    }[engine]()
    for first, end, share in stretches(config.weighting, config.trainer.epochs):
        if watch.stopped or end <= watch.done:
            continue
        table.assign(weights_at(weights.weights, share))
        enter(put_in(bare, table), max(first, watch.done), end)
    watch.restore_best()


def weights_sha256(model: keras.Model) -> str:
    """Digest of all the model's weights, in order, with their shapes."""
    digest = hashlib.sha256()
    for array in model.get_weights():
        digest.update(f"{array.dtype} {array.shape} ".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


# Trains on the parts from one epoch until before another.
Enter = Callable[[Parts, int, int], None]


def _keras_fit(model: keras.Model, watch: "_Watch") -> Enter:
    def enter(parts: Parts, first: int, end: int) -> None:
        model.fit(parts.batches, initial_epoch=first, epochs=end, verbose=0, shuffle=False, callbacks=[watch], **parts.fit)

    return enter


def _resident_fit(model: keras.Model, watch: "_Watch", parts: Parts, batch_size: int) -> Enter:
    resident = Resident(model, parts.batches, batch_size)
    # The parts are the same every time: what changes of them, the table, is a variable.
    return lambda _, first, end: resident.fit(watch, first, end)


def _replicas_fit(strategy: tf.distribute.Strategy, model: keras.Model, watch: "_Watch", samples: int, config: Config) -> Enter:
    replicas = distribution.Replicas(strategy, model, batch_size=config.trainer.batch_size, samples=samples, steps_per_call=STEPS_PER_CALL)
    return lambda parts, first, end: replicas.fit(parts.batches, watch, first, end)


def _begun(strategy: tf.distribute.Strategy, checkpoints: Checkpoints | None) -> State | None:
    """The state to go on from: on every worker the chief's."""
    newest = checkpoints.newest() if checkpoints else None
    return unpack(distribution.from_chief(strategy, pack(newest) if newest else b""))


class _FirstBadStep:
    """Counts the steps of an epoch and notes the first whose logits or loss are not finite, inside the compiled step."""

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        self._strategy = strategy
        # Each replica has its own, and sees its own part of a batch.
        of_each = {"synchronization": tf.VariableSynchronization.ON_READ, "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA}
        with strategy.scope():
            self._taken = tf.Variable(0, trainable=False, dtype=tf.int64, **of_each)
            self._found = tf.Variable([-1, -1], trainable=False, dtype=tf.int64, **of_each)

    def watched(self, function: PerSample) -> PerSample:
        """The loss function, which says of each step that uses it whether all was finite."""

        def call(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
            losses = function(labels, logits)
            finite = tf.stack([tf.reduce_all(tf.math.is_finite(values)) for values in (logits, losses)])
            self._found.assign(tf.where((self._found >= 0) | finite, self._found, self._taken))
            self._taken.assign_add(1)
            return losses

        return call

    def begin(self) -> None:
        """A new epoch."""
        self._taken.assign(0)
        self._found.assign([-1, -1])

    def found(self, last: int) -> tuple[int, str]:
        """The step, from 0, that broke the numbers, and how; the last that was taken if nothing was seen to break before it.

        Logits that are not finite come of weights that are not, which the step before has made. Every worker must ask.
        """
        own = np.stack([found.numpy() for found in self._strategy.experimental_local_results(self._found)])
        every = np.frombuffer(distribution.of_each_worker(self._strategy, own.tobytes()), own.dtype).reshape(-1, 2)
        logits, loss = (min((step for step in steps if step >= 0), default=-1) for steps in every.T.tolist())
        if loss >= 0 and not 0 <= logits <= loss:
            return loss, "its loss is not finite"
        return max(0, logits - 1) if logits >= 0 else last, "its gradient leaves weights that give no finite logits"


class _Diverged:
    """Says of a training that has gone out of numbers where and why."""

    def __init__(self, first_bad: _FirstBadStep, batches_of: Callable[[], tf.data.Dataset], steps: int, config: Config, classes: Sequence[str]) -> None:
        self.first_bad, self._batches_of, self._steps, self._config, self._classes = first_bad, batches_of, steps, config, classes

    def error(self, epoch: int, last: int | None = None) -> ConfigError:
        """The error, while the epoch's order of the samples is still in force; `last` is the last step that was taken, from 0."""
        steps = self._steps
        step, how = self.first_bad.found(steps - 1 if last is None else last)
        wider = "; or trainer.precision=mixed_bfloat16, which counts as far as float32" if self._config.trainer.precision == "mixed_float16" else ""
        return ConfigError(
            f"training diverged in epoch {epoch + 1} at step {step + 1} of {steps}: {how}. Its batch holds {self._held(step)}. "
            f"Lower trainer.learning_rate={self._config.trainer.learning_rate}, or keep the loss's scale with weighting.normalize=sample_mean{wider}"
        )

    def _held(self, step: int) -> str:
        """The classes of a batch, the most frequent first."""
        _, labels = next(iter(self._batches_of().skip(step).take(1)))
        several = labels.shape.rank == 2 and self._config.dataset.labels == "sparse"
        found = labels.numpy().sum(axis=0) if several else np.bincount(class_indices(labels).numpy(), minlength=len(self._classes))
        return listing([f"{int(found[index])} of {self._classes[index]}" for index in np.argsort(-found, kind="stable") if found[index]])


class _Watch(keras.callbacks.Callback):
    """Sets what the epoch decides, validates, reports, keeps the state, and stops early if so configured."""

    checkpoints: Checkpoints | None = None
    diverged: _Diverged

    def __init__(
        self,
        predictor: Predictor,
        config: Config,
        data: Prepared,
        weights: Floats,
        function: PerSample,
        epoch: tf.Variable,
        on_epoch: OnEpoch,
        strategy: tf.distribute.Strategy,
    ) -> None:
        super().__init__()
        self.strategy = strategy
        self.predictor, self.config, self.weights, self.function = predictor, config, weights, function
        self.epoch, self.on_epoch = epoch, on_epoch
        self.validation = data.split("validation")
        self.epoch_metrics = multilabel.epoch_metrics if data.several_labels else epoch_metrics
        self.best, self.waited, self.stopped = -math.inf, 0, False
        self.best_weights: Sequence[Floats] | None = None
        self.history: list[dict[str, float]] = []

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
        for variable, value in zip(model.optimizer.variables, state.arrays["optimizer"], strict=True):
            variable.assign(value)
        self.best, self.waited, self.stopped = values["best"], values["waited"], values["stopped"]
        self.best_weights = state.arrays["best"] or None
        for epoch, metrics in enumerate(values["history"]):
            self.history.append(metrics)
            self.on_epoch(epoch, metrics)

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self.epoch.assign(epoch)
        self.diverged.first_bad.begin()
        _seed(self.model, self.config.seed, epoch)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        # The mean over the epoch so far: one step's loss that is not finite stays in it.
        if not math.isfinite(float((logs or {})["loss"])):
            raise self.diverged.error(int(self.epoch.numpy()), batch)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        loss = float((logs or {})["loss"])
        labels = np.asarray(self.validation.labels)
        raw = self.predictor(self.validation.features)
        # The loss is from before the last steps, the predictions are from after them.
        if not (math.isfinite(loss) and np.isfinite(raw).all()):
            raise self.diverged.error(epoch)
        share = share_at(self.config.weighting, epoch, self.config.trainer.epochs)
        in_force = weights_at(self.weights, share)
        metrics = {"train/loss": loss, "val/loss": float(weighted_losses(self.function, labels, raw, in_force, self.config.dataset.labels).mean())}
        if self.config.weighting.schedule != "constant":
            metrics["weight_schedule"] = share
        metrics |= {f"val/{name}": value for name, value in self.epoch_metrics(labels, class_logits(raw)).items()}
        self.history.append(metrics)
        self.on_epoch(epoch, metrics)
        self._stop_early(metrics)
        self._keep()

    def _stop_early(self, metrics: dict[str, float]) -> None:
        trainer = self.config.trainer
        if trainer.early_stopping is None:
            return
        watched = metrics.get(trainer.monitor, math.nan)
        if math.isnan(watched):
            known = listing([name for name, value in metrics.items() if name.startswith("val/") and not math.isnan(value)])
            raise ConfigError(
                f"trainer.monitor={trainer.monitor} is not defined on these validation samples, so early stopping has nothing to watch: use {known}"
            )
        value = watched * (-1 if trainer.monitor in LOWER_IS_BETTER else 1)
        if value > self.best:
            self.best, self.best_weights, self.waited = value, self.model.get_weights(), 0
        else:
            self.waited += 1
        # Of several workers the chief decides: machines of other kinds may validate to other last bits.
        self.stopped = self.model.stop_training = distribution.from_chief(self.strategy, bytes([self.waited >= trainer.early_stopping])) == b"\1"

    def _keep(self) -> None:
        if self.checkpoints is None:
            return
        values = {"best": self.best, "waited": self.waited, "stopped": self.stopped, "history": self.history}
        optimizer = [variable.numpy() for variable in self.model.optimizer.variables]
        arrays = {"weights": self.model.get_weights(), "optimizer": optimizer, "best": self.best_weights or []}
        self.checkpoints.save(self.done, State(arrays, values), last=self.stopped or self.done == self.config.trainer.epochs)

    def restore_best(self) -> None:
        """Go back to the best weights, if early stopping kept them. Not at the end of `fit`, which a schedule enters again."""
        if self.best_weights is not None:
            self.model.set_weights(self.best_weights)


def _seed(model: keras.Model, seed: int, epoch: int) -> None:
    """Make what dropout and the like draw in an epoch a function of the seed and the epoch."""
    weights = {id(variable) for variable in model.weights}
    states = [variable for variable in model.variables if id(variable) not in weights]
    for place, state in enumerate(states):
        (drawn,) = np.random.SeedSequence([seed, epoch, place]).generate_state(1)
        state.assign([int(drawn) & 0x7FFFFFFF, 0])
