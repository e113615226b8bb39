"""What `trainer.stacked` asks: jobs of one sweep that share data and graph, trained as one program."""

from collections.abc import Sequence

from equipoise.config.model import Config
from equipoise.core.errors import ConfigError
from equipoise.core.schema import NONE
from equipoise.data.catalogue import DATASETS
from equipoise.data.types import Source
from equipoise.methods.models import MODELS, estimator


def check_stacked(config: Config, source: Source) -> None:
    """Refuse what a program of many jobs cannot do for each of them.

    Raises
    ------
    ConfigError
        Naming the option that stands against it.
    """
    if not config.trainer.stacked:
        return
    against = _against(config, source)
    if against is not None:
        raise ConfigError(
            f"trainer.stacked=true with {against}: jobs are trained as one program with dense layers on samples in "
            "memory, step by step and to the last epoch; leave one of the two out"
        )


def check_embedded(config: Config, ids: Sequence[int]) -> None:
    """Refuse embeddings whose gradient one job by itself sums up in another way.

    Parameters
    ----------
    ids : how many categories each feature that is embedded is the number of

    Raises
    ------
    ConfigError
        If there are any, and the optimiser is not linear in the gradient.
    """
    # Keras 3.15 hands an optimiser the rows of an embedding sample by sample: it squares them before it adds them up.
    if config.trainer.stacked and ids and config.trainer.optimizer != "sgd":
        raise ConfigError(
            f"trainer.stacked=true with trainer.optimizer={config.trainer.optimizer}: the table has a column that is "
            "embedded, whose gradients Keras squares sample by sample, a stack their sum: the weights would "
            "not be those of a job by itself; use trainer.optimizer=sgd, or leave trainer.stacked out"
        )


def _against(config: Config, source: Source) -> str | None:
    """Return the option, as typed, that a stack does not know."""
    trainer, dataset, model = config.trainer, config.dataset, config.model
    found = {
        f"model={model.name}": estimator(model.name) is not None or not MODELS[model.name].dense,
        f"model.dropout={getattr(model, 'dropout', 0)}": getattr(model, "dropout", 0) > 0,
        f"dataset={dataset.name}": source.texts or DATASETS[dataset.name].read_in_place,
        f"dataset.augment=[{','.join(dataset.augment)}]": bool(dataset.augment),
        f"dataset.mix={dataset.mix}": dataset.mix != NONE,
        "trainer.phases": bool(trainer.phases),
        f"trainer.schedule={trainer.schedule}": trainer.schedule != "constant",
        f"trainer.early_stopping={trainer.early_stopping}": trainer.early_stopping is not None,
        f"trainer.second_stage={trainer.second_stage}": trainer.second_stage != NONE,
        f"trainer.clip_norm={trainer.clip_norm}": trainer.clip_norm is not None,
        f"trainer.ema={trainer.ema}": trainer.ema is not None,
        f"trainer.sharpness={trainer.sharpness}": trainer.sharpness != NONE,
        f"trainer.precision={trainer.precision}": trainer.precision != "float32",
        f"trainer.strategy={trainer.strategy}": trainer.strategy != "single",
        f"trainer.engine={trainer.engine}": trainer.engine != "auto",
        "trainer.jit=true": trainer.jit is True,
        "trainer.refit=true": trainer.refit,
    }
    return next((typed for typed, is_so in found.items() if is_so), None)
