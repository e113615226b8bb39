"""What a run says of its config at its start."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from equipoise.config.differences import differences
from equipoise.config.overrides import compose_words
from equipoise.config.tree import SHIPPED, named


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], []),
        (["sweep=mine"], []),
        (
            ["dataset=digits_lt", "trainer.epochs=2", "seed=7"],
            ["dataset=digits_lt", "seed=7 (0)", "trainer.epochs=2 (30)"],
        ),
        (["model.filters=[8]", "dataset.title=mine"], ["dataset.title=mine", "model.filters=[8] ([32,64])"]),
        # The default of a value is that of the option which is chosen.
        (["dataset=digits_lt", "dataset.imbalance_ratio=5"], ["dataset=digits_lt", "dataset.imbalance_ratio=5 (20)"]),
        (["weighting=power", "weighting.alpha=0.25"], ["weighting=power", "weighting.alpha=0.25 (0.5)"]),
        (
            ["evaluation.resamples=0", "trainer.refit=true"],
            ["evaluation.resamples=0 (1000)", "trainer.refit=true (false)"],
        ),
    ],
)
def test_options_and_values_with_their_defaults(words: list[str], told: list[str]) -> None:
    with SHIPPED.opened():
        assert sorted(differences(OmegaConf.to_container(compose_words(words), resolve=True))) == sorted(told)


def test_a_recipe_is_told_by_what_it_changes() -> None:
    with SHIPPED.opened():
        found = differences(OmegaConf.to_container(compose_words(["experiment=mnist_lt_ldam_drw"]), resolve=True))
    assert found == ["weighting=effective_number", "loss=ldam", "weighting.schedule=deferred (constant)"]


def test_the_default_is_that_of_the_primary_config(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("defaults: [config, _self_]\nseed: 5\n")
    tree = named("mine", str(tmp_path))
    with tree.opened():
        composed = compose_words(["seed=5", "trainer.epochs=9"], tree)
        assert differences(OmegaConf.to_container(composed, resolve=True), tree) == ["trainer.epochs=9 (30)"]
