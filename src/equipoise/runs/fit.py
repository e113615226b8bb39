"""The step `fit`: from weights to a learner that has learned under them, and to its logits."""

import math
from collections.abc import Mapping

from equipoise.config.model import Config, epochs_of
from equipoise.core.schema import BEST, Floats
from equipoise.data.prepared import Prepared
from equipoise.methods.schedules import share_at, weights_at
from equipoise.methods.weighting import ClassWeights
from equipoise.runs.follow import Follow
from equipoise.training.earlier import Answers
from equipoise.training.learner import Learner
from equipoise.training.monitored import JUDGED_BEST, score
from equipoise.training.trained import Trained


def fit(config: Config, data: Prepared, weights: ClassWeights, learner: Learner, follow: Follow) -> Trained:
    """Train the learner in place, and return what is known of its training and its logits for the other splits."""
    at_start = _shares(config, weights, learner, 0, "_start")
    follow.begin()
    history: list[dict[str, float]] = []
    test, held_out = (data.split(name).features for name in ("test", "validation"))

    def answers() -> Answers:
        return learner.logits(test), learner.logits(held_out)

    def worth(metrics: Mapping[str, float]) -> float:
        """Return what the epoch is worth, where the best one is asked for."""
        trainer = config.trainer
        asked = BEST in trainer.judge_after
        return score(trainer.monitor, metrics, JUDGED_BEST) if asked else -math.inf

    def on_epoch(epoch: int, metrics: dict[str, float], is_passed: bool = False, /) -> None:
        history.append(metrics)
        if not is_passed:
            follow.earlier.reached(len(history), answers, worth(metrics))
        follow.epoch(epoch, metrics)

    learner.fit(weights, on_epoch, follow.checkpoints)
    at_end = _shares(config, weights, learner, len(history) - 1, "")
    curves = learner.second_stage()
    logits, validation = answers()
    return Trained(
        logits=logits,
        validation_logits=validation,
        history=history,
        shares={**at_start, **at_end},
        weights_sha256=learner.weights_sha256(),
        second_stage=curves,
        earlier=follow.earlier.all(),
        best=follow.earlier.best,
    )


def _shares(config: Config, weights: ClassWeights, learner: Learner, epoch: int, suffix: str) -> Mapping[str, Floats]:
    """Return each class's part of the loss and of the gradient under the weights, and by the loss, of an epoch."""
    in_force = weights_at(weights.weights, share_at(config.weighting, epoch, epochs_of(config)))
    return {f"{name}_share{suffix}": values for name, values in learner.shares(in_force, epoch).items()}
