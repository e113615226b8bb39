"""How balanced accuracy itself, and not only its gain, changes with the length of training."""

from collections.abc import Mapping

from marked import table

from analysis.choosing import CHOSEN
from analysis.contrasts import Effects, difference, effects, families, shared
from analysis.decision import cell, signed
from analysis.hypotheses import FEWEST, FREE
from analysis.pooled import PRIMARY
from analysis.table import BEST, LENGTHS, Cell, Study

SIDES = {"no weights": ("none", "argmax"), "weights": ("balanced", "argmax"), "free": ("none", FREE)}
SHORT, LONG = LENGTHS[0], LENGTHS[-1]


def written(study: Study) -> str:
    """Return the levels at each length on the data sets that have all, and what longer training does to each side."""
    lengths = (*LENGTHS, BEST, CHOSEN)
    found = {
        (side, epochs): effects(study, ((Cell(*of, epochs), 1.0),)) for side, of in SIDES.items() for epochs in lengths
    }
    means = {key: families(each) for key, each in shared(found).items()}
    count = len(next(iter(means.values())).names)
    if count < FEWEST:
        return ""
    heading = [f"small network, {count} families", *(f"{epochs:,} epochs" for epochs in LENGTHS)]
    lines = [[side, *(f"{means[side, epochs].effects.mean():.3f}" for epochs in lengths)] for side in SIDES]
    return "\n\n".join(
        [
            "**Balanced accuracy itself**, plain means over the families with all lengths:",
            table([*heading, "stopped early", "length by validation"], lines),
            _told(changes(study)),
        ]
    )


def changes(study: Study) -> Mapping[str, Effects]:
    """Return for each side what the longest training changes against the shortest one."""
    return {side: effects(study, difference(Cell(*of, LONG), Cell(*of, SHORT)), PRIMARY) for side, of in SIDES.items()}


def _told(found: Mapping[str, Effects]) -> str:
    each = {side: cell(one) for side, one in found.items()}
    plain = {side: float(families(one).effects.mean()) for side, one in found.items()}
    means = f"{signed(plain['weights'])}, {signed(plain['free'])} and {signed(plain['no weights'])}"
    lost, won = -plain["weights"], plain["no weights"]
    share = f" Of the fall of the gain, {lost / (lost + won):.0%} is what weights lose." if min(lost, won) > 0 else ""
    return (
        f"From {SHORT} to {LONG:,} epochs, balanced accuracy changes by {each['weights']} with weights, by "
        f"{each['free']} with what is free, and by {each['no weights']} without weights (plain means {means}).{share} "
        "This was described after the results were seen."
    )
