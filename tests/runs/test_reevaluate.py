"""The data that a logged model is judged on: encoded as it learned them, whole, with labels, or refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from equipoise.core.errors import ConfigError
from equipoise.data.other_file import with_test_file
from equipoise.data.prepare import prepare
from equipoise.runs.inherit import inherit
from equipoise.tracking.history import Logged
from helpers import composed, composed_dataset, logged_config


def test_changed_data_are_refused_if_features_depend_on_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from equipoise.runs import reevaluate

    monkeypatch.setattr(reevaluate, "cache_folder", lambda: tmp_path / "cache")
    np.savez(tmp_path / "a.npz", x=np.random.default_rng(0).normal(size=(60, 2)), y=np.arange(60) % 2)
    for overrides, fitted in (
        (["dataset=npz", f"dataset.path='{tmp_path}/a.npz'", "model=linear"], True),
        (["dataset=digits_lt"], False),
    ):
        trained = Logged("r", "1", 0, {}, {"data_sha256": "of what they were"}, {})
        config = composed(*overrides)
        if fitted:
            with pytest.raises(
                ConfigError, match=r"the data that run r was trained on have changed since, .* train again"
            ):
                reevaluate.data_to_judge_on(trained, config.dataset, config)
        else:
            assert reevaluate.data_to_judge_on(trained, config.dataset, config).shape == (8, 8, 1)
            assert "have changed since, so its training samples may be among these" in capsys.readouterr().err


def test_features_must_be_encoded_as_the_model_learned_them(tmp_path: Path) -> None:
    """Another test file leaves the training rows as they were; another split seed does not."""
    from equipoise.runs.reevaluate import check_encoding

    for name in ("a", "b", "c"):
        rows = "".join(f"{i * len(name) + ord(name)},{'xy'[i % 2]}\n" for i in range(40))
        (tmp_path / f"{name}.csv").write_text("v,y\n" + rows)
    shared = ["dataset=csv", f"dataset.path='{tmp_path}/a.csv'", "dataset.target=y", "model=linear"]
    first, other_file, other_seed = (
        composed(*shared, f"dataset.test_path='{tmp_path}/{name}.csv'", f"dataset.split_seed={seed}")
        for name, seed in (("b", 0), ("c", 0), ("b", 1))
    )
    seen = prepare(first.dataset, tmp_path / "cache")
    check_encoding(other_file, seen, prepare(other_file.dataset, tmp_path / "cache"))
    with pytest.raises(ConfigError, match="its features would be encoded otherwise"):
        check_encoding(other_seed, seen, prepare(other_seed.dataset, tmp_path / "cache"))


@pytest.mark.parametrize("kind", ["csv", "npz", "series", "image_directory"])
def test_another_file_or_folder_is_judged_as_a_whole(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every sample is in the test split, with features encoded as the model's training rows were."""
    from equipoise.data import preprocessing
    from equipoise.runs import reevaluate

    monkeypatch.setattr(reevaluate, "cache_folder", lambda: tmp_path / "cache")
    raw = {}
    for name, count, shift in (("a", 60, 0), ("b", 10, 50)):
        values, labels = np.random.default_rng(count).normal(100 + shift, 9, (count, 6)), np.arange(count) % 2
        raw[name] = values
        if kind == "csv":
            lines = [",".join(map(str, [*row, "xy"[label]])) for row, label in zip(values, labels, strict=True)]
            (tmp_path / f"{name}.csv").write_text("\n".join(["p,q,r,s,t,u,y", *lines]))
        elif kind == "image_directory":
            for index, (row, label) in enumerate(zip(values, labels, strict=True)):
                (tmp_path / name / "xy"[label]).mkdir(parents=True, exist_ok=True)
                Image.fromarray(row.astype(np.uint8).reshape(2, 3)).save(tmp_path / name / "xy"[label] / f"{index}.png")
        else:
            np.savez(tmp_path / f"{name}.npz", x=values, y=labels)
    suffix = {"csv": ".csv", "image_directory": ""}.get(kind, ".npz")
    more = {"csv": ["dataset.target=y"], "image_directory": ["dataset.image_size=[2,3]", "dataset.channels=1"]}.get(
        kind, []
    )
    own = logged_config(f"dataset={kind}", f"dataset.path='{tmp_path}/a{suffix}'", "model=linear", *more)
    was, now = inherit(own, ()), inherit(own, [f"dataset.path='{tmp_path}/b{suffix}'"])
    seen = prepare(was.dataset, tmp_path / "cache")
    found = reevaluate.data_to_judge_on(
        Logged("r", "1", 0, {}, {"data_sha256": seen.data_sha256}, {}), was.dataset, now
    )
    test = found.split("test")
    assert np.bincount(test.labels).tolist() == [5, 5]
    assert (np.asarray(found.split("validation").labels) == seen.split("validation").labels).all()
    if kind == "image_directory":
        assert sorted(test.features.encoded()) == sorted(file.read_bytes() for file in (tmp_path / "b").rglob("*.png"))
        assert found.split("train").features.encoded() == seen.split("train").features.encoded()
        return
    frame = pd.DataFrame(raw["b"], columns=list("pqrstu")) if kind == "csv" else raw["b"].reshape(10, *seen.shape)
    np.testing.assert_array_equal(test.features, preprocessing.read(seen.folder).apply(frame))
    assert test.rows is not None
    assert test.rows.tolist() == list(range(10))


