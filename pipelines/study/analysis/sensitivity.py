"""Each primary claim once more under other choices: what the design lists, and where each answer turns."""

import functools
from collections.abc import Callable

import numpy as np

from analysis.contrasts import ENLARGED, Effects, families
from analysis.hierarchy import PRIOR, Alike, Posterior, infer
from analysis.hypotheses import Judged
from analysis.table import DataSet
from equipoise.core.schema import Floats

APART = ("cm1", "kc1", "pc1")
REGIONS = (0.005, 0.01, 0.02)
PRIORS = (0.02, 0.15)
# Their noise was measured, or results of methods of this study were seen, before the first run.
SEEN = (
    *("ecoli", "vowel", "glass", "newthyroid", "new_thyroid", "thyroid", "yeast", "winequality_red", "hypothyroid"),
    *("kc1", "page_blocks", "satimage", "digits", "german", "haberman", "hayes_roth"),
)
# Of whose rows a fifth or more are equal to another in all features.
REPEATED = ("flaref", "hayes_roth", "kc1", "pc1", "winequality_red_4")


def variants(one: Judged) -> dict[str, Posterior | Alike]:
    """Return the posterior of a claim under each other choice that leaves two families or more."""
    found, keep = one.found, one.found.where
    seen = {dataset.family for dataset in found.datasets if dataset.name.lower().startswith(SEEN)}
    each: dict[str, Callable[[], Posterior | Alike | None]] = {
        "as it is": lambda: _inferred(found),
        "families count alike": lambda: one.alike,
        f"v × {ENLARGED:.2f} (Nadeau and Bengio)": lambda: _inferred(found, ENLARGED * found.variances),
        "v of independent sides (κ = 1)": lambda: _inferred(found, found.apart),
        "v of the folds alone": lambda: _inferred(found, np.maximum(found.folds, 1e-8)),
        "cm1, kc1, pc1 apart": lambda: _inferred(found, family=_apart),
        "each data set counts once": lambda: _inferred(found, family=lambda dataset: dataset.name),
        "two classes": lambda: _inferred(keep(lambda dataset: dataset.classes == 2)),
        "several classes": lambda: _inferred(keep(lambda dataset: dataset.classes > 2)),
        "tables": lambda: _inferred(keep(lambda dataset: dataset.kind == "table")),
        "without what was seen before": lambda: _inferred(keep(lambda dataset: dataset.family not in seen)),
        "without tables of repeated rows": lambda: _inferred(keep(lambda dataset: dataset.name not in REPEATED)),
    }
    each |= {f"τ half-normal ({prior})": functools.partial(_inferred, found, prior=prior) for prior in PRIORS}
    results = {name: infer_it() for name, infer_it in each.items()}
    return {name: posterior for name, posterior in results.items() if posterior is not None}


def _apart(dataset: DataSet) -> str:
    return dataset.name if dataset.name in APART else dataset.family


def _inferred(
    found: Effects,
    variances: Floats | None = None,
    family: Callable[[DataSet], str] = lambda dataset: dataset.family,
    prior: float = PRIOR,
) -> Posterior | None:
    means = families(found, variances, family)
    return infer(means.effects, means.variances, prior) if len(means.names) >= 2 else None
