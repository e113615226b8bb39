"""Who takes part in a race: the distinct methods, or what is typed as lists."""

import re

import pytest

from equipoise.config.overrides import parse
from equipoise.config.tree import SHIPPED
from equipoise.core.errors import ConfigError
from equipoise.sweeps import candidates
from equipoise.sweeps.candidates import Field


def field(*words: str) -> Field:
    with SHIPPED.opened():
        return candidates.field(parse(list(words)))


def test_without_a_list_they_are_the_distinct_methods() -> None:
    found = field("dataset=csv", "dataset.path=a.csv", "model=mlp")
    assert found.given == ("dataset=csv", "dataset.path=a.csv", "model=mlp")
    assert not found.typed
    assert [one.label for one in found.candidates] == [
        "none",
        "balanced_softmax",
        "power",
        "balanced",
        "effective_number · auto",
        "effective_number · ldam · deferred",
        "class_balanced",
        "focal",
    ]
    assert found.baseline.words == ("weighting=none", "loss=custom", "dataset.sampling=none")
    assert "dataset.sampling=class_balanced" in found.candidates[6].words


def test_lists_take_their_place_and_the_plain_one_among_them_is_the_baseline() -> None:
    found = field("dataset=digits_lt", "weighting=balanced,none", "loss=class_weight,focal")
    assert [one.label for one in found.candidates] == ["none", "balanced", "balanced · focal", "focal"]
    assert found.baseline.words == ("weighting=none", "loss=class_weight", "dataset.sampling=none")
    assert found.typed


def test_the_baseline_is_added_with_the_first_of_what_is_no_method() -> None:
    found = field("weighting=balanced,power", "model=mlp,linear")
    assert found.baseline.words == ("weighting=none", "loss=custom", "dataset.sampling=none", "model=mlp")
    assert [one.label for one in found.candidates] == [
        "mlp",
        "balanced · mlp",
        "balanced · linear",
        "power · mlp",
        "power · linear",
    ]


def test_calibrations_race_against_none() -> None:
    """Wherever it stands in the list, no calibration is the baseline, and has no name of its own."""
    found = field("calibration=temperature,none", "weighting=none,balanced")
    assert [one.label for one in found.candidates] == ["none", "temperature", "balanced · temperature", "balanced"]
    assert "calibration=none" in found.baseline.words
    assert field("calibration=temperature").given == ("calibration=temperature",)
    way = field("trainer.sharpness=sam,none", "trainer.second_stage=crt,none")
    assert [one.label for one in way.candidates] == ["none", "sam · crt", "sam", "crt"]
    assert field("decision=f_beta", "decision.beta=3").given == ("decision=f_beta", "decision.beta=3")


def test_a_value_that_is_typed_holds_for_all() -> None:
    found = field("dataset=multilabel", "loss=sigmoid")
    assert {word for one in found.candidates for word in one.words if word.startswith("loss")} == set()
    assert len(found.candidates) == len(set(found.candidates)) < len(candidates.METHODS)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["seed=0,1"], "seed=0,1: the race draws splits and seeds itself"),
        (["dataset.split_seed=3"], "leave dataset.split_seed out"),
        (["weighting=balanced"], "type weighting=none,balanced"),
        (["dataset.sampling=class_balanced"], "type dataset.sampling=none,class_balanced"),
        (["decision=argmax,tuned"], "judges several rules of each training"),
        (["trainer.learning_rate=interval(0.1,1)"], "among listed values"),
        (["decision=abstain", "decision.reject_cost=0.1"], "evaluate.py run=latest decision=abstain"),
        (
            ["decision=constrained", "decision.recall={0: 0.9}"],
            "a rule without this limit may win while it breaks it; race without it, then judge what it finds: "
            "python src/evaluate.py run=latest decision=constrained 'decision.recall={0: 0.9}'",
        ),
        (["decision=top_k", "decision.budget={0: 0.1}"], "decision=top_k: a race is by its metric alone"),
        (["decision=conformal"], "this rule leaves rows open"),
    ],
)
def test_what_a_race_cannot_take(words: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        field(*words)
