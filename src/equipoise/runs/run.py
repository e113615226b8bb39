"""A run on prepared data: weigh, fit, evaluate, log. The steps in order, each from the config and the step before."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from equipoise.config.model import Config
from equipoise.core.terminal import warn
from equipoise.data.prepared import Prepared
from equipoise.methods.weighting import ClassWeights
from equipoise.metrics.classification import Evaluation
from equipoise.metrics.intervals import Interval
from equipoise.runs import background
from equipoise.runs.evaluate import draw_and_log, evaluate_and_log
from equipoise.runs.fit import Watch, at_work, train, training_run
from equipoise.runs.resume import Begun
from equipoise.tracking.store import Store


@dataclass(frozen=True)
class Finished:
    """A run that is complete, or lacks nothing but its pictures."""

    run_id: str
    experiment_id: str
    data: Prepared
    weights: ClassWeights
    evaluation: Evaluation
    intervals: Mapping[str, Interval]
    by_rule: Mapping[str, Mapping[str, float]]  # decision rule to metrics of what it makes of the same logits
    epochs: int
    device: str
    folder: Path  # what it wrote beside the store
    is_uploaded: bool  # whether the store has all of it, or it waits in the folder


def run(
    config: Config,
    data: Prepared,
    store: Store,
    folder: Path,
    begun: Begun | None,
    held: contextlib.ExitStack,
    adopt: str | None = None,
    watch: Watch | None = None,
) -> Finished:
    """One run on prepared data, logged to the store, or the rest of one that was interrupted.

    Parameters
    ----------
    folder, begun, adopt : as of `training_run`
    held : what is held for the run, such as a lock; closed with it, which in a sweep may be after this returns

    Raises
    ------
    Pruned
        If `watch` does, to give the run up.
    """
    beside = background.current()
    if beside:
        beside.start()
    log, device, built = held.enter_context(training_run(config, data, store, folder, begun, adopt=adopt))
    with at_work(config, data, log):
        weights, trained = train(config, data, log, built, watch)
        evidence = evaluate_and_log(config, data, weights, trained, log)
        if not (beside and beside.takes(evidence)):
            beside = None
            draw_and_log(evidence, log)
    if beside:
        beside.finish(evidence, log, held.pop_all())
    held.close()
    for note in evidence.evaluation.notes:
        warn(note)
    return Finished(
        run_id=log.id,
        experiment_id=log.experiment_id,
        data=data,
        weights=evidence.weights,
        evaluation=evidence.evaluation,
        intervals=evidence.intervals,
        by_rule=evidence.rules,
        epochs=len(trained.history),
        device=device,
        folder=log.folder,
        is_uploaded=log.is_uploaded,
    )
