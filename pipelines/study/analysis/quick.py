"""Whether a small part of the study has the signs of the whole: printed, and written nowhere."""

import math
from collections.abc import Iterator

from analysis.contrasts import difference, minus
from analysis.hypotheses import FREE, REGION, Claim, Judged, judge
from analysis.table import LENGTHS, PRIMARY, Cell, Study

SHORT = LENGTHS[0]
UNSURE = "unsure"


def claims() -> tuple[Claim, ...]:
    """Return those that no weights, half and full weights at two lengths can answer."""
    none, balanced, half, free = Cell("none"), Cell("balanced"), Cell("power_50"), Cell("none", FREE)
    short, long = (
        difference(Cell("balanced", epochs=epochs), Cell("none", epochs=epochs)) for epochs in (SHORT, PRIMARY)
    )
    pairs = {
        f"balanced - none, {SHORT} epochs": (short, "balanced_accuracy"),
        f"balanced - none, {PRIMARY} epochs": (long, "balanced_accuracy"),
        f"the gain at {PRIMARY} - that at {SHORT}": (minus(long, short), "balanced_accuracy"),
        "post hoc - balanced": (difference(free, balanced), "balanced_accuracy"),
        "power 1/2 - post hoc": (difference(half, free), "balanced_accuracy"),
        "balanced - none, macro F1": (difference(balanced, none), "macro_f1"),
        "balanced - none, MCC": (difference(balanced, none), "mcc"),
    }
    return tuple(Claim(title, contrast, -math.inf, 0.0, 0.975, metric) for title, (contrast, metric) in pairs.items())


def lines(small: Study, whole: Study) -> Iterator[str]:
    """Yield a line for each claim: what the small part and the whole say, and whether their signs contradict."""
    for claim in claims():
        found = [judge(study, claim) for study in (small, whole)]
        signs = [sign(one) for one in found]
        verdict = "contradict" if {"above 0", "below 0"} == set(signs) else "agree"
        if any(one.posterior is None for one in found):
            verdict = "not run yet"
        yield f"{claim.title:32} {_told(found[0]):38} {_told(found[1]):38} {verdict}"


def sign(one: Judged) -> str:
    """Return the sign that a posterior shows; none where its mean may lie on either side, or within ±0.01."""
    if one.posterior is None:
        return UNSURE
    low, high = one.posterior.interval
    if low > 0:
        return "above 0"
    if high < 0:
        return "below 0"
    return f"within {REGION}" if low > -REGION and high < REGION else UNSURE


def _told(one: Judged) -> str:
    if one.posterior is None:
        return "-"
    low, high = one.posterior.interval
    return f"{one.posterior.mean:+.3f} ({low:+.3f} to {high:+.3f}, {len(one.means.names)} families)"
