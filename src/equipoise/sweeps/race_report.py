"""What a race has shown: the verdict in the terminal, and a page with the race drawn over its repetitions."""

import json
import math
import shlex
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from equipoise.comparison import racing
from equipoise.comparison.display import interval, p_of, words
from equipoise.comparison.drawings import HOW_SHOWN, differences
from equipoise.comparison.racing import Entry, Nested, Scores, Verdict
from equipoise.comparison.repetitions import Difference, Spread
from equipoise.config.naming import experiment_of
from equipoise.core.commands import command
from equipoise.core.errors import counted, listing
from equipoise.core.paths import project_root
from equipoise.core.terminal import errors, print_table, say
from equipoise.methods.models import estimator
from equipoise.reports.page import Block, Code, Fact, Legend, Page, Part, Table, Text
from equipoise.sweeps import descriptions, race_chart
from equipoise.sweeps.race import Race, Results
from equipoise.sweeps.race_chart import Line
from equipoise.sweeps.race_plan import METRICS, judged_by
from equipoise.tracking.artifacts import log_sweep_texts

MOST_DRAWN = 24  # candidates


@dataclass(frozen=True)
class Told:
    """A race and all that it has shown."""

    race: Race
    results: Results
    verdict: Verdict
    nested: Nested | None
    gone: Mapping[Entry, int]  # entries that were dropped, and after how many repetitions

    @property
    def repetitions(self) -> int:
        return len(self.results.validation[self.race.metric][self.race.baseline])


def show(race: Race) -> int:
    """Print the verdict, write the page, and log both to the summary run; return the exit code, 1 without a verdict."""
    results = race.results()
    scores = results.validation[race.metric]
    if not scores.get(race.baseline):
        errors.print("error: no repetition was finished within the time, so there is nothing to decide by")
        return 1
    told = Told(
        race,
        results,
        racing.judge(scores, race.baseline, race.design),
        racing.nested(scores, results.test[race.metric], race.baseline, race.design),
        racing.dropped(scores, race.baseline),
    )
    first, *others = lines(told)
    say(first)
    headings, rows = disagreement(told)
    if rows:
        print_table("The metrics favour different ways (validation split)", headings, rows)
    for line in others:
        say(line)
    folder = project_root() / "outputs" / "decide" / race.sweep.id
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"decision.html": page(told).as_html(), "decision.json": as_json(told)}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    log_sweep_texts(race.store, race.sweep.id, {run.experiment_id for run in results.runs}, texts)
    descriptions.open_note(race.store, race.sweep.id, first)
    say(f"The race, drawn: {folder / 'decision.html'}")
    return 0


def lines(told: Told) -> list[str]:
    """Return the verdict and what belongs to it, at most nine lines; the first is the verdict."""
    return [_verdict(told), *_tested(told), *_control(told), *_change(told), _race(told), *_next(told)]


def _verdict(told: Told) -> str:
    race, verdict = told.race, told.verdict
    metric, splits = words(race.metric), counted(told.repetitions, "split", "splits")
    baseline = _name(race.baseline)
    found = verdict.differences.get(verdict.choice if verdict.choice != race.baseline else verdict.leader)
    family = f"{found.comparisons if found else len(verdict.differences)} alternatives"
    if found is None:
        rows = f"validation rows of {splits}" if race.design.splits else "on the validation rows that the data name"
        return f"Verdict: {baseline}. By {metric} no alternative is higher ({rows})."
    if not race.design.splits:
        return (
            f"Verdict: {baseline}. The data name their validation rows, so that seeds alone differ, and "
            f"nothing can be shown for other rows. On these, {_name(verdict.leader)} has the highest {metric}: "
            f"{interval(found)}."
        )
    if verdict.choice != race.baseline:
        return (
            f"Verdict: {_name(verdict.choice)}. It is shown to be better than {baseline} by {metric}: "
            f"{interval(found)}{p_of(found)} (one-sided, Holm's correction for {family}; validation rows of "
            f"{splits})."
        )
    return (
        f"Verdict: {baseline}. By {metric} none of {family} is shown to be better (validation rows of "
        f"{splits}); the highest is {_name(verdict.leader)}: {interval(found)}{p_of(found)}."
    )


