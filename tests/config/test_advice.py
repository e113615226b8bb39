"""What a user hears of the corrections in a config, and the figures in it."""

from pathlib import Path

import numpy as np
import pytest

from equipoise.config.advice import loss_correction, notes, of_batches
from equipoise.core.errors import ConfigError
from equipoise.methods.weighting import ClassWeights, class_weights
from helpers import composed

COUNTS = np.array([90, 10])
TWO = ["dataset=synthetic", "dataset.class_counts=[90,10]", "model=mlp"]


def said(*overrides: str) -> str:
    config = composed(*TWO, *overrides)
    return "\n".join(notes(config, class_weights(config.weighting, COUNTS, ("0", "1"))))


def test_one_correction_is_no_reason_to_warn() -> None:
    for overrides in ([], ["weighting=balanced"], ["loss=balanced_softmax"], ["decision=logit_adjusted"]):
        assert said(*overrides) == ""


@pytest.mark.parametrize("loss", ["balanced_softmax", "logit_adjusted", "vs"])
def test_weights_and_a_loss_that_knows_the_prior_correct_twice(loss: str) -> None:
    # Weights favour class 1 by 9, the loss by 9 again.
    found = said("weighting=balanced", f"loss={loss}")
    assert (
        f"weighting=balanced and loss={loss} both correct the class balance: "
        "together by up to 81 between two classes (weights 9, loss 9)" in found
    )


def test_the_product_is_of_the_weights_and_the_factors_of_the_loss() -> None:
    config = composed(*TWO, "weighting=inverse", "loss=focal", "loss.alpha={0:1,1:3}")
    factors = loss_correction(config, ClassWeights(("0", "1"), COUNTS, np.array([1.0, 9.0])))
    assert factors is not None
    assert factors.tolist() == [1, 3]
    assert "together by up to 27" in said("weighting=inverse", "loss=focal", "loss.alpha={0:1,1:3}")
    assert loss_correction(composed(*TWO, "loss=focal"), ClassWeights(("0", "1"), COUNTS, np.ones(2))) is None


def test_an_adjustment_that_adjusts_nothing_is_told() -> None:
    assert "there is nothing to adjust" in said("weighting=balanced", "decision=logit_adjusted")
    assert "there is nothing to adjust" in said("trainer.second_stage=crt", "decision=logit_adjusted")


def test_a_calibration_that_takes_the_weights_back_is_told() -> None:
    assert "calibration=temperature takes back what weighting=balanced favours" in said(
        "weighting=balanced", "calibration=temperature"
    )
    for rule in ("logit_adjusted", "tuned"):
        assert said("weighting=balanced", "calibration=temperature", f"decision={rule}") == ""
    assert said("loss=focal", "calibration=vector", "decision=logit_adjusted") == ""  # the prior is known then
    assert "no probability is corrected" in said("loss=focal", "calibration=temperature")


def test_a_class_that_is_not_learned_is_told_and_cannot_be_adjusted() -> None:
    assert said("weighting=manual", "weighting.weights={0:3,1:0}").count("class ") == 1, "said once"
    with pytest.raises(ConfigError, match="class 1 has the weight 0 and so no prior to adjust by"):
        said("weighting=manual", "weighting.weights={0:3,1:0}", "decision=logit_adjusted")


def test_a_prior_without_analytic_form_is_told() -> None:
    for overrides, what in (
        (["loss=focal"], "loss=focal"),
        (["trainer.second_stage=tau_norm"], "trainer.second_stage=tau_norm"),
    ):
        assert f"{what}: the prior that the model learns under has no analytic form" in said(*overrides)


THREE = ("cat", "dog", "fox")


@pytest.mark.parametrize(
    ("values", "optimizer", "expected"),
    [
        ((3, 3, 3), "adam", "a common factor, which cancels"),
        ((3, 3, 3), "sgd", "multiplies the learning rate by 3"),
        ((1, 1.005, 1), "adam", "nearly the same weight"),
        ((1, 2, 10), "sgd", "the mean weight of a sample is 2.2"),
        ((0, 0, 5), "adam", "only class fox has a weight"),
        ((0, 1, 5), "adam", "weight 0: class cat is not learned"),
    ],
)
def test_weights_without_the_effect_that_was_meant(values: tuple[float, ...], optimizer: str, expected: str) -> None:
    (found,) = of_weights("manual", values, optimizer)
    assert expected in found


def test_nothing_is_said_of_weights_that_work() -> None:
    assert of_weights("balanced", (10 / 18, 10 / 9, 10 / 3), "sgd") == []
    assert of_weights("none", (1, 1, 1), "sgd") == []
    assert of_weights("manual", (1, 2, 10), "adam") == []


def of_weights(weighting: str, values: tuple[float, ...], optimizer: str) -> list[str]:
    """What is said of these weights of 6, 3 and 1 samples."""
    typed = ["weighting.weights={0:1,1:2}"] if weighting == "manual" else []
    config = composed(*TWO, f"weighting={weighting}", *typed, f"trainer.optimizer={optimizer}")
    return notes(config, ClassWeights(THREE, np.array([6, 3, 1]), np.array(values, dtype=float)))


def test_what_a_batch_has_of_the_rarest_class_is_told(tmp_path: Path) -> None:
    counts = np.array([3, 2])
    config = composed(*TWO, "loss=auc_margin", "trainer.batch_size=2")
    # Of the 10 pairs of 5 samples 3 are without class 1, and 6 hold one of each.
    assert of_batches(config, counts, 5) == (
        "loss=auc_margin is that of a batch: one of trainer.batch_size=2 has 0.8 samples of the rarest class (2 of 5) "
        "and 0.6 pairs of one with another, on average; 30% of batches have none"
    )
    whole = of_batches(composed(*TWO, "loss=soft_f1", "trainer.batch_size=64"), counts, 5)
    assert whole is not None
    assert "has 2 samples of the rarest class (2 of 5) and 6 pairs" in whole
    assert whole.endswith("0% of batches have none")
    assert of_batches(composed(*TWO), counts, 5) is None
    (tmp_path / "t.csv").write_text("x,a,b\n" + "1,1,0\n2,0,1\n" * 20)
    labels = composed(
        "dataset=multilabel",
        "model=mlp",
        f"dataset.path='{tmp_path}/t.csv'",
        "dataset.targets=[a,b]",
        "loss=sigmoid_f1",
    )
    assert "samples of the rarest label (2 of 5)" in str(of_batches(labels, counts, 5))
    binary = composed(*TWO, "dataset.labels=binary", "loss=sigmoid_f1")
    assert "samples of the rarest class (2 of 5)" in str(of_batches(binary, counts, 5))
    assert of_batches(composed(*TWO, "loss=lade", "dataset.sampling=class_balanced"), counts, 5) is None


def test_the_effective_number_in_one_word_is_a_correction() -> None:
    assert "weighting=balanced and loss=class_balanced_focal both correct" in said(
        "weighting=balanced", "loss=class_balanced_focal"
    )


def test_influence_balanced_counts_classes_itself() -> None:
    found = said("weighting=balanced", "loss=influence_balanced")
    assert "loss=influence_balanced both correct" in found
    assert "by up to 81 between two classes (weights 9, loss 9)" in found
    sampled = said("weighting=none", "loss=influence_balanced", "dataset.sampling=class_balanced")
    assert "loss=influence_balanced both favour rare classes" in sampled
