"""A model's answers moved to the class frequencies of the rows that it is to predict, which have no labels."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from equipoise.core.bars import counting
from equipoise.core.commands import command
from equipoise.core.errors import ConfigError
from equipoise.core.schema import Floats
from equipoise.data.types import Dataset
from equipoise.methods import label_shift
from equipoise.methods.deciders import Decide, LeastCost, MostProbable, Rejecting, is_moved
from equipoise.methods.label_shift import Source, check_known
from equipoise.metrics.probabilities import OfClasses
from equipoise.reports.prior_table import EstimatedPrior
from equipoise.serving.answers import Answers, answers_of
from equipoise.serving.inputs import open_input
from equipoise.serving.request import Request, read_source
from equipoise.serving.served_form import SOURCE

TYPED = "dataset.target_prior=estimate"


def moved_to_rows(answers: Answers, request: Request, parts: Path) -> tuple[Answers, EstimatedPrior]:
    """Return answers under the class frequencies that are estimated from the input, and the estimate.

    The input is read once for it: at most `label_shift.most_rows` of its rows are answered, chosen at random.

    Parameters
    ----------
    parts : the folder of the model's parts

    Raises
    ------
    ConfigError
        If a row may have several labels, the parts have no validation rows, the model's prior is not known, or no row
        can be read.
    """
    if not isinstance(answers.moved, OfClasses):
        raise ConfigError(
            f"{TYPED} is for one class a row: this model gives several labels, of which each has a frequency of its own"
        )
    source = _source(parts, len(answers.classes))
    logits, whole = sampled_logits(answers, request)
    found = label_shift.estimate(source, logits, answers.classes)
    check_known(found.em, f"{command('evaluate')} run=… calibration=bias_corrected, then predict by that run")
    prior = EstimatedPrior(found, answers.classes, Path(request.source).name, whole, source.training)
    probable = replace(answers.moved, target=found.prior / found.prior.sum())
    decide: Decide = answers.decide
    if request.adjusted:
        assert probable.effective is not None, "EM needs it"
        decide = MostProbable(probable.effective, probable.target)
    elif is_moved(decide) and isinstance(decide, LeastCost | MostProbable | Rejecting):
        decide = replace(decide, target=probable.target)
    return replace(answers, moved=probable, decide=decide), prior


def told(answers: Answers) -> str:
    """Say that the decision does not follow, if that is so."""
    if is_moved(answers.decide):
        return ""
    return (
        "`predicted` does not follow the estimate, and p(class) does: the decision rule goes by the model's own "
        "probabilities, or is tuned on validation rows; decision=prior_adjusted predicts by p(class)"
    )


def logits_of_file(run: str, where: str, source: str, dataset: Dataset, typed: Mapping[str, str]) -> tuple[Floats, int]:
    """Return `sampled_logits` of a file or folder by the model of a run, read as its data are where nothing is typed.

    Parameters
    ----------
    run, where : as for `parts_of_run`
    dataset : tells the separator, the encoding and the decimal mark
    typed : of this file, as for `read_source`
    """
    from equipoise.serving.parts import parts_of_run  # it needs the store's packages, which a model's folder lacks

    form = {key: getattr(dataset, key) for key in ("separator", "encoding", "decimal") if hasattr(dataset, key)}
    with parts_of_run(run, where) as folder:
        return sampled_logits(answers_of(folder), read_source({**form, **typed, "input": source}))


def sampled_logits(answers: Answers, request: Request) -> tuple[Floats, int]:
    """Return logits of at most `label_shift.most_rows` rows of the input, chosen at random, and how many can be read.

    A row is kept if the number that is drawn for it is among the least, so that one pass with flat memory is enough.
    """
    most = label_shift.most_rows(len(answers.classes))
    generator = np.random.default_rng(0)
    kept: list[Floats] = []
    least: Floats = np.empty(0)
    whole = 0
    given = open_input(request, answers)
    with counting(given.rows, "rows read for the class frequencies") as advance:
        for block in given.blocks():
            advance(len(block.read.notes))
            readable = np.flatnonzero(~block.read.unreadable)
            drawn = generator.random(len(readable))
            whole += len(readable)
            bound = np.partition(least, most - 1)[most - 1] if len(least) >= most else np.inf
            wanted = drawn < bound
            if wanted.any():
                kept.append(answers.class_logits(block.read.features[readable[wanted]]).astype(np.float32))
                least = np.append(least, drawn[wanted])
            if len(least) >= 2 * most:
                kept, least = _least(kept, least, most)
    if not whole:
        raise ConfigError(f"{TYPED}: no row of input={request.source} can be read")
    kept, _ = _least(kept, least, most)
    return kept[0], whole


def _least(kept: list[Floats], drawn: Floats, most: int) -> tuple[list[Floats], Floats]:
    """Return the rows with the least numbers, in their order, and these numbers."""
    every = np.concatenate(kept)
    chosen = np.sort(np.argpartition(drawn, most - 1)[:most]) if len(drawn) > most else np.arange(len(drawn))
    return [every[chosen]], drawn[chosen]


def _source(parts: Path, classes: int) -> Source:
    """Return what validation rows say of the model.

    Raises
    ------
    ConfigError
        If the parts do not have it, or it is damaged.
    """
    file = parts / SOURCE
    if not file.is_file():
        raise ConfigError(
            f"{TYPED}: the model has no {SOURCE}, with the validation rows that it goes by: an older version logged or "
            f"registered it, or there were none; {command('evaluate')} run=… logs it anew"
        )
    found = Source.load(file)
    if found.logits.shape[1] != classes:
        raise ConfigError(f"{file} is damaged: it is of {found.logits.shape[1]} classes, and the model of {classes}")
    return found
