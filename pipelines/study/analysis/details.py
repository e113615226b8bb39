"""docs/study/results.md: every claim in full, what is told beside, sensitivities, lists of tests, models, data sets."""

from collections.abc import Iterator

import numpy as np
from marked import table

from analysis import decision, images, words
from analysis.beside import wilcoxon_list
from analysis.choosing import CHOSEN, NETWORK, POWER, candidates
from analysis.contrasts import difference, effects, families
from analysis.dependence import fit, noise
from analysis.hierarchy import infer
from analysis.hypotheses import CAPACITIES, FEWEST, FREE, OTHERS, RIVALS, Hypothesis, Judged, setting_name
from analysis.page import Found, decision_tables
from analysis.pooled import LOG_LOSS, METRICS
from analysis.sensitivity import REGIONS, variants
from analysis.synthetic_words import sections
from analysis.table import BOOSTED, LENGTHS, RULES, TRAINING, Cell, Study

TRAINED = (*RIVALS, *OTHERS)
LONGER = 3  # more trainings of LDAM-DRW, which is trained anew for each length
# Of cross-entropy, in nats: what separates its training rows, and what does not.
BANDS = (("below 0.01", 0.0, 0.01), ("0.01 to 0.1", 0.01, 0.1), ("0.1 to 0.3", 0.1, 0.3), ("0.3 or more", 0.3, np.inf))

TERMS = (
    "The intercept is the gain at 10,000 steps, 100 rows of the rarest class, a ratio of 10 and two classes, in a "
    "small network under Adam without decay. Each other term is what a tenfold of steps, of rows or of the ratio adds, "
    "or the setting that it names. Standard errors take the estimated variances for known."
)


def written(study: Study, found: Found) -> str:
    """Return the whole page."""
    parts = [
        "# All results of the study",
        "<!-- Written by pipelines/study/report.py: edits are lost -->",
        INTRODUCTION,
    ]
    for hypothesis, claims, told in found.values():
        parts += list(_hypothesis(hypothesis, claims, told))
    for title, of_part in {
        "What it costs: MCC": "\n\n".join(decision_tables(study, ["mcc"])),
        "Each method, all metrics": methods(study),
        "Wilcoxon's test with Holm's correction": tests(study),
        "The gain by training loss": by_training_loss(study),
        "What validation rows choose": chosen(study),
        "On what the gain depends": dependence(study),
        "Noise": of_noise(study),
        "Images, natural and balanced tests apart": images.written(study),
        "`synthetic`": sections(study.table),
        "Data": data(study),
    }.items():
        parts += [f"## {title}", of_part or "Not run yet."]
    return "\n\n".join(parts) + "\n"


INTRODUCTION = """The [page of the study](../study.md) has what to act on; its [design](../study_design.md) says what
each number is. Differences are means over families with 95 % intervals of the hierarchical model; κ is the part of the
variance of independent sides that the five folds show; P is the probability of the claim."""


def _hypothesis(hypothesis: Hypothesis, claims: tuple[Judged, ...], told: tuple[Judged, ...]) -> Iterator[str]:
    yield f"## {hypothesis.number}. {hypothesis.name}: {words.state(claims).replace('**', '')}"
    yield f"Expected: {hypothesis.expected}."
    heading = ["claim", "asked", "found", "κ"]
    lines = [
        [
            one.claim.title,
            one.claim.said,
            words.result(one),
            f"{one.found.overlap:.2f}" if one.posterior else words.EMPTY,
        ]
        for one in claims
    ]
    yield table(heading, lines)
    if told:
        yield "Told beside:"
        yield table(
            ["difference", "P asked", "found", "families"],
            [[one.claim.title, one.claim.said, words.short(one), str(len(one.means.names))] for one in told],
        )
    if any(one.posterior for one in claims):
        yield "The same under other choices:"
        yield sensitivities(claims)


