"""The seven hypotheses of the design, each with its claims, and what the runs say of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from analysis.beside import contradicts, signed_rank
from analysis.contrasts import Contrast, Effects, Families, difference, effects, families, minus, slope
from analysis.hierarchy import Alike, Posterior, alike, infer
from analysis.pooled import PRIMARY as BALANCED_ACCURACY
from analysis.table import BEST, BOOSTED, CENTRE, LENGTHS, PRIMARY, Cell, DataSet, Study, kind_of
from equipoise.comparison.significance import Posterior as SignedRank

REGION = 0.01
MOST_MISSING = 0.02  # of the data sets of a claim, each with its seeds
SEEDS = 3  # of the methods of the primary claims, at the centre
FEWEST = 5  # families, of whom a number is told
# What the design names, where the grid is not known: data sets and families of each kind.
DESIGNED = {"table": (50, 23), "image": (6, 2), "series": (3, 3), "text": (1, 1)}
TABLES_ALONE = ("boosting", "boosting_balanced", "smote")
SHOWN, NOT_SHOWN, NOT_RUN, CONTRADICTED = "shown", "not shown", "not run yet", "not claimed"
FREE = "post_hoc"
RIVALS = ("balanced", "power_50", "balanced_softmax", "class_balanced_sampling")
OTHERS = ("power_25", "power_75", "effective_number", "ldam_drw", "focal", "smote")
CAPACITIES = ("linear", "centre", "large")


@dataclass(frozen=True)
class Claim:
    """That the mean over families lies between two ends, with more than a probability."""

    title: str
    contrast: Contrast
    low: float
    high: float
    level: float
    metric: str = BALANCED_ACCURACY

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of data that have its cells: series and texts are trained at centre alone, to 300 epochs."""
        cells = [cell for cell, _ in self.contrast]
        if any(cell.method in TABLES_ALONE for cell in cells):
            return ("table",)
        everywhere = all(cell.setting == CENTRE and cell.epochs <= PRIMARY for cell in cells)
        return tuple(DESIGNED) if everywhere else ("table", "image")

    @property
    def seeds(self) -> int:
        """How many seeds the design gives each data set."""
        repeated = all(cell.setting == CENTRE and cell.method in ("none", *RIVALS) for cell, _ in self.contrast)
        return SEEDS if repeated else 1

    def concerns(self, dataset: DataSet) -> bool:
        return dataset.kind in self.kinds

    @property
    def said(self) -> str:
        """What is claimed, in symbols."""
        ends = {(0.0, math.inf): "μ > 0", (-math.inf, 0.0): "μ < 0", (-math.inf, REGION): f"μ < {REGION}"}
        ends |= {(-REGION, REGION): f"−{REGION} < μ < {REGION}", (-REGION, math.inf): f"μ > −{REGION}"}
        return f"P({ends[self.low, self.high]}) > {self.level}"


@dataclass(frozen=True)
class Judged:
    """A claim and what was found.

    Attributes
    ----------
    found, means : on each data set, and over each family's
    posterior, beside : of the model and of the signed-rank test; None below two families
    planned : data sets and families that the claim asks for
    """

    claim: Claim
    found: Effects
    means: Families
    posterior: Posterior | None
    beside: SignedRank | None
    planned: tuple[int, int]

    @property
    def probability(self) -> float:
        return self.posterior.probability(self.claim.low, self.claim.high) if self.posterior else math.nan

    @property
    def alike(self) -> Alike | None:
        """The mean of families that count alike, beside the model's; None below two families."""
        return alike(self.means.effects) if len(self.means.names) >= 2 else None

    @property
    def is_complete(self) -> bool:
        """Whether the runs that the claim asks for are in: data sets times seeds."""
        asked = self.claim.seeds
        return float(np.minimum(self.found.seeds, asked).sum()) >= (1 - MOST_MISSING) * asked * self.planned[0]

    @property
    def verdict(self) -> str:
        if not self.is_complete or self.posterior is None or self.beside is None:
            return NOT_RUN
        if self.probability <= self.claim.level:
            return NOT_SHOWN
        above = self.posterior.probability(0, math.inf)
        return CONTRADICTED if contradicts(above, self.beside) else SHOWN


@dataclass(frozen=True)
class Hypothesis:
    """A hypothesis: all of its claims must be shown; what is told beside decides nothing."""

    number: str
    name: str
    expected: str
    claims: tuple[Claim, ...]
    told: tuple[Claim, ...] = field(default=())


def verdict(judged: Sequence[Judged]) -> str:
    """Return the verdict on claims that must all be shown."""
    found = [one.verdict for one in judged]
    for worst in (NOT_RUN, CONTRADICTED, NOT_SHOWN):
        if worst in found:
            return worst
    return SHOWN