@pytest.mark.parametrize("kind", ["csv", "npz"])
def test_rows_without_labels_are_refused_with_the_way_to_predict_them(kind: str, tmp_path: Path) -> None:
    from equipoise.runs.reevaluate import check_labelled

    (tmp_path / "new.csv").write_text("x,z\n1,2\n")
    np.savez(tmp_path / "new.npz", x=np.zeros((3, 2)))
    (tmp_path / "t.csv").write_text("x,z,y\n" + "".join(f"{i},0,{'ab'[i % 2]}\n" for i in range(40)))
    np.savez(tmp_path / "t.npz", x=np.zeros((40, 2)), y=np.arange(40) % 2)
    target = ["dataset.target=y"] if kind == "csv" else []
    own = logged_config(f"dataset={kind}", f"dataset.path='{tmp_path}/t.{kind}'", "model=linear", *target)
    option = "test_path" if kind == "csv" else "path"
    config = inherit(own, [f"dataset.{option}='{tmp_path}/new.{kind}'"])
    with pytest.raises(
        ConfigError,
        match=r"has no 'y' \(dataset.target\): without labels there is nothing to judge; "
        r".*python src/register.py run=r1 and",
    ):
        check_labelled("r1", config.dataset, option)


def test_a_folder_of_images_without_classes_is_not_judged(tmp_path: Path) -> None:
    from equipoise.runs.reevaluate import check_labelled

    (tmp_path / "new").mkdir()
    Image.new("L", (3, 3)).save(tmp_path / "new" / "0.png")
    for name in ("cat", "dog"):
        (tmp_path / "own" / name).mkdir(parents=True)
        for place in range(3):
            Image.new("L", (3, 3), place).save(tmp_path / "own" / name / f"{place}.png")
    own = logged_config("dataset=image_directory", f"dataset.path='{tmp_path}/own'", "model=linear")
    config = inherit(own, [f"dataset.path='{tmp_path}/new'"])
    with pytest.raises(
        ConfigError,
        match=r"no folder for each class: without labels there is nothing to judge; "
        r".*python src/register.py run=r1 and",
    ):
        check_labelled("r1", config.dataset, "path")