def sensitivities(claims: tuple[Judged, ...]) -> str:
    """Return each claim under each other choice, and at other regions of equivalence."""
    lines = []
    for one in claims:
        for name, posterior in variants(one).items():
            p = posterior.probability(one.claim.low, one.claim.high)
            within = [f"{posterior.probability(-region, region):.3f}" for region in REGIONS]
            interval = decision.number(posterior.mean, posterior.interval)
            lines.append([one.claim.title, name, interval, f"{p:.3f}", *within, str(posterior.families)])
    return table(["claim", "choice", "μ", "P", *(f"P inside ±{region}" for region in REGIONS), "families"], lines)


def methods(study: Study) -> str:
    """Return each method minus none, and minus post hoc, by all metrics, at the primary setting."""
    lines = []
    for method, rule in (*((name, "argmax") for name in TRAINED), *(("none", name) for name in RULES)):
        of, base = Cell(method, rule), Cell("none")
        cells = [_posterior(study, of, base, metric) for metric in (*METRICS, LOG_LOSS)]
        name = f"`{method}`" if rule == "argmax" else f"none, {rule.replace('_', ' ')}"
        if set(cells) != {words.EMPTY}:
            found = effects(study, difference(of, base))
            lines.append([name, *cells, f"{np.median(found.seeds):g}", str(len(found.values))])
    metrics = (name.replace("_", " ") for name in (*METRICS, LOG_LOSS))
    heading = ["minus none, 300 epochs, small", *metrics, "seeds", "data sets"]
    return table(heading, lines) if lines else ""


def _posterior(study: Study, of: Cell, minus: Cell, metric: str) -> str:
    means = families(effects(study, difference(of, minus), metric))
    if len(means.names) < FEWEST:
        return words.EMPTY
    posterior = infer(means.effects, means.variances)
    return decision.number(posterior.mean, posterior.interval)


def tests(study: Study) -> str:
    """Return the two lists of Wilcoxon's tests over family means: against none, and against post hoc."""
    parts = []
    for name, base in {"none": Cell("none"), "post hoc, τ = 1": Cell("none", FREE)}.items():
        means = {method: families(effects(study, difference(Cell(method), base))) for method in TRAINED}
        means = {method: each for method, each in means.items() if len(each.names) >= FEWEST}
        if means:
            found = wilcoxon_list({method: each.effects for method, each in means.items()})
            lines = [
                [
                    f"`{method}`",
                    decision.signed(means[method].effects.mean()),
                    f"{raw:.3g}",
                    f"{p:.3g}",
                    str(len(means[method].names)),
                ]
                for method, (raw, p) in found.items()
            ]
            parts.append(table([f"minus {name}", "mean", "p", "p after Holm", "families"], lines))
    if parts:
        parts.append(
            "Two-sided, over family means of balanced accuracy. A large p is no equivalence. Holm's correction is over "
            f"the methods of its list, {len(TRAINED)} once all are run; those after the first four have one seed."
        )
    return "\n\n".join(parts)


def chosen(study: Study) -> str:
    """Return differences after each method's length (power's exponent, post hoc's τ) was chosen by validation rows."""
    free, validated = Cell("none", FREE, CHOSEN), Cell("none", "post_hoc_validated", CHOSEN)
    sides = {f"`{name}`, its length": (Cell(name, epochs=CHOSEN), "1") for name in TRAINED}
    sides["`power`, exponent and length"] = (Cell(POWER, epochs=CHOSEN), "5")
    sides["post hoc τ = 1, its length"] = (free, "1")
    sides["post hoc, τ and length"] = (validated, "1")
    sides["rule tuned, and length"] = (Cell("none", "tuned", CHOSEN), "1")
    sides["temperature, then tuned, and length"] = (Cell("none", "temperature_tuned", CHOSEN), "1")
    sides["`ldam_drw`, its length"] = (Cell("ldam_drw", epochs=CHOSEN), "4")
    lines = []
    for title, (cell, trained) in sides.items():
        found = [
            words.EMPTY if cell == base else _posterior(study, cell, base, METRICS[0])
            for base in (Cell("none", epochs=CHOSEN), free, validated)
        ]
        if set(found) != {words.EMPTY}:
            lines.append([title, trained, *found])
    boosted = _posterior(study, Cell("boosting", FREE, BOOSTED), Cell(NETWORK, epochs=CHOSEN), METRICS[0])
    parts = []
    if lines:
        heading = ["chosen by validation rows", "trainings to choose from", "minus none, its length"]
        parts.append(table([*heading, "minus post hoc τ = 1, its length", "minus post hoc, τ and length"], lines))
    if boosted != words.EMPTY:
        parts.append(
            "Boosted trees with the free rule minus the network (method and length) that validation rows chose among "
            f"the {len(candidates('table'))} methods of tables, {len(candidates('table')) + LONGER} trainings; of "
            f"equals, the first in the order of the design: {boosted}."
        )
    return "\n\n".join(parts)