def hypotheses() -> tuple[Hypothesis, ...]:
    """Return the six that have claims; the seventh is described, on `synthetic`."""
    none, balanced = Cell("none"), Cell("balanced")
    short, boosted = replace(none, epochs=LENGTHS[0]), Cell("boosting", FREE, BOOSTED)
    free = Cell("none", FREE)
    gain = difference(replace(balanced, epochs=LENGTHS[0]), short)
    weighed = Cell("boosting_balanced", epochs=BOOSTED)
    return (
        Hypothesis(
            "1", "Short training", "weights raise balanced accuracy after 30 epochs",
            (Claim("`balanced` − none, 30 epochs", gain, 0.0, math.inf, 0.975),),
        ),
        Hypothesis(
            "2", "Long training", "the gain falls with the logarithm of the steps",
            (Claim("slope of `balanced` − none, a tenfold of steps", slope(balanced, none), -math.inf, 0.0, 0.975),),
            (*_gains(), _deep_minus_linear()),
        ),
        Hypothesis(
            "3", "Free", "post-hoc adjustment is equivalent to `balanced`",
            (Claim("post hoc − `balanced`", difference(free, balanced), -REGION, REGION, 0.95),),
            tuple(_everywhere()),
        ),
        Hypothesis(
            "4", "Trained does not beat free", "none of four trained methods is above post hoc by 0.01 or more",
            tuple(_beats(method, free) for method in RIVALS),
            tuple(_beats(method, free) for method in OTHERS),
        ),
        Hypothesis(
            "5", "Boosted trees", "in boosted trees, weights are not above post hoc by 0.01 or more",
            (_below("boosting: `balanced` − post hoc", difference(weighed, boosted)),),
        ),
        Hypothesis(
            "6", "What it costs", "full weights lower macro F1 and MCC",
            tuple(
                Claim(f"`balanced` − none, {metric}", difference(balanced, none), -math.inf, 0.0, 0.975, metric)
                for metric in ("macro_f1", "mcc")
            ),
        ),
        Hypothesis(
            "6b", "What half of it costs", "the square root of the weights loses less than 0.01 of either",
            tuple(
                Claim(f"power ½ − none, {metric}", difference(Cell("power_50"), none), -REGION, math.inf, 0.95, metric)
                for metric in ("macro_f1", "mcc")
            ),
        ),
    )  # fmt: skip


def _below(title: str, contrast: Contrast) -> Claim:
    return Claim(title, contrast, -math.inf, REGION, 0.95)


def _beats(method: str, free: Cell) -> Claim:
    return _below(f"`{method}` − post hoc", difference(Cell(method), free))


def _gains() -> list[Claim]:
    found = []
    for epochs in (*LENGTHS, BEST):
        contrast = difference(Cell("balanced", epochs=epochs), Cell("none", epochs=epochs))
        found.append(Claim(f"`balanced` − none, {length_name(epochs)}", contrast, 0.0, math.inf, 0.975))
    return found


def _deep_minus_linear() -> Claim:
    """Return that the gain falls faster in large networks than in linear ones (Byrd and Lipton 2019)."""
    large, linear = (
        slope(Cell("balanced", setting=setting), Cell("none", setting=setting)) for setting in ("large", "linear")
    )
    return Claim("that slope, large − linear", minus(large, linear), -math.inf, 0.0, 0.975)


def _everywhere() -> list[Claim]:
    """Return all 15 cells, the primary one among them."""
    found = []
    for setting in CAPACITIES:
        for epochs in (*LENGTHS, BEST):
            free = Cell("none", FREE, epochs, setting)
            contrast = difference(free, Cell("balanced", "argmax", epochs, setting))
            title = f"post hoc − `balanced`, {setting_name(setting)}, {length_name(epochs)}"
            found.append(Claim(title, contrast, -REGION, REGION, 0.95))
    return found


def length_name(epochs: int) -> str:
    return "best epoch" if epochs == BEST else f"{epochs:,} epochs"


def setting_name(setting: str) -> str:
    return "small" if setting == "centre" else setting


def judge(study: Study, claim: Claim) -> Judged:
    """Return what the runs say of a claim."""
    found = effects(study, claim.contrast, claim.metric).where(claim.concerns)
    means = families(found)
    enough = len(means.names) >= 2
    posterior = infer(means.effects, means.variances) if enough else None
    beside = signed_rank(means.effects, REGION) if enough else None
    return Judged(claim, found, means, posterior, beside, planned(study, claim.kinds))


def planned(study: Study, kinds: Sequence[str] = tuple(DESIGNED)) -> tuple[int, int]:
    """Return how many data sets and families of some kinds the grid names, or the design if the grid is not known."""
    names = {name: family for name, family in study.planned.items() if kind_of(name) in kinds}
    if study.planned:
        return len(names), len(set(names.values()))
    return sum(DESIGNED[kind][0] for kind in kinds), sum(DESIGNED[kind][1] for kind in kinds)


def judged(study: Study) -> Mapping[str, tuple[Hypothesis, tuple[Judged, ...], tuple[Judged, ...]]]:
    """Return each hypothesis by its number, with its claims and with what is told beside, as they were found."""
    return {
        one.number: (
            one,
            tuple(judge(study, claim) for claim in one.claims),
            tuple(judge(study, claim) for claim in one.told),
        )
        for one in hypotheses()
    }
