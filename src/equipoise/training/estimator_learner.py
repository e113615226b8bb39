"""An estimator beside Keras as a run's learner; without TensorFlow."""

import hashlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from equipoise.config.model import Config
from equipoise.core import plugins
from equipoise.core.clock import clock
from equipoise.core.errors import ConfigError, counted
from equipoise.core.process import cores
from equipoise.core.schema import Floats, Integers, arguments
from equipoise.core.terminal import warn
from equipoise.data.prepared import Prepared
from equipoise.data.types import Samples
from equipoise.methods.bags import bag
from equipoise.methods.estimators import Estimator, log_probabilities
from equipoise.methods.tasks.choose import task_of
from equipoise.methods.weighting import ClassWeights
from equipoise.training.checkpoints import Checkpoints
from equipoise.training.learner import Keep, OnEpoch

MOST_SAMPLES = 20_000  # of the training split, on which its loss and the classes' shares are estimated
TRIED = 200  # rows that a trial fits


class EstimatorLearner:
    """The configured estimator; implements `Learner`.

    The class weights times the rows' own weights go in as `sample_weight`. One fit is one epoch, which a run that was
    interrupted begins again.
    """

    def __init__(self, config: Config, data: Prepared, record: Estimator) -> None:
        self.place = "cpu"
        self.how: Mapping[str, str] = {"device": "cpu", "engine": " ".join(record.packages) or config.model.name}
        self._config, self._data, self._record = config, data, record
        self._who = f"model={config.model.name}"
        self._fitted: Any = None

    @property
    def threads(self) -> int:
        """How many threads may fit it: those that could change last bits are one, if `trainer.deterministic`."""
        trainer = self._config.trainer
        if trainer.deterministic and not self._record.parts:
            return 1
        return cores() if trainer.threads == "auto" else trainer.threads

    @clock.part("train")
    def fit(self, weights: ClassWeights, on_epoch: OnEpoch, checkpoints: Checkpoints | None) -> None:
        """Fit it from the beginning; a checkpoint would hold nothing yet."""
        train = self._data.training
        self._fitted = self._fit(train, weights.weights)
        metrics = self._metrics(weights.weights)
        self._tell_divergence(metrics["train/loss"], weights.weights)
        on_epoch(0, metrics)

    def _fit(self, samples: Samples, weights: Floats) -> Any:
        """Return the estimator, fitted to the samples under class weights, float64 (classes,)."""
        features, labels = self._rows(samples.features), np.asarray(samples.labels)
        with plugins.telling(self._who, self._record.build):
            made = self._record.build(self._config.seed, self.threads, **self._options())
            self._check(made)
            given = {"sample_weight": _weights(samples, weights)} if self._record.weighted else {}
            # Not before the library is imported, whose threads are none yet.
            with self._limited(), warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                made.fit(features, labels, **given)
        for message in dict.fromkeys(_said(each) for each in told if _is_of_fit(each)):
            warn(f"{self._who}: {message}")
        self._check_classes(made, len(weights))
        if hasattr(made, "n_jobs"):
            made.n_jobs = 1  # threads add probabilities up in the order in which they end
        return made

    def _rows(self, features: Any) -> Any:
        """Return what it is fitted to: float32 (n, features), or bags if features are ids of words."""
        words = self._data.words
        if words is None:
            found: Floats = np.asarray(features, np.float32).reshape(len(features), -1)
            return found
        bags = bag(features, words)
        return bags if self._record.sparse else bags.toarray()

    def _limited(self) -> Any:
        """Return a context in which linear algebra and OpenMP have one thread, if bits count: several sum anyhow."""
        from threadpoolctl import threadpool_limits

        return threadpool_limits(1 if self._config.trainer.deterministic else None)

    def _options(self) -> dict[str, Any]:
        return arguments(self._config.model, self._record.build)

    def _check(self, made: Any) -> None:
        lacks = [name for name in ("fit", "predict_proba") if not callable(getattr(made, name, None))]
        if lacks:
            raise ConfigError(
                f"{self._who}: its function returns {type(made).__name__}, which has no {' and no '.join(lacks)}; "
                "it must return an estimator with fit(features, labels, sample_weight=…) and predict_proba(features)"
            )

    def _check_classes(self, made: Any, classes: int) -> None:
        """Refuse probabilities of other classes than those of the labels."""
        found = np.shape(made.predict_proba(self._rows(self._data.training.features[:2])))
        if found != (2, classes):
            raise ConfigError(
                f"{self._who}: predict_proba of 2 rows returns the shape {found}; of {classes} classes it must be "
                f"{(2, classes)}"
            )

    def _tell_divergence(self, loss: float, weights: Floats) -> None:
        """Warn if the model is worse on what it was fitted to than to say the classes' weighted shares of every row.

        One that draws rows by class has learned other shares, so that this says nothing of it.
        """
        if self._record.balances:
            return
        samples = self._sample()
        factors = _weights(samples, weights)
        mass = np.bincount(np.asarray(samples.labels), factors, len(weights))
        shares = mass[mass > 0] / mass.sum()
        constant = float(-(mass[mass > 0] @ np.log(shares)) / len(factors))
        if loss > constant:
            cure = "; try a lower learning rate or a larger penalty" if self._record.log_loss else ""
            warn(
                f"{self._who}: on its training samples the loss is {loss:.3g}, and {constant:.3g} without a model, by "
                f"the classes' shares: it has diverged{cure}"
            )

    def logits(self, features: Any) -> Floats:
        """Return the logarithms of its probabilities, float32 (n, classes), for features of shape (n, *shape)."""
        return log_probabilities(self._fitted, features, self._data.words)

    def shares(self, weights: Floats, epoch: int) -> Mapping[str, Floats]:
        """Return each class's part of the weighted log loss, and of its gradient if it is what the fit descends.

        Nothing is known before the fit.
        """
        if self._fitted is None:
            return {}
        samples = self._sample()
        logits, labels = self.logits(samples.features).astype(np.float64), np.asarray(samples.labels)
        factors = _weights(samples, weights)
        found = {"loss": _share(labels, factors * _losses(logits, labels), len(weights))}
        if self._record.log_loss:
            residuals = np.exp(logits)
            residuals[np.arange(len(labels)), labels] -= 1
            found["gradient"] = _share(labels, factors * np.linalg.norm(residuals, axis=1), len(weights))
        return found

    def second_stage(self) -> Mapping[str, Sequence[float]]:
        """There is none."""
        return {}

    def weights_sha256(self) -> str:
        """Return the digest of its probabilities of training samples: its own state may hold dates and names."""
        return hashlib.sha256(np.ascontiguousarray(self.logits(self._sample().features)).tobytes()).hexdigest()

    def save(self, keep: Keep) -> None:
        """Hand over the estimator, and two training samples as it takes them."""
        keep(self._fitted, self._rows(self._data.training.features[:2]))

    def described(self) -> Iterator[str]:
        """Fit a few samples of every class; yield a line for each option that was tried."""
        samples = _some(self._data.training, len(self._data.classes))
        fitted = self._fit(samples, np.ones(len(self._data.classes)))
        logits = log_probabilities(fitted, samples.features, self._data.words)
        yield (
            f"{self._who}: {type(fitted).__name__}, fitted to "
            f"{counted(len(samples.labels), 'sample', 'samples')}, with probabilities of {logits.shape[1]} classes"
        )
        yield f"loss={self._config.loss.name}: weights go in as sample_weight, to a loss of the model's own"

    def _sample(self) -> Samples:
        """Return training samples, the same ones every time."""
        train = self._data.training
        rows = np.sort(np.random.default_rng(0).permutation(len(train.labels))[:MOST_SAMPLES])
        own = None if train.weights is None else np.asarray(train.weights)[rows]
        return Samples(np.asarray(train.features)[rows], np.asarray(train.labels)[rows], weights=own)

    def _metrics(self, weights: Floats) -> dict[str, float]:
        """Return the weighted log loss of training and validation samples, and the task's metrics of validation."""
        found = {}
        for name, samples in (("train", self._sample()), ("val", self._data.split("validation"))):
            labels, logits = np.asarray(samples.labels), self.logits(samples.features)
            found[f"{name}/loss"] = float((_weights(samples, weights) * _losses(logits, labels)).mean())
        metrics = task_of(self._data).epoch_metrics(labels, logits)
        return found | {f"val/{name}": value for name, value in metrics.items()}


