"""Decode images. The bytes of a file alone decide by what, in preparing, training and serving alike.

Pillow examines every file. TensorFlow, which is twice as fast, decodes plain images: a whole PNG of 8 bits, or a whole
JPEG or a WebP, that is neither turned nor transparent nor CMYK. It also decodes a PNG of 16 bits, since Pillow keeps
only 8 of them in colour. Pillow decodes all else. The first frame of an animation counts; EXIF's orientation is
applied; what is transparent is shown on mid-grey, on which black and white both stand out.
"""

import hashlib
import io
import re
import zlib
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from equipoise.core.errors import listing
from equipoise.core.schema import Floats

if TYPE_CHECKING:
    import tensorflow as tf

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")  # Pillow knows more: for EPS it would start Ghostscript
KNOWN = "PNG, JPEG, BMP, GIF, TIFF or WebP"
HEAD = 16  # bytes that tell the format
DEEP_GREY = ("I;16", "I;16B")
MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", *DEEP_GREY}
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PLAIN, WEBP, DEEP, OTHER = WAYS = (0, 1, 2, 3)
BACKGROUND = 128
CURE = "; save it as PNG, of 8 or 16 bits a colour"
BITS = 258  # the tag of a TIFF that says how many a colour has
# For EXIF's orientation (CIPA DC-008, 4.6.5) what brings the image upright, as Pillow names it.
TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


class Examined(NamedTuple):
    """An encoded image that can be decoded.

    Attributes
    ----------
    sha256 : of its bytes
    format : one of `FORMATS`
    way : PLAIN (PNG and JPEG by TensorFlow), WEBP (by TensorFlow), DEEP (16 bits by TensorFlow) or OTHER (by Pillow)
    transparent : whether a part of it is
    animated : whether it has more frames than the one that is read
    """

    sha256: bytes
    format: str
    way: int
    transparent: bool
    animated: bool


def looks_like_an_image(head: bytes) -> bool:
    """Return whether a file that begins with these bytes is of one of the formats, whatever its name.

    A TIFF goes by its name: raw pictures of cameras begin as one, and their first image is a small preview.
    """
    return head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")) or (
        (head[:4] == b"RIFF" and head[8:12] == b"WEBP") or (head[:2] == b"BM" and head[6:10] == bytes(4))
    )


def examine(data: bytes, max_pixels: int) -> Examined | str:
    """Examine an encoded image; return what is wrong with it if it cannot be decoded."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > max_pixels:
                return f"has {image.width} x {image.height} pixels, more than dataset.max_pixels={max_pixels}"
            if image.mode not in MODES:
                return f"has the colour mode {image.mode}, known are {listing(sorted(MODES))}{CURE}"
            if image.format == "TIFF" and (told := _odd_tiff(image)):
                return told
            image.load()
            transparent = _is_transparent(image)
            animated = image.format in ("PNG", "GIF", "WEBP") and bool(getattr(image, "is_animated", False))
            return Examined(
                hashlib.sha256(data).digest(), _format(image), _way(image, data, transparent), transparent, animated
            )
    except UnidentifiedImageError:
        if data.startswith(TIFF):
            return f"cannot be decoded: it is damaged or cut off, or a TIFF of a kind that Pillow does not know{CURE}"
        return f"cannot be decoded: it is no {KNOWN}, or is damaged or cut off"
    except Exception as error:  # whatever a damaged file makes a decoder raise
        return (
            "cannot be decoded: it is cut off"
            if _is_cut_off(data, error)
            else f"cannot be decoded ({type(error).__name__})"
        )


def _odd_tiff(image: Any) -> str:
    """Return why a TIFF is not read: of several pages none is the image, and of 16 bits in colour Pillow keeps 8."""
    pages, bits = getattr(image, "n_frames", 1), max(image.tag_v2.get(BITS, (1,)))
    if pages > 1:
        return f"has {pages} pages, of which none is the image: save each, or the one that is meant, as a file"
    return f"has {bits} bits a colour{CURE}" if bits > 8 and image.mode not in DEEP_GREY else ""


def _is_cut_off(data: bytes, error: Exception) -> bool:
    """Return whether an image was cut off, by the size in a WebP's head, else by Pillow's error."""
    if data.startswith(b"RIFF"):
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    return isinstance(error, OSError) and "truncated" in str(error).lower()


def _format(image: Any) -> str:
    return "JPEG" if image.format == "MPO" else str(image.format)  # an MPO of a camera begins with a JPEG


def _is_transparent(image: Any) -> bool:
    return (
        image.mode not in DEEP_GREY
        and image.has_transparency_data
        and int(image.convert("RGBA").getchannel("A").getextrema()[0]) < 255
    )


def _way(image: Any, data: bytes, transparent: bool) -> int:
    if _orientation(image) in TURNS:
        return OTHER
    if image.format == "PNG" and _is_whole_png(data):
        if data[24] == 16:  # bits a channel
            return DEEP
        return OTHER if transparent else PLAIN
    if _format(image) == "JPEG" and image.mode in ("L", "RGB") and _is_whole_jpeg(data):
        return PLAIN
    return WEBP if image.format == "WEBP" and image.mode == "RGB" and not image.is_animated else OTHER


def _is_whole_png(data: bytes) -> bool:
    """Return whether all chunks to the end are undamaged: TensorFlow refuses damage that Pillow overlooks."""
    start = 8
    while start + 12 <= len(data):
        end = start + 12 + int.from_bytes(data[start : start + 4], "big")
        if zlib.crc32(data[start + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            return False
        if data[start + 4 : start + 8] == b"IEND":
            return True
        start = end
    return False


def _is_whole_jpeg(data: bytes) -> bool:
    """Return whether usual segments follow to the end: TensorFlow refuses damage that Pillow overlooks."""
    start = 2
    while start + 2 <= len(data) and data[start] == 0xFF:
        marker = data[start + 1]
        if marker == 0xD9:
            return True
        if marker not in {0xC0, 0xC1, 0xC2, 0xC4, 0xDA, 0xDB, 0xDD, *range(0xE0, 0xF0), 0xFE}:
            return False
        start += 2 + int.from_bytes(data[start + 2 : start + 4], "big")
        if marker == 0xDA:  # pixels, to the next marker that is no part of them
            found = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]").search(data, start)
            start = found.start() if found else len(data)
    return False


def _orientation(image: Any) -> int:
    """Return EXIF's orientation, 1 to 8; 0 if none can be read."""
    tiff = bytes(image.info.get("exif", b"")).removeprefix(b"Exif\0\0")

    def number(start: int, size: int) -> int:
        return int.from_bytes(tiff[start : start + size], "big" if tiff[:2] == b"MM" else "little")

    first = number(4, 4)
    entries = range(first + 2, min(first + 2 + 12 * number(first, 2), len(tiff)), 12)
    return next((number(entry + 8, 2) for entry in entries if number(entry, 2) == 0x0112), 0)


