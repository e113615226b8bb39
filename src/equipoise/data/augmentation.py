"""Images that are altered at random while a model trains: what comes of each is a function of (seed, epoch, place).

Keras's layers draw from a state that goes on from batch to batch, which an interruption would lose and threads would
share out by chance. So the numbers of an epoch are drawn here, one row for each place in its order, and each image is
altered by its own: how images are batched changes nothing. Flips, crops, turns and moves come together before an image
is looked at, by Keras's `affine_transform`: once, which takes less time and blurs less.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf

STEPS = 2**24  # equally likely numbers, k / STEPS, all of which float32 holds
APART = 2**32  # added to the seed: no order of samples is drawn from the same numbers

# Where a pixel (x, y) of the new image is looked up in the old one: (a x + b y + c, d x + e y + f), each float32 (n,).
Place = tuple[Any, ...]


def flip(drawn: "tf.Tensor", height: int, width: int) -> Place:
    """Turned left to right with probability 1/2."""
    import tensorflow as tf

    zero, turned = tf.zeros_like(drawn[:, 0]), drawn[:, 0] < 0.5
    return tf.where(turned, -1.0, 1.0), zero, tf.where(turned, width - 1.0, 0.0), zero, zero + 1, zero


def crop(drawn: "tf.Tensor", height: int, width: int) -> Place:
    """A window of the image's size from the image with an eighth of its side as border of zeros (He et al. 2016)."""
    import tensorflow as tf

    x, y = (tf.floor(drawn[:, index] * (2 * (side // 8) + 1)) - side // 8 for index, side in enumerate((width, height)))
    return tf.ones_like(x), tf.zeros_like(x), x, tf.zeros_like(x), tf.ones_like(x), y


def rotate(drawn: "tf.Tensor", height: int, width: int) -> Place:
    """Turned by up to 15 degrees either way about its middle, as Keras's RandomRotation does; zeros come in."""
    import tensorflow as tf

    angle = (2 * drawn[:, 0] - 1) * 0.2617993877991494
    cos, sin, x, y = tf.cos(angle), tf.sin(angle), (width - 1) / 2, (height - 1) / 2
    return cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y


def translate(drawn: "tf.Tensor", height: int, width: int) -> Place:
    """Moved by up to a tenth of each side, as Keras's RandomTranslation does; zeros come in."""
    import tensorflow as tf

    x, y = (2 * drawn[:, 0] - 1) * (0.1 * width), (2 * drawn[:, 1] - 1) * (0.1 * height)
    return tf.ones_like(x), tf.zeros_like(x), x, tf.zeros_like(x), tf.ones_like(x), y


def then(first: Place, second: Place) -> Place:
    """Return where pixels are looked up after both."""
    (a, b, c, d, e, f), (g, h, i, j, k, m) = first, second
    return a * g + b * j, a * h + b * k, a * i + b * m + c, d * g + e * j, d * h + e * k, d * i + e * m + f


def looked_up(images: "tf.Tensor", place: Place) -> "tf.Tensor":
    """Return images whose pixels are looked up there, between four pixels in proportion; beyond the edges are zeros."""
    import keras
    import tensorflow as tf

    matrix = tf.stack([*place, tf.zeros_like(place[0]), tf.zeros_like(place[0])], axis=1)
    return keras.ops.image.affine_transform(images, matrix, data_format="channels_last")


def cutout(images: "tf.Tensor", drawn: "tf.Tensor") -> "tf.Tensor":
    """Zeros in a square of half the shorter side, whose middle is any pixel (DeVries and Taylor 2017)."""
    import tensorflow as tf

    height, width = images.shape[1:3]
    rows = tf.range(float(height)) - tf.floor(drawn[:, :1] * height)
    columns = tf.range(float(width)) - tf.floor(drawn[:, 1:] * width)
    reach = min(height, width) // 4
    hidden = ((rows >= -reach) & (rows < reach))[:, :, tf.newaxis] & ((columns >= -reach) & (columns < reach))[
        :, tf.newaxis
    ]
    return tf.where(hidden[..., tf.newaxis], 0.0, images)


@dataclass(frozen=True)
class Augmentation:
    """A way to alter images.

    Attributes
    ----------
    function : from numbers, float32 (n, numbers) from 0 to 1, and the images' height and width to the place where their
        pixels are looked up; or, of one that `hides`, from images, float32 (n, height, width, channels), and numbers
    numbers : how many it takes for each image
    hides : whether it puts something over what is looked up, and so comes last
    """

    function: Callable[..., Any]
    numbers: int
    hides: bool = False


AUGMENTATIONS: Mapping[str, Augmentation] = {
    "flip": Augmentation(flip, 1),
    "crop": Augmentation(crop, 2),
    "rotate": Augmentation(rotate, 1),
    "translate": Augmentation(translate, 2),
    "cutout": Augmentation(cutout, 2, hides=True),
}


def drawn_numbers(names: Sequence[str], count: int, seed: "int | tf.Tensor", epoch: "int | tf.Tensor") -> "tf.Tensor":
    """Draw the numbers of an epoch, int64 (count, numbers), from 0 to STEPS - 1."""
    import tensorflow as tf

    key = tf.stack([tf.cast(seed, tf.int64) + APART, tf.cast(epoch, tf.int64)])
    numbers = sum(AUGMENTATIONS[name].numbers for name in names)
    return tf.random.stateless_uniform((count, numbers), key, 0, STEPS, tf.int64)


def columns(names: Sequence[str]) -> dict[str, slice]:
    """Return which of the numbers each way takes, in the order in which they alter an image."""
    found, first = {}, 0
    for name in sorted(names, key=lambda name: AUGMENTATIONS[name].hides):
        found[name] = slice(first, first + AUGMENTATIONS[name].numbers)
        first += AUGMENTATIONS[name].numbers
    return found


def augmented(names: Sequence[str], images: "tf.Tensor", numbers: "tf.Tensor") -> "tf.Tensor":
    """Alter images in each of the ways: flips, crops, turns and moves as typed, and then what is hidden.

    Parameters
    ----------
    images : float32 (n, height, width, channels)
    numbers : int64 (n, numbers), some rows of what `drawn_numbers` returns
    """
    import tensorflow as tf

    drawn, place = tf.cast(numbers, tf.float32) / STEPS, None
    height, width = images.shape[1:3]
    taken = columns(names)
    for name in (name for name in taken if not AUGMENTATIONS[name].hides):
        second = AUGMENTATIONS[name].function(drawn[:, taken[name]], height, width)
        place = second if place is None else then(place, second)
    images = images if place is None else looked_up(images, place)
    for name in (name for name in taken if AUGMENTATIONS[name].hides):
        images = AUGMENTATIONS[name].function(images, drawn[:, taken[name]])
    return images
