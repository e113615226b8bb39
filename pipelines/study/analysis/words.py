"""Numbers and results as the pages and the paper say them."""

from analysis.decision import number
from analysis.hypotheses import NOT_RUN, REGION, SHOWN, Hypothesis, Judged, verdict
from analysis.sensitivity import variants
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


def short(one: Judged) -> str:
    """Return a claim's mean, interval and probability, the spread over families, and their plain mean."""
    if one.posterior is None or one.alike is None:
        return EMPTY
    plain = number(one.alike.mean, one.alike.interval).replace("**", "")
    new = one.posterior.of_new_family(-REGION, REGION)
    return (
        f"{number(one.posterior.mean, one.posterior.interval)}, P = {one.probability:.3f}; τ {one.posterior.tau:.3f}, "
        f"a new family inside ±{REGION}: {new:.2f}; families alike {plain}"
    )


def state(judged: tuple[Judged, ...]) -> str:
    """Return the verdict, with the other choices under which it fails, or how much is there of what is not complete."""
    found = verdict(judged)
    if found == SHOWN:
        told = [f"{name} (P = {probability:.2f})" for name, probability in failing(judged).items()]
        beside = f" by the model of the design; not under other choices: {listing(told)}" if told else ""
        return f"**{found}**{beside}"
    if found != NOT_RUN:
        return f"**{found}**"
    least = min(judged, key=lambda one: len(one.means.names))
    datasets, families = least.planned
    there = len(least.means.names), len(least.found.values)
    return f"not run yet: {there[0]} of {families} families, {there[1]} of {datasets} data sets"


def failing(judged: tuple[Judged, ...]) -> dict[str, float]:
    """Return the other choices under which a claim is not shown, with the lowest probability of one."""
    found: dict[str, float] = {}
    for one in judged:
        for name, posterior in variants(one).items():
            probability = posterior.probability(one.claim.low, one.claim.high)
            if probability <= one.claim.level:
                found[name] = min(probability, found.get(name, 1.0))
    return found


def everywhere(told: tuple[Judged, ...]) -> str:
    """Return in how many of the cells of length and capacity the free rule is equivalent to weights."""
    run = [one for one in told if one.is_complete and one.posterior]
    fails = [one.claim.title.partition(", ")[2] for one in run if one.verdict != SHOWN]
    if not run:
        return ""
    return (
        f"Post hoc is equivalent to `balanced` in {len(run) - len(fails)} of the {len(run)} cells of capacity and "
        f"length that are run, of {len(told)} in the design" + (f"; not in: {'; '.join(fails)}" if fails else "") + "."
    )


def lines(hypothesis: Hypothesis, judged: tuple[Judged, ...]) -> list[str]:
    """Return a line of the table of verdicts: number, expected, found, verdict."""
    found = "<br>".join(f"{one.claim.title}: {short(one)}" for one in judged)
    return [f"{hypothesis.number}. {hypothesis.name}", hypothesis.expected, found, state(judged)]


def counted(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"
