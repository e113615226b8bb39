"""Texts of tables and folders: prepared as words by the training rows alone, or told what is wrong with them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from equipoise.core.errors import ConfigError
from equipoise.data import text_files
from equipoise.data.all_rows import all_rows
from equipoise.data.other_file import with_test_file
from equipoise.data.prepare import prepare
from equipoise.data.prepared import Prepared
from equipoise.data.slicing import sliced
from helpers import composed_dataset

SHORT = ("dataset.length=6", "dataset.min_texts=1")


def table(n: int = 60) -> pd.DataFrame:
    """Texts with a word of their own each, so that what was learned of them shows."""
    kinds = np.where(np.arange(n) % 3 == 0, "rare", "often")
    return pd.DataFrame({"body": [f"{kind} Word{row} here." for row, kind in enumerate(kinds)], "kind": kinds})


def options(path: Path, *more: str) -> list[str]:
    return ["dataset=text", f"dataset.path='{path}'", "dataset.text=body", "dataset.target=kind", *SHORT, *more]


def prepared(path: Path, *more: str) -> Prepared:
    return prepare(composed_dataset(*options(path, *more)), path.parent / "cache")


def rows_of(data: Prepared, split: str) -> list[int]:
    rows = data.split(split).rows
    assert rows is not None
    return list(map(int, rows))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    table().to_csv(tmp_path / "mails.csv", index=False)
    return tmp_path / "mails.csv"


def test_the_vocabulary_is_of_the_training_rows_alone(file: Path) -> None:
    data, frame = prepared(file), table()
    learned = data.words
    assert learned is not None
    assert learned.column == "body"
    data.split("train")
    assert set(learned.words or ()) == {"here", "rare", "often"} | {f"word{row}" for row in rows_of(data, "train")}
    for name in ("train", "validation", "test"):
        samples = data.split(name)
        np.testing.assert_array_equal(samples.features, learned.apply(frame["body"].iloc[samples.rows]))
        assert [data.classes[label] for label in samples.labels] == frame["kind"].iloc[samples.rows].tolist()
        assert samples.features.dtype == np.float32
        assert samples.features.shape == (len(samples.labels), 6)
        assert (samples.features[:, 1] == 1).all() == (name != "train"), "their own word is known in training alone"
    assert np.array_equal(data.counts, [28, 14])
    assert data.classes == ("often", "rare")


def test_blocks_parquet_and_categories_leave_the_same_bits(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = prepared(file)
    monkeypatch.setattr(text_files, "BLOCK_TEXTS", 7)
    table().to_parquet(file.with_suffix(".parquet"))
    table().astype("category").to_parquet(file.with_name("c.parquet"))
    for other in (file.with_suffix(".parquet"), file.with_name("c.parquet")):
        assert prepared(other).data_sha256 == whole.data_sha256
    assert prepared(file, "dataset.split_seed=1").data_sha256 != whole.data_sha256


def test_a_folder_a_class_is_read_as_its_table(tmp_path: Path) -> None:
    frame = table()
    for row, (body, kind) in enumerate(zip(frame["body"], frame["kind"], strict=True)):
        place = tmp_path / "mails" / ("test" if row >= 48 else "train") / kind / f"{row:02}.txt"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(body, encoding="utf-8-sig" if row % 2 else "utf-8")
    (tmp_path / "mails" / "train" / "rare" / "notes.pdf").write_bytes(b"%PDF")
    dataset = composed_dataset(
        "dataset=text", f"dataset.path='{tmp_path}/mails'", *SHORT, "dataset.validation_fraction=0.2"
    )
    data = prepare(dataset, tmp_path / "cache")
    assert data.words is not None
    assert data.words.column == "text"
    assert len(data.split("test").labels) == 12
    assert len(data.split("train").labels) == 38
    assert any("1 file is no .txt and is not read: train/rare/notes.pdf" in note for note in data.notes)
    ids = {word: place for place, word in enumerate(data.words.words or (), 2)}
    first = data.split("train").features[0]
    assert int(first[0]) == ids[data.classes[data.split("train").labels[0]]]


def test_groups_splits_weights_and_slices_are_those_of_a_table(file: Path) -> None:
    frame = table()
    frame["by"] = np.arange(60) // 2
    frame["part"] = np.where(np.arange(60) < 12, "test", "")
    frame["w"] = np.where(np.arange(60) == 59, 0, 1.5)
    frame.to_csv(file, index=False)
    dataset = composed_dataset(*options(file, "dataset.split_column=part", "dataset.weight=w", "dataset.count=weight"))
    data = prepare(dataset, file.parent / "cache")
    np.testing.assert_array_equal(data.split("test").rows, np.arange(12))
    assert {float(weight) for weight in data.split("train").weights} == {1.5}  # type: ignore[union-attr]
    assert 59 not in {*rows_of(data, "train"), *rows_of(data, "validation")}
    grouped = prepared(file, "dataset.group=by")
    sides = [{row // 2 for row in rows_of(grouped, name)} for name in ("train", "validation", "test")]
    assert not (sides[0] & sides[1])
    assert not (sides[0] & sides[2])
    assert not (sides[1] & sides[2])
    later = prepared(file, "dataset.time=by")
    assert max(rows_of(later, "train")) < min(rows_of(later, "validation"))
    assert max(rows_of(later, "validation")) < min(rows_of(later, "test"))
    found = sliced(dataset, ["part"], data.split("test").rows, None)
    assert list(found["part"].names) == ["test"]


def test_hashing_and_texts_as_they_are(file: Path) -> None:
    hashed, bare = (
        prepared(file, "dataset.tokens=hashing", "dataset.vocabulary=50"),
        prepared(file, "dataset.tokens=none"),
    )
    assert hashed.words is not None
    assert hashed.words.ids == 51
    assert hashed.split("train").features.max() <= 50
    assert bare.words is None
    assert bare.texts
    assert {text.decode() for text in bare.split("test").features.tolist()} <= set(table()["body"])
    assert json.loads((bare.folder / "preprocessing.json").read_text())["column"] == "body"


def test_another_file_and_all_rows_are_read_by_what_was_learned(file: Path) -> None:
    seen, other = prepared(file), file.with_name("other.csv")
    pd.DataFrame({"body": ["rare thing here", "", "often word1"], "kind": ["rare", "rare", "often"]}).to_csv(other)
    dataset = composed_dataset(*options(other))
    judged = with_test_file(seen, dataset, file.parent / "cache", "path")
    assert seen.words is not None
    np.testing.assert_array_equal(
        judged.split("test").features, seen.words.apply(["rare thing here", "", "often word1"])
    )
    np.testing.assert_array_equal(judged.split("test").labels, [1, 1, 0])
    every = all_rows(composed_dataset(*options(file)), file.parent / "cache")
    assert every.words is not None
    assert len(every.words.words or ()) == 63


@pytest.mark.parametrize(
    ("changed", "texts", "labels"),
    [
        ("dataset.text=title", ["often here", "rare here"], [1, 0]),
        ("dataset.target=other", ["rare here große", "often here"], [0, 1]),
        ("dataset.class_names={rare: often, often: rare}", ["rare here große", "often here"], [0, 1]),
        ("dataset.encoding=latin-1", ["rare here groÃ e", "often here"], [1, 0]),
    ],
)
def test_another_file_is_read_anew_if_an_option_changes(
    changed: str, texts: list[str], labels: list[int], file: Path
) -> None:
    """Judged once, its cache must answer nothing that was not asked then."""
    seen, other = prepared(file), file.with_name("other.csv")
    frame = pd.DataFrame({"body": ["rare here große", "often here"], "title": ["often here", "rare here"]})
    frame.assign(kind=["rare", "often"], other=["often", "rare"]).to_csv(other, index=False)

    def judged(*more: str) -> Prepared:
        return with_test_file(seen, composed_dataset(*options(other, *more)), file.parent / "cache", "path")

    assert judged().split("test").labels.tolist() == [1, 0]
    assert seen.words is not None
    np.testing.assert_array_equal(judged(changed).split("test").features, seen.words.apply(texts))
    assert judged(changed).split("test").labels.tolist() == labels


def test_equal_texts_in_two_splits_are_told(file: Path) -> None:
    frame = table()
    frame.loc[frame["kind"] == "rare", "body"] = "rare and always the same"
    frame.to_csv(file, index=False)
    assert any(note.startswith("leakage: ") for note in prepared(file).notes)


def test_empty_texts_are_refused_or_left_out(file: Path) -> None:
    frame = table()
    frame.loc[[3, 7], "body"] = [None, "?!"]
    frame.to_csv(file, index=False)
    said = rf"row 3 of {file} holds no word, nor do 1 more: .*; dataset.on_empty=skip leaves such texts out"
    with pytest.raises(ConfigError, match=said):
        prepared(file)
    data = prepared(file, "dataset.on_empty=skip")
    rows = np.concatenate([rows_of(data, name) for name in ("train", "validation", "test")])
    assert sorted(rows) == sorted({*range(60)} - {3, 7})
    assert any(note.startswith("2 texts hold no word, and are left out") for note in data.notes)


WRONG = {
    "dataset.text=bdy": "dataset.text=bdy: .*mails.csv has no such column; did you mean 'body'",
    "dataset.target=knd": "dataset.target=knd: .*mails.csv has no such column; did you mean 'kind'",
    "dataset.text=kind": "dataset.text=kind names the column that dataset.target names: choose another",
    "dataset.text=null": "dataset.text is missing: name the column of .*mails.csv that holds the texts",
    "dataset.target=null": "dataset.target is missing: name the column of .*mails.csv that holds the classes",
    "dataset.path=none.csv": "dataset.path=none.csv: there is no such file",
    "dataset.group=by": "dataset.group=by: .*mails.csv has no such column",
}


@pytest.mark.parametrize("word", WRONG)
def test_what_is_wrong_is_told_with_its_cure(word: str, file: Path) -> None:
    with pytest.raises(ConfigError, match=WRONG[word]):
        prepared(file, word)


def test_several_files_need_the_names_of_columns_as_one_does(file: Path) -> None:
    for typed, said in {
        "text=null": r"dataset.text is missing: name the column of .*\*.csv that holds the texts",
        "target=null": r"dataset.target is missing: name the column of .*\*.csv that holds the classes",
    }.items():
        with pytest.raises(ConfigError, match=said):
            prepared(file.with_name("*.csv"), f"dataset.{typed}")
    with pytest.raises(ConfigError, match="there is no such file"):
        prepared(file.with_name("*.tsv"), "dataset.text=null")
    assert prepared(file.with_name("m*.csv")).data_sha256 == prepared(file).data_sha256


def test_bad_files_are_told_with_their_cure(tmp_path: Path) -> None:
    table().to_csv(tmp_path / "latin.csv", index=False, encoding="latin1")
    (tmp_path / "latin.csv").write_bytes((tmp_path / "latin.csv").read_bytes() + "Müll,rare\n".encode("latin1"))
    with pytest.raises(ConfigError, match=r"latin.csv is not UTF-8 text"):
        prepared(tmp_path / "latin.csv")
    (tmp_path / "long.csv").write_text("body,kind\n" + "a,b\nc,d\n" * 20 + "word " * (9 << 18) + ",d\n")
    with pytest.raises(ConfigError, match=r"long.csv has a row of more than 2 MiB, .*: shorten it, or save"):
        prepared(tmp_path / "long.csv")
    table().assign(body=1.5).to_parquet(tmp_path / "numbers.parquet")
    with pytest.raises(ConfigError, match=r"dataset.text=body: the column of .* holds double, and no texts"):
        prepared(tmp_path / "numbers.parquet")
    table().assign(kind="one").to_csv(tmp_path / "one.csv")
    with pytest.raises(ConfigError, match=r"has one value only|one class"):
        prepared(tmp_path / "one.csv")
    root = tmp_path / "folder"
    for kind in ("a", "b"):
        (root / kind).mkdir(parents=True)
        for number in range(10):
            (root / kind / f"{number}.txt").write_text(f"{kind} {number}")
    (root / "b" / "0.txt").write_bytes(b"\xff\xfe\xfa")
    folder = ["dataset=text", f"dataset.path='{root}'", *SHORT]
    with pytest.raises(ConfigError, match=r"b/0.txt is not UTF-8 text: name its encoding"):
        prepare(composed_dataset(*folder), tmp_path / "cache")
    with pytest.raises(ConfigError, match=r"dataset.target=kind: dataset.path=.* is a folder, .*: leave it out"):
        prepare(composed_dataset(*folder, "dataset.target=kind"), tmp_path / "cache")
    (tmp_path / "few" / "a").mkdir(parents=True)
    (tmp_path / "few" / "a" / "0.txt").write_text("a")
    with pytest.raises(ConfigError, match=r"has texts of one class only \(a\); needed is a folder for each class"):
        prepare(composed_dataset("dataset=text", f"dataset.path='{tmp_path}/few'"), tmp_path / "cache")
    assert not any((tmp_path / "cache").glob("*")), "nothing is left of what failed"