def _weights(samples: Samples, weights: Floats) -> Floats:
    """Return the weight of each sample: its class's times its own."""
    found: Floats = weights[np.asarray(samples.labels)]
    return found if samples.weights is None else found * np.asarray(samples.weights)


def _losses(logits: Floats, labels: Integers) -> Floats:
    """Return the log loss of each sample, float64 (n,)."""
    found: Floats = -logits[np.arange(len(labels)), labels].astype(np.float64)
    return found


def _share(labels: Integers, values: Floats, classes: int) -> Floats:
    sums = np.bincount(labels, values, classes)
    total = sums.sum()
    found: Floats = sums / total if total > 0 else np.full(classes, np.nan)
    return found


def _some(samples: Samples, classes: int) -> Samples:
    """Return up to `TRIED` samples, as many of each class as there are or as is its part."""
    labels = np.asarray(samples.labels)
    most = max(2, TRIED // classes)
    rows = np.sort(np.concatenate([np.flatnonzero(labels == each)[:most] for each in range(classes)]))
    own = None if samples.weights is None else np.asarray(samples.weights)[rows]
    return Samples(np.asarray(samples.features)[rows], labels[rows], weights=own)


def _is_of_fit(message: warnings.WarningMessage) -> bool:
    """Return whether a warning is about these data, and not about versions."""
    return issubclass(message.category, UserWarning) and not issubclass(message.category, FutureWarning)


def _said(message: warnings.WarningMessage) -> str:
    return str(message.message).strip().splitlines()[0].rstrip(".:")