def pixels(data: bytes, channels: int) -> Floats:
    """Decode an image with Pillow, float32 (height, width, channels) from 0 to 255."""
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        turn = TURNS.get(_orientation(image))
        shown: Any = image
        if image.mode in DEEP_GREY:
            grey = np.asarray(image.transpose(Image.Transpose[turn]) if turn else image, np.float32) / 257
            return np.repeat(grey[..., np.newaxis], channels, axis=-1)
        if image.has_transparency_data:
            shown = Image.new("RGBA", image.size, (BACKGROUND, BACKGROUND, BACKGROUND, 255))
            shown.alpha_composite(image.convert("RGBA"))
        shown = shown.convert("L" if channels == 1 else "RGB")
        shown = shown.transpose(Image.Transpose[turn]) if turn else shown
        return np.asarray(shown, np.float32).reshape(shown.height, shown.width, channels)


def decode(
    data: "tf.Tensor", way: "tf.Tensor | int", shape: tuple[int, int, int], ways: Collection[int] = WAYS
) -> "tf.Tensor":
    """Decode an image that was examined before, float32 (height, width, channels) from 0 to 1.

    Parameters
    ----------
    way : how to decode it, as `examine` says
    ways : those that occur; where all images are plain, no time is lost on others
    """
    import tensorflow as tf

    height, width, channels = shape
    branches = {
        # One operation decodes PNG and JPEG to any number of channels.
        PLAIN: lambda: tf.cast(tf.io.decode_png(data, channels), tf.float32),
        WEBP: lambda: _in_channels(tf.cast(tf.io.decode_webp(data, 3)[0], tf.float32), channels),
        DEEP: lambda: _in_channels(_deep(data), channels),
        OTHER: lambda: tf.numpy_function(lambda encoded: pixels(encoded, channels), [data], tf.float32, stateful=False),
    }
    if set(ways) <= {PLAIN}:
        image = tf.io.decode_png(data, channels)
    else:
        image = tf.switch_case(tf.cast(way, tf.int32), branches)
        image.set_shape((None, None, channels))
    return tf.ensure_shape(tf.image.resize(image, (height, width)) / 255, shape)


def _deep(data: "tf.Tensor") -> "tf.Tensor":
    """Decode a PNG of 16 bits, float32 (height, width, 3) from 0 to 255, with all of its levels."""
    import tensorflow as tf

    found = tf.cast(tf.io.decode_png(data, 4, tf.uint16), tf.float32)
    alpha = found[..., 3:] / 65535
    return found[..., :3] / 257 * alpha + BACKGROUND * (1 - alpha)


def _in_channels(colour: "tf.Tensor", channels: int) -> "tf.Tensor":
    """Return the colours, or one channel of grey with the weights of Pillow (ITU-R BT.601)."""
    import tensorflow as tf

    return colour if channels == 3 else tf.reduce_sum(colour * [0.299, 0.587, 0.114], axis=-1, keepdims=True)