@pytest.mark.parametrize("kind", ["npz", "one-hot", "series", "image_directory"])
def test_samples_of_one_class_can_be_judged_though_not_learned_from(kind: str, tmp_path: Path) -> None:
    labels = np.arange(60) % 2
    for name, chosen in (("a", labels), ("b", labels[labels == 1])):
        values = np.random.default_rng(len(chosen)).normal(100, 9, (len(chosen), 6)).round(3)
        if kind == "series":
            lines = [
                f"{','.join(map(str, row[: 3 if name == 'b' else 4 + place % 3]))}:{'xy'[label]}"
                for place, (row, label) in enumerate(zip(values, chosen, strict=True))
            ]
            (tmp_path / f"{name}.ts").write_text("@classLabel true x y\n@data\n" + "\n".join(lines))
        elif kind == "image_directory":
            for place, (row, label) in enumerate(zip(values, chosen, strict=True)):
                (tmp_path / name / "xy"[label]).mkdir(parents=True, exist_ok=True)
                Image.fromarray(row.astype(np.uint8).reshape(2, 3)).save(tmp_path / name / "xy"[label] / f"{place}.png")
        else:
            np.savez(tmp_path / f"{name}.npz", x=values, y=np.eye(2)[chosen] if kind == "one-hot" else chosen)
    suffix = {"image_directory": "", "series": ".ts"}.get(kind, ".npz")
    more = {
        "image_directory": ["dataset.image_size=[2,3]", "dataset.channels=1"],
        "series": ["dataset.unequal=pad"],
    }.get(kind, [])
    first, other = (
        composed_dataset(
            f"dataset={'npz' if kind == 'one-hot' else kind}", f"dataset.path='{tmp_path}/{name}{suffix}'", *more
        )
        for name in ("a", "b")
    )
    seen = prepare(first, tmp_path / "cache")
    found = with_test_file(seen, other, tmp_path / "cache", "path").split("test")
    assert found.labels.tolist() == [1] * 30
    with pytest.raises(ConfigError, match=r"one class only|one value only|one column only"):
        prepare(other, tmp_path / "cache")


def test_a_file_may_be_written_otherwise_than_that_of_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With other marks and another encoding, and as several files: the same features."""
    from equipoise.runs import reevaluate

    monkeypatch.setattr(reevaluate, "cache_folder", lambda: tmp_path / "cache")
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"größe": generator.normal(size=60).round(3), "y": np.array(["süß", "sauer"])[np.arange(60) % 2]}
    )
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    frame.to_csv(tmp_path / "de.csv", index=False, sep=";", decimal=",", encoding="cp1252")
    for place, rows in enumerate((slice(0, 20), slice(20, None))):
        frame[rows].to_csv(tmp_path / f"part-{place}.csv", index=False)
    words = ["dataset=csv", f"dataset.path='{tmp_path}/t.jsonl'", "dataset.target=y", "model=linear"]
    logged, was = logged_config(*words), composed(*words).dataset
    trained = Logged("r", "1", 0, {}, {"data_sha256": prepare(was, tmp_path / "cache").data_sha256}, {})
    found = []
    for name, form in (
        ("de.csv", ["dataset.separator=';'", "dataset.encoding=cp1252", "dataset.decimal=comma"]),
        ("part-*.csv", []),
    ):
        config = inherit(logged, [f"dataset.path='{tmp_path}/{name}'", *form])
        test = reevaluate.data_to_judge_on(trained, was, config).split("test")
        found.append((test.features.tolist(), test.labels.tolist()))
    assert found[0] == found[1]
    assert len(found[0][1]) == 60


def test_other_npy_files_need_labels_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from equipoise.runs import reevaluate

    monkeypatch.setattr(reevaluate, "cache_folder", lambda: tmp_path / "cache")
    x = np.random.default_rng(0).normal(size=(60, 2))
    for name, array in {"x": x, "y": np.arange(60) % 2, "x2": x[:30] + 1, "y2": np.arange(30) % 2}.items():
        np.save(tmp_path / f"{name}.npy", array)
    words = ["dataset=npz", f"dataset.path='{tmp_path}/x.npy'", "dataset.target=y.npy", "model=linear"]
    logged, was = logged_config(*words), composed(*words).dataset
    trained = Logged("r", "1", 0, {}, {"data_sha256": prepare(was, tmp_path / "cache").data_sha256}, {})
    other = f"dataset.path='{tmp_path}/x2.npy'"
    with pytest.raises(ConfigError, match=r"dataset.target=y names the labels of x.npy; name those of x2.npy"):
        reevaluate.data_to_judge_on(trained, was, inherit(logged, [other]))
    found = reevaluate.data_to_judge_on(trained, was, inherit(logged, [other, "dataset.target=y2.npy"]))
    assert found.split("test").labels.tolist() == (np.arange(30) % 2).tolist()
