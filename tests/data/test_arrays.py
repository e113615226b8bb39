"""Arrays and series as people save them: any offset, order and split, and what is padded has no part in the scale."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_files import write
from equipoise.core.errors import ConfigError
from equipoise.data import preprocessing
from equipoise.data.arrays import npz_files
from equipoise.data.arrays.scaled import SeriesPreprocessing
from equipoise.data.arrays.ts_files import read_ts
from equipoise.data.prepare import prepare, survey_anew
from equipoise.data.prepared import Prepared
from helpers import composed_dataset

SPLITS = ("train", "validation", "test")


def prepared(folder: Path, kind: str, *more: str) -> Prepared:
    return prepare(composed_dataset(f"dataset={kind}", *more), folder / "cache")


def from_npz(folder: Path, *more: str, **arrays: Any) -> Prepared:
    np.savez(folder / "a.npz", **arrays)
    return prepared(folder, "npz", f"dataset.path='{folder}/a.npz'", *more)


def rows_of(data: Prepared) -> np.ndarray:
    return np.concatenate([data.split(name).features for name in SPLITS])


@pytest.mark.parametrize(("offset", "spread"), [(1e9, 1.37), (1.7e12, 1373.0), (-4e6, 1e-3), (0, 1e-12), (0, 1e30)])
def test_whatever_the_offset_training_features_have_a_deviation_of_one(
    offset: float, spread: float, tmp_path: Path
) -> None:
    """E[x²] − E[x]² gave 1.36 and 1358 for the first two."""
    x = offset + spread * np.random.default_rng(0).standard_normal((300, 2))
    train = from_npz(tmp_path, x=x, y=np.arange(300) % 3).split("train").features
    np.testing.assert_allclose(train.std(axis=0), 1, rtol=1e-3)
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-4)


def test_a_feature_that_is_constant_in_training_stays_small(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((300, 2))
    x[:, 1] = 14.62
    x[::7, 1] = np.nextafter(14.62, 15)
    assert abs(rows_of(from_npz(tmp_path, x=x, y=np.arange(300) % 3))[:, 1]).max() < 1e-12


def test_constant_features_are_told_as_for_tables(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((90, 8))
    x[:, 1] = 14.62

    def told(x: np.ndarray, kind: str = "npz") -> list[str]:
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}.npz"
        np.savez(file, x=x, y=np.arange(90) % 3)
        return [
            note.removeprefix(f"'x' of {file}: ")
            for note in prepared(tmp_path, kind, f"dataset.path='{file}'").notes
            if "constant" in note
        ]

    assert told(x) == ["feature 1 is constant in the training rows (14.62), so that nothing is learned of it"]
    assert told(x, kind="series") == [], "its one channel has several values"
    assert told(x.reshape(90, 4, 2)) == []
    x[:, [0, 2, 3, 4, 5]] = 7
    assert told(x) == [
        "6 of 8 features are constant in the training rows (0, 1, 2, 3, 4 and 1 more), "
        "so that nothing is learned of them"
    ]
    x = x.reshape(90, 4, 2)
    x[..., 1] = -3
    assert told(x) == ["channel 1 is constant in the training rows (-3), so that nothing is learned of it"]


def test_a_test_split_far_outside_the_training_range_is_told(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((90, 4))
    part = np.repeat(["train", "Val", "testing"], [60, 15, 15])
    x[75:78, 2] += 1000
    data = from_npz(tmp_path, "dataset.split=part", x=x, y=np.arange(90) % 3, part=part)
    assert [note for note in data.notes if "deviations" in note] == [
        f"'x' of {tmp_path}/a.npz: 3 of 15 test samples lie more than 10 deviations outside the training range"
    ]
    x[75:78, 2] -= 1000
    np.savez(tmp_path / "b.npz", x=x, y=np.arange(90) % 3, part=part)
    assert not any(
        "deviations" in note
        for note in prepared(tmp_path, "npz", f"dataset.path='{tmp_path}/b.npz'", "dataset.split=part").notes
    )


@pytest.mark.parametrize("kind", ["F", ">f8", "<f2", ">i2", "u1"])
def test_order_and_type_of_an_array_change_nothing(kind: str, tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 200, (60, 3, 2)).astype(np.float64)
    expected = rows_of(from_npz(tmp_path, x=x, y=np.arange(60) % 3))
    other = np.asfortranarray(x) if kind == "F" else x.astype(kind)
    np.savez_compressed(tmp_path / "b.npz", x=other, y=np.arange(60) % 3)
    np.testing.assert_array_equal(rows_of(prepared(tmp_path, "npz", f"dataset.path='{tmp_path}/b.npz'")), expected)


def test_splits_may_be_arrays_of_their_own(tmp_path: Path) -> None:
    x = np.arange(300.0).reshape(100, 3)
    parts = {
        "x_train": x[:60],
        "x_val": x[60:80],
        "x_test": x[80:],
        "y_train": np.arange(60) % 3,
        "y_val": np.arange(20) % 3,
        "y_test": np.arange(20) % 3,
    }
    named = [
        "dataset.features=x_train",
        "dataset.target=y_train",
        "dataset.test_features=x_test",
        "dataset.test_target=y_test",
        "dataset.scale=none",
    ]
    given = from_npz(tmp_path, *named, "dataset.validation_features=x_val", "dataset.validation_target=y_val", **parts)
    for split, own in (("train", x[:60]), ("validation", x[60:80]), ("test", x[80:])):
        np.testing.assert_array_equal(given.split(split).features, own)
        np.testing.assert_array_equal(given.split(split).rows, np.arange(len(own)))
    cut = prepared(tmp_path, "npz", f"dataset.path='{tmp_path}/a.npz'", *named)
    np.testing.assert_array_equal(cut.split("test").features, x[80:])
    assert sum(len(cut.split(name).labels) for name in ("train", "validation")) == 60
    assert any("the data name no validation split: it is cut from train" in note for note in cut.notes)
    typed = " ".join(part if part != "dataset.scale=none" else "" for part in named).split()
    cure = " ".join([*typed[:2], "dataset.validation_features=x_val dataset.validation_target=y_val", *typed[2:]])
    assert f"{tmp_path}/a.npz holds more arrays, which are not read: x_val, y_val; to read them: {cure}" in cut.notes


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"),  # Keras
        ("X_train", "y_train", "X_test", "y_test"),
        ("train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels"),  # MedMNIST
    ],
)
def test_arrays_that_are_named_as_splits_are_told_in_words_that_can_be_typed(
    names: tuple[str, ...], tmp_path: Path
) -> None:
    images = np.random.default_rng(0).integers(0, 255, (150, 4, 4)).astype(np.uint8)
    parts = {"train": slice(0, 110), "val": slice(110, 130), "test": slice(130, 150)}
    arrays = {
        name: (np.arange(150) % 3 if "y" in name or "label" in name else images)[
            next(parts[word] for word in parts if word in name)
        ]
        for name in names
    }
    with pytest.raises(ConfigError, match="has no such array; it has arrays for each split: ") as error:
        from_npz(tmp_path, **arrays)
    typed = str(error.value).rsplit(": ", 1)[1].split()
    data = prepared(tmp_path, "npz", f"dataset.path='{tmp_path}/a.npz'", *typed)
    assert len(typed) == len(names)
    assert len(data.split("test").labels) == 20
    assert not any("not read" in note for note in data.notes)


def test_pickled_features_are_told_apart_from_labels(tmp_path: Path) -> None:
    unequal = np.array([np.zeros(3 + i % 2) for i in range(9)], dtype=object)
    with pytest.raises(ConfigError, match=r"as a .ts file, np.savez\(…, x=x.astype\(float\)\)"):
        from_npz(tmp_path, x=unequal, y=np.arange(9) % 3)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [(["a", "b", "ö"], ["a", "b", "ö"]), (["a", None, "b"], ["a", "None", "b"]), ([1, 2, 2.0], [1.0, 2.0, 2.0])],
    ids=str,
)
def test_pickled_labels_are_never_read_and_the_cure_works_as_it_is_typed(
    labels: list[Any], expected: list[Any], tmp_path: Path
) -> None:
    file = tmp_path / "it's here.npz"
    np.savez(file, x=np.random.default_rng(0).standard_normal((60, 2)), y=np.array(labels * 20, dtype=object))
    with pytest.raises(
        ConfigError, match="the array 'y' holds pickled objects, which could run code when loaded, and are never read"
    ) as error:
        prepared(tmp_path, "npz", f'dataset.path="{file}"')
    command = str(error.value).splitlines()[1].strip()
    assert command.startswith("python -c ")
    subprocess.run(["bash", "-c", f"{sys.executable} {command.removeprefix('python ')}"], check=True)
    with np.load(file, allow_pickle=False) as found:
        assert found["y"].tolist() == expected * 20


def ts(folder: Path, offset: float) -> tuple[Path, list[np.ndarray]]:
    generator = np.random.default_rng(0)
    samples = [offset + generator.normal(0, 1, (2, 20 + 40 * (i % 3))).round(3) for i in range(60)]
    lines = "".join(
        ":".join(",".join(str(value) for value in channel) for channel in sample) + f":{'ab'[i % 2]}\n"
        for i, sample in enumerate(samples)
    )
    (folder / "t.ts").write_text("@equalLength false\n@classLabel true a b\n@data\n" + lines)
    return folder / "t.ts", samples


@pytest.mark.parametrize("offset", [0.0, 100.0, 1e9])
def test_padding_has_no_part_in_the_scale_and_is_zero_after_it(offset: float, tmp_path: Path) -> None:
    """With the padding in it the same signal plus 100 lost its shape, and a network its accuracy: 0.333 for 1.000."""
    file, samples = ts(tmp_path, offset)
    data = prepared(tmp_path, "series", f"dataset.path='{file}'", "dataset.unequal=pad")
    assert data.shape == (100, 3)
    train = data.split("train")
    there = train.features[..., 2] > 0
    values = np.concatenate([samples[row] for row in train.rows], axis=1)
    np.testing.assert_array_equal(np.unique(train.features[..., 2]), [0, 1])
    np.testing.assert_array_equal(train.features[~there], 0)
    np.testing.assert_allclose(train.features[there][:, :2].std(axis=0), 1, rtol=1e-3)
    first = samples[int(train.rows[0])]
    expected = (first - values.mean(axis=1, keepdims=True)) / values.std(axis=1, keepdims=True)
    np.testing.assert_allclose(train.features[0, : first.shape[1], :2], expected.T, rtol=1e-3, atol=1e-4)


def test_raw_series_are_made_the_same_features_by_the_record(tmp_path: Path) -> None:
    file, samples = ts(tmp_path, 100)
    data = prepared(tmp_path, "series", f"dataset.path='{file}'", "dataset.unequal=pad")
    learned = preprocessing.read(data.folder)
    assert isinstance(learned, SeriesPreprocessing)
    for split in SPLITS:
        rows = data.split(split).rows
        assert rows is not None
        found = learned.apply([samples[row] for row in rows])
        assert found.tobytes() == np.ascontiguousarray(data.split(split).features).tobytes()
    with pytest.raises(ConfigError, match="series 0 has 2 channels of 101 steps; possible are 2 of up to 100"):
        learned.apply([np.zeros((2, 101))])
    with pytest.raises(ConfigError, match="series 1 has 1 channel of 5 steps"):
        learned.apply([np.zeros((2, 5)), np.zeros((1, 5))])


def test_a_ts_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    file, _ = ts(tmp_path, 0)
    file.write_text("\ufeff" + file.read_text())
    assert prepared(tmp_path, "series", f"dataset.path='{file}'", "dataset.unequal=pad").shape == (100, 3)


def test_npz_is_scaled_by_its_training_rows(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    x, y = generator.normal(3, 2, (90, 4)), np.repeat(["a", "b", "c"], 30)
    split = np.where(np.arange(90) % 5 == 0, "test", np.where(np.arange(90) % 5 == 1, "validation", "train"))
    np.savez_compressed(tmp_path / "a.npz", x=x, y=y, split=split)
    data = prepared(tmp_path, "npz", f"dataset.path='{tmp_path}/a.npz'", "dataset.split=split")
    train = x[split == "train"]
    np.testing.assert_allclose(
        data.split("test").features,
        (x[split == "test"] - train.mean(axis=0)) / train.std(axis=0),
        rtol=1e-4,
        atol=1e-5,
    )
    assert data.classes == ("a", "b", "c")


def test_labels_in_columns_of_bytes_or_of_numbers_with_a_point(tmp_path: Path) -> None:
    words = np.array(["train", "validation", "test"] * 10)[:, np.newaxis]
    for y, classes in ((np.array([b"a", "ö".encode()] * 15), ("a", "ö")), (np.arange(30.0) % 2, ("0", "1"))):
        np.savez(
            tmp_path / f"{classes[0]}.npz",
            x=np.zeros((30, 2)),
            y=y[:, np.newaxis],
            g=np.arange(30)[:, np.newaxis] // 3,
            s=words,
        )
        overrides = [f"dataset.path='{tmp_path}/{classes[0]}.npz'", "dataset.scale=none"]
        assert prepared(tmp_path, "npz", *overrides, "dataset.split=s").classes == classes
        grouped = prepared(tmp_path, "npz", *overrides, "dataset.group=g")
        for split in SPLITS:
            rows = grouped.split(split).rows
            assert rows is not None
            assert (np.unique(rows // 3, return_counts=True)[1] == 3).all(), (
                "the three samples of a group stay together"
            )


@pytest.mark.parametrize("compressed", [True, False])
def test_blocks_read_what_numpy_reads(compressed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz_files, "BLOCK_BYTES", 500)
    x = np.arange(400, dtype=np.int16).reshape(50, 2, 4)
    (np.savez_compressed if compressed else np.savez)(tmp_path / "a.npz", x=x)
    found = list(npz_files.blocks(tmp_path / "a.npz", "x"))
    assert len(found) > 1
    np.testing.assert_array_equal(np.concatenate([block for _, block in found]), x)
    assert [start for start, _ in found] == np.cumsum([0, *(len(block) for _, block in found)])[:-1].tolist()


def test_ts_files(tmp_path: Path) -> None:
    text = (
        "# made by hand\n@problemName two\n@univariate false\n@classLabel true a b\n@data\n1,2,3:4,5,6:a\n7,8:9,10:b\n"
    )
    samples, labels = read_ts(write(tmp_path / "t.ts", text))
    assert [sample.tolist() for sample in samples] == [[[1, 2, 3], [4, 5, 6]], [[7, 8], [9, 10]]]
    assert labels == ["a", "b"]


def test_series_of_unequal_length_are_padded_with_a_mask(tmp_path: Path) -> None:
    lines = "".join(f"{','.join(str(j + i) for j in range(3 + i % 2))}:{'ab'[i % 2]}\n" for i in range(40))
    file = write(tmp_path / "t.ts", "@classLabel true a b\n@data\n" + lines)
    data = prepared(tmp_path, "series", f"dataset.path='{file}'", "dataset.unequal=pad", "dataset.scale=none")
    assert data.shape == (4, 2)
    features, labels = data.split("train").features, data.split("train").labels
    np.testing.assert_array_equal(features[..., 1].sum(axis=1), np.where(labels == 0, 3, 4))
    assert (features[labels == 0][:, 3, 0] == 0).all()


def test_a_test_file_of_series(tmp_path: Path) -> None:
    text = "@classLabel true a b\n@data\n" + "".join(f"{i},1,2:{'ab'[i % 2]}\n" for i in range(20))
    train, test = write(tmp_path / "x_TRAIN.ts", text), write(tmp_path / "x_TEST.ts", text.replace(",1,", ",3,"))
    files = (f"dataset.path='{train}'", f"dataset.test_path='{test}'")
    found = prepared(tmp_path, "series", *files, "dataset.scale=none").split("test")
    assert found.features[..., 0].tolist() == [[number, 3, 2] for number in range(20)]
    assert found.labels.tolist() == [0, 1] * 10


def test_series_without_labels_are_read_where_none_are_needed(tmp_path: Path) -> None:
    from equipoise.data.arrays.ts_files import read_ts

    file = write(tmp_path / "t.ts", "@classLabel false\n@data\n1,2,3:4,5,6\n7,8:9,10\n")
    samples, labels = read_ts(file, needs_labels=False)
    assert [sample.tolist() for sample in samples] == [[[1, 2, 3], [4, 5, 6]], [[7, 8], [9, 10]]]
    assert labels == ["", ""]
    with pytest.raises(ConfigError, match=r"has no class labels"):
        read_ts(file)


def test_npy_files_are_what_an_npz_of_them_is(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(240, 3, 2)), np.array(["a", "b", "c"])[np.arange(240) % 3]
    more = {"part": generator.choice(["train", "val", "test"], 240), "w": generator.random(240) + 0.5}
    words = ("dataset.split=part", "dataset.weight=w")
    expected = from_npz(tmp_path, *words, x=x, y=y, **more)
    for name, array in {"x": np.asfortranarray(x), "y": y, **more}.items():
        np.save(tmp_path / f"{name}.npy", array)
    pair = (f"dataset.path='{tmp_path}/x.npy'", f"dataset.target='{tmp_path}/y.npy'")
    for place in (pair, (pair[0],), (f"dataset.path='{tmp_path}'", "dataset.features=x.npy")):
        found = prepared(tmp_path, "npz", *place, *words)
        assert (found.data_sha256, found.classes) == (expected.data_sha256, expected.classes)
    np.save(tmp_path / "y.npy", np.roll(y, 1))
    survey_anew()
    assert prepared(tmp_path, "npz", *pair, *words).data_sha256 != expected.data_sha256


def test_npy_files_in_fortran_order_are_mapped(tmp_path: Path) -> None:
    x = np.asfortranarray(np.arange(60.0).reshape(20, 3))
    np.save(tmp_path / "x.npy", x)
    found = list(npz_files.blocks(tmp_path, "x"))
    np.testing.assert_array_equal(np.concatenate([block for _, block in found]), x)


@pytest.mark.parametrize(
    ("arrays", "words", "said"),
    [
        (
            {"x": np.zeros((9, 2)), "labels": np.arange(9) % 3},
            (),
            r"target=y: .* has no such array; choose from",
        ),
        ({"x": np.zeros((9, 2)), "y": np.arange(8) % 3}, (), "'x' has 9 samples and 'y' has 8 labels"),
        ({"x": np.zeros((9, 2)), "y": np.array(["a", None, "b"] * 3, object)}, (), r"np.load\(file, allow_pickle=True"),
        ({"x": np.full((9, 2), "a"), "y": np.arange(9)}, (), "features are numbers"),
        ({"x": np.zeros((9, 2))}, ("dataset.target=/elsewhere/y.npy",), "arrays stand in one folder"),
    ],
)
def test_npy_files_that_do_not_fit_are_told(
    arrays: dict[str, np.ndarray], words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    with pytest.raises(ConfigError, match=said):
        prepared(tmp_path, "npz", f"dataset.path='{tmp_path}/x.npy'", *words)
