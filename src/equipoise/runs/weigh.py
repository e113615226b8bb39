"""The step `weigh`: from training counts to weights, and what a user should hear of them before training."""

import numpy as np

from equipoise.config import advice
from equipoise.config.estimators import moves_prior
from equipoise.config.model import Config
from equipoise.core.errors import listing
from equipoise.core.schema import Floats
from equipoise.core.terminal import note, warn
from equipoise.data import resampling
from equipoise.data.prepared import Prepared
from equipoise.data.sampling import Resampling, Sampling, resampler, sampling
from equipoise.methods.models import estimator
from equipoise.methods.priors import effective_prior, target_prior
from equipoise.methods.tasks.choose import task_of
from equipoise.methods.tasks.task import Training
from equipoise.methods.weighting import ClassWeights
from equipoise.metrics import ranks

TOLERANCE = 1e-3  # of a sum of class frequencies that were typed


def weigh(config: Config, data: Prepared) -> ClassWeights:
    """Return the class weights that the config makes of the training counts."""
    return task_of(data).weigh(config.weighting, config.loss, data)


def shown(config: Config, data: Prepared, weights: ClassWeights) -> ClassWeights:
    """Return the weights as tables show them."""
    return task_of(data).shown(weights, config.loss, config.dataset, data)


def training(config: Config, data: Prepared, weights: ClassWeights) -> Training:
    """Return what a model is trained under."""
    known = moves_prior(config, weights.weights)
    return Training(weights, config.loss, config.trainer.second_stage, drawing(config, data), config.dataset.mix, known)


def drawing(config: Config, data: Prepared) -> Sampling | Resampling | None:
    """Return how samples are drawn or were resampled, or None if each is taken once an epoch."""
    record = estimator(config.model.name)
    if record is not None and record.balances:
        return sampling("class_balanced", data.split("train").labels, data.counts, 1)
    if data.resampled is not None:
        return Resampling(data.counts, data.resampled)
    return sampling(config.dataset.sampling, data.split("train").labels, data.counts, config.trainer.epochs)


def notes(config: Config, data: Prepared, weights: ClassWeights) -> list[str]:
    """Return what cannot have the effect that was meant, and what is corrected twice, a sentence each."""
    of_classes = advice.notes(config, weights) if task_of(data).has_class_parts else []
    of_batches = advice.of_batches(config, data.counts, len(data.split("train").labels))
    told = [*of_classes, *([] if of_batches is None else [of_batches])]
    return [
        *told,
        *_of_target(config, data),
        *_of_rows(config, data),
        *_of_categories(config, data),
        *_of_grown(config, data),
    ]


def _of_target(config: Config, data: Prepared) -> list[str]:
    """Return what is made of a list of class frequencies whose sum is not 1."""
    typed = config.dataset.target_prior
    if isinstance(typed, str) or abs(sum(typed) - 1) < TOLERANCE:
        return []
    shares = target_prior(config.dataset, data)
    named = listing([f"{name} {share:.3g}" for name, share in zip(data.classes, shares, strict=True)])
    return [f"dataset.target_prior has the sum {sum(typed):g}, and is taken as {named}"]


def _of_rows(config: Config, data: Prepared) -> list[str]:
    """Return how the rows' own weights are put in, where that is not the way that was asked for."""
    how = config.loss.implementation
    if data.masses is None or how != "class_weight" or estimator(config.model.name) is not None:
        return []
    return [
        f"loss.implementation={how} with dataset.weight: Keras refuses class_weight beside weights of rows, so the "
        "product of both goes in as sample_weight, to the same bits"
    ]


def _of_categories(config: Config, data: Prepared) -> list[str]:
    """Return what is made of categories by a resampling that takes them for quantities."""
    record = resampler(config.dataset.sampling)
    if record is None or record.own or record.mixed or not record.makes:
        return []
    wide = [each for each in resampling.categories_of(data) if each.quantities == 0]
    if not wide:
        return []
    return [
        f"dataset.sampling={config.dataset.sampling}: new rows have fractions of {len(wide)} "
        f"column{'s' * (len(wide) > 1)} of categories; dataset.sampling=smote_nc makes categories"
    ]


def _of_grown(config: Config, data: Prepared) -> list[str]:
    """Return which rare classes have got no rows, where all of them should."""
    record, options = resampler(config.dataset.sampling), resampling.options_of(config.dataset)
    if data.resampled is None or record is None or record.own or options.get("sampling_strategy") != "auto":
        return []
    rare = data.counts < data.counts.max()
    same = [data.classes[place] for place in np.flatnonzero(rare & (data.resampled <= data.counts))]
    if not (record.makes and same):
        return []
    return [
        f"dataset.sampling={config.dataset.sampling} makes no row of class {listing(same)}, as none of its rows is "
        "where new ones are to be made"
    ]


def tell(config: Config, data: Prepared, weights: ClassWeights) -> None:
    """Tell the user of the data and the weights what training will not tell."""
    for message in (*data.notes, *notes(config, data, weights)):
        warn(message)
    rows = resampling.told(config.dataset, data)
    if rows is not None:
        note(rows)
    table = shown(config, data, weights)
    if table.positive is not None:
        weight = table.weights[table.classes.index(table.positive)]
        note(f"Positive class: {advice.told(config, table)}, weight {weight:.4g}")
    if len(data.classes) > ranks.MOST_KEYED:
        note(
            f"{len(data.classes):,} classes, more than {ranks.MOST_KEYED}: MLflow's metrics by class are means of "
            f"{ranks.GROUPS} groups of ranks (test/recall/ranks_…); evaluation/per_class.json has every class"
        )


def corrections(config: Config, data: Prepared, weights: ClassWeights) -> dict[str, Floats]:
    """Return what corrects the class balance beside the weights, and what comes of it all, each float64 (classes,)."""
    if not task_of(data).has_class_parts:
        return {}
    found: dict[str, Floats] = {}
    drawn = drawing(config, data)
    effective = effective_prior(weights, config.loss, config.trainer.second_stage, drawn)
    if effective is not None and moves_prior(config, weights.weights):
        found["effective_prior"] = effective
    by_loss = advice.loss_correction(config, weights)
    if by_loss is not None:
        found["correction"] = weights.weights * by_loss
    if drawn is not None:
        found |= {"sampling_ratio": drawn.ratio, "effective_weight": drawn.ratio * weights.weights}
    if data.resampled is not None:
        found["resampled"] = data.resampled.astype(np.float64)
    return found
