"""What `trainer.judge_after` asks: the model after some of its epochs, as if its training had ended there."""

from equipoise.config.model import Config
from equipoise.core.schema import NONE, ConfigError
from equipoise.methods.models import estimator

# Sampling rules that draw every epoch alike.
STEADY = (NONE, "class_balanced", "square_root")


def check_judged_after(config: Config) -> None:
    """Refuse epochs that are not within the training, and trainings whose first epochs a shorter one has otherwise."""
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
    other = _of_another_length(config)
    if other:
        raise ConfigError(
            f"{typed} with {other}: a training of {epochs[0]} epochs would not be the first {epochs[0]} of this one; "
            "leave one of the two out, or train once for each number of epochs"
        )


def _of_another_length(config: Config) -> str | None:
    """Return the option, as typed, that makes a shorter training more than the beginning of a longer one."""
    trainer, sampling = config.trainer, config.dataset.sampling
    found = {
        "trainer.phases": bool(trainer.phases),
        f"trainer.early_stopping={trainer.early_stopping}": trainer.early_stopping is not None,
        f"trainer.schedule={trainer.schedule}": trainer.schedule not in ("constant", "reduce_on_plateau"),
        f"trainer.second_stage={trainer.second_stage}": trainer.second_stage != NONE,
        f"trainer.strategy={trainer.strategy}": trainer.strategy == "multi_worker",
        f"weighting.schedule={config.weighting.schedule}": config.weighting.schedule != "constant",
        f"dataset.sampling={sampling}": sampling not in STEADY,
    }
    return next((typed for typed, is_so in found.items() if is_so), None)
