"""Images of every kind that people have, decoded as they are meant, by whatever decodes them."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from equipoise.data.images.decoding import (
    DEEP,
    OTHER,
    PLAIN,
    WAYS,
    WEBP,
    Examined,
    examine,
    looks_like_an_image,
    pixels,
)

COLOUR = np.array(Image.effect_noise((14, 10), 60).resize((28, 20)))[..., np.newaxis] // np.array([1, 2, 4], np.uint8)
# How a camera that was held so stores a picture whose upright form is COLOUR: EXIF 2.32, figure of Orientation.
TURNED = {
    2: COLOUR[:, ::-1],
    3: COLOUR[::-1, ::-1],
    4: COLOUR[::-1],
    5: COLOUR.transpose(1, 0, 2),
    6: COLOUR.transpose(1, 0, 2)[::-1],
    7: COLOUR.transpose(1, 0, 2)[::-1, ::-1],
    8: COLOUR.transpose(1, 0, 2)[:, ::-1],
}


def encoded(array: Any, kind: str = "png", **options: Any) -> bytes:
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def exif(orientation: int) -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = orientation
    return found


def examined(data: bytes, max_pixels: int = 10_000) -> Examined:
    found = examine(data, max_pixels)
    assert isinstance(found, Examined), found
    return found


def decoded(data: bytes, channels: int = 3) -> np.ndarray:
    """In its own size, from 0 to 255; the same whether it stands among images of its way alone or of others."""
    from equipoise.data.images.decoding import decode

    way = examined(data).way
    height, width, _ = pixels(data, channels).shape
    alone, among = (decode(data, way, (height, width, channels), ways).numpy() for ways in ([way], WAYS))
    np.testing.assert_array_equal(alone, among)
    return alone * 255


def with_alpha(alpha: int) -> np.ndarray:
    return np.dstack([COLOUR, np.full(COLOUR.shape[:2], alpha, np.uint8)])


WHOLE = {
    "png": (encoded(COLOUR), PLAIN),
    "grey png": (encoded(COLOUR[..., 0]), PLAIN),
    "two colours": (encoded(Image.fromarray(COLOUR).convert("1")), PLAIN),
    "palette": (encoded(Image.fromarray(COLOUR).convert("P")), PLAIN),
    "opaque alpha": (encoded(with_alpha(255)), PLAIN),
    "animated png": (encoded(COLOUR, save_all=True, append_images=[Image.new("RGB", (28, 20))]), PLAIN),
    "jpeg": (encoded(COLOUR, "jpeg", quality=95), PLAIN),
    "progressive jpeg": (encoded(COLOUR, "jpeg", quality=95, progressive=True), PLAIN),
    "multi-picture jpeg": (
        encoded(COLOUR, "mpo", quality=95, save_all=True, append_images=[Image.new("RGB", (28, 20))]),
        PLAIN,
    ),
    "webp": (encoded(COLOUR, "webp", lossless=True), WEBP),
    "animated webp": (
        encoded(COLOUR, "webp", lossless=True, save_all=True, append_images=[Image.new("RGB", (28, 20))]),
        OTHER,
    ),
    "bmp": (encoded(COLOUR, "bmp"), OTHER),
    "tiff": (encoded(COLOUR, "tiff"), OTHER),
    "packed tiff": (encoded(COLOUR, "tiff", compression="tiff_lzw"), OTHER),
    "gif": (encoded(Image.fromarray(COLOUR).convert("P"), "gif"), OTHER),
    "animated gif": (
        encoded(Image.fromarray(COLOUR).convert("P"), "gif", save_all=True, append_images=[Image.new("P", (28, 20))]),
        OTHER,
    ),
    "cmyk": (encoded(Image.fromarray(COLOUR).convert("CMYK"), "jpeg", quality=95), OTHER),
    "a png without its end": (encoded(COLOUR)[:-12], OTHER),
    "a jpeg with a marker of no use": (
        encoded(COLOUR, "jpeg", quality=95)[:2] + b"\xff\xdc\x00\x04\x00\x14" + encoded(COLOUR, "jpeg", quality=95)[2:],
        OTHER,
    ),
}


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", WHOLE)
def test_a_picture_is_itself_in_every_format(name: str, channels: int) -> None:
    data, way = WHOLE[name]
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(image.convert("RGB").convert("L" if channels == 1 else "RGB"), np.float32).reshape(
            20, 28, channels
        )
    found = decoded(data, channels)
    lossy = "jpeg" in name or name == "cmyk"
    np.testing.assert_allclose(found, expected, atol=12 if lossy else 1.01 if channels == 1 else 0.01)
    assert examined(data).way == way
    assert examined(data).animated == ("animated" in name)
    assert not examined(data).transparent


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("orientation", TURNED)
def test_a_picture_is_turned_upright(orientation: int) -> None:
    for data in (
        encoded(TURNED[orientation], exif=exif(orientation)),
        encoded(TURNED[orientation], "webp", lossless=True, exif=exif(orientation)),
        encoded(TURNED[orientation], "tiff", tiffinfo={0x0112: orientation}),
    ):
        np.testing.assert_allclose(decoded(data), COLOUR, atol=0.01)
    photo = encoded(TURNED[orientation], "jpeg", quality=95, subsampling=0, exif=exif(orientation))
    np.testing.assert_allclose(
        decoded(photo), COLOUR, atol=20
    )  # what a JPEG loses of noise; turned otherwise it is 100 and more


@pytest.mark.parametrize(
    "tag",
    [b"", b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0" + bytes(40)],
)
@pytest.mark.filterwarnings("ignore:.*orrupt EXIF data")
def test_exif_that_cannot_be_read_turns_nothing(tag: bytes) -> None:
    plain = encoded(COLOUR, "jpeg")
    data = plain[:2] + b"\xff\xe1" + (len(tag) + 2).to_bytes(2, "big") + tag + plain[2:]
    np.testing.assert_array_equal(pixels(data, 3), pixels(plain, 3))
    assert examined(data).way == PLAIN


@pytest.mark.usefixtures("tensorflow")
def test_transparent_pixels_stand_on_mid_grey() -> None:
    half = np.round(COLOUR * 0.4 + 128 * 0.6)
    keyed = Image.fromarray(COLOUR).convert("P")
    keyed.info["transparency"] = keyed.getpixel((0, 0))
    hidden = np.asarray(keyed) == keyed.getpixel((0, 0))
    on_grey = np.where(hidden[..., np.newaxis], 128, np.asarray(keyed.convert("RGB")))
    for data, expected in (
        (encoded(with_alpha(102)), half),
        (encoded(with_alpha(102), "webp", lossless=True), half),
        (encoded(with_alpha(0)), np.full_like(COLOUR, 128)),
        (encoded(keyed, transparency=keyed.info["transparency"]), on_grey),
        (encoded(keyed, "gif", transparency=keyed.info["transparency"]), on_grey),
    ):
        np.testing.assert_allclose(decoded(data), expected, atol=1.01)
        assert examined(data).transparent


@pytest.mark.usefixtures("tensorflow")
def test_sixteen_bits_keep_all_their_levels() -> None:
    """300 to 3,398 of 65,535 were 7 levels when the lower 8 bits were cut off."""
    levels = np.linspace(300, 3398, 24 * 24).astype(np.uint16).reshape(24, 24)
    found = decoded(encoded(levels), 1)[..., 0]
    np.testing.assert_allclose(found, levels / 257, atol=1e-4)
    assert len(np.unique(found)) == len(np.unique(levels))
    assert examined(encoded(levels)).way == DEEP
    np.testing.assert_allclose(pixels(encoded(levels)[:-12], 1)[..., 0], levels / 257, atol=1e-4)  # by Pillow, damaged

    for order in "<>":
        grey = decoded(encoded(levels.astype(f"{order}u2"), "tiff"), 1)[..., 0]
        np.testing.assert_allclose(grey, levels / 257, atol=1e-4)

    colour = b"".join(b"\0" + row.astype(">u2").tobytes() for row in np.dstack([levels, levels * 3, levels * 9]))
    np.testing.assert_allclose(
        decoded(png(colour, 24, 24, bits=16, kind=2)), np.dstack([levels, levels * 3, levels * 9]) / 257, atol=1e-3
    )


def png(rows: bytes, width: int, height: int, *, bits: int, kind: int) -> bytes:
    """A PNG by hand: Pillow writes no 16 bits in colour."""
    import struct
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def deep_tiff() -> bytes:
    """A TIFF by hand, of one pixel in colour, and 16 bits for each."""
    import struct

    # Width, height, bits (at 8), compression, RGB, start (at 14), samples, rows and bytes of the only strip.
    entries = {256: 1, 257: 1, 258: 8, 259: 1, 262: 2, 273: 14, 277: 3, 278: 1, 279: 6}
    tags = b"".join(
        struct.pack("<HHII", tag, 3, 3 if tag == 258 else 1, value) for tag, value in sorted(entries.items())
    )
    pixel = struct.pack("<3H", 16, 16, 16) + struct.pack("<3H", 300, 600, 900)
    return b"II*\0" + struct.pack("<I", 20) + pixel + struct.pack("<H", len(entries)) + tags + bytes(4)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is no PNG, JPEG, BMP, GIF, TIFF or WebP, or is damaged"),
        (b"<html>", "it is no PNG, JPEG, BMP, GIF, TIFF or WebP, or is damaged"),
        (encoded(COLOUR, "tiff", save_all=True, append_images=[Image.fromarray(COLOUR)]), "has 2 pages, of which none"),
        (encoded(COLOUR[..., 0].astype(np.float32), "tiff"), "has the colour mode F, known are"),
        (deep_tiff(), "has 16 bits a colour; save it as PNG, of 8 or 16 bits a colour"),
        (b"II*\0" + bytes(40), "a TIFF of a kind that Pillow does not know; save it as PNG"),
        (encoded(COLOUR)[:300], "cannot be decoded: it is cut off"),
        *((encoded(COLOUR, kind)[:-40], "cannot be decoded: it is cut off") for kind in ("jpeg", "bmp", "gif", "webp")),
        (encoded(COLOUR, "gif")[:100], "or is damaged or cut off"),
        (encoded(COLOUR, "webp")[:20] + bytes(len(encoded(COLOUR, "webp")) - 20), "cannot be decoded (OSError)"),
        (encoded(np.zeros((200, 200), np.uint8)), "has 200 x 200 pixels, more than dataset.max_pixels=10000"),
    ],
)
def test_a_file_that_cannot_be_decoded_is_told_with_the_reason(data: bytes, said: str) -> None:
    found = examine(data, 10_000)
    assert isinstance(found, str)
    assert said in found


def test_the_first_bytes_tell_an_image() -> None:
    for kind in ("png", "jpeg", "bmp", "gif", "webp"):
        assert looks_like_an_image(encoded(COLOUR, kind)[:16]), kind
    for head in (b"", b"RIFF\0\0\0\0WAVE", b"BM is how this text begins", b"{}", encoded(COLOUR, "tiff")[:16]):
        assert not looks_like_an_image(head[:16]), head


@pytest.mark.filterwarnings("ignore:.*orrupt EXIF data")
@pytest.mark.usefixtures("tensorflow")
def test_every_file_that_is_examined_as_sound_can_be_decoded() -> None:
    """Pillow overlooks damage that TensorFlow refuses, such as a PNG without its end, which would end a training."""
    generator = np.random.default_rng(0)
    accepted = 0
    for data, _ in WHOLE.values():
        for _ in range(60):
            broken = bytearray(data)
            for place in generator.integers(0, len(data), generator.integers(1, 4)):
                broken[place] = generator.integers(0, 256)
            cut = bytes(broken[: len(data) - int(generator.integers(0, 30))] if generator.random() < 0.3 else broken)
            if isinstance(found := examine(cut, 10_000), Examined):
                decoded(cut)
                accepted += found.way != OTHER
    assert accepted > 50
