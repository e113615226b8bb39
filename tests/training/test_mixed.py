"""Trainings on mixed samples: the bits of two implementations, and the loss of a mixture by hand."""

from pathlib import Path

import numpy as np
import pytest

from trainings import SMALL, fit

pytestmark = pytest.mark.usefixtures("tensorflow")


def test_a_mixture_has_the_losses_of_both_classes_each_with_its_weight() -> None:
    import tensorflow as tf

    from equipoise.methods.implementations import PairWeightedLoss, of_pairs
    from equipoise.methods.losses import cross_entropy

    logits = np.log(np.float32([[0.5, 0.25, 0.25], [0.2, 0.2, 0.6]]))
    pairs = np.float32([[0, 1, 0.75], [2, 2, 0.3]])
    table = tf.Variable([1.0, 4.0, 0.0])
    for form in ("sparse", "one_hot"):
        loss = PairWeightedLoss(of_pairs(cross_entropy, 3, form), "loss", table).call(pairs, logits).numpy()
        assert loss == pytest.approx([0.75 * np.log(2) + 0.25 * 4 * np.log(4), 0.0], abs=1e-6)
        bare = of_pairs(cross_entropy, 3, form)(pairs, logits).numpy()
        assert bare == pytest.approx([0.75 * np.log(2) + 0.25 * np.log(4), -np.log(0.6)], abs=1e-6)


@pytest.mark.slow
def test_both_ways_to_weigh_mixtures_leave_the_same_bits(cache: Path) -> None:
    mixed = [*SMALL, "dataset.mix=remix", "weighting=balanced", "trainer.learning_rate=0.01"]
    digests = {fit(cache, *mixed, f"loss={how}", "trainer.engine=fit")[0] for how in ("custom", "sample_weight")}
    assert len(digests) == 1
    assert fit(cache, *mixed[:-3], "loss=class_weight", "trainer.engine=fit")[0] not in digests
