"""What `trainer.judge_after` asks: the model after some of its epochs, as if its training had ended there."""

import numpy as np

from equipoise.config.model import Config, Trainer
from equipoise.core.errors import ConfigError
from equipoise.core.schema import NONE, Floats, Integers
from equipoise.data.sampling import sampling
from equipoise.methods.losses import LOSSES
from equipoise.methods.models import estimator


def check_judged_after(config: Config, counts: Integers) -> None:
    """Refuse epochs that are not within the training, and trainings whose first epochs a shorter one has otherwise.

    Parameters
    ----------
    counts : int64 (classes,), of the training samples
    """
    trainer, epochs = config.trainer, list(config.trainer.judge_after)
    typed = f"trainer.judge_after=[{','.join(map(str, epochs))}]"
    if not epochs:
        return
    if estimator(config.model.name) is not None:
        raise ConfigError(f"{typed} with model={config.model.name}, whose fit has no epochs: leave it out")
    if epochs != sorted(set(epochs)):
        raise ConfigError(f"{typed}: name each epoch once, in rising order")
    if epochs[-1] >= trainer.epochs:
        raise ConfigError(
            f"{typed}: the model is judged after all epochs anyhow, which are trainer.epochs={trainer.epochs}; "
            "name fewer"
        )
    other = _of_another_length(config, counts)
    if other:
        raise ConfigError(
            f"{typed} with {other}: a training of {epochs[0]} epoch{'s' * (epochs[0] > 1)} would not be the beginning "
            "of this one; leave one of the two out, or train once for each number of epochs"
        )


def _of_another_length(config: Config, counts: Integers) -> str | None:
    """Return the option, as typed, that makes a shorter training more than the beginning of a longer one."""
    trainer, rule = config.trainer, config.dataset.sampling
    found = {
        "trainer.phases": bool(trainer.phases),
        f"trainer.early_stopping={trainer.early_stopping}": trainer.early_stopping is not None,
        f"trainer.schedule={trainer.schedule}": trainer.schedule not in ("constant", "reduce_on_plateau"),
        f"trainer.second_stage={trainer.second_stage}": trainer.second_stage != NONE,
        f"trainer.strategy={trainer.strategy}": trainer.strategy == "multi_worker",
        f"weighting.schedule={config.weighting.schedule}": config.weighting.schedule != "constant",
        f"loss={config.loss.name}": LOSSES[config.loss.name].begins is not None,
        f"dataset.sampling={rule}": rule != NONE and not _is_steady(rule, counts, trainer),
    }
    return next((typed for typed, is_so in found.items() if is_so), None)


def _is_steady(rule: str, counts: Integers, trainer: Trainer) -> bool:
    """Whether a sampling rule draws the classes alike in every epoch of this training, and of each that ends before.

    What is judged goes by the mean of all epochs: that the first ones are alike does not do.
    """
    shares = [_shares(rule, counts, epochs) for epochs in (trainer.epochs, *trainer.judge_after)]
    return all(bool((each == shares[0][:1]).all()) for each in shares)


def _shares(rule: str, counts: Integers, epochs: int) -> Floats:
    """Return the share of each class in each epoch, float64 (epochs, classes); none where rows were resampled."""
    found = sampling(rule, np.empty(0, np.int64), counts, epochs)
    return np.empty((0, len(counts))) if found is None else found.shares
