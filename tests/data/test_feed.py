"""The feed of training batches: every sample once, in an order of seed and epoch, in every form of labels."""

from typing import Any

import numpy as np
import pytest

from equipoise.data.types import Samples

pytestmark = pytest.mark.usefixtures("tensorflow")


def batches(epoch: int, labels: Any = "sparse", seed: int = 0, batch_size: int = 4) -> list[Any]:
    import tensorflow as tf

    from equipoise.data.feed import Epochs

    samples = Samples(np.arange(10, dtype=np.float32)[:, np.newaxis], np.arange(10) % 2)
    variable = tf.Variable(epoch, dtype=tf.int64)
    dataset = Epochs(samples, 2, labels, seed, variable).batches(batch_size)
    assert dataset.cardinality().numpy() == -(-10 // batch_size)
    return [(features.numpy(), label.numpy()) for features, label in dataset]


def test_an_epoch_holds_every_sample_once_with_its_label() -> None:
    found = batches(0)
    assert [len(label) for _, label in found] == [4, 4, 2]
    features = np.concatenate([features for features, _ in found])[:, 0]
    assert sorted(features) == list(range(10))
    np.testing.assert_array_equal(np.concatenate([label for _, label in found]), features.astype(int) % 2)


@pytest.mark.parametrize(("batch_size", "sizes"), [(5, [5, 5]), (10, [10]), (16, [10]), (1, [1] * 10)])
def test_a_batch_that_divides_the_samples_or_is_larger(batch_size: int, sizes: list[int]) -> None:
    found, of_four = batches(0, batch_size=batch_size), batches(0)
    assert [len(label) for _, label in found] == sizes
    for part in (0, 1):
        np.testing.assert_array_equal(
            np.concatenate([batch[part] for batch in found]), np.concatenate([batch[part] for batch in of_four])
        )


def test_the_order_follows_from_seed_and_epoch_alone() -> None:
    def order(*arguments: Any, **options: Any) -> list[float]:
        return np.concatenate([features for features, _ in batches(*arguments, **options)])[:, 0].tolist()

    assert order(3) == order(3)
    assert order(3) != order(4)
    assert order(3) != order(3, seed=1)


def test_endless_batches_give_each_epoch_in_its_own_order() -> None:
    import tensorflow as tf

    from equipoise.data.feed import Epochs

    samples = Samples(np.arange(10, dtype=np.float32)[:, np.newaxis], np.arange(10) % 2)
    first = tf.Variable(0, dtype=tf.int64)
    dataset = Epochs(samples, 2, "sparse", 0, first).batches(4, endless=True)
    assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY
    for begin in (0, 3):  # the variable is read when it begins, as in a training that goes on
        first.assign(begin)
        found = [(features.numpy(), label.numpy()) for features, label in dataset.take(9)]
        for (features, label), (expected, expected_label) in zip(
            found, [batch for epoch in range(begin, begin + 3) for batch in batches(epoch)], strict=True
        ):
            np.testing.assert_array_equal(features, expected)
            np.testing.assert_array_equal(label, expected_label)


def test_label_forms() -> None:
    one_hot, binary = batches(0, "one_hot")[0][1], batches(0, "binary")[0][1]
    assert one_hot.shape == (4, 2)
    assert binary.shape == (4, 1)
    sparse = batches(0)[0][1]
    np.testing.assert_array_equal(one_hot.argmax(axis=1), sparse)
    np.testing.assert_array_equal(binary[:, 0], sparse)


def test_a_single_logit_stands_for_two() -> None:
    from equipoise.metrics.classification import class_logits

    assert class_logits(np.array([[2.0], [-1.0]])).tolist() == [[0, 2], [0, -1]]
    assert class_logits(np.array([[2.0, 1.0]], np.float32)).dtype == np.float64