def _tested(told: Told) -> list[str]:
    nested = told.nested
    if nested is None:
        return []
    known = "" if told.race.design.tests else "; all repetitions share their test rows, so there is no interval"
    return [
        "On test rows, which chose nothing in their repetition: what one split's validation rows prefer has "
        f"{words(told.race.metric)} {_mean(nested.spread)}, {interval(nested.to_baseline)} against "
        f"{_name(told.race.baseline)}{known}."
    ]


def _control(told: Told) -> list[str]:
    verdict = told.verdict
    control = verdict.control
    if control is None or control == verdict.choice or control not in verdict.differences:
        return []
    lead = ""
    if verdict.to_control is not None:
        sure = "shown" if verdict.to_control.is_shown else "not shown to be more than noise: it is the cheaper answer"
        lead = f"; the verdict is ahead of it by {interval(verdict.to_control)}, {sure}"
    return [
        f"The control that needs no training: {_candidate(control)} with decision={control.rule}, "
        f"{interval(verdict.differences[control])} against argmax{lead}."
    ]


def _change(told: Told) -> list[str]:
    race, verdict = told.race, told.verdict
    parts = []
    favoured: dict[Entry, list[str]] = {}
    for metric, leader in _leaders(told).items():
        if leader != verdict.choice and metric != race.metric:
            favoured.setdefault(leader, []).append(words(metric))
    if favoured:
        told_of = (f"{', '.join(metrics)}: {_name(leader)}" for leader, metrics in favoured.items())
        parts.append(f"another metric ({'; '.join(told_of)})")
    if verdict.needed:
        cost = race.spent / max(1, told.repetitions)
        minutes = math.ceil((race.spent + cost * (verdict.needed - told.repetitions)) / 60)
        parts.append(
            f"about {verdict.needed - told.repetitions} more repetitions, which would show a difference of this size "
            f"(minutes={minutes})"
        )
    elif verdict.rows_needed:
        rows = f"about {verdict.rows_needed:.2g} times as many rows"
        parts.append(f"{rows}, and no number of repetitions of these, for a difference of this size")
    if not race.design.splits:
        parts.append("splits that are drawn: data without validation rows of their own")
    return [f"What would change it: {'; '.join(parts)}."] if parts else []


def _race(told: Told) -> str:
    race, entries = told.race, told.results.validation[told.race.metric]
    out = [f"{label} ({reason})" for label, reason in race.absent.items()]
    left = f" Not in it: {listing(out, 6)}." if out else ""
    earlier = " It had a verdict before, which p does not allow for." if race.judged and race.trained else ""
    candidates = counted(len(racing.orders(list(entries))), "candidate", "candidates")
    return (
        f"The race: {candidates}, {len(entries)} with their rules, {len(told.results.runs)} trainings, "
        f"{race.spent / 60:.1f} minutes; it ended since {race.ended}.{earlier}{left}"
    )


def _next(told: Told) -> list[str]:
    race, choice = told.race, told.verdict.choice
    baseline = race.planned.field.baseline, race.planned.configs[0]
    candidate, config = race.starters.get(choice.candidate, baseline)
    given = [word for word in race.planned.field.given if not word.startswith("decision")]
    # The rule that the trainings had, with its options as they were typed, or another that stands beside it in each.
    typed_rule = tuple(word for word in race.planned.field.given if word.startswith("decision"))
    had = config.decision.name
    decided = (typed_rule or judged_by(race.metric)) if choice.rule == had else (f"decision={choice.rule}",)
    plain = {"weighting=none", "dataset.sampling=none", "decision=argmax"}
    typed = [word for word in (*given, *candidate.words, *decided) if word not in plain]
    train = shlex.join([*race.sweep.flags, *typed, "trainer.refit=true"])
    plain_keras = f"Take it away, plain Keras:  {command('export')} run=latest output=train_plain.py"
    return [
        f"Train it on all rows:       {command('train')} {train}",
        f"Register it:                {command('register')} run=latest",
        *([plain_keras] if estimator(config.model.name) is None else []),
    ]


