"""Numbers and results as the pages and the paper say them."""

from analysis.decision import number
from analysis.hypotheses import NOT_RUN, SHOWN, Hypothesis, Judged, verdict
from analysis.table import TRAINING, Study
from equipoise.core.errors import listing


def result(one: Judged) -> str:
    """Return what was found of a claim, with its interval and families."""
    if one.posterior is None:
        return EMPTY
    assert one.beside is not None
    signed = ", ".join(f"{share:.2f}" for share in (one.beside.below, one.beside.within, one.beside.above))
    probabilities = f"{one.claim.said.rpartition(' > ')[0]} = {one.probability:.3f}"
    new = one.posterior.of_new_family(-0.01, 0.01)
    return (
        f"{number(one.posterior.mean, one.posterior.interval)}, {probabilities}; τ {one.posterior.tau:.3f}, "
        f"a new family inside ±0.01: {new:.2f}; signed-rank below, within, above: {signed}; "
        f"{counted(len(one.means.names), 'family', 'families')}"
    )


EMPTY = "–"
# Settings beside the primary one, as the progress tells them.
LATER = {"linear": "linear networks", "large": "large networks", "synthetic": "`synthetic`"}


def short(one: Judged) -> str:
    """Return a claim's mean, interval and probability, by the model and with families that count alike."""
    if one.posterior is None or one.alike is None:
        return EMPTY
    claim, plain = one.claim, one.alike
    return (
        f"{number(one.posterior.mean, one.posterior.interval)}, P = {one.probability:.3f}; families alike "
        f"{number(plain.mean, plain.interval).replace('**', '')}, P = {plain.probability(claim.low, claim.high):.3f}"
    )


def state(judged: tuple[Judged, ...]) -> str:
    """Return the verdict, with how much is there where it is not complete."""
    found = verdict(judged)
    if found == SHOWN and not all(one.is_shown_alike for one in judged):
        return f"**{found}** by the model of the design; not where families count alike"
    if found != NOT_RUN:
        return f"**{found}**"
    least = min(judged, key=lambda one: len(one.means.names))
    datasets, families = least.planned
    there = len(least.means.names), len(least.found.values)
    return f"not run yet: {there[0]} of {families} families, {there[1]} of {datasets} data sets"


def lines(hypothesis: Hypothesis, judged: tuple[Judged, ...]) -> list[str]:
    """Return a line of the table of verdicts: number, expected, found, verdict."""
    found = "<br>".join(f"{one.claim.title}: {short(one)}" for one in judged)
    return [f"{hypothesis.number}. {hypothesis.name}", hypothesis.expected, found, state(judged)]


def counted(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"


def progress(study: Study, planned: tuple[int, int]) -> str:
    """Return how much of the study is there."""
    table = study.table
    runs = table[table["rule"] == "argmax"]
    trained = len(runs[TRAINING].drop_duplicates())
    families = {one.family for one in study.datasets.values()}
    there = {*table["setting"], *(["synthetic"] if (table["family"] == "synthetic").any() else [])}
    absent = [told for name, told in LATER.items() if name not in there]
    return (
        f"{len(families)} of {planned[1]} families and {len(study.datasets)} of {planned[0]} real data sets are in, "
        f"by {counted(trained, 'training', 'trainings')}"
        + (f"; not run yet, with empty cells: {listing(absent)}" if absent else "")
    )
