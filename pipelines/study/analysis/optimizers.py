"""Whether the gains hold with other optimizers: on each data set, the one further setting that it has drawn."""

import numpy as np
from marked import table

from analysis.contrasts import Effects, effects, families
from analysis.decision import SIDES, Learner, cell, contrast
from analysis.hypotheses import FEWEST
from analysis.table import LENGTHS, Study
from analysis.table import PRIMARY as MIDDLE

CAPACITIES = ("linear", "small", "large")
OPTIMIZERS = {"SGD without momentum": ("sgd", "sgd_decay"), "Adam without decay": ("adamw",)}  # settings' names end so


def written(study: Study) -> str:
    """Return a table of the gains by optimizer and length; empty below five families."""
    lines = []
    for title, ends in OPTIMIZERS.items():
        for length in (LENGTHS[0], MIDDLE):
            found = [_joined(study, ends, length, of) for of in SIDES]
            count = len(families(found[0]).names)
            if count >= FEWEST:
                sets = len(found[0].datasets)
                lines.append([title, f"{length:,}", *(cell(each) for each in found), f"{sets}, {count} families"])
    if not lines:
        return ""
    told = (
        "**Other optimizers and decays**: each data set has drawn one of nine further settings, with one seed. "
        "Balanced accuracy; the three capacities together:"
    )
    return f"{told}\n\n{table(['optimizer', 'epochs', *SIDES, 'data sets'], lines)}"


def _joined(study: Study, ends: tuple[str, ...], length: int, of: str) -> Effects:
    """Return the contrast on the data sets that have drawn a setting of this optimizer."""
    settings = [f"{capacity}_{end}" for capacity in CAPACITIES for end in ends]
    found = [effects(study, contrast(Learner("", length, setting), of)) for setting in settings]
    values, folds, apart, seeds = (
        np.concatenate([getattr(one, name) for one in found]) for name in ("values", "folds", "apart", "seeds")
    )
    return Effects(tuple(dataset for one in found for dataset in one.datasets), values, folds, apart, seeds)
