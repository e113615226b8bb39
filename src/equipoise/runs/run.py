"""One run: `prepare`, `weigh`, `fit`, `evaluate` and `log`, each from the config and the steps before."""

import contextlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from equipoise.config.model import Config
from equipoise.core import interruption
from equipoise.core.paths import cache_folder, project_root
from equipoise.core.terminal import warn
from equipoise.data.originals import unchanged
from equipoise.data.prepare import prepare
from equipoise.data.prepared import Prepared
from equipoise.data.resampling import resampled
from equipoise.methods.weighting import ClassWeights
from equipoise.reports.evidence import Evidence
from equipoise.runs import background
from equipoise.runs.again import Again, to_repeat_on
from equipoise.runs.evaluate import Evaluated, evaluate
from equipoise.runs.facts import facts
from equipoise.runs.fit import fit
from equipoise.runs.log import log_input_metrics, log_inputs, log_trained
from equipoise.runs.log_evaluation import log_evaluation, log_rule
from equipoise.runs.log_script import log_plain_keras
from equipoise.runs.note import log_note
from equipoise.runs.refit import refit
from equipoise.runs.session import Session, Settled, at_work
from equipoise.runs.start import start
from equipoise.runs.weigh import tell, weigh
from equipoise.tracking.run import Run, outer_run
from equipoise.tracking.store import open_store
from equipoise.training.learner import Learner
from equipoise.training.plain.case import Origin
from equipoise.training.trained import Trained

NEVER_PREDICTED = "never predicted"  # how the note of an evaluation begins that differs from job to job


@dataclass(frozen=True)
class Finished:
    """A run that is complete, or lacks nothing but its pictures.

    Attributes
    ----------
    epochs : how many it was trained for
    device : that it was trained on, and how many of them
    folder : what it wrote beside the store
    is_uploaded : whether the store has all of it, or it waits in the folder
    """

    run_id: str
    experiment_id: str
    data: Prepared
    evidence: Evidence
    epochs: int
    device: str
    folder: Path
    is_uploaded: bool

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics of the test split, by the names that MLflow shows, such as `test/macro_f1`."""
        return {f"test/{name}": value for name, value in self.evidence.evaluation.summary.items()}


def train(config: Config) -> Finished:
    """Carry out one run as `python src/train.py` does, or the rest of one that was interrupted.

    Raises
    ------
    ConfigError
        If the data, the loss or the model are not what the config says, or the training diverges.
    """
    store = open_store(project_root(), config.tracking.name, needed=False)
    folder = project_root() / "outputs" / (time.strftime("%Y-%m-%d/%H-%M-%S-") + secrets.token_hex(2))
    folder.mkdir(parents=True)
    with Session(store, folder, adopt=outer_run(store)) as session:
        finished = run(config, session)
    assert isinstance(finished, Finished), "a run that is no job of a sweep is nobody else's"
    return finished


def run(
    config: Config, session: Session, cache: Path | None = None, show: Callable[[Finished], None] | None = None
) -> Finished | Settled:
    """Carry out the steps of one run within its session; return what it found, or why there was nothing to do.

    Parameters
    ----------
    cache : the folder of prepared data; None: the project's
    show : told what was found before it is logged and drawn, which goes on if the terminal is closed then

    Raises
    ------
    ConfigError
        As `train` does.
    Pruned
        If what watches the training ends it.
    """
    data = prepare(config.dataset, cache or cache_folder())
    settled = session.begin(config, data)
    if settled is not None:
        return settled
    background.run_begins(with_pictures=config.evaluation.pictures)
    every = to_repeat_on(config, cache or cache_folder())
    data = resampled(config.dataset, data, config.seed)
    learner = start(config, data)
    with contextlib.ExitStack() as shown, session.opened(config, data, learner) as log:
        weights = weigh(config, data)
        tell(config, data, weights)
        log_inputs(config, log, data, weights)
        with session.followed(config, data, log) as follow:
            trained = fit(config, data, weights, learner, follow)
        log_learned = partial(_log_learned, config, log, data, weights, trained, learner)
        found = _judged(config, data, weights, trained, log_learned)
        evidence = replace(found.evidence, facts=facts(config, data, log))
        of_run = (log.id, log.experiment_id, data, evidence, len(trained.history), learner.place, log.folder)
        _warn(config, evidence)
        if show:
            shown.enter_context(interruption.outliving_terminal())
            with contextlib.suppress(OSError):  # the terminal may be closed while the tables appear
                show(Finished(*of_run, is_uploaded=False))
        log_learned()
        log_evaluation(log, found)
        log_input_metrics(config, log, data, weights)
        log_note(log, evidence)
        if every is not None:
            again = Again.of(config, trained, every)
            refit(again, log, trained)
            evidence = replace(evidence, model=log_rule(again, log, trained, data))
        background.draw(evidence, log, session, with_pictures=config.evaluation.pictures)
    return replace(Finished(*of_run, is_uploaded=log.is_uploaded), evidence=evidence)


def _judged(
    config: Config, data: Prepared, weights: ClassWeights, trained: Trained, log_learned: Callable[[], None]
) -> Evaluated:
    try:
        return evaluate(config, data, weights, trained)
    except Exception:  # a trained model is worth more than its figures
        log_learned()
        raise


def _log_learned(
    config: Config, log: Run, data: Prepared, weights: ClassWeights, trained: Trained, learner: Learner
) -> None:
    log_trained(config, log, data, trained, learner)
    if not config.trainer.refit:
        log_plain_keras(config, log, data, weights, Origin(log.id, learner.how, trained.weights_sha256))


def _warn(config: Config, evidence: Evidence) -> None:
    in_a_sweep = config.sweep != "auto"  # where each job's own line has what was never predicted
    for note in evidence.evaluation.notes:
        if not (in_a_sweep and note.startswith(NEVER_PREDICTED)):
            warn(note)


def take_part(config: Config) -> None:
    """Train as one of several workers, and leave nothing: the run is the chief's, which logs it.

    Raises
    ------
    ConfigError
        As `train` does.
    """
    data = resampled(config.dataset, prepare(config.dataset, cache_folder()), config.seed)
    learner = start(config, data)
    with at_work(lambda: None), unchanged(data):
        learner.fit(weigh(config, data), lambda *_: None, None)
