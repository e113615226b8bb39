"""Shards: what is written is what is trained on, to the bit; and shards that are not what was written are refused."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from equipoise.commands.shards import shard
from equipoise.config.checked import compose_dataset
from equipoise.core.errors import ConfigError
from equipoise.data.paths import digest_of
from equipoise.data.prepare import prepare, survey_anew
from equipoise.data.prepared import Prepared

pytestmark = [pytest.mark.usefixtures("tensorflow"), pytest.mark.slow]

DIGITS = ["dataset=digits_lt", "dataset.test_per_class=20"]


def sharded(data: Prepared, folder: Path, shards: int) -> Prepared:
    from equipoise.data.write_shards import write_shards

    write_shards(data, folder, shards)
    return prepare(compose_dataset(["dataset=tfrecord", f"dataset.path='{folder}'"]), folder.parent / "cache")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(compose_dataset(DIGITS), tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def shards(digits: Prepared) -> Prepared:
    return sharded(digits, digits.folder.parent / "digits in shards", 4)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    root, generator = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for name, count in (("apple", 24), ("größe", 14)):
        (root / "images" / name).mkdir(parents=True)
        for index in range(count):
            image = Image.fromarray(generator.integers(0, 255, (9, 9, 4), dtype=np.uint8))
            file = root / "images" / name / f"{index}.{('png', 'jpg', 'webp')[index % 3]}"
            image.convert("RGB" if index % 2 or index % 3 else "RGBA").save(file)
    return prepare(
        compose_dataset(["dataset=image_directory", f"dataset.path='{root / 'images'}'", "dataset.image_size=[8,8]"]),
        root,
    )


def test_shards_hold_the_data_that_they_were_written_from(digits: Prepared, shards: Prepared) -> None:
    assert shards.data_sha256 == digits.data_sha256
    assert (shards.classes, shards.shape, shards.counts.tolist()) == (
        digits.classes,
        digits.shape,
        digits.counts.tolist(),
    )
    for name in ("train", "validation", "test"):
        ours, theirs = shards.split(name), digits.split(name)
        np.testing.assert_array_equal(np.asarray(ours.features), theirs.features)
        np.testing.assert_array_equal(ours.features[np.array([5, 0, 5])], theirs.features[[5, 0, 5]])
        np.testing.assert_array_equal(ours.labels, theirs.labels)
    assert not list(shards.folder.glob("*_features.npy")), "nothing is copied out of them"


def test_tensorflow_reads_them_as_examples(digits: Prepared, shards: Prepared) -> None:
    import tensorflow as tf

    files = sorted((digits.folder.parent / "digits in shards").glob("train-*.tfrecord"))
    layout = {"features": tf.io.FixedLenFeature((), tf.string), "label": tf.io.FixedLenFeature((), tf.int64)}
    train = digits.split("train")
    for number, file in enumerate(files):
        for row, record in enumerate(tf.data.TFRecordDataset(str(file))):
            found = tf.io.parse_single_example(record, layout)
            np.testing.assert_array_equal(
                tf.io.decode_raw(found["features"], tf.float32), train.features[number + 4 * row].ravel()
            )
            assert found["label"] == train.labels[number + 4 * row]


def weights_sha256(data: Prepared, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> str:
    from equipoise.data import feed
    from equipoise.methods.weighting import class_weights
    from equipoise.training import fit
    from equipoise.training.graph import Compiled
    from helpers import composed

    monkeypatch.setattr(feed, "MOST_RESIDENT_BYTES", 0)
    config = composed(*DIGITS, "model=mlp", "model.hidden=[8]", "trainer.epochs=2", "weighting=balanced", *overrides)
    built = Compiled(config, data)
    fit.fit(built, config, data, class_weights(config.weighting, data.counts, data.classes), lambda *_: None)
    return fit.weights_sha256(built.model)


@pytest.mark.parametrize("sampling", ["none", "class_balanced"])
def test_the_same_bits_are_trained_from_shards(
    digits: Prepared, shards: Prepared, sampling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = {weights_sha256(data, monkeypatch, f"dataset.sampling={sampling}") for data in (digits, shards)}
    assert len(digests) == 1


def test_images_stay_encoded_and_are_decoded_alike(pictures: Prepared, tmp_path: Path) -> None:
    from equipoise.data.feed import feature_batches

    found = sharded(pictures, tmp_path / "shards", 3)
    assert len(set(found.split("train").features.ways.tolist())) == 3, "of all kinds"
    assert found.data_sha256 == pictures.data_sha256
    assert sum(file.stat().st_size for file in (tmp_path / "shards").glob("*.tfrecord")) < 38 * 600
    ours, theirs = (np.concatenate(list(feature_batches(data.split("train").features))) for data in (found, pictures))
    np.testing.assert_array_equal(ours, theirs)


def change(folder: Path, **values: Any) -> None:
    metadata = json.loads((folder / "metadata.json").read_text())
    (folder / "metadata.json").write_text(json.dumps({**metadata, **values}))


def change_index(folder: Path, changed: Callable[[dict[str, Any]], object]) -> None:
    """Another index, whose size and digest the metadata state rightly."""
    with np.load(folder / "index.npz") as archive:
        arrays = dict(archive)
    changed(arrays)
    np.savez(folder / "index.npz", **arrays)
    metadata = json.loads((folder / "metadata.json").read_text())
    file = folder / "index.npz"
    change(folder, files={**metadata["files"], "index.npz": [file.stat().st_size, digest_of(file)]})


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


SHARD = "train-00001-of-00004.tfrecord"
BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "no metadata": (
        lambda folder: (folder / "metadata.json").unlink(),
        "holds no metadata.json: shards are written by python src/shards.py",
    ),
    "text as metadata": (lambda folder: (folder / "metadata.json").write_text("{"), "metadata.json is damaged"),
    "another kind": (lambda folder: change(folder, kind="other"), "metadata.json is damaged, or of another version"),
    "other classes": (lambda folder: change(folder, classes=["a", "b"]), "index.npz does not fit the shards"),
    "a class twice": (lambda folder: change(folder, classes=["a", *"012345678"[1:], "a"]), "contradicts itself"),
    "another shape": (lambda folder: change(folder, shape=[8, 8, 3]), "index.npz does not fit the shards"),
    "a huge shape": (lambda folder: change(folder, shape=[2**20, 2**20, 2**24]), "index.npz does not fit the shards"),
    "more shards than files": (lambda folder: change(folder, shards=5), "contradicts itself"),
    "a missing shard": (lambda folder: (folder / SHARD).unlink(), f"{SHARD} is missing"),
    "a truncated shard": (
        lambda folder: os.truncate(folder / SHARD, 1000),
        f"{SHARD} has 1000 bytes, and was written with",
    ),
    "a flipped bit": (lambda folder: flip(folder / SHARD), f"{SHARD} is not what was written: its digest is another"),
    "a flipped bit in the index": (lambda folder: flip(folder / "index.npz"), "index.npz is"),
    "an index of text": (
        lambda folder: (folder / "index.npz").write_text("x" * (folder / "index.npz").stat().st_size),
        "index.npz is damaged",
    ),
    "a place outside": (
        lambda folder: change_index(folder, lambda arrays: arrays["train_places"].__setitem__((3, 1), 2**62)),
        "does not fit the shards",
    ),
    "a place before": (
        lambda folder: change_index(folder, lambda arrays: arrays["test_places"].__setitem__((0, 1), -1)),
        "does not fit the shards",
    ),
    "a shard too many": (
        lambda folder: change_index(folder, lambda arrays: arrays["train_places"].__setitem__((0, 0), 4)),
        "does not fit the shards",
    ),
    "a label outside": (
        lambda folder: change_index(folder, lambda arrays: arrays["train_labels"].__setitem__(0, 10)),
        "does not fit the shards",
    ),
    "pickled objects": (
        lambda folder: change_index(folder, lambda arrays: arrays.update(train_labels=np.array([{}], object))),
        "index.npz is damaged",
    ),
    "a missing array": (
        lambda folder: change_index(folder, lambda arrays: arrays.pop("test_labels")),
        "index.npz is damaged (KeyError)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_shards_that_are_not_what_was_written_are_refused(name: str, shards: Prepared, tmp_path: Path) -> None:
    shutil.copytree(str(shards.shard_root), tmp_path / "shards")
    make, message = BAD[name]
    make(tmp_path / "shards")
    survey_anew()
    with pytest.raises(ConfigError) as caught:
        prepare(compose_dataset(["dataset=tfrecord", f"dataset.path='{tmp_path}/shards'"]), tmp_path / "cache")
    assert message in str(caught.value)
    assert list((tmp_path / "cache").glob("*")) == []


def test_data_that_cannot_be_written_as_shards_are_refused(digits: Prepared, tmp_path: Path) -> None:
    from equipoise.data.write_shards import write_shards

    with pytest.raises(
        ConfigError, match=r"shards=500: must be at least 1, and at most the 200 samples of the validation split"
    ):
        write_shards(digits, tmp_path / "out", 500)
    with pytest.raises(ConfigError, match="is there already"):
        write_shards(digits, tmp_path, 2)
    assert list(tmp_path.iterdir()) == []
    table = tmp_path / "table.csv"
    table.write_text("x,y,z\n" + "".join(f"{i},{i % 2},{i % 3 // 2}\n" for i in range(30)))
    with pytest.raises(ConfigError, match=r"table.csv/out cannot be written: (File exists|Not a directory)"):
        write_shards(digits, table / "out", 2)
    several = prepare(
        compose_dataset(["dataset=multilabel", f"dataset.path='{table}'", "dataset.targets=[y,z]"]), tmp_path / "cache"
    )
    with pytest.raises(ConfigError, match="shards hold one class for each sample"):
        write_shards(several, tmp_path / "out", 2)
    with pytest.raises(ConfigError, match="output is not set: name the folder"):
        shard(["dataset=digits_lt"])


def test_shards_damaged_after_preparation_are_told(shards: Prepared, tmp_path: Path) -> None:
    shutil.copytree(str(shards.shard_root), tmp_path / "shards")
    data = prepare(compose_dataset(["dataset=tfrecord", f"dataset.path='{tmp_path}/shards'"]), tmp_path / "cache")
    os.truncate(tmp_path / "shards" / SHARD, 1000)
    with pytest.raises(OSError, match=f"{SHARD} was cut off after it was prepared"):
        np.asarray(data.split("train").features)
    np.save(data.folder / "test_places.npy", np.zeros((500, 2), np.int64))
    with pytest.raises(ConfigError, match="was prepared by another version"):
        data.split("test")
