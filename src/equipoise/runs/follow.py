"""A training that is followed while it goes on: each epoch is logged, shown as a bar, and told to a search."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from equipoise.config.model import Config, epochs_of
from equipoise.core.bars import epochs_bar
from equipoise.core.schema import BEST
from equipoise.core.terminal import console, warn
from equipoise.tracking import gpu_usage
from equipoise.tracking.run import Run
from equipoise.training import runtime
from equipoise.training.checkpoints import Checkpoints
from equipoise.training.earlier import Earlier

# Told of each epoch and its metrics, once they are logged.
Watch = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True)
class Follow:
    """What a training tells, and where it keeps its state.

    Attributes
    ----------
    begin : told that the first step is next
    epoch : told each epoch, from 0, and its metrics
    checkpoints : where the state is kept at the end of an epoch
    earlier : where answers after some of the epochs are kept
    """

    begin: Callable[[], None]
    epoch: Callable[[int, dict[str, float]], None]
    checkpoints: Checkpoints
    earlier: Earlier


@contextlib.contextmanager
def following(config: Config, log: Run, checkpoints: Checkpoints, watch: Watch | None) -> Iterator[Follow]:
    """Log and show the training that the body carries out."""
    done = _done(checkpoints)
    earlier = Earlier(log.folder, config.trainer.judge_after, done)
    lost = earlier.lost()
    if lost is not None:  # the model as it was then can only be trained again
        told = "the best epoch" if lost == BEST else f"epoch {lost}"
        warn(f"begun anew: the answers after {told} of run {log.id}, which was interrupted, are damaged or missing")
        checkpoints.discard()
        done, earlier = 0, Earlier(log.folder, config.trainer.judge_after, 0)
    if done:
        console.print(f"Going on after epoch {done} of {config.trainer.epochs} of run {log.id}", soft_wrap=True)
    with epochs_bar(epochs_of(config)) as advance, gpu_usage.sampled(runtime.device_taken()) as usage:
        every = config.tracking.every if watch is None else 1  # a search goes by all epochs
        waiting: dict[int, dict[str, float]] = {}  # the newest epoch, as long as it is not logged

        def log_waiting() -> None:
            for number, metrics in waiting.items():
                log.log_metrics(metrics, step=number)
            waiting.clear()

        def epoch(number: int, metrics: dict[str, float]) -> None:
            waiting.clear()
            waiting[number] = {**metrics, **(usage() if number >= done else {})}
            if (number + 1) % every == 0 or number + 1 in config.trainer.judge_after:
                log_waiting()
            advance(metrics)
            if watch:
                watch(number, metrics)

        in_a_sweep = config.sweep != "auto"  # where somebody waits for all of the runs, and few look at one
        yield Follow(_go_on if in_a_sweep else log.flush, epoch, checkpoints, earlier)
        log_waiting()


def _done(checkpoints: Checkpoints) -> int:
    newest = checkpoints.newest()
    return len(newest.values["history"]) if newest else 0


def _go_on() -> None:
    """Leave what waits for the first upload after an epoch."""