def dependence(study: Study) -> str:
    """Return the mixed model of each of the methods with runs in all settings."""
    parts = [TERMS]
    for method in RIVALS:
        found = fit(study, method)
        if found is None:
            continue
        fixed = [[name, decision.signed(value, 4), f"{error:.4f}"] for name, (value, error) in found.fixed.items()]
        random = [[name, f"{value:.6f}", f"{value**0.5:.4f}"] for name, value in found.variances.items()]
        note = f" The fit {found.note}." if found.note else ""
        parts += [
            f"### `{method}` minus none",
            f"{found.observations:,} gains in balanced accuracy, {found.families} families.{note}",
            table(["term (logarithms to base 10)", "estimate", "standard error"], fixed),
            table(["random part", "variance", "standard deviation"], random),
        ]
    return "\n\n".join(parts) if len(parts) > 1 else ""


def of_noise(study: Study) -> str:
    """Return the variances of division and seed."""
    lines = []
    sides = {"none": ("none", None), "`balanced`": ("balanced", None), "`balanced` − none": ("balanced", "none")}
    for title, (method, minus) in sides.items():
        found, count = noise(study, method, minus)
        if found:
            lines.append([title, *(f"{value:.6f} ({value**0.5:.4f})" for value in found.values()), str(count)])
    if not lines:
        return ""
    heading = ["balanced accuracy, 300 epochs", "division", "seed", "rest"]
    return table([*(f"{name}" for name in heading), "data sets"], lines) + "\n\nVariances, with standard deviations."


def data(study: Study) -> str:
    """Return the table of data sets, and how many trainings diverged."""
    lines = [
        [one.name, one.family, one.kind, str(one.classes), f"{one.rows:,}", f"{one.rarest:,}", f"{one.ratio:.1f}"]
        for one in study.datasets.values()
    ]
    heading = ["data set", "family", "kind", "classes", "rows", "of the rarest class", "ratio"]
    if not lines:
        return ""
    lost = study.table[study.table["diverged"].astype(bool)]
    diverged = words.counted(lost[TRAINING].nunique(), "training has", "trainings have")
    note = "Rows of images are those of one fold's training and validation rows."
    return f"{table(heading, lines)}\n\n{note} {diverged} diverged, and count as the most frequent class."


def by_training_loss(study: Study) -> str:
    """Return the gain of `balanced` by the training loss without weights, at each length and capacity.

    The loss is the mean over the trainings that have not diverged.
    """
    lines = []
    for setting in CAPACITIES:
        for epochs in LENGTHS:
            base = Cell("none", "argmax", epochs, setting)
            found = effects(study, difference(Cell("balanced", "argmax", epochs, setting), base))
            if len(found.values) < FEWEST:
                continue
            losses = np.array([np.nanmean(study.runs[one.name][base].train_loss) for one in found.datasets])
            for title, low, high in BANDS:
                chosen = found.at((low <= losses) & (losses < high))
                each = decision.cell(chosen)
                if each != decision.EMPTY:
                    lines.append([setting_name(setting), f"{epochs:,}", title, each, str(len(chosen.values))])
    heading = ["network", "epochs", "training loss without weights", "gain of `balanced`", "data sets"]
    return table(heading, lines) if lines else ""