def disagreement(told: Told) -> tuple[list[str], list[list[str]]]:
    """Return headings, and a row for each metric with what it favours; no row if all favour the same."""
    leaders = _leaders(told)
    if len(set(leaders.values())) < 2:
        return [], []
    rows = []
    for metric, leader in leaders.items():
        scores = told.results.validation[metric]
        found = racing.to_baseline(scores, told.race.baseline, told.race.design).get(leader)
        rows.append(
            [
                words(metric),
                _name(leader),
                f"{np.mean([*scores[leader].values()]):.3f}",
                interval(found) if found else "",
                _sure(found),
            ]
        )
    return ["metric", "favours", "mean", f"− {_candidate(told.race.baseline)}, argmax", ""], rows


def _leaders(told: Told) -> dict[str, Entry]:
    """Return the entry that is furthest ahead of the baseline by each metric, of those in the race to its end."""
    baseline = told.race.baseline
    alive = [entry for entry in told.results.validation[told.race.metric] if entry not in told.gone]
    leaders = {}
    for metric in dict.fromkeys((told.race.metric, *METRICS)):
        scores = told.results.validation[metric]
        gains = racing.gains({entry: scores[entry] for entry in alive if scores.get(entry)}, scores.get(baseline, {}))
        if gains:
            leaders[metric] = max(gains, key=gains.__getitem__)
    return leaders


def page(told: Told) -> Page:
    """Return the race as one page: the verdict, every entry's difference, the race drawn, what metrics disagree on."""
    said, typed, raced = lines(told), _next(told), _drawn(told)
    drawn = race_chart.looks([(line.name, line.weighting) for line in raced])
    legend = Legend([(look.name, look.color, look.symbol) for look in drawn])
    known: list[Block] = [Text(line) for line in said[1 : -len(typed)]]
    parts = [
        Part("Which is best, and by how much?", [legend, *_differences(told), *known]),
        Part(
            "How the race went",
            [
                race_chart.race_chart(raced, words(told.race.metric), _name(told.race.baseline)),
                Text(
                    "A candidate leaves (×) when all its rules are shown to be worse than the leader on these rows: a "
                    "one-sided paired t test over repetitions, its level spent over looks and entries, so that the "
                    "best is ever dropped with a probability of about 5 % at most."
                ),
            ],
        ),
        Part("What to type next", [Code("\n".join(typed), "Commands")]),
        Part("All entries", [Table(*_entries(told))]),
    ]
    headings, rows = disagreement(told)
    if rows:
        parts.append(Part("Where the metrics disagree", [Table(headings, rows)]))
    if told.nested:
        chosen = [[_name(entry), str(count)] for entry, count in told.nested.chosen.items()]
        parts.append(Part("What each repetition's validation rows chose", [Table(["entry", "repetitions"], chosen)]))
    dataset = experiment_of(told.race.planned.configs[0].dataset)
    return Page("Decision", f"{dataset}, by {words(told.race.metric)}", said[:1], _facts(told), [], parts)


def _facts(told: Told) -> list[Fact]:
    race = told.race
    newest = max((run.started for run in told.results.runs), default=0)
    return [
        ("Data set", experiment_of(race.planned.configs[0].dataset)),
        ("Repetitions", str(told.repetitions)),
        ("Trainings", str(len(told.results.runs))),
        ("Command", race.sweep.command),
        ("Trained", time.strftime("%Y-%m-%d %H:%M", time.localtime(newest / 1000))),
    ]


def _differences(told: Told) -> list[Block]:
    """Draw the difference of each candidate's best rule to the baseline."""
    scores, weightings = told.results.validation[told.race.metric], _weightings(told)
    best: dict[str, Entry] = {}
    for entry in _by_gain(scores, told):
        if entry in told.verdict.differences:
            best.setdefault(entry.candidate, entry)
    entries = list(best.values())[:MOST_DRAWN]
    if not entries:
        return []
    drawn = race_chart.looks([(_name(entry), weightings[entry.candidate]) for entry in entries])
    found = [told.verdict.differences[entry] for entry in entries]
    caption = (
        f"{words(told.race.metric)} on validation rows minus that of {_name(told.race.baseline)}: each candidate "
        f"by its best rule, with simultaneous intervals. {HOW_SHOWN}"
    )
    labels = [look.name for look in drawn]
    return [differences(drawn, found, caption, labels=labels, title="difference, higher is better")]


