"""Folders of images, listed, divided, prepared and streamed."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_files import folder_of, prepared
from equipoise.data.images.dataset import examined_file
from equipoise.data.prepare import survey_anew, surveyed
from helpers import composed_dataset


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three classes in every format, grey and colour, of many sizes."""
    generator = np.random.default_rng(0)
    root = tmp_path / "my pictures"
    for name, count in (("apple", 24), ("größe", 16), ("zebra", 8)):
        (root / name).mkdir(parents=True)
        for index in range(count):
            mode = ("L", "RGB", "RGBA", "P")[index // 4 % 4]
            kind = ("png", "jpg", "bmp", "webp", "gif")[index % 5]
            image = Image.fromarray(generator.integers(0, 255, (14 + index % 3, 20, 3), dtype=np.uint8)).convert(mode)
            image = image if kind == "png" or mode in ("L", "RGB") else image.convert("RGB")
            image.save(root / name / f"{index}.{kind}")
    (root / ".hidden").mkdir()
    (root / "apple" / "notes.txt").write_text("no image")
    return root


def test_images_are_listed_by_folder_and_digested_by_content(pictures: Path, tmp_path: Path) -> None:
    data = prepared(tmp_path / "cache", *folder_of(pictures))
    assert data.classes == ("apple", "größe", "zebra")
    assert sum(len(data.split(name).labels) for name in ("train", "validation", "test")) == 48
    assert data.shape == (12, 16, 3)
    (pictures / "zebra" / "0.png").touch()
    survey_anew()
    again = prepared(tmp_path / "cache", *folder_of(pictures))
    assert again.folder != data.folder, "a file was written to"
    assert again.data_sha256 == data.data_sha256, "but holds what it held"


@pytest.mark.usefixtures("tensorflow")
def test_images_are_streamed_with_their_labels(pictures: Path, tmp_path: Path) -> None:
    import tensorflow as tf

    from equipoise.data import preprocessing
    from equipoise.data.feed import Epochs, feature_batches

    data = prepared(tmp_path / "cache", *folder_of(pictures))
    train = data.split("train")
    assert len(set(train.features.ways.tolist())) == 3, "PNG and JPEG, WebP, and the others"
    one_by_one = preprocessing.read(data.folder).apply(
        [(pictures / path.decode()).read_bytes() for path in train.features.paths]
    )
    np.testing.assert_array_equal(np.concatenate(list(feature_batches(train.features, 7))), one_by_one)
    epoch = tf.Variable(0, dtype=tf.int64)
    batches = Epochs(train, 3, "one_hot", 0, epoch).batches(8)
    features, labels = (
        np.concatenate(parts) for parts in zip(*((f.numpy(), y.numpy()) for f, y in batches), strict=True)
    )
    rows = [int(np.flatnonzero((one_by_one == feature).all(axis=(1, 2, 3)))[0]) for feature in features]
    assert sorted(rows) == list(range(len(train.labels)))
    np.testing.assert_array_equal(labels.argmax(axis=1), train.labels[rows])
    assert len(train.features[np.array([1, 3])]) == 2


def test_listing_and_splitting_hold_less_than_300_bytes_a_file(tmp_path: Path) -> None:
    import tracemalloc

    count = 20_000
    for name in ("a", "b"):
        (tmp_path / "many" / name).mkdir(parents=True)
        Image.new("L", (4, 4)).save(tmp_path / f"{name}.png")
        for index in range(count // 2):
            os.link(tmp_path / f"{name}.png", tmp_path / "many" / name / f"n01440764_{index:08d}.png")
    dataset = composed_dataset(*folder_of(tmp_path / "many"))
    surveyed(composed_dataset(*folder_of(tmp_path / "many", "dataset.channels=1")))  # what is imported and kept once
    tracemalloc.start()
    source = surveyed(dataset)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert source.counts.sum() == 0.7 * count
    assert peak / count < 300


def test_bad_files_are_left_out_if_asked(pictures: Path, tmp_path: Path) -> None:
    (pictures / "apple" / "broken.png").write_bytes((pictures / "apple" / "0.png").read_bytes()[:60])
    (pictures / "apple" / "empty.jpg").touch()
    data = prepared(tmp_path / "cache", *folder_of(pictures, "dataset.on_bad_file=skip"))
    assert any("2 files left out" in note and "broken.png" in note for note in data.notes)
    assert sum(len(data.split(name).labels) for name in ("train", "validation", "test")) == 48


def test_an_image_that_was_changed_after_it_was_listed_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(bytes(200))
    for name, said in (
        (b"none.png", "is no file any more"),
        (b"a.png", "has 200 bytes, more than an image of dataset.max_pixels=9 can need"),
        (b"x" * 300, "cannot be read (File name too long)"),
    ):
        assert examined_file(tmp_path, name, 9) == said


def test_folders_may_give_the_splits(pictures: Path, tmp_path: Path) -> None:
    root = tmp_path / "given"
    for split in ("train", "val", "test"):
        shutil.copytree(pictures, root / split)
    data = prepared(tmp_path / "cache", *folder_of(root))
    assert [len(data.split(name).labels) for name in ("train", "validation", "test")] == [48, 48, 48]
    assert any("leakage: 48 of 48 test samples" in note for note in data.notes)
