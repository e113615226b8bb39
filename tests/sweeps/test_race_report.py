"""What a race says when it is over: who is compared with whom, and what to type next."""

from types import SimpleNamespace
from typing import Any

import pytest

from equipoise.comparison import racing
from equipoise.comparison.racing import Design, Entry
from equipoise.config.overrides import parse
from equipoise.config.tree import SHIPPED
from equipoise.sweeps import candidates, race_report
from equipoise.sweeps.race import Race, Results
from equipoise.sweeps.race_plan import METRICS, Planned, Settings
from equipoise.sweeps.race_report import Told
from helpers import composed

MEANS = (0.5, 0.9)  # macro F1 of the baseline, and of the other learner


class Ended(Race):
    """A race that no store knows."""

    @property
    def absent(self) -> dict[str, str]:
        return {}


def told(*models: str) -> Told:
    """A race of two learners, of which the second one is better in every repetition."""
    with SHIPPED.opened():
        field = candidates.field(parse(["dataset=digits_lt", f"model={','.join(models)}"]))
    configs = tuple(composed(*field.given, *one.words) for one in field.candidates)
    planned = Planned(Settings(metric="macro_f1", minutes=1), field, configs, {}, 1)
    design = Design(splits=True, tests=True, validation_over_train=0.2, test_over_train=0.2)
    store: Any = None
    sweep: Any = SimpleNamespace(flags=(), command="")
    race = Ended(store, sweep, planned, began=0.0, design=design)
    race.starters = {one.label: (one, config) for one, config in zip(field.candidates, configs, strict=True)}
    scores = {
        Entry(one.label, "argmax"): {place: mean + place / 1000 for place in range(8)}
        for one, mean in zip(field.candidates, MEANS, strict=True)
    }
    scores[Entry(field.candidates[1].label, "argmax")][7] += 0.001  # or differences would not differ
    by_metric = dict.fromkeys(METRICS, scores)
    results = Results(by_metric, by_metric, [])
    verdict = racing.judge(scores, race.baseline, design)
    return Told(race, results, verdict, racing.nested(scores, scores, race.baseline, design), {})


@pytest.mark.parametrize(("models", "is_offered"), [(("mlp", "boosting"), False), (("boosting", "mlp"), True)])
def test_the_baseline_has_its_name_and_plain_keras_is_offered_for_what_won(
    models: tuple[str, str], is_offered: bool
) -> None:
    """All learners of the race are without weights, so that this names none of them."""
    found = told(*models)
    lines = race_report.lines(found)
    assert lines[0].startswith(
        f"Verdict: {models[1]} with argmax. It is shown to be better than {models[0]} with argmax by macro F1: +0.400"
    )
    assert not [line for line in lines if "no weights" in line]
    assert any(f"model={models[1]}" in line for line in lines if line.startswith("Train it"))
    assert (lines[-1].startswith("Take it away, plain Keras"), len(lines)) == (is_offered, 5 + is_offered)
    (typed,) = [part for part in race_report.page(found).parts if part.title == "What to type next"]
    assert str(typed).count("Train it on all rows") == 1
    assert "The race:" not in str(typed), "commands alone"
