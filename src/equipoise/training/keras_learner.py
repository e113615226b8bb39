"""A Keras model as a run's learner."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from equipoise.config.model import Config
from equipoise.core.errors import counted
from equipoise.core.schema import NONE, Floats
from equipoise.data.feed import feature_batches
from equipoise.data.prepared import Prepared
from equipoise.methods.tasks.choose import task_of
from equipoise.methods.weighting import ClassWeights
from equipoise.training import fit
from equipoise.training.audit import audit
from equipoise.training.checkpoints import Checkpoints
from equipoise.training.engines.engine import Choice
from equipoise.training.graph import compiled
from equipoise.training.learner import Keep, OnEpoch
from equipoise.training.second_stage import run_second_stage
from equipoise.training.trial import Trial


class KerasLearner:
    """The configured model with freshly drawn weights; implements `Learner`.

    Parameters
    ----------
    device, replicas : what it trains on, "cpu" or "gpu", and how many of them
    choice : what takes its steps
    """

    def __init__(self, config: Config, data: Prepared, device: str, replicas: int, choice: Choice) -> None:
        self.place = f"{replicas} × {device}" if replicas > 1 else device
        named = {"engine": choice.engine.name, "xla": str(choice.xla).lower()}
        self.how: Mapping[str, str] = {"device": device, "replicas": str(replicas), **named}
        self._config, self._data = config, data
        self.compiled = compiled(config, data)

    def fit(self, weights: ClassWeights, on_epoch: OnEpoch, checkpoints: Checkpoints | None) -> None:
        """Train in place, from the newest checkpoint on if there is one."""
        fit.fit(self.compiled, self._config, self._data, weights, on_epoch, checkpoints)

    def logits(self, features: Any) -> Floats:
        """Return float32 (n, logits) for features of shape (n, *shape), or images still to be decoded."""
        return self.compiled.predict(features)

    def shares(self, weights: Floats, epoch: int) -> Mapping[str, Floats]:
        """Return each class's part of the loss and of the gradient; empty where a sample has several labels."""
        if not task_of(self._data).has_class_parts:
            return {}
        samples, form = self._data.training, self._config.dataset.labels
        return asdict(audit(self.compiled.predict, self.compiled.function_at(epoch), samples, weights, form))

    def second_stage(self) -> Mapping[str, Sequence[float]]:
        """Train the second stage, if there is one; return its curves."""
        if self._config.trainer.second_stage == NONE:
            return {}
        return run_second_stage(self.compiled.model, self.compiled.predict, self._config, self._data)

    def weights_sha256(self) -> str:
        """Return the digest of all the model's weights."""
        return fit.weights_sha256(self.compiled.model)

    def save(self, keep: Keep) -> None:
        """Hand over the Keras model, and two training samples."""
        keep(self.compiled.model, next(feature_batches(self._data.training.features[:2])))

    def described(self) -> Iterator[str]:
        """Yield what model and loss are made of."""
        model, config = self.compiled.model, self._config
        yield (
            f"model={config.model.name}: {counted(model.count_params(), 'weight', 'weights')}, "
            f"from {model.input_shape} to {model.output_shape}, finite"
        )
        yield f"loss={config.loss.name}: {Trial.of(config, self._data).summary()}; compiled"
