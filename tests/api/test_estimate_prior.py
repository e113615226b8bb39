"""The library's estimate of class frequencies: what it takes, what it shows, and that evaluate takes what it gives."""

import numpy as np
import pytest

import equipoise as eq

GENERATOR = np.random.default_rng(0)
CLASSES = ["fraud", "ok"]


def scores(frauds: int, others: int) -> tuple[list[str], np.ndarray]:
    labels = ["fraud"] * frauds + ["ok"] * others
    return labels, GENERATOR.normal(size=frauds + others) + np.repeat([-1.0, 1.0], [frauds, others])


def test_scores_of_one_column_tell_the_frequencies_with_an_interval() -> None:
    seen, (labels, new) = scores(100, 400), scores(600, 400)
    found = eq.estimate_prior(new, seen, CLASSES, resamples=50)
    assert found.frame.loc["fraud", "low"] < 0.6 < found.frame.loc["fraud", "high"]
    assert found.frame.loc["fraud", "bbse"] == pytest.approx(0.6, abs=0.1)
    assert found.p > 0.001
    assert "class frequencies of 1,000 rows without labels" in repr(found)

    weights = eq.class_weights(seen[0], "none")
    judged = eq.evaluate(
        labels,
        new,
        validation=seen,
        weights=weights,
        calibration="bias_corrected",
        decision="prior_adjusted",
        target_prior=found.target_prior,
    )
    plain = eq.evaluate(labels, new, validation=seen, weights=weights, calibration="bias_corrected")
    assert judged.metrics["log_loss_corrected"] < plain.metrics["log_loss_corrected"]
    assert judged.metrics["accuracy"] > plain.metrics["accuracy"]


def test_a_known_prior_does_without_calibration_and_an_unknown_one_leaves_bbse_alone() -> None:
    seen, (_, new) = scores(100, 400), scores(300, 300)
    # The true log odds of two normals two apart are 2 z, and those of their frequencies.
    honest = (seen[0], 2 * seen[1] + np.log(4)), 2 * new + np.log(4)
    known = eq.estimate_prior(honest[1], honest[0], CLASSES, calibration="none", learned_prior=[1, 4], resamples=0)
    np.testing.assert_allclose(known.target_prior, [0.5, 0.5], atol=0.05)
    alone = eq.estimate_prior(new, seen, CLASSES, calibration="none")
    np.testing.assert_allclose(alone.frame["bbse"], [0.5, 0.5], atol=0.15)
    with pytest.raises(eq.ConfigError, match="there is no estimate by EM"):
        _ = alone.target_prior


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"calibration": "beta_"}, "there is no such calibration"),
        ({"learned_prior": [1, 0]}, "learned_prior="),
        ({"learned_prior": "foo"}, "learned_prior=foo: give a number above 0 for each of 2 classes, or unknown"),
        ({"resamples": -1}, "resamples=-1: give a whole number from 2 on, or 0"),
        ({"resamples": 1}, "resamples=1: "),
        ({"resamples": 2.5}, r"resamples=2\.5: "),
        ({"resamples": True}, "resamples=True: "),
        ({"classes": None}, "classes is missing: the validation labels are text"),
        ({"validation": (["ok"] * 9, np.ones(9))}, "of fraud there are no validation rows"),
        ({"validation": (["ok"] * 8, np.ones(9))}, "8 samples, and the validation logits 9"),
    ],
)
def test_a_mistake_is_named(given: dict[str, object], said: str) -> None:
    typed = {"logits": np.ones(5), "validation": scores(9, 9), "classes": CLASSES, **given}
    with pytest.raises(eq.ConfigError, match=said):
        eq.estimate_prior(**typed)  # type: ignore[arg-type]
