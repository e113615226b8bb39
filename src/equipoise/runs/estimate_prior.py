"""`dataset.target_prior=estimate`: the class frequencies of rows without labels, in place of the word."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from equipoise.config.model import Config
from equipoise.core.commands import command
from equipoise.core.errors import ConfigError
from equipoise.core.schema import Floats
from equipoise.data.prepared import Prepared
from equipoise.methods import label_shift
from equipoise.methods.deciders import is_moved
from equipoise.methods.label_shift import Source, check_known
from equipoise.methods.priors import as_typed
from equipoise.methods.tasks.judge_classes import learned_prior
from equipoise.methods.weighting import ClassWeights
from equipoise.metrics.classification import class_logits
from equipoise.reports.prior_table import EstimatedPrior
from equipoise.runs.evaluate import Evaluated
from equipoise.runs.weigh import training
from equipoise.training.trained import Trained

TABLE = "evaluation/target_prior.json"
TAG = "target_prior"  # of a run: how the numbers of dataset.target_prior were found
OF_ANOTHER = (
    "rows are answered by the model that learned from all rows (trainer.refit=true), and the estimate is calibrated by "
    "validation rows that the model before it has answered: it takes both for alike"
)
INSTEAD = "decision=prior_adjusted predicts by p(class)"
# Rules whose decision no target prior changes, and why.
UNMOVED: Mapping[str, str] = {
    "argmax": "goes by the model's own probabilities",
    "logit_adjusted": "goes by equal class frequencies",
    "conformal": "keeps its coverage of each class whatever the frequencies",
}


@dataclass(frozen=True)
class Unlabelled:
    """Rows without labels, beside the test split.

    Attributes
    ----------
    source : their file or folder, as it was typed
    read : return the logits of a run's model of some of them, float (n, classes), chosen at random, and how many there
        are; the run's id comes first
    form : how they are read, as it was typed
    """

    source: str
    read: Callable[[str, Config], tuple[Floats, int]]
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def words(self) -> list[str]:
        """What was typed of them."""
        return [f"unlabelled={self.source}", *(f"{key}={typed}" for key, typed in self.form.items())]

    @property
    def name(self) -> str:
        """The name of the file or folder alone."""
        return Path(self.source).name


def estimated(
    config: Config, data: Prepared, weights: ClassWeights, trained: Trained, unlabelled: Unlabelled | None, run: str
) -> EstimatedPrior:
    """Return the class frequencies of the unlabelled rows, or else of the test rows, whose labels are not looked at.

    Parameters
    ----------
    run : the id of the one that trained the model

    Raises
    ------
    ConfigError
        If there are no validation rows, or the prior that the model learned under is not known.
    """
    labels = np.asarray(data.split("validation").labels)
    if not len(labels):
        raise ConfigError(
            "dataset.target_prior=estimate needs validation rows, which say how the model answers each class, "
            "and there are none"
        )
    prior = learned_prior(training(config, data, weights))
    source = Source(labels, class_logits(trained.validation_logits), prior, config.calibration.name)
    if unlabelled is not None:
        (logits, whole), name, true = unlabelled.read(run, config), unlabelled.name, None
    else:
        own = np.asarray(data.split("test").labels)
        rows, whole = label_shift.chosen(len(own), label_shift.most_rows(len(data.classes))), len(own)
        logits, name = class_logits(trained.logits[rows]), "the test split"
        true = np.bincount(own, minlength=len(data.classes)) / whole
    found = label_shift.estimate(source, logits, data.classes)
    check_known(found.em, f"{command('evaluate')} run=… calibration=bias_corrected dataset.target_prior=estimate")
    if config.trainer.refit:
        found = replace(found, notes=(*found.notes, OF_ANOTHER))
    return EstimatedPrior(found, data.classes, name, whole, data.prior, true)


def with_numbers(config: Config, found: EstimatedPrior) -> Config:
    """Return the config with the estimate as the numbers of `dataset.target_prior`."""
    numbers = as_typed(config.dataset, tuple(found.classes), found.estimate.prior)
    return config.model_copy(update={"dataset": config.dataset.model_copy(update={"target_prior": numbers})})


def with_notes(evaluated: Evaluated, found: EstimatedPrior | None, decision: str) -> Evaluated:
    """Return the evaluation with notes on what its probabilities are under, if that was estimated.

    They tell as well whether the decision follows.
    """
    if found is None:
        return evaluated
    follows = () if is_moved(evaluated.verdict.decide) else (f"decision={decision} {_unmoved(decision)}; {INSTEAD}",)
    told = f"dataset.target_prior is {found.told}: it assumes that p(x | class) is as in validation (label shift)"
    if found.true is not None:
        told += "; the test rows set the prior that they are then judged under: unlabelled=rows.csv takes other rows"
    notes = (*evaluated.evidence.evaluation.notes, told, *found.estimate.notes, *follows)
    evaluation = replace(evaluated.evidence.evaluation, notes=notes)
    return replace(evaluated, evidence=replace(evaluated.evidence, evaluation=evaluation))


def _unmoved(decision: str) -> str:
    why = UNMOVED.get(decision, "is tuned on validation rows, whose class frequencies are others")
    return f"{why}, and does not follow dataset.target_prior"
