"""Whether the gains hold with other optimizers: on each data set, the one further setting that it has drawn."""

from dataclasses import replace

import numpy as np
from marked import table

from analysis.contrasts import Effects, effects, families
from analysis.decision import SIDES, Learner, cell, contrast
from analysis.hypotheses import CAPACITIES, FEWEST, setting_name
from analysis.table import LENGTHS, Study
from analysis.table import PRIMARY as MIDDLE

OPTIMIZERS = {"SGD without momentum": ("sgd", "sgd_decay"), "Adam without decay": ("adamw",)}  # settings' names end so


def written(study: Study) -> str:
    """Return a table of the gains by optimizer and length; empty below five families."""
    lines = []
    for title, ends in OPTIMIZERS.items():
        for length in (LENGTHS[0], MIDDLE):
            for name, of_adamw in ((title, False), ("AdamW with decay on these", True)):
                found = [_joined(study, ends, Learner("", length), of, of_adamw) for of in SIDES]
                count = len(families(found[0]).names)
                if count >= FEWEST:
                    sets = f"{len(found[0].datasets)}, {count} families"
                    lines.append([name, f"{length:,}", *(cell(each) for each in found), sets])
    if not lines:
        return ""
    told = (
        "**Other optimizers and decays**: each data set has drawn one of nine further settings, with one seed; beside "
        "it that of the same capacity on the same data sets. Balanced accuracy, three capacities together:"
    )
    return f"{told}\n\n{table(['optimizer', 'epochs', *SIDES, 'data sets'], lines)}"


def _joined(study: Study, ends: tuple[str, ...], learner: Learner, of: str, of_adamw: bool) -> Effects:
    """Return the contrast on the data sets that have drawn a setting of this optimizer.

    Parameters
    ----------
    of_adamw : in place of the setting, that of the same capacity under AdamW with decay
    """
    found = []
    for usual in CAPACITIES:
        for end in ends:
            here = effects(study, contrast(replace(learner, setting=f"{setting_name(usual)}_{end}"), of))
            if of_adamw:
                drawn = {one.name for one in here.datasets}
                here = effects(study, contrast(replace(learner, setting=usual), of))
                here = here.at(np.array([one.name in drawn for one in here.datasets], dtype=bool))
            found.append(here)
    values, folds, apart, seeds = (
        np.concatenate([getattr(one, name) for one in found]) for name in ("values", "folds", "apart", "seeds")
    )
    return Effects(tuple(dataset for one in found for dataset in one.datasets), values, folds, apart, seeds)
