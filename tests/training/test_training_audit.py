"""The share of each class in loss and gradient."""

import numpy as np
import pytest

from equipoise.data.types import Samples

pytestmark = pytest.mark.usefixtures("tensorflow")


def test_shares_of_loss_and_gradient_by_hand() -> None:
    from equipoise.methods.losses import cross_entropy
    from equipoise.training.audit import audit

    # Equal logits: every loss is log 2, every gradient (1/2, -1/2) long; three samples of class 0 and one of class 1.
    labels, weights = np.array([0, 0, 0, 1]), np.array([1.0, 2.0])
    shares = audit(
        lambda features: np.zeros((len(features), 2), np.float32),
        cross_entropy,
        Samples(np.zeros((4, 1), np.float32), labels),
        weights,
        "sparse",
    )
    assert shares.loss.tolist() == pytest.approx([3 / 5, 2 / 5])
    assert shares.gradient.tolist() == pytest.approx([3 / 5, 2 / 5])
