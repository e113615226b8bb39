"""Tables as people keep them: packed, encoded, typed, divided, and what is told of their columns."""

import bz2
import codecs
import gzip
import json
import lzma
import shlex
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_files import prepared, quoted, table, write
from equipoise.core.errors import ConfigError
from equipoise.data.other_file import with_test_file
from equipoise.data.prepare import prepare, survey_anew
from equipoise.data.prepared import Prepared
from helpers import composed_dataset

SIMPLE = "x,z,y\n" + "".join(f"{i % 7}.5,{'ab'[i % 2]},{'cat' if i % 3 else 'dog'}\n" for i in range(60))


@pytest.fixture
def frame() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    n = 300
    y = generator.choice(["cat", "cow", "dog"], n, p=[0.6, 0.3, 0.1])
    number = np.where(generator.random(n) < 0.1, np.nan, generator.normal(size=n))
    return pd.DataFrame(
        {
            "number": number,
            "colour": generator.choice(["red", "blue", None], n),
            "whole": generator.integers(0, 9, n),
            "y": y,
        }
    )


def test_encoders_are_fitted_on_the_training_rows_alone(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame["part"] = ["train"] * 200 + ["validation"] * 50 + ["test"] * 50
    frame.loc[250:, "number"] += 1000
    frame.loc[299, "colour"] = "green"
    frame.to_csv(tmp_path / "a b'ü.csv", index=False)
    data = prepared(tmp_path / "cache", *table(tmp_path / "a b'ü.csv", "dataset.split_column=part"))
    assert data.classes == ("cat", "cow", "dog")
    train = frame[:200]
    mean, deviation = train["number"].mean(), train["number"].std(ddof=0)
    features = data.split("test").features
    # number, whether it is missing, colour=blue, colour=red, whole
    assert data.shape == (5,)
    known = frame["number"][250:].notna().to_numpy()
    np.testing.assert_allclose(features[known, 0], (frame["number"][250:][known] - mean) / deviation, rtol=1e-5)
    assert (features[~known, 0] == 0).all()
    np.testing.assert_array_equal(features[:, 1], ~known)
    np.testing.assert_array_equal(features[:, 2], frame["colour"][250:] == "blue")
    assert features[-1, 2:4].tolist() == [0, 0], "a category that training never saw is none of those it saw"
    np.testing.assert_allclose(
        features[:, 4], (frame["whole"][250:] - train["whole"].mean()) / train["whole"].std(ddof=0), rtol=1e-5
    )
    labels = data.split("test").labels
    assert [data.classes[index] for index in labels] == frame["y"][250:].tolist()


def test_csv_gzip_and_parquet_hold_the_same(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    with gzip.open(tmp_path / "t.csv.gz", "wt") as file:
        file.write((tmp_path / "t.csv").read_text())
    digests = {
        prepared(tmp_path / "cache", *table(tmp_path / name)).data_sha256 for name in ("t.csv", "t.parquet", "t.csv.gz")
    }
    assert len(digests) == 1


def test_a_file_is_what_its_content_says(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.loc[3, "colour"] = "größe, 大"
    text = frame.to_csv(index=False)
    packed = {
        "T.CSV.GZ": gzip.compress,
        "t.csv.bz2": bz2.compress,
        "t.csv.xz": lzma.compress,
        "gzip.csv": gzip.compress,
    }
    files = {name: pack(text.encode()) for name, pack in packed.items()}
    files |= {
        "le.csv": text.encode("utf-16"),
        "be.csv": codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
        "BOM.TXT": text.encode("utf-8-sig"),
    }
    files |= {"wide.csv.gz": gzip.compress(text.encode("utf-16"))}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    frame.to_parquet(tmp_path / "UPPER.PARQUET")
    frame.to_parquet(tmp_path / "parquet.csv")
    with zipfile.ZipFile(tmp_path / "t.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/", "")
        archive.writestr("folder/t.csv", text)
        archive.writestr("__MACOSX/folder/._t.csv", "more")
    names = [*files, "UPPER.PARQUET", "parquet.csv", "t.zip"]
    digests = {name: prepared(tmp_path / "cache", *table(tmp_path / name)).data_sha256 for name in names}
    assert len(set(digests.values())) == 1, digests


def test_packed_files_are_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from equipoise.data.tables import csv_files
    from equipoise.data.tables.opening import open_table

    monkeypatch.setattr(csv_files, "BLOCK_BYTES", 1000)
    text = "x,y\n" + "".join(f"{index},{'ab'[index % 2]}\n" for index in range(2000))
    for name, content in (
        ("t.csv", text.encode()),
        ("t.bz2", bz2.compress(text.encode())),
        ("wide.csv", text.encode("utf-16")),
    ):
        (tmp_path / name).write_bytes(content)
        batches = list(open_table(tmp_path / name).batches(["y", "x"]))
        assert len(batches) > 5
        assert [value for batch in batches for value in batch.column("x").to_pylist()] == [
            str(index) for index in range(2000)
        ]


def test_parquet_holds_categories_truths_and_labels_with_a_point(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"kind": pd.Categorical(["u", "v"] * 15), "old": [True, False, False] * 10, "y": np.repeat([0.0, 1.0], 15)}
    )
    frame.to_parquet(tmp_path / "t.parquet")
    data = prepared(tmp_path / "cache", *table(tmp_path / "t.parquet"))
    assert (data.classes, data.shape) == (("0", "1"), (3,))
    features = data.split("train").features
    np.testing.assert_array_equal(features[:, :2].sum(axis=1), 1)
    old = features[:, 2] > 0  # standardised: false is below the mean
    assert 0 < old.sum() < len(old) / 2


def test_many_blocks_are_as_good_as_one(frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from equipoise.data.tables import csv_files

    frame.to_csv(tmp_path / "t.csv", index=False)
    whole = prepared(tmp_path / "one", *table(tmp_path / "t.csv"))
    monkeypatch.setattr(csv_files, "BLOCK_BYTES", 1000)
    parts = prepared(tmp_path / "two", *table(tmp_path / "t.csv"))
    np.testing.assert_allclose(whole.split("train").features, parts.split("train").features, rtol=1e-6)


def test_a_separate_test_file(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame[:200].to_csv(tmp_path / "a.csv", index=False)
    frame[200:].to_csv(tmp_path / "b.csv", index=False)
    data = prepared(tmp_path / "cache", *table(tmp_path / "a.csv", f"dataset.test_path={quoted(tmp_path / 'b.csv')}"))
    assert [data.classes[index] for index in data.split("test").labels] == frame["y"][200:].tolist()
    assert len(data.split("train").labels) + len(data.split("validation").labels) == 200


def test_a_file_to_judge_a_model_on_is_read_anew_if_an_option_changes(tmp_path: Path) -> None:
    data = prepared(tmp_path / "cache", *table(write(tmp_path / "t.csv", SIMPLE)))
    other = quoted(write(tmp_path / "other.csv", "x,z,y,w\n1.5,a,dog,cat\n2.5,b,cat,cat\n"))

    def labels(*more: str) -> list[int]:
        dataset = composed_dataset(*table(tmp_path / "t.csv", f"dataset.test_path={other}", *more))
        return list(map(int, with_test_file(data, dataset, tmp_path / "cache").split("test").labels))

    assert labels() == [1, 0]
    assert labels("dataset.target=w") == [0, 0]
    assert labels("dataset.class_names={cat: dog, dog: cat}") == [0, 1]
    with pytest.raises(ConfigError, match="no label"):
        labels("dataset.missing_labels=[dog]")


def test_a_file_to_judge_a_model_on_must_fit_its_training_rows(tmp_path: Path) -> None:
    data = prepared(tmp_path / "cache", *table(write(tmp_path / "t.csv", SIMPLE)))

    def judged(text: str) -> Prepared:
        file = write(tmp_path / "other.csv", text)
        return with_test_file(
            data,
            composed_dataset(*table(tmp_path / "t.csv", f"dataset.test_path={quoted(file)}")),
            tmp_path / "cache",
        )

    assert judged("y,z,x\ndog,a,1.5\n").split("test").labels.tolist() == [1]
    for text, said in (
        ("x,y\n1,cat\n", "has no column 'z', which the model learned from"),
        ("x,z,y\n", "has no rows"),
        ("x,z,y\n1,a,cow\n", "the target 'y' holds cow, which the model does not know; it knows cat, dog"),
        ("x,z,y\nmuch,a,cat\n", "column 'x' is numeric in training but not here"),
    ):
        with pytest.raises(ConfigError, match=said):
            judged(text)
    (data.folder / "preprocessing.json").write_text("[{}]")
    with pytest.raises(ConfigError, match=r"preprocessing.json is missing, damaged or of another version"):
        judged("y,z,x\ndog,b,2.5\n")


def test_class_names_are_kept_and_numbers_stand_in_their_order(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i % 12}\n" for i in range(240))
    data = prepared(tmp_path / "cache", *table(write(tmp_path / "n.csv", "x,y\n" + rows)))
    assert data.classes == tuple(str(index) for index in range(12))


def test_an_edited_file_is_prepared_again(tmp_path: Path) -> None:
    first = prepared(tmp_path / "cache", *table(write(tmp_path / "n.csv", SIMPLE)))
    again = prepared(tmp_path / "cache", *table(write(tmp_path / "n.csv", SIMPLE)))
    survey_anew()
    edited = prepared(tmp_path / "cache", *table(write(tmp_path / "n.csv", SIMPLE.replace("1.5", "1.7"))))
    assert first.folder == again.folder != edited.folder
    assert first.data_sha256 != edited.data_sha256


def test_duplicates_across_splits_are_counted(frame: pd.DataFrame, tmp_path: Path) -> None:
    twice = pd.concat([frame, frame[:60]])
    twice["part"] = ["train"] * 240 + ["validation"] * 60 + ["test"] * 60
    twice.to_csv(tmp_path / "t.csv", index=False)
    data = prepared(tmp_path / "cache", *table(tmp_path / "t.csv", "dataset.split_column=part"))
    assert [note for note in data.notes if "leakage" in note] == [
        "leakage: 60 of 60 test samples stand in the training split as well"
    ]


def test_a_table_that_holds_every_row_twice_leaks(frame: pd.DataFrame, tmp_path: Path) -> None:
    pd.concat([frame, frame]).to_csv(tmp_path / "t.csv", index=False)
    notes = prepared(tmp_path / "cache", *table(tmp_path / "t.csv")).notes
    assert sum(note.startswith("leakage: ") for note in notes) == 2, (
        "training rows repeat as well, and yet no two would be equal by chance"
    )


def test_rows_that_are_merely_equal_are_no_leak(tmp_path: Path) -> None:
    few = "x,y\n" + "".join(f"{'abcdef'[i % 6]},{'cat' if i % 6 < 3 else 'dog'}\n" for i in range(180))
    independent = "x,z,w,y\n" + "".join(
        f"{i * 7 % 5},{i * i % 11 % 4},{'ab'[i % 2]},{'cat' if i * i % 7 < 3 else 'dog'}\n" for i in range(300)
    )
    generator = np.random.default_rng(0)
    pairs = generator.integers(0, 60, 300)
    related = "x,z,y\n" + "".join(
        f"{pair},{pair + 100},{'cat' if generator.random() < 0.6 else 'dog'}\n" for pair in pairs
    )
    for index, text in enumerate((SIMPLE, few, independent, related)):
        data = prepared(tmp_path / "cache", *table(write(tmp_path / f"{index}.csv", text)))
        assert not [note for note in data.notes if "leakage" in note], index


def test_a_column_that_numbers_the_rows_is_told(tmp_path: Path) -> None:
    rows = "".join(f"{i + 7},{i / 2},{i // 2},{i % 3}\n" for i in range(60))
    data = prepared(tmp_path / "cache", *table(write(tmp_path / "n.csv", "id,half,twice,y\n" + rows)))
    assert data.notes == (
        "column 'id' rises from row to row: if it numbers the rows, leave it out with dataset.drop=[id]",
    )


@pytest.mark.parametrize("kind", ["numbers", "words", "codes"])
def test_a_column_that_names_the_rows_is_told_whatever_its_order(kind: str, tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(60)
    names = {"numbers": order * 31, "words": [f"row{i}" for i in order], "codes": [f"{i:04d}" for i in order]}[kind]
    frame = pd.DataFrame(
        {"the id": names, "x": np.random.default_rng(1).normal(size=60), "n": order // 2, "y": ["a", "b"] * 30}
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    (note,) = (
        note for note in prepared(tmp_path / "cache", *table(tmp_path / "t.csv")).notes if "names the rows" in note
    )
    assert (
        note == "column 'the id' has another value in every row: if it names the rows, "
        "leave it out with 'dataset.drop=[\"the id\"]'"
    )
    (typed,) = shlex.split(note.split(" with ")[1])
    assert prepared(tmp_path / "cache", *table(tmp_path / "t.csv", typed)).shape == (2,)


@pytest.mark.parametrize("kind", ["csv", "parquet", "unnamed"])
def test_the_index_of_pandas_is_left_out(kind: str, frame: pd.DataFrame, tmp_path: Path) -> None:
    frame = frame.sample(frac=1, random_state=0)
    name = {"csv": "Unnamed: 0", "parquet": "__index_level_0__", "unnamed": "Unnamed: 0"}[kind]
    file = tmp_path / f"t.{'parquet' if kind == 'parquet' else 'csv'}"
    if kind == "parquet":
        frame.to_parquet(file)
    else:
        frame.to_csv(file, index_label=name if kind == "csv" else None)
    data = prepared(tmp_path / "cache", *table(file))
    assert data.shape == (5,)
    assert f"column '{name}' is an index as pandas writes it: it is left out" in data.notes
    assert prepared(tmp_path / "cache", *table(file, f"dataset.group='{name}'")).shape == (5,), "it may be of use"


@pytest.mark.parametrize("kind", ["csv", "float", "halffloat"])
def test_a_column_that_is_constant_up_to_rounding_teaches_nothing(kind: str, tmp_path: Path) -> None:
    n = 120
    numbers = np.full(n, 14.62)
    if kind != "csv":
        numbers = numbers.astype({"float": np.float32, "halffloat": np.float16}[kind])
    numbers[:100:3] = np.nextafter(numbers[0], numbers.dtype.type(np.inf))
    numbers[110:] = 15
    frame = pd.DataFrame({"k": numbers, "x": np.random.default_rng(0).normal(size=n), "y": ["a", "b"] * (n // 2)})
    frame["part"] = ["train"] * 90 + ["validation"] * 10 + ["test"] * 20
    file = tmp_path / ("t.csv" if kind == "csv" else "t.parquet")
    frame.to_csv(file, index=False) if kind == "csv" else frame.to_parquet(file)
    data = prepared(tmp_path / "cache", *table(file, "dataset.split_column=part"))
    assert all((data.split(name).features[:, 0] == 0).all() for name in ("train", "validation", "test"))
    shown = {"csv": "14.62", "float": "14.62", "halffloat": "14.6"}[kind]
    assert data.notes[0].startswith(f"column 'k' is constant in the training rows ({shown}")
    assert data.notes[1] == "column 'k': 10 of 20 test rows hold another value"


def test_rows_far_outside_the_training_range_are_told(tmp_path: Path) -> None:
    x = [*np.linspace(-1, 1, 100), *np.linspace(-1, 1, 19), 7.5]
    frame = pd.DataFrame(
        {"x": x, "z": np.nan, "y": ["a", "b"] * 60, "part": ["train"] * 90 + ["validation"] * 10 + ["test"] * 20}
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    data = prepared(tmp_path / "cache", *table(tmp_path / "t.csv", "dataset.split_column=part"))
    assert data.notes[:2] == (
        "column 'z' has no value in the training rows: it is left out",
        "column 'x': 1 of 20 test rows lies more than 10 training deviations outside the training range",
    )


def test_a_shipped_table_is_named_by_its_id(tmp_path: Path) -> None:
    data = prepared(tmp_path, "dataset=tabular", "dataset.id=glass")
    assert sum(len(data.split(name).labels) for name in ("train", "validation", "test")) == 214
    mixed = prepared(tmp_path, "dataset=tabular", "dataset.id=nursery", "dataset.rare=drop")
    assert "recommend" not in mixed.classes, "a class of two samples was dropped"
    assert any("dataset.rare=drop applied to class recommend (2)" in note for note in mixed.notes)


def test_several_labels(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i % 2},{int(i % 5 == 0)}\n" for i in range(100))
    overrides = [
        "dataset=multilabel",
        f"dataset.path={quoted(write(tmp_path / 'm.csv', 'x,rain,wind' + chr(10) + rows))}",
        "dataset.targets=[rain,wind]",
    ]
    data = prepare(composed_dataset(*overrides), tmp_path / "cache")
    assert data.classes == ("rain", "wind")
    assert data.several_labels
    assert data.split("train").labels.shape[1] == 2
    assert data.counts.tolist() == data.split("train").labels.sum(axis=0).tolist()
    other = f"dataset.test_path={quoted(write(tmp_path / 'other.csv', 'wind,rain,x' + chr(10) + '1,0,7' + chr(10)))}"
    assert with_test_file(data, composed_dataset(*overrides, other), tmp_path / "cache").split(
        "test"
    ).labels.tolist() == [[0, 1]]


CELLS = st.one_of(
    st.integers(-5, 5).map(str),
    st.sampled_from(["a", "b", "", "NA", "inf", "1e400", "2024-01-01", '"', "ü", "\x00", "x\ny", "0.5"]),
)
HEADERS = st.sampled_from(["x,y", "x,z,y", "y", "x,x,y", "", "x;y", "x,y,\x00"])
ROWS_OF_ANY_LENGTH = st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=30)
ROWS_OF_TWO_CLASSES = st.lists(
    st.tuples(st.sampled_from(["1", "2.5", "-3", "", "NA"]), st.sampled_from(["0", "a", "ü"]), st.sampled_from("ab")),
    min_size=20,
    max_size=30,
)


@pytest.mark.slow
def test_any_small_csv_is_prepared_or_refused(tmp_path: Path) -> None:
    prepared_of, refused_of = [], []

    @settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
    @given(st.one_of(st.tuples(HEADERS, ROWS_OF_ANY_LENGTH), st.tuples(st.just("x,z,y"), ROWS_OF_TWO_CLASSES)))
    def check(table_of: tuple[str, Sequence[Sequence[str]]]) -> None:
        header, rows = table_of
        number = len(prepared_of) + len(refused_of)  # of a file that has been read before, what is known is kept
        file = write(tmp_path / f"{number}.csv", "\n".join([header, *(",".join(row) for row in rows)]))
        try:
            data = prepared(tmp_path / "cache", *table(file))
        except ConfigError as error:
            refused_of.append(str(error))
            return
        prepared_of.append(data)
        assert len(data.classes) >= 2
        assert np.isfinite(data.split("train").features).all()
        assert json.loads((data.folder / "metadata.json").read_text())["counts"] == data.counts.tolist()

    check()
    assert all(message.strip() for message in refused_of)
    assert min(len(prepared_of), len(refused_of)) > 10
