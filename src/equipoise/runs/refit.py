"""The step `refit`: once a model is judged, the same training on all rows; its model is the one that a run hands over.

The metrics stay those of the first model, which has not seen the rows that judged it. Its logits of the validation
rows are kept: what a decision rule tunes is tuned on them.
"""

import numpy as np

from equipoise.core.bars import epochs_bar
from equipoise.core.terminal import console
from equipoise.data.originals import unchanged
from equipoise.runs import resume
from equipoise.runs.again import DATA, EPOCHS, REFIT, VALIDATION, Again
from equipoise.runs.log import log_learner, log_preprocessing, log_weights
from equipoise.runs.log_script import log_plain_keras
from equipoise.runs.start import learner_of
from equipoise.tracking.run import Run
from equipoise.training.checkpoints import FOLDER, Checkpoints
from equipoise.training.learner import Keep, Learner
from equipoise.training.plain.case import Origin
from equipoise.training.trained import Trained


def refit(again: Again, log: Run, trained: Trained, keep: Keep | None = None) -> str:
    """Train once more on all rows, and log that model with all that goes with it; return its weights' digest.

    Parameters
    ----------
    trained : the model that is judged
    keep : is handed the new model, too

    Raises
    ------
    ConfigError
        If the training diverges.
    """
    config, data, weights = again.config, again.data, again.weights
    places = Checkpoints(log.folder / FOLDER, {**resume.made_by(config, data), EPOCHS: str(again.epochs)})
    with unchanged(data):
        learner = trained_again(again, places)
    digest = learner.weights_sha256()
    for tag, value in ((REFIT, "true"), (EPOCHS, str(again.epochs)), (DATA, data.data_sha256)):
        log.set_tag(tag, value)
    log_weights(log, data, weights)
    log_preprocessing(log, data)
    _log_validation(log, trained)
    log_learner(config, log, learner, again.epochs, digest)
    if keep:
        learner.save(keep)
    log_plain_keras(config, log, data, weights, Origin(log.id, learner.how, digest, again.epochs))
    return digest


def trained_again(again: Again, places: Checkpoints) -> Learner:
    """Return a learner that was trained on all rows, from the newest checkpoint on if there is one."""
    config, data = again.config, again.data
    console.print(f"Training once more, on all {again.rows:,} rows", soft_wrap=True)
    learner = learner_of(config, data)
    with epochs_bar(again.epochs) as advance:

        def epoch(number: int, metrics: dict[str, float], _is_passed: bool = False, /) -> bool:
            advance({"train/loss": metrics["train/loss"]})  # the validation rows are training rows here
            return number + 1 == again.epochs

        learner.fit(again.weights, epoch, places)
    learner.second_stage()
    return learner


def _log_validation(log: Run, trained: Trained) -> None:
    file = log.folder / VALIDATION
    file.parent.mkdir(exist_ok=True)
    np.save(file, trained.validation_logits, allow_pickle=False)
    log.log_placed(VALIDATION)
