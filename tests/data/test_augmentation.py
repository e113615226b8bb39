"""Altered images: what single numbers make of them, Keras's layers as oracle, and what an epoch draws."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.core.errors import ConfigError
from equipoise.data.augmentation import AUGMENTATIONS, STEPS, augmented, drawn_numbers
from equipoise.data.feed import Epochs
from equipoise.data.types import Samples
from helpers import composed

pytestmark = pytest.mark.usefixtures("tensorflow")

# Two images of 8 x 16 pixels whose values are all different.
IMAGES = np.arange(1, 257, dtype=np.float32).reshape(2, 8, 16, 1)


def altered(name: str, *drawn: tuple[float, ...]) -> Any:
    """The images, altered by these numbers for each."""
    numbers = np.array(drawn)
    assert numbers.shape == (2, AUGMENTATIONS[name].numbers)
    return augmented([name], IMAGES, np.int64(numbers * STEPS)).numpy()


def test_a_number_below_one_half_flips() -> None:
    found = altered("flip", (0.49,), (0.5,))
    assert np.array_equal(found[0], IMAGES[0][:, ::-1])
    assert np.array_equal(found[1], IMAGES[1])


def test_a_crop_is_a_window_of_the_bordered_image() -> None:
    # The border is 2 pixels at the sides, 1 above and below: 5 x 3 windows.
    found = altered("crop", (0.0, 0.99), (0.5, 0.5))
    bordered = np.pad(IMAGES[0], ((1, 1), (2, 2), (0, 0)))
    assert np.array_equal(found[0], bordered[2:, :16]), "the leftmost, the lowest"
    assert np.array_equal(found[1], IMAGES[1]), "the middle one"


def test_a_square_of_half_the_shorter_side_is_cut_out() -> None:
    found = altered("cutout", (0.5, 0.5), (0.0, 0.99))
    expected = IMAGES.copy()
    expected[0, 2:6, 6:10] = 0
    expected[1, :2, 13:] = 0
    assert np.array_equal(found, expected)


def test_turns_and_moves_are_those_of_keras() -> None:
    import keras

    layer = keras.layers.RandomRotation(15 / 360, fill_mode="constant")
    matrix = layer.get_random_transformation(IMAGES, seed=3)
    angles = np.asarray(matrix["angle"])
    expected = layer.transform_images(IMAGES, matrix)
    np.testing.assert_allclose(altered("rotate", *((angle / 30 + 0.5,) for angle in angles)), expected, atol=2e-3)
    mover = keras.layers.RandomTranslation(0.1, 0.1, fill_mode="constant")
    moves = {"translations": np.float32([[1.6, 0.4], [0.0, -0.8]])}  # of x and y, in pixels
    found = altered("translate", (0.0, 0.25), (0.5, 1 - 1 / STEPS))
    # Keras names how far the image goes, and here the numbers say where it is looked at.
    np.testing.assert_allclose(found, mover.transform_images(IMAGES, moves), atol=1e-2)


def test_ways_come_together_in_the_order_in_which_they_are_typed() -> None:
    numbers = np.int64(np.array([[0.1, 0.9, 0.3], [0.2, 0.0, 0.99]]) * STEPS)
    both = augmented(["flip", "crop"], IMAGES, numbers).numpy()
    assert np.array_equal(both, augmented(["crop"], IMAGES[:, :, ::-1], numbers[:, 1:]).numpy())
    turned = augmented(["crop", "flip"], IMAGES, numbers[:, [1, 2, 0]]).numpy()
    assert np.array_equal(turned, augmented(["crop"], IMAGES, numbers[:, 1:]).numpy()[:, :, ::-1])


def batches(epoch: int, seed: int, size: int, *names: str, endless: bool = False) -> list[Any]:
    """The images of an epoch, in the order of their rows."""
    import tensorflow as tf

    images = np.random.default_rng(0).random((10, 8, 8, 1), dtype=np.float32)
    samples = Samples(images, np.arange(10))
    epochs = Epochs(samples, 10, "sparse", seed, tf.Variable(epoch, dtype=tf.int64), augment=names)
    taken = list(epochs.batches(size, endless=endless).take(2 * -(-10 // size)))
    features, labels = (np.concatenate([batch[place] for batch in taken]) for place in (0, 1))
    return [features[index][np.argsort(labels[index])] for index in (slice(0, 10), slice(10, 20))]


def test_what_comes_of_an_image_is_decided_by_seed_and_epoch_alone() -> None:
    names = ("rotate", "crop")
    first, _ = batches(0, 0, 5, *names)
    assert np.array_equal(first, batches(0, 0, 3, *names)[0]), "however they are batched"
    _, second = batches(0, 0, 5, *names, endless=True)
    assert np.array_equal(second, batches(1, 0, 5, *names)[0]), "also where epochs go on without an end"
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, batches(0, 1, 5, *names)[0])


def test_numbers_are_drawn_evenly() -> None:
    numbers = drawn_numbers(tuple(AUGMENTATIONS), 20_000, 7, 1).numpy() / STEPS
    assert numbers.shape == (20_000, 8)
    assert numbers.mean(axis=0) == pytest.approx([0.5] * 8, abs=0.01)
    assert (numbers >= 0).all()
    assert (numbers < 1).all()
    assert np.abs(np.corrcoef(numbers.T) - np.eye(8)).max() < 0.05


def test_decoded_images_are_altered_alike_and_judged_as_they_are(tmp_path: Path) -> None:
    import tensorflow as tf
    from PIL import Image

    from equipoise.data.feed import feature_batches
    from equipoise.data.images.dataset import ImageFiles

    pixels = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), dtype=np.uint8)
    for index, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{index}.png")
    paths = np.array([f"{index}.png".encode() for index in range(10)])
    files = ImageFiles(str(tmp_path), paths, (8, 8, 3), ("PNG",), np.zeros(10, np.uint8))
    arrays = np.concatenate(list(feature_batches(files)))
    assert np.array_equal(arrays, np.float32(pixels) / 255), "those that are judged"
    taken = []
    for features in (files, arrays):
        variable = tf.Variable(2, dtype=tf.int64)
        epochs = Epochs(Samples(features, np.arange(10)), 10, "sparse", 0, variable, augment=("crop", "translate"))
        taken.append(np.concatenate([batch[0] for batch in epochs.batches(4)]))
    assert np.array_equal(*taken)


def test_images_alone_are_altered() -> None:
    with pytest.raises(ConfigError, match=r"dataset\.augment=\[flip\] alters images .* has samples of 1 dimension:"):
        composed("dataset=synthetic", "model=mlp", "dataset.augment=[flip]")
    with pytest.raises(ConfigError, match="names one way twice"):
        composed("dataset=digits_lt", "dataset.augment=[flip,crop,flip]")
    with pytest.raises(ConfigError, match="must be 'flip', 'crop', 'rotate', 'translate' or 'cutout'"):
        composed("dataset=digits_lt", "dataset.augment=[blur]")
