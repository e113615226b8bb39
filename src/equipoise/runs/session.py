"""What surrounds the steps of one run: who may do it, its MLflow run, resuming, signals, and who ends it.

The steps of a run know nothing of it.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from equipoise.config.model import Config, flat
from equipoise.config.naming import experiment_of, run_name
from equipoise.core import interruption
from equipoise.core.clock import clock
from equipoise.core.commands import source
from equipoise.core.terminal import print_table
from equipoise.data.originals import unchanged
from equipoise.data.prepared import Prepared
from equipoise.runs import resume
from equipoise.runs.follow import Follow, Watch, following
from equipoise.runs.log import config_tags
from equipoise.runs.resume import Begun
from equipoise.tracking.run import Description, Run, start_run
from equipoise.tracking.store import Store
from equipoise.training import runtime
from equipoise.training.checkpoints import Checkpoints
from equipoise.training.learner import Learner


@dataclass(frozen=True)
class Settled:
    """Why there is nothing to do for a run, the run that has done it, if one has, and whether it was pruned."""

    reason: str
    run: str | None = None
    pruned: bool = False


# Of the store, the config and the digest of the data: held while the run is done; gives the run to go on with, if any.
Claim = Callable[[Store, Config, str], contextlib.AbstractContextManager[Settled | Begun | None]]


class Session:
    """One run, from its claim to its end; a context manager, which closes whatever is held for the run.

    Parameters
    ----------
    folder : what a new run writes besides lands here; it must exist
    claim : who may do the run, and what is left of an earlier one
    adopt : the id of an MLflow run that is open already, to be written on
    tags : of the MLflow run, beside those that the config gives
    watch : told of each epoch and its metrics, once they are logged
    """

    def __init__(
        self,
        store: Store,
        folder: Path,
        *,
        claim: Claim = resume.claimed,
        adopt: str | None = None,
        tags: Mapping[str, str] | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.store = store
        self._folder, self._claim, self._adopt, self._tags, self._watch = folder, claim, adopt, tags or {}, watch
        self._held = contextlib.ExitStack()
        self._begun: Begun | None = None
        self._end: Callable[[contextlib.ExitStack], None] | None = None

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return self._held.__exit__(kind, error, traceback)

    def begin(self, config: Config, data: Prepared) -> Settled | None:
        """Claim the run; return why there is nothing to do, if so."""
        found = self._held.enter_context(self._claim(self.store, config, data.data_sha256))
        if isinstance(found, Settled):
            return found
        self._begun = found
        self.store.check_experiments({experiment_of(config.dataset)})  # before TensorFlow's seconds
        return None

    @contextlib.contextmanager
    def opened(self, config: Config, data: Prepared, learner: Learner) -> Iterator[Run]:
        """Open the MLflow run. Within it a signal ends the run within seconds, in the main thread.

        Want of memory, the failure of another worker and a file that has changed are told as what they are.
        """
        folder, adopt = self._place(config, data)
        tags = {**config_tags(config, data), **learner.how, "mlflow.source.name": source("train"), **self._tags}
        self._held.enter_context(resume.kept(folder))
        log = self._held.enter_context(
            start_run(
                self.store,
                Description(experiment_of(config.dataset), run_name(config), flat(config), tags),
                folder,
                adopt,
            )
        )
        with at_work(log.kill):
            with unchanged(data):
                yield log
            if config.trainer.profile:
                _log_times(log)
        if self._end:
            self._end(self._held.pop_all())
        self._held.close()

    @contextlib.contextmanager
    def followed(self, config: Config, data: Prepared, log: Run) -> Iterator[Follow]:
        """Follow the training: log it, show it, and keep what a later command goes on from."""
        checkpoints = Checkpoints(log.folder, resume.made_by(config, data))
        with following(config, log, checkpoints, self._watch) as follow:
            yield follow

    def hand_over(self, end: Callable[[contextlib.ExitStack], None]) -> None:
        """Have somebody else close what is held for the run, once its steps are done."""
        self._end = end

    def _place(self, config: Config, data: Prepared) -> tuple[Path, str | None]:
        """Return the folder and the id of the MLflow run, those of the interrupted run if it is gone on with."""
        # While TensorFlow was started, the same command elsewhere may have taken it up.
        if (
            self._begun
            and self._adopt is None
            and self._begun == resume.interrupted(self.store, config, data.data_sha256)
        ):
            resume.remove_unused(self._folder)
            return self._begun.folder, self._begun.id
        return self._folder, self._adopt


@contextlib.contextmanager
def at_work(close: Callable[[], None]) -> Iterator[None]:
    """Within it a signal ends the process within seconds, and want of memory or a lost worker is told as such.

    Parameters
    ----------
    close : called before the process is ended
    """
    if not runtime.is_started():
        with interruption.bounded(close):
            yield
        return
    from equipoise.training.workers import connected  # not before TensorFlow is started

    with interruption.bounded(close), connected(), runtime.enough_memory():
        yield


def _log_times(log: Run) -> None:
    """Say where the time went until here: in MLflow, in a file, and in the terminal."""
    spent = clock.lap()
    log.log_json(spent, "timing.json")
    log.log_metrics({f"time/{name}": seconds for name, seconds in spent.items()})
    shares = [[name, f"{seconds:.2f}", f"{seconds / spent['total']:.0%}"] for name, seconds in spent.items()]
    print_table("Where the time went", ["part", "seconds", "share"], shares)
