"""Which jobs of a sweep in this process can be trained as one program with a given one."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from equipoise.config.model import Config, config_sha256
from equipoise.core.state import kept
from equipoise.data.prepared import Prepared
from equipoise.runs.weigh import weigh

if TYPE_CHECKING:
    from equipoise.training.stacked import Member


@dataclass
class Waiting:
    """The jobs that this process is to do one after the other."""

    jobs: tuple[Config, ...] = ()


@contextlib.contextmanager
def expected(jobs: Sequence[Config]) -> Iterator[None]:
    """Within it the process does these jobs; afterwards nothing is kept of them."""
    waiting = kept(Waiting)
    waiting.jobs = tuple(job for job in jobs if job.trainer.stacked)
    try:
        yield
    finally:
        if waiting.jobs:
            from equipoise.training.stacked import Stacks

            kept(Stacks).held.clear()
        waiting.jobs = ()


def members(config: Config, data: Prepared) -> "list[Member]":
    """Return the jobs of a job's stack: those of the sweep that share its data and its graph, and are as long.

    Those that are finished already are among them, since the last bits of the others depend on them.
    """
    from equipoise.training.graph import graph_of
    from equipoise.training.stacked import MOST, Member

    own = config_sha256(config)
    jobs = kept(Waiting).jobs

    def shared(job: Config) -> tuple[object, ...]:
        return job.trainer.learning_rate, job.trainer.epochs, job.trainer.judge_after, graph_of(job, data)

    wanted = shared(config)
    same = [job for job in jobs if job.dataset == config.dataset and shared(job) == wanted] or [config]
    place = next((place for place, job in enumerate(same) if config_sha256(job) == own), 0) // MOST * MOST
    return [Member(job, weigh(job, data)) for job in same[place : place + MOST]]
