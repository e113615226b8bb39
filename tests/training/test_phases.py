"""Phases: what is frozen stays to the bit, what is not is trained, and a training goes on within them and between."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.core.errors import ConfigError
from equipoise.data.prepare import prepare
from equipoise.methods.backbones import BACKBONE
from equipoise.methods.phases import Phase, spans
from equipoise.runs.resume import made_by
from equipoise.runs.weigh import weigh
from equipoise.training.checkpoints import Checkpoints
from helpers import composed
from trainings import IMPLEMENTATIONS, small_resnet

PHASES = "trainer.phases=[{frozen: true, epochs: 2}, {learning_rate: 1e-4, epochs: 2}]"


def test_phases_follow_each_other() -> None:
    assert [span[:2] for span in spans((), 7)] == [(0, 7)]
    two = (Phase(epochs=2, frozen=True), Phase(epochs=3))
    assert [span[:2] for span in spans(two, 5)] == [(0, 2), (2, 5)]


def test_the_epochs_are_those_of_the_phases() -> None:
    trainer = composed("dataset=digits_lt", "model=application", PHASES).trainer
    assert trainer.epochs == 4
    assert trainer.phases == (Phase(epochs=2, frozen=True), Phase(epochs=2, learning_rate=1e-4))


REFUSED = {
    "trainer.epochs=9 with trainer.phases, which have 4 epochs": ["trainer.epochs=9"],
    "trainer.phases freezes a backbone, which model=cnn does not have: use model=application or saved": ["model=cnn"],
    "trainer.schedule=cosine with trainer.phases": ["trainer.schedule=cosine"],
    "trainer.ema=0.9 with trainer.phases": ["trainer.ema=0.9"],
    "trainer.phases.0.epochs is missing": ["trainer.phases=[{frozen: true}]"],
    "a phase has no frosen; did you mean 'frozen'?": ["trainer.phases=[{frosen: true, epochs: 2}]"],
}


@pytest.mark.parametrize("said", REFUSED)
def test_mistakes_are_told(said: str) -> None:
    with pytest.raises(ConfigError) as error:
        composed("dataset=digits_lt", "model=application", PHASES, *REFUSED[said])
    assert said in str(error.value)


def test_no_phases_leave_the_digest_of_a_config_as_it_was() -> None:
    from equipoise.config.model import config_sha256

    known = composed("dataset=digits_lt", "model=linear")
    assert known.trainer.phases == ()
    one = composed("dataset=digits_lt", "model=linear", "trainer.phases=[{epochs: 30}]")
    assert config_sha256(known) != config_sha256(one)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory, tensorflow: Any) -> list[str]:
    """A backbone for images of 8 x 8, and data for it, as overrides."""
    import keras

    keras.utils.set_random_seed(3)
    file = tmp_path_factory.mktemp("backbone") / "small.keras"
    small_resnet((8, 8, 1), 4, depth=20).save(file)
    return ["dataset=digits_lt", "model=saved", f"model.path='{file}'", "model.dropout=0.3", "weighting=balanced"]


def fit(cache: Path, *overrides: str, folder: Path | None = None, end: int | None = None) -> tuple[Any, str, Any]:
    """Return the model, its digest and the history; `end` is the epoch after which the training breaks off."""
    from equipoise.training import fit as training
    from equipoise.training.graph import Compiled

    config, history = composed(*overrides), []
    data = prepare(config.dataset, cache)
    built = Compiled(config, data)

    def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
        history.append(metrics)
        if epoch == end:
            raise InterruptedError

    kept = Checkpoints(folder, made_by(config, data), first=0) if folder else None
    training.fit(built, config, data, weigh(config, data), on_epoch, kept)
    return built.model, training.weights_sha256(built.model), history


def weights(model: Any) -> list[Any]:
    return model.get_layer(BACKBONE).get_weights()  # type: ignore[no-any-return]


@pytest.mark.slow
def test_a_frozen_backbone_stays_and_is_trained_later(cache: Path, digits: list[str]) -> None:
    from equipoise.methods.backbones import saved

    at_first = weights(saved((8, 8, 1), 10, path=digits[2].split("'")[1], head="auto", dropout=0.0))
    frozen, *_ = fit(cache, *digits, "trainer.phases=[{frozen: true, epochs: 1}]")
    for left, right in zip(weights(frozen), at_first, strict=True):
        np.testing.assert_array_equal(left, right)
    two = "trainer.phases=[{frozen: true, epochs: 1}, {learning_rate: 1e-4, epochs: 1}]"
    both, _, history = fit(cache, *digits, two)
    moved = [not np.array_equal(left, right) for left, right in zip(weights(both), at_first, strict=True)]
    is_statistic = ["moving" in weight.path for weight in both.get_layer(BACKBONE).weights]
    assert moved == [not each for each in is_statistic], "all but the statistics of batch norm"
    assert [metrics["learning_rate"] for metrics in history] == pytest.approx([0.001, 0.0001])


@pytest.mark.slow
def test_implementations_and_engines_leave_the_same_bits(cache: Path, digits: list[str]) -> None:
    ways = [[f"loss={name}"] for name in IMPLEMENTATIONS] + [["loss=custom", "trainer.engine=resident"]]
    phases = "trainer.phases=[{frozen: true, epochs: 1}, {epochs: 1}]"
    assert len({fit(cache, *digits, phases, *way)[1] for way in ways}) == 1


@pytest.mark.slow
@pytest.mark.parametrize("end", [1, 2], ids=["between two phases", "within a phase"])
def test_a_training_that_was_interrupted_ends_with_the_same_bits(
    cache: Path, digits: list[str], tmp_path: Path, end: int
) -> None:
    whole = fit(cache, *digits, PHASES)
    with pytest.raises(InterruptedError):
        fit(cache, *digits, PHASES, folder=tmp_path, end=end + 1)
    again = fit(cache, *digits, PHASES, folder=tmp_path)
    assert (again[1], again[2]) == (whole[1], whole[2])


@pytest.mark.slow
def test_early_stopping_waits_in_the_last_phase_alone(cache: Path, digits: list[str]) -> None:
    still = "trainer.phases=[{frozen: true, epochs: 3, learning_rate: 1e-9}, {learning_rate: 1e-9, epochs: 3}]"
    _, _, history = fit(cache, *digits, still, "trainer.early_stopping=1")
    assert len(history) == 4, "nothing gets better, and the first phase is whole"


@pytest.mark.slow
def test_a_model_of_ones_own_without_a_backbone_is_told(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tensorflow: Any
) -> None:
    from equipoise.training import trial
    from equipoise.training.graph import Compiled

    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "bare.py").write_text(
        "import keras\nimport equipoise\n\n\n@equipoise.model\ndef bare(shape, logits):\n"
        "    return keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(logits)])\n"
    )
    monkeypatch.chdir(tmp_path)
    config = composed("dataset=digits_lt", "model=bare", PHASES)
    data = prepare(config.dataset, cache)
    with pytest.raises(ConfigError, match=r"model=bare: bare has no layer of that name: give it one"):
        trial.check_model(Compiled(config, data), config, data)
