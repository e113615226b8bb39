"""Mixed samples: lambda, partners and labels, by hand; Remix's rule in each of its cases."""

from typing import Any

import numpy as np
import pytest

from equipoise.core.errors import ConfigError
from equipoise.data.augmentation import STEPS
from equipoise.data.mixing import Mixing
from helpers import composed

pytestmark = pytest.mark.usefixtures("tensorflow")

COUNTS = np.array([30, 9, 10])


def numbers(share: float, order: list[int], *middle: float) -> Any:
    """What is drawn for a batch, whose place i is mixed with place `order[i]`."""
    drawn = np.zeros((len(order), 4))
    drawn[:, 0] = share
    drawn[order, 1] = np.arange(len(order)) / 100
    drawn[0, 2:] = middle or (0, 0)
    return np.int64(drawn * STEPS)


def test_mixup_is_a_mean_of_two_samples_and_of_their_labels() -> None:
    features = np.float32([[1, 10], [2, 20], [4, 40]])
    mixed, labels = Mixing("mixup", 1.0, COUNTS).mixed(features, np.array([0, 1, 2]), numbers(0.75, [2, 1, 0]))
    assert mixed.numpy().tolist() == [[1.75, 17.5], [2, 20], [3.25, 32.5]]
    assert labels.numpy().tolist() == [[0, 2, 0.75], [1, 1, 0.75], [2, 0, 0.75]]


def test_cutmix_has_labels_by_the_area_that_is_left() -> None:
    images = np.stack([np.full((8, 12, 1), value, np.float32) for value in (1, 2)])
    # A quarter of the area: half of each side, 4 x 6 pixels about row 4 and column 6.
    mixed, labels = Mixing("cutmix", 1.0, COUNTS).mixed(images, np.array([0, 1]), numbers(0.75, [1, 0], 0.5, 0.5))
    expected = images.copy()
    expected[0, 2:6, 3:9], expected[1, 2:6, 3:9] = 2, 1
    assert np.array_equal(mixed, expected)
    assert labels.numpy().tolist() == [[0, 1, 0.75], [1, 0, 0.75]]
    # In a corner a quarter of the cut lies in the image.
    mixed, labels = Mixing("cutmix", 1.0, COUNTS).mixed(images, np.array([0, 1]), numbers(0.75, [1, 0], 0.0, 0.0))
    assert (mixed.numpy()[0, :2, :3] == 2).all()
    assert labels.numpy()[0, 2] == 1 - 6 / 96


@pytest.mark.parametrize(
    ("one", "other", "share", "expected"),
    [
        (0, 1, 0.4, 0.0),  # 30 >= 3 x 9, and the frequent class has less than half
        (0, 1, 0.6, 0.6),  # it has more than half
        (0, 2, 0.4, 0.0),  # 30 = 3 x 10
        (1, 0, 0.6, 1.0),  # the rare class comes first, and the other has less than half
        (1, 0, 0.4, 0.4),
        (1, 2, 0.4, 0.4),  # alike
        (0, 0, 0.4, 0.4),
        (0, 1, 0.5, 0.5),  # not below tau
    ],
)
def test_remix_gives_the_rarer_class_the_label(one: int, other: int, share: float, expected: float) -> None:
    mixing = Mixing("remix", 1.0, COUNTS)
    shares = mixing.shares(np.float32(share), np.array([one]), np.array([other])).numpy()
    assert shares == pytest.approx([expected])


def test_remix_mixes_features_as_mixup_does() -> None:
    features, index = np.random.default_rng(0).random((4, 3), dtype=np.float32), np.array([0, 1, 2, 0])
    drawn = numbers(0.25, [1, 0, 3, 2])
    mixed, labels = Mixing("remix", 1.0, COUNTS).mixed(features, index, drawn)
    assert np.array_equal(mixed, Mixing("mixup", 1.0, COUNTS).mixed(features, index, drawn)[0])
    assert labels.numpy().tolist() == [[0, 1, 0], [1, 0, 0.25], [2, 0, 0.25], [0, 2, 0]]


@pytest.mark.parametrize("alpha", [0.5, 1.0, 4.0])
def test_lambda_is_drawn_from_a_beta_distribution(alpha: float) -> None:
    from scipy.stats import beta, kstest

    drawn = Mixing("mixup", alpha, COUNTS).numbers(20_000, 5, 3).numpy()
    assert drawn.min() >= 0
    assert drawn.max() < STEPS
    assert kstest(drawn[:, 0] / STEPS, beta(alpha, alpha).cdf).statistic < 0.015
    assert len(np.unique(drawn[:, 1])) > 19_900


def test_what_has_no_mixture_is_refused() -> None:
    synthetic = ["dataset=synthetic", "model=mlp"]
    for pattern, overrides in {
        r"dataset\.mix=cutmix mixes images": [*synthetic, "dataset.mix=cutmix"],
        r"loss\.implementation=class_weight: Keras weighs a row by one class": [
            "dataset.mix=mixup",
            "weighting=balanced",
        ],
        r"weighting=balanced and trainer\.jit=true: XLA rounds": [
            *("dataset.mix=mixup", "weighting=balanced", "loss=custom", "trainer.jit=true"),
        ],
        r"trainer\.strategy=multi_worker: samples are mixed within a batch": [
            "dataset.mix=mixup",
            "trainer.strategy=multi_worker",
        ],
        r"decision=logit_adjusted needs the prior .* after dataset\.mix=remix": [
            "dataset.mix=remix",
            "decision=logit_adjusted",
        ],
    }.items():
        with pytest.raises(ConfigError, match=pattern):
            composed(*overrides)
    assert composed("dataset.mix=mixup", "decision=logit_adjusted").dataset.mix == "mixup"
