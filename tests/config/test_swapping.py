"""Options that are swapped into a composed config make what Hydra composes of them, and only where it does no more."""

from collections.abc import Iterator

import pytest
from omegaconf import DictConfig, OmegaConf

from equipoise.config import shipped
from equipoise.config.overrides import compose_settings, compose_words, divided, parse
from equipoise.config.tree import SHIPPED


@pytest.fixture(autouse=True)
def _opened() -> Iterator[None]:
    with SHIPPED.opened():
        yield


def shown(composed: DictConfig) -> str:
    """Return all of it but for what Hydra keeps of the words themselves."""
    OmegaConf.set_readonly(composed.hydra, False)
    composed.hydra.overrides.task = []
    composed.hydra.job.override_dirname = ""
    return OmegaConf.to_yaml(composed)


@pytest.mark.parametrize(
    ("words", "swapped"),
    [
        (["dataset=digits_lt", "weighting=power", "loss=focal", "decision=top_k", "trainer.epochs=3"], 4),
        (["weighting=power", "weighting=balanced", "weighting.normalize=max", "cost={0: {1: 2}}"], 2),
        (["hydra.sweep.dir=here", "weighting='inverse'", "trainer.epochs=${seed}"], 1),
        (["experiment=rare_events", "weighting=power"], 0),
        (["dataset=csv", "weighting=power"], 0),
    ],
)
def test_they_make_what_hydra_makes(words: list[str], swapped: int) -> None:
    overrides = parse(words)
    assert len(divided(overrides, SHIPPED).swapped) == swapped
    assert shown(compose_settings(overrides)) == shown(compose_words(words, return_hydra_config=True))


def test_beside_an_edited_default_hydra_composes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may hold anything, such as values for another group."""
    monkeypatch.setitem(shipped.FILES, "trainer/default.yaml", "as it was")
    assert not divided(parse(["weighting=power"]), SHIPPED).swapped
