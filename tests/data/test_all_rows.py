"""All rows as training rows: what is learned of them, their order, and what the other splits keep."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from equipoise.data import preprocessing
from equipoise.data.all_rows import all_rows
from equipoise.data.prepare import prepare
from helpers import composed_dataset


def test_arrays_are_scaled_by_all_rows_in_their_order(tmp_path: Path) -> None:
    values, labels = np.random.default_rng(0).normal(5, 3, (60, 4)), np.arange(60) % 2
    np.savez(tmp_path / "a.npz", x=values, y=labels)
    dataset = composed_dataset("dataset=npz", f"dataset.path='{tmp_path}/a.npz'")
    judged, data = prepare(dataset, tmp_path / "cache"), all_rows(dataset, tmp_path / "cache")
    train = data.split("train")
    np.testing.assert_allclose(train.features, (values - values.mean(axis=0)) / values.std(axis=0), rtol=1e-5)
    assert train.labels.tolist() == labels.tolist()
    assert (train.rows.tolist(), data.counts.tolist()) == (list(range(60)), [30, 30])  # type: ignore[union-attr]
    assert data.notes == (), "no row leaks that is meant to be in two splits"
    for name in ("validation", "test"):
        rows = judged.split(name).rows
        np.testing.assert_array_equal(data.split(name).rows, rows)
        np.testing.assert_array_equal(data.split(name).features, train.features[rows])
    assert judged.counts.sum() < 60, "the data to judge by stay as they are"
    assert prepare(dataset, tmp_path / "cache").data_sha256 == judged.data_sha256 != data.data_sha256


def test_categories_are_learned_from_all_rows(tmp_path: Path) -> None:
    """A word that stands in one test row alone has no column in training, and one afterwards."""
    frame = pd.DataFrame({"word": ["a", "b"] * 30, "y": ["p", "q", "q"] * 20})
    dataset = composed_dataset("dataset=csv", f"dataset.path='{tmp_path}/t.csv'", "dataset.target=y")
    frame.to_csv(tmp_path / "t.csv", index=False)
    row = int(prepare(dataset, tmp_path / "cache").split("test").rows[0])  # type: ignore[index]
    frame.loc[row, "word"] = "c"
    frame.to_csv(tmp_path / "t.csv", index=False)
    judged, data = prepare(dataset, tmp_path / "cache"), all_rows(dataset, tmp_path / "cache")
    assert row in judged.split("test").rows  # type: ignore[operator]
    said = preprocessing.read(judged.folder).unknown(frame[["word"]])
    assert [place for place, note in enumerate(said) if note] == [row]
    assert not any(preprocessing.read(data.folder).unknown(frame[["word"]]))
    assert data.shape[0] == judged.shape[0] + 1


def test_a_file_that_is_no_image_is_left_out_once(tmp_path: Path) -> None:
    for index in range(40):
        folder = tmp_path / "images" / "xy"[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4), index, np.uint8)).save(folder / f"{index:02}.png")
    (tmp_path / "images" / "x" / "bad.png").write_text("no image")
    words = ["dataset.image_size=[4,4]", "dataset.channels=1", "dataset.on_bad_file=skip"]
    dataset = composed_dataset("dataset=image_directory", f"dataset.path='{tmp_path}/images'", *words)
    judged, data = prepare(dataset, tmp_path / "cache"), all_rows(dataset, tmp_path / "cache")
    paths = [path.decode() for path in data.split("train").features.paths]
    assert sorted(paths) == sorted(f"{'xy'[index % 2]}/{index:02}.png" for index in range(40))
    assert data.counts.tolist() == [20, 20]
    assert judged.split("test").features.paths.tolist() == data.split("test").features.paths.tolist()


@pytest.mark.parametrize("labels", ["sparse", "binary"])
def test_data_that_come_in_splits_are_joined_split_after_split(labels: str, tmp_path: Path) -> None:
    """With a single logit the class that was rarer in the first training stays the positive one."""
    words = ["dataset.class_counts=[20,30]", "dataset.test_per_class=40", "dataset.validation_per_class=9"]
    dataset = composed_dataset("dataset=synthetic", *words, f"dataset.labels={labels}")
    judged, data = prepare(dataset, tmp_path / "cache"), all_rows(dataset, tmp_path / "cache")
    assert data.classes == judged.classes == (("0", "1") if labels == "sparse" else ("1", "0"))
    assert data.counts.tolist() == (judged.counts + 49).tolist()
    for kind in ("features", "labels"):
        parts = [np.asarray(getattr(judged.split(name), kind)) for name in ("train", "validation", "test")]
        np.testing.assert_array_equal(getattr(data.split("train"), kind), np.concatenate(parts))