def _weightings(told: Told) -> dict[str, str]:
    configs = zip(told.race.planned.field.candidates, told.race.planned.configs, strict=True)
    return {candidate.label: config.weighting.name for candidate, config in configs}


def _entries(told: Told) -> tuple[list[str], list[list[str]]]:
    scores = told.results.validation[told.race.metric]
    rows = []
    for entry in _by_gain(scores, told):
        found = told.verdict.differences.get(entry)
        ended = f"dropped after {told.gone[entry]}" if entry in told.gone else ""
        rows.append(
            [
                _name(entry),
                str(len(scores[entry])),
                f"{np.mean([*scores[entry].values()]):.3f}",
                interval(found) if found else "",
                _p(found) if found else "",
                ended,
            ]
        )
    difference = f"− {_candidate(told.race.baseline)}, argmax"
    return ["entry", "repetitions", words(told.race.metric), difference, "p", ""], rows


def _drawn(told: Told) -> list[Line]:
    """Return each candidate by its best rule."""
    scores, weightings = told.results.validation[told.race.metric], _weightings(told)
    baseline = scores[told.race.baseline]
    lines: dict[str, Line] = {}
    for entry in _by_gain(scores, told):
        if entry.candidate in lines:
            continue
        shared = [repetition for repetition in sorted(scores[entry]) if repetition in baseline]
        apart = np.array([scores[entry][repetition] - baseline[repetition] for repetition in shared])
        gone = all(other in told.gone for other in scores if other.candidate == entry.candidate)
        lines[entry.candidate] = Line(_name(entry), weightings[entry.candidate], apart, gone)
    return list(lines.values())[:MOST_DRAWN]


def _by_gain(scores: Scores, told: Told) -> list[Entry]:
    gains = racing.gains(scores, scores[told.race.baseline])
    return sorted(gains, key=lambda entry: -gains[entry])


def as_json(told: Told) -> str:
    """Return the verdict with all differences, the ids of the runs and what was left out; NaN becomes null."""
    verdict = told.verdict
    found = {
        "metric": told.race.metric,
        "choice": list(verdict.choice),
        "departs": verdict.choice != told.race.baseline,
        "leader": list(verdict.leader),
        "control": verdict.control and list(verdict.control),
        "needed_repetitions": verdict.needed,
        "needed_rows_times": verdict.rows_needed,
        "repetitions": told.repetitions,
        "splits": told.race.design.splits,
        "entries": [
            {
                "candidate": entry.candidate,
                "rule": entry.rule,
                "repetitions": len(values),
                "mean": float(np.mean([*values.values()])),
                "dropped_after": told.gone.get(entry),
                "difference": _plain(verdict.differences.get(entry)),
            }
            for entry, values in told.results.validation[told.race.metric].items()
        ],
        "nested": told.nested and {"spread": _plain(told.nested.spread), "difference": _plain(told.nested.to_baseline)},
        "not_in_the_race": told.race.absent,
        "runs": [run.id for run in told.results.runs],
        "seconds": round(told.race.spent, 1),
    }
    return json.dumps(found, indent=1)


def _plain(found: Difference | Spread | None) -> dict[str, object] | None:
    if found is None:
        return None
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value for key, value in asdict(found).items()
    }


def _name(entry: Entry) -> str:
    return f"{_candidate(entry)} with {entry.rule}"


def _candidate(entry: Entry) -> str:
    return "no weights" if entry.candidate == "none" else entry.candidate


def _mean(found: Spread) -> str:
    highest = min(found.high, 1.0)  # of every metric of a race
    return f"{found.mean:.3f}" if math.isnan(found.low) else f"{found.mean:.3f} ({found.low:.3f} to {highest:.3f})"


def _p(found: Difference) -> str:
    return "–" if found.p is None else "< 0.001" if found.p < 0.001 else f"{found.p:.3f}"


def _sure(found: Difference | None) -> str:
    if found is None or found.p is None:
        return ""
    return "shown to be better" if found.is_shown else "not shown to be better"
