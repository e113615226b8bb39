"""What `trainer.judge_after` asks: the model after some of its epochs, as if its training had ended there."""

import numpy as np

from equipoise.config.model import Config, Trainer
from equipoise.core.errors import ConfigError
from equipoise.core.schema import BEST, NONE, Floats, Integers
from equipoise.data.sampling import sampling
from equipoise.methods.losses import LOSSES
from equipoise.methods.models import estimator


def check_judged_after(config: Config, counts: Integers) -> None:
    """Refuse epochs that are not within the training, and trainings whose first epochs a shorter one has otherwise.

    Parameters
    ----------
    counts : int64 (classes,), of the training samples
    """
    trainer, asked = config.trainer, list(config.trainer.judge_after)
    typed = f"trainer.judge_after=[{','.join(map(str, asked))}]"
    if not asked:
        return
    if estimator(config.model.name) is not None:
        raise ConfigError(f"{typed} with model={config.model.name}, whose fit has no epochs: leave it out")
    epochs = [each for each in asked if isinstance(each, int)]
    if asked[len(epochs) :] not in ([], [BEST]) or epochs != sorted(set(epochs)):
        raise ConfigError(f"{typed}: name each epoch once, in rising order, and {BEST} after them")
    if epochs and epochs[-1] >= trainer.epochs:
        raise ConfigError(
            f"{typed}: the model is judged after all epochs anyhow, which are trainer.epochs={trainer.epochs}; "
            "name fewer"
        )
    _check_best(config, typed)
    other = _of_another_length(config, counts) if epochs else None
    if other:
        raise ConfigError(
            f"{typed} with {other}: a training of {epochs[0]} epoch{'s' * (epochs[0] > 1)} would not be the beginning "
            "of this one; leave one of the two out, or train once for each number of epochs"
        )


def _check_best(config: Config, typed: str) -> None:
    """Refuse the best epoch of a training that ends with another model than its epochs had, or with that one."""
    trainer = config.trainer
    if BEST not in trainer.judge_after:
        return
    if trainer.early_stopping is not None:
        raise ConfigError(
            f"{typed} with trainer.early_stopping={trainer.early_stopping}, which ends with the best epoch anyhow: "
            "leave one of the two out"
        )
    if trainer.second_stage != NONE:
        raise ConfigError(f"{typed} with trainer.second_stage={trainer.second_stage}, which begins after all epochs")
    if trainer.strategy == "multi_worker":
        raise ConfigError(f"{typed} with trainer.strategy=multi_worker: its workers would ask after different epochs")


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
    judged = (each for each in trainer.judge_after if isinstance(each, int))
    shares = [_shares(rule, counts, epochs) for epochs in (trainer.epochs, *judged)]
    return all(bool((each == shares[0][:1]).all()) for each in shares)


def _shares(rule: str, counts: Integers, epochs: int) -> Floats:
    """Return the share of each class in each epoch, float64 (epochs, classes); none where rows were resampled."""
    found = sampling(rule, np.empty(0, np.int64), counts, epochs)
    return np.empty((0, len(counts))) if found is None else found.shares
