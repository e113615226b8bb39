"""The configured optimiser: its step, the decay of weights, the clipping of gradients and the average of weights."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from equipoise.config.model import Trainer
from equipoise.core.schema import Floats
from equipoise.training.precision import loss_scaled

if TYPE_CHECKING:
    import keras

# What is no decay's business, by the names that Keras's layers give it, beside all vectors.
NOT_DECAYED = ("bias", "gamma", "beta")


def optimizer_of(trainer: Trainer, spared: "Sequence[keras.Variable]", weights: Floats) -> "keras.optimizers.Optimizer":
    """Return the optimiser of a model that is not built for its variables yet; make it under the model's strategy.

    Parameters
    ----------
    spared : the variables that do not decay
    weights : float64 (…, classes), the largest weight of a sample of each class, by which half precision
        scales the loss
    """
    import keras

    made = keras.optimizers.get({"class_name": trainer.optimizer, "config": described(trainer)})
    if trainer.weight_decay is not None:
        made.exclude_from_weight_decay(list(spared))
    return loss_scaled(made, trainer.precision, weights)


def described(trainer: Trainer) -> dict[str, Any]:
    """Return what Keras's optimiser is made of: what is not typed is left to Keras."""
    clips = trainer.clip_norm is not None and trainer.strategy == "single"  # replicas clip the sum of their gradients
    return {
        "learning_rate": trainer.learning_rate,
        **({"weight_decay": trainer.weight_decay} if trainer.weight_decay is not None else {}),
        **({"global_clipnorm": trainer.clip_norm} if clips else {}),
        **({"use_ema": True, "ema_momentum": trainer.ema} if trainer.ema is not None else {}),
    }


def spared_of(model: "keras.Model") -> "list[keras.Variable]":
    """Return the variables of a model that do not decay."""
    return [variable for variable in model.trainable_variables if not is_decayed(variable)]


def is_decayed(variable: "keras.Variable") -> bool:
    """Whether a weight is a matrix or a kernel, and no bias and no part of a norm."""
    return len(variable.shape) > 1 and variable.name not in NOT_DECAYED


class Average:
    """The exponential moving average of a model's weights, which stands in for them between two epochs.

    So the model is judged, kept and saved with the average, and trained without it. Keras's `fit` puts the average in
    place of the weights when it ends, which then are in place already.
    """

    def __init__(self) -> None:
        self.trained: list[Floats] = []  # the weights that training goes on from; none before the first epoch

    def put_in(self, model: "keras.Model") -> None:
        """Put the average in place of the weights."""
        self.trained = model.get_weights()
        model.optimizer.finalize_variable_values(model.trainable_variables)

    def take_out(self, model: "keras.Model") -> None:
        """Put the weights back."""
        if self.trained:
            model.set_weights(self.trained)
