"""The second stage: the classifier alone is trained again, or its vectors are made of one length."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.core.errors import ConfigError
from equipoise.data.prepare import prepare
from equipoise.data.prepared import Prepared
from equipoise.methods.weighting import class_weights
from helpers import composed
from trainings import SMALL, TWO, fit

pytestmark = [pytest.mark.usefixtures("tensorflow"), pytest.mark.slow]


def second_stage(
    cache: Path, stage: str, *overrides: str
) -> tuple[Any, list[np.ndarray], dict[str, list[float]], Prepared, Any]:
    from equipoise.training import fit as training
    from equipoise.training.graph import Compiled
    from equipoise.training.second_stage import run_second_stage

    config = composed(*SMALL, f"trainer.second_stage={stage}", "trainer.epochs=5", *overrides)
    data = prepare(config.dataset, cache)
    weights = class_weights(config.weighting, data.counts, data.classes)
    built = Compiled(config, data)
    model, predictor = built.model, built.predict
    training.fit(built, config, data, weights, lambda *_: None)
    before = model.get_weights()
    return model, before, run_second_stage(model, predictor, config, data), data, predictor


@pytest.mark.parametrize("labels", ["sparse", "one_hot", "binary"])
def test_a_retrained_classifier_leaves_the_features_as_they_are(cache: Path, labels: str) -> None:
    size = TWO if labels == "binary" else []
    model, before, curves, data, predictor = second_stage(
        cache, "crt", *size, f"dataset.labels={labels}", "trainer.learning_rate=0.03"
    )
    after = model.get_weights()
    assert all((left == right).all() for left, right in zip(before[:-2], after[:-2], strict=True))
    assert (before[-2] != after[-2]).all()
    assert len(curves["train/loss"]) == 5
    assert curves["train/loss"][-1] < curves["train/loss"][0]
    from equipoise.metrics.classification import class_logits, epoch_metrics

    validation = data.split("validation")
    logits = class_logits(predictor(validation.features))
    assert (
        curves["val/balanced_accuracy"][1] == epoch_metrics(np.asarray(validation.labels), logits)["balanced_accuracy"]
    )


def test_the_same_seed_retrains_the_same_bits(cache: Path) -> None:
    once, twice = (second_stage(cache, "crt")[0].get_weights() for _ in range(2))
    assert all((left == right).all() for left, right in zip(once, twice, strict=True))


def test_tau_normalisation_shortens_the_long_vectors(cache: Path) -> None:
    model, before, curves, _, _ = second_stage(cache, "tau_norm")
    (tau,) = curves["tau"]
    kernel, bias = model.get_weights()[-2:]
    np.testing.assert_allclose(kernel, before[-2] / np.linalg.norm(before[-2], axis=0) ** tau, rtol=1e-6)
    assert not bias.any()
    assert 0 <= tau <= 1


def test_a_second_stage_that_breaks_the_numbers_is_told(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from equipoise.methods.second_stages import SECOND_STAGES, Learned, SecondStage
    from equipoise.training.predictor import Predictor
    from equipoise.training.second_stage import run_second_stage

    def diverging(learned: Learned) -> tuple[Any, Any, dict[str, list[float]]]:
        return learned.kernel * float("inf"), learned.bias, {}

    monkeypatch.setitem(SECOND_STAGES, "crt", SecondStage(diverging))  # type: ignore[arg-type]
    *_, model, data = fit(cache, *SMALL)
    with pytest.raises(
        ConfigError,
        match=r"trainer.second_stage=crt diverged: logits/kernel holds NaN or infinity. "
        r"Lower trainer.learning_rate=0.001",
    ):
        run_second_stage(model, Predictor(model), composed(*SMALL, "trainer.second_stage=crt"), data)
