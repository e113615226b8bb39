"""The class frequencies that a model learned under, and those of where it will be used. Pure NumPy."""

import numpy as np

from equipoise.data.prepared import Prepared
from equipoise.data.sampling import Sampling
from equipoise.data.sources import Dataset
from equipoise.options import Floats
from equipoise.weighting import ClassWeights


def effective_prior(weights: ClassWeights, sampling: Sampling | None = None) -> Floats | None:
    """q_c of shape (classes,): proportional to p_c w_c times the sampling ratio; None where that is not defined.

    A model trained with weights w on frequencies p has learned the posterior under q. With sampling that changes
    while training, or a class of no weight, there is no such q.
    """
    if sampling is not None and not sampling.steady:
        return None
    mass = weights.share if sampling is None else weights.share * sampling.ratio
    prior: Floats = mass / mass.sum()
    return prior if prior.all() else None


def target_prior(dataset: Dataset, data: Prepared) -> Floats:
    """pi_c of shape (classes,), as `dataset.target_prior` says."""
    if dataset.target_prior == "training":
        return data.prior
    if dataset.target_prior == "uniform":
        return np.full(len(data.classes), 1 / len(data.classes))
    prior = np.array(dataset.target_prior, dtype=np.float64)
    normalised: Floats = prior / prior.sum()
    return normalised
