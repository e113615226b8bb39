"""Preparation: what is written, once and whole, and what is refused."""

import json
import os
import shutil
import socket
import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_files import DIGITS, SYNTHETIC, dataset
from equipoise.core.errors import ConfigError
from equipoise.data import catalogue
from equipoise.data import prepare as preparing
from equipoise.data.prepare import prepare
from equipoise.data.prepared import open_prepared
from equipoise.data.types import Raw, Samples, Splits
from helpers import composed_dataset


def test_folders_of_killed_preparations_are_removed_and_those_of_others_stay(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    names = {
        f".digits_lt-0@{host}@{pid}@x"
        for host, pid in ((socket.gethostname(), gone.pid), (socket.gethostname(), os.getpid()), ("another", gone.pid))
    }
    for name in names:
        (tmp_path / name).mkdir()
    folder = prepare(dataset(**SYNTHETIC), tmp_path).folder
    assert {path.name for path in tmp_path.iterdir()} == {*names, folder.name} - {
        f".digits_lt-0@{socket.gethostname()}@{gone.pid}@x"
    }


def test_prepared_once_and_reused(tmp_path: Path) -> None:
    first = prepare(dataset(**DIGITS), tmp_path)
    written = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    again = prepare(dataset(**DIGITS, labels="one_hot", title="other"), tmp_path)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == written, "nothing is written again"
    assert again.folder == first.folder
    assert again.data_sha256 == first.data_sha256


def test_the_same_digest_wherever_it_is_prepared(tmp_path: Path) -> None:
    assert (
        prepare(dataset(**SYNTHETIC), tmp_path / "a").data_sha256
        == prepare(dataset(**SYNTHETIC), tmp_path / "b").data_sha256
    )


def test_two_at_once_make_one_folder(tmp_path: Path) -> None:
    found: list[str] = []
    chosen = dataset(**SYNTHETIC)
    threads = [threading.Thread(target=lambda: found.append(prepare(chosen, tmp_path).data_sha256)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert len(list(tmp_path.iterdir())) == 1, "no folder is left half-written"


def test_nothing_is_left_of_a_preparation_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*args: object, **kwargs: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        prepare(dataset(**SYNTHETIC), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_metadata_names_classes_counts_and_shape(tmp_path: Path) -> None:
    data = prepare(dataset(**SYNTHETIC), tmp_path)
    metadata = json.loads((data.folder / "metadata.json").read_text())
    assert metadata["classes"] == ["0", "1", "2"]
    assert metadata["counts"] == [40, 20, 5]
    assert metadata["shape"] == [4]
    assert open_prepared(data.folder).head_to_tail.tolist() == [0, 1, 2]
    assert data.prior.tolist() == pytest.approx([40 / 65, 20 / 65, 5 / 65])


def test_prepared_data_say_whether_a_design_fixed_the_test_counts(tmp_path: Path) -> None:
    for source in (DIGITS, SYNTHETIC):
        assert prepare(dataset(**source), tmp_path).test_counts_fixed
    for name, (first, second), fixed in (("found", (40, 20), False), ("even", (30, 30), True)):
        file = tmp_path / f"{name}.csv"
        file.write_text(
            "x,y\n" + "".join(f"{number},{'b' if number < first else 'a'}\n" for number in range(first + second))
        )
        found = prepare(composed_dataset("dataset=csv", f"dataset.path='{file}'", "dataset.target=y"), tmp_path)
        assert found.test_counts_fixed is fixed, "equal counts of all classes are no chance"


def test_data_that_cannot_be_learned_from_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = preparing.surveyed(dataset(**SYNTHETIC))
    splits = dict(source.load(0, tmp_path).splits)
    features = splits["train"].features.copy()
    features[3, 1] = np.nan
    broken = {**splits, "train": Samples(features, splits["train"].labels)}
    monkeypatch.setattr(preparing, "surveyed", lambda _: replace(source, load=lambda *_: Splits(broken, (4,))))
    with pytest.raises(ConfigError, match="sample 3 of the train split holds NaN"):
        prepare(dataset(**SYNTHETIC), tmp_path)
    broken["train"] = Samples(splits["train"].features[:40], splits["train"].labels[:40])
    with pytest.raises(ConfigError, match="no training sample of class 1, 2"):
        prepare(dataset(**SYNTHETIC), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda samples: Samples(samples.features.astype(np.int64), samples.labels),
            r"dataset=synthetic: its function gives the train split features that are int64 of shape .*"
            r" must be float32",
        ),
        (
            lambda samples: Samples(samples.features[:, :3], samples.labels),
            r"of shape \(65, 3\); they must be float32 of \(65, 4\)",
        ),
        (lambda samples: Samples(samples.features[1:], samples.labels), r"of shape \(64, 4\)"),
        (
            lambda samples: Samples(samples.features.tolist(), samples.labels),
            r"features that are list of shape \?; they must be float32",
        ),
        (
            lambda samples: Samples(samples.features, samples.labels + 1),
            "dataset=synthetic: its function gives the train split labels from 1 to 3; "
            "3 classes are counted from 0 to 2",
        ),
        (lambda samples: Samples(samples.features, samples.labels - 1), "labels from -1 to 1"),
        (
            lambda samples: Samples(samples.features, samples.labels.astype(np.float64)),
            "the train split labels that are float64",
        ),
        (
            lambda samples: Samples(samples.features, samples.labels[:, np.newaxis]),
            r"of shape \(65, 1\); they must be int64, \(n,\)",
        ),
    ],
)
def test_a_dataset_function_that_breaks_its_contract_is_refused_by_name(
    change: Any, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = preparing.surveyed(dataset(**SYNTHETIC))
    splits = dict(source.load(0, tmp_path).splits)
    broken = {**splits, "train": change(splits["train"])}
    monkeypatch.setattr(preparing, "surveyed", lambda _: replace(source, load=lambda *_: Splits(broken, (4,))))
    with pytest.raises(ConfigError, match=said):
        prepare(dataset(**SYNTHETIC), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("labels", [np.arange(30) % 3 + 1, np.arange(30) % 3 - 1, (np.arange(30) % 3).astype(np.int32)])
def test_a_function_of_undivided_data_that_breaks_its_contract_is_refused_by_name(
    labels: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = Raw(("a", "b", "c"), labels, 1, "it", lambda *_: pytest.fail("it is refused before it is loaded"))
    monkeypatch.setitem(catalogue.DATASETS.shipped, "npz", catalogue.Kind(lambda: raw, divided=True))  # type: ignore[index]
    with pytest.raises(
        ConfigError, match=r"dataset=npz: its function gives labels .*(counted from 0 to 2|must be int64)"
    ):
        catalogue.source_of(composed_dataset("dataset=npz", "dataset.path=any.npz", "model=mlp"))


def _reverse(file: Path) -> None:
    np.save(file, np.load(file)[::-1])


def _spoil(file: Path) -> None:
    array = np.load(file)
    array[3, 1] = np.nan
    np.save(file, array)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("train_labels.npy", _reverse),
        ("validation_features.npy", _spoil),
        ("test_labels.npy", Path.unlink),
        ("learned.json", Path.unlink),
    ],
)
def test_a_prepared_file_that_was_changed_is_named(
    name: str, change: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, source = dataset(**SYNTHETIC), preparing.surveyed(dataset(**SYNTHETIC))

    def load(seed: int, folder: Path) -> Splits:
        (folder / "learned.json").write_text("{}")  # whatever a source leaves beside its arrays
        return source.load(seed, folder)

    monkeypatch.setattr(preparing, "surveyed", lambda _: replace(source, load=load))
    data = prepare(chosen, tmp_path)
    change(data.folder / name)
    with pytest.raises(ConfigError) as refused:
        prepare(chosen, tmp_path)
    assert str(refused.value).startswith(f"{data.folder / name} is damaged")
    assert str(refused.value).endswith(f"delete the folder {data.folder}, and it is made again")
    shutil.rmtree(data.folder)
    again = prepare(chosen, tmp_path)
    assert (again.folder, again.data_sha256) == (data.folder, data.data_sha256)


def test_metadata_that_were_changed_are_refused(tmp_path: Path) -> None:
    folder = prepare(dataset(**SYNTHETIC), tmp_path).folder
    file = folder / "metadata.json"
    file.write_text(file.read_text().replace(" 40,", " 41,"))  # of the counts, which weights are made of
    with pytest.raises(ConfigError, match=r"is damaged, or was prepared by another version"):
        open_prepared(folder)


def test_options_that_leave_nothing_to_train_on() -> None:
    with pytest.raises(ConfigError, match="leave nothing to train on"):
        preparing.surveyed(dataset(name="mnist_lt", imbalance_ratio=10.0, test_per_class=400, validation_per_class=100))
    with pytest.raises(ConfigError, match=r"dataset\.features=2"):
        preparing.surveyed(dataset(**{**SYNTHETIC, "features": 2}))
    with pytest.raises(ConfigError, match="two classes"):
        preparing.surveyed(dataset(**{**SYNTHETIC, "class_counts": (5,)}))
