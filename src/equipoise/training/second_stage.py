"""The configured second stage: it makes the last layer of a trained model anew."""

import keras
import numpy as np

from equipoise.config.model import Config
from equipoise.core.errors import ConfigError
from equipoise.data.prepared import Prepared
from equipoise.data.types import Samples
from equipoise.methods.second_stages import SECOND_STAGES, Curves, Learned
from equipoise.metrics.classification import class_logits, epoch_metrics
from equipoise.training.engines.choose import lets_xla_in
from equipoise.training.fit import spoiled
from equipoise.training.predictor import Predictor
from equipoise.training.runtime import device_taken


def run_second_stage(model: keras.Model, predictor: Predictor, config: Config, data: Prepared) -> Curves:
    """Change the last layer in place; return the stage's curves, and the validation metrics before and after it.

    Raises
    ------
    ConfigError
        If it leaves weights that are no numbers.
    """
    validation, trainer = data.split("validation"), config.trainer
    labels = np.asarray(validation.labels)

    def validate() -> dict[str, float]:
        return epoch_metrics(labels, class_logits(predictor(validation.features)))

    before = validate()
    kernel, bias, curves = SECOND_STAGES[trainer.second_stage].function(_learned(model, config, data))
    model.layers[-1].set_weights([kernel, bias])
    weights = spoiled(model)
    if weights:
        raise ConfigError(
            f"trainer.second_stage={trainer.second_stage} diverged: {weights} holds NaN or infinity. "
            f"Lower trainer.learning_rate={trainer.learning_rate}, or use trainer.second_stage=none"
        )
    after = validate()
    return {**curves, **{f"val/{name}": [value, after[name]] for name, value in before.items()}}


def _samples(data: Prepared, split: str) -> Samples:
    """Return a split as it is, or the samples to train on."""
    return data.training if split == "train" else data.split(split)


def _learned(model: keras.Model, config: Config, data: Prepared) -> Learned:
    head, trainer = model.layers[-1], config.trainer
    # As a script of plain Keras has them, so that it ends with the same bits.
    features = Predictor(keras.Model(model.input, head.input), in_blocks=False)
    kernel, bias = head.get_weights()
    return Learned(
        kernel=kernel,
        bias=bias,
        features=lambda split: features(_samples(data, split).features),
        labels=lambda split: np.asarray(_samples(data, split).labels),
        classes=len(data.classes),
        form=config.dataset.labels,
        seed=config.seed,
        epochs=trainer.epochs,
        batch_size=trainer.batch_size,
        optimizer={"class_name": trainer.optimizer, "config": {"learning_rate": trainer.learning_rate}},
        rows=data.split("train").weights,
        jit=trainer.jit is True and lets_xla_in(config, device_taken()),
    )
