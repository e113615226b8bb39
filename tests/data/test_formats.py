"""One table in many forms of files, which all become the same prepared data; and what is told of files that do not."""

import json
import re
import shlex
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pytest

from data_files import prepared, quoted, table, write
from equipoise.core.errors import ConfigError
from equipoise.data.prepare import survey_anew
from equipoise.data.tables.files import Form
from equipoise.data.tables.opening import content_of, open_one, open_table, open_tables

ROWS = 600


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": generator.normal(size=ROWS).round(4),
            "whole": generator.integers(0, 90, ROWS),
            "city": generator.choice(["Köln", "Zürich", "Paris; Sud", 'the "Hague"'], ROWS),
            "y": generator.choice(["été", "hiver", "Frühling"], ROWS, p=[0.6, 0.3, 0.1]),
        }
    )
    frame.loc[::17, "size"] = np.nan
    frame.loc[::19, "city"] = None
    return frame


def saved(frame: pd.DataFrame, folder: Path, shards: int = 2) -> None:
    """Write a folder as `Dataset.save_to_disk` of Hugging Face's datasets 5.2 does, `y` a class label."""
    folder.mkdir(parents=True)
    names = sorted(frame["y"].unique())
    features = {"y": {"names": names, "_type": "ClassLabel"}, "size": {"dtype": "float64", "_type": "Value"}}
    whole = pa.Table.from_pandas(frame.assign(y=frame["y"].map(names.index)), preserve_index=False)
    whole = whole.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    files = [f"data-{place:05d}-of-{shards:05d}.arrow" for place in range(shards)]
    for file, rows in zip(files, np.array_split(np.arange(len(frame)), shards), strict=True):
        with pa.OSFile(str(folder / file), "wb") as sink, pa.ipc.new_stream(sink, whole.schema) as stream:
            stream.write_table(whole.take(pa.array(rows)))
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": file} for file in files]}))
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))


def halves(suffix: str, write: Callable[[pd.DataFrame, Path], object]) -> Callable[[pd.DataFrame, Path], list[str]]:
    """Write the table as two files, and a mark of success beside them; name them by a pattern."""

    def make(frame: pd.DataFrame, folder: Path) -> list[str]:
        for place, rows in enumerate((slice(0, 250), slice(250, None))):
            write(frame[rows], folder / f"part-{place}.{suffix}")
        (folder / "_SUCCESS").touch()
        return [f"dataset.path={quoted(folder / f'part-*.{suffix}')}"]

    return make


def one(
    name: str, write: Callable[[pd.DataFrame, Path], object], *more: str
) -> Callable[[pd.DataFrame, Path], list[str]]:
    def make(frame: pd.DataFrame, folder: Path) -> list[str]:
        write(frame, folder / name)
        return [f"dataset.path={quoted(folder / name)}", *more]

    return make


def as_csv(frame: pd.DataFrame, file: Path) -> None:
    frame.to_csv(file, index=False)


def as_lines(frame: pd.DataFrame, file: Path) -> None:
    frame.to_json(file, orient="records", lines=True, force_ascii=False)


def in_a_folder(frame: pd.DataFrame, folder: Path) -> list[str]:
    halves("csv", as_csv)(frame, folder)
    return [f"dataset.path={quoted(folder)}"]


FORMS: dict[str, Callable[[pd.DataFrame, Path], list[str]]] = {
    "CSV of German Excel": one(
        "t.csv",
        lambda frame, file: frame.to_csv(file, index=False, sep=";", decimal=",", encoding="utf-8-sig"),
        "dataset.decimal=comma",
    ),
    "latin-1": one(
        "t.csv", lambda f, file: f.to_csv(file, index=False, encoding="latin-1"), "dataset.encoding=latin-1"
    ),
    "cp1252, packed": one(
        "t.csv.gz", lambda f, file: f.to_csv(file, index=False, encoding="cp1252"), "dataset.encoding=cp1252"
    ),
    "UTF-16 without a mark": one(
        "t.csv", lambda f, file: f.to_csv(file, index=False, encoding="utf-16-le"), "dataset.encoding=utf-16-le"
    ),
    "JSON Lines": one("t.jsonl", as_lines),
    "JSON Lines, packed": one("t.ndjson.gz", as_lines),
    "Parquet": one("t.parquet", lambda frame, file: frame.to_parquet(file)),
    "Arrow": one("t.feather", lambda frame, file: frame.to_feather(file)),
    "a folder of datasets": one("t", saved),
    "CSV in two files": halves("csv", as_csv),
    "JSON Lines in two files": halves("jsonl", as_lines),
    "Parquet in two files": halves("parquet", lambda frame, file: frame.to_parquet(file)),
    "part files in a folder": in_a_folder,
}


@pytest.fixture(scope="module")
def of_csv(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, tuple[str, ...]]:
    folder = tmp_path_factory.mktemp("csv")
    as_csv(frame, folder / "t.csv")
    found = prepared(folder / "cache", *table(folder / "t.csv"))
    return found.data_sha256, found.classes


@pytest.mark.parametrize("form", FORMS)
def test_a_table_in_any_form_is_the_same_data(
    form: str, frame: pd.DataFrame, of_csv: tuple[str, tuple[str, ...]], tmp_path: Path
) -> None:
    (tmp_path / "files").mkdir()
    words = FORMS[form](frame, tmp_path / "files")
    found = prepared(tmp_path / "cache", "dataset=csv", "dataset.target=y", *words)
    assert (found.data_sha256, found.classes) == of_csv


def test_splits_of_a_folder_of_datasets_are_kept(frame: pd.DataFrame, tmp_path: Path) -> None:
    parts = {"train": frame[:400], "validation": frame[400:450], "test": frame[450:], "unsupervised": frame[:9]}
    for name, rows in parts.items():
        saved(rows, tmp_path / "d" / name, shards=1)
    (tmp_path / "d" / "dataset_dict.json").write_text(json.dumps({"splits": list(parts)}))
    found = prepared(tmp_path / "cache", *table(tmp_path / "d"))
    for name in ("train", "validation", "test"):
        assert [found.classes[place] for place in found.split(name).labels] == parts[name]["y"].tolist()
        np.testing.assert_array_equal(found.split(name).rows, np.arange(len(parts[name])))
    assert "the unsupervised split is not read" in " ".join(found.notes)
    with pytest.raises(ConfigError, match=r"has splits of its own; name one of them, such as dataset.path=.*d/train"):
        prepared(tmp_path / "cache", *table(tmp_path / "d", "dataset.split_column=city"))
    with pytest.raises(ConfigError, match=r"has the splits train, validation, test: name one, input=.*d/test"):
        open_one(str(tmp_path / "d"), "input", Form())


def test_a_changed_added_or_removed_file_is_another_data_set(tmp_path: Path) -> None:
    def content() -> str:
        return content_of(open_tables(str(tmp_path / "*.csv"), "dataset.path", Form()))

    for name in "ab":
        write(tmp_path / f"{name}.csv", "x,y\n1,2\n")
    found = [content()]
    write(tmp_path / "b.csv", "x,y\n1,30\n")
    found.append(content())
    write(tmp_path / "c.csv", "x,y\n1,2\n")
    found.append(content())
    (tmp_path / "a.csv").unlink()
    found.append(content())
    assert len(set(found)) == 4
    two = open_tables(str(tmp_path / "b.csv"), "x", Form()) + open_tables(str(tmp_path / "c.csv"), "x", Form())
    assert content_of(two) != content()  # a test file is no part of a training file


def test_columns_of_several_files_get_a_type_that_holds_all(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", '{"n": 1, "y": "u"}\n{"n": 2}\n')
    write(tmp_path / "b.jsonl", '\ufeff{"n": 2.5, "more": "2024-01-31"}\n\n{"n": null, "more": null}\n')
    (found,) = open_tables(str(tmp_path), "dataset.path", Form())
    rows = [row for batch in found.batches(["more", "n", "y"]) for row in batch.to_pylist()]
    assert rows == [
        {"more": None, "n": 1.0, "y": "u"},
        {"more": None, "n": 2.0, "y": None},
        {"more": "2024-01-31", "n": 2.5, "y": None},
        {"more": None, "n": None, "y": None},
    ]


@pytest.mark.parametrize(
    ("one", "other", "values"),
    [("uint64", "int64", [2.0**63, -1.0]), ("uint64", "uint8", [2**63 + 5, 1]), ("uint32", "int64", [2**32 - 1, -1])],
)
def test_whole_numbers_of_several_files_keep_their_sign(
    one: str, other: str, values: list[float], tmp_path: Path
) -> None:
    large = 2**63 + 5 if one == "uint64" else 2**32 - 1
    small = 1 if other == "uint8" else -1
    for name, kind, value in (("a", one, large), ("b", other, small)):
        feather.write_feather(pa.table({"x": pa.array([value], kind)}), str(tmp_path / f"{name}.feather"))
    (found,) = open_tables(str(tmp_path), "dataset.path", Form())
    assert [value for batch in found.batches(["x"]) for value in batch.column("x").to_pylist()] == values


@pytest.mark.parametrize("head", ["ORCID", "SQLite_ms", "MATLAB_score", "PAR1", "ARROW1", "FEA1", "GIF89"])
def test_a_column_may_be_called_as_other_files_begin(head: str, tmp_path: Path) -> None:
    write(tmp_path / "t.csv", f"{head},y\n1,a\n")
    found = open_table(tmp_path / "t.csv")
    assert [batch.num_rows for batch in found.batches([head, "y"])] == [1]


def test_other_files_are_known_by_their_content(tmp_path: Path) -> None:
    import pyarrow.orc as orc
    import pyarrow.parquet as parquet

    whole = pa.table({"x": [1], "y": ["a"]})
    orc.write_table(whole, str(tmp_path / "orc"))
    with pytest.raises(ConfigError, match="is an ORC file"):
        open_table(tmp_path / "orc")
    parquet.write_table(whole, tmp_path / "parquet")
    feather.write_feather(whole, str(tmp_path / "arrow"))
    assert [open_table(tmp_path / name).columns for name in ("parquet", "arrow")] == [("x", "y")] * 2


def test_a_cure_overwrites_no_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "it's.csv", "w") as archive:
        archive.writestr("[Content_Types].xml", "x")
    for target in ("it's-2.csv", "it's-3.csv"):
        with pytest.raises(ConfigError, match="is an Excel workbook") as caught:
            open_table(tmp_path / "it's.csv")
        python, _, program = shlex.split(str(caught.value).splitlines()[1])
        read, written = re.findall(r'"([^"]+)"', program)
        assert (python, read, written) == ("python", str(tmp_path / "it's.csv"), str(tmp_path / target))
        (tmp_path / target).touch()


@pytest.mark.parametrize("name", ["../secret.arrow", "/etc/secret.arrow", "..\\secret.arrow", "..", ""])
def test_a_folder_of_datasets_names_only_what_lies_in_it(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    with pa.OSFile(str(tmp_path / "secret.arrow"), "wb") as sink, pa.ipc.new_stream(sink, pa.schema([])):
        pass
    write(folder / "state.json", json.dumps({"_data_files": [{"filename": name}]}))
    with pytest.raises(ConfigError, match=r"state.json names '.*', and a name must be that of"):
        _read(str(folder))
    write(folder / "dataset_dict.json", json.dumps({"splits": ["train", name]}))
    with pytest.raises(ConfigError, match=r"dataset_dict.json names '.*', and a name must be that of"):
        _read(str(folder))


def _texts(index: pa.DataType, text: str) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([0], index), pa.array([text], pa.large_string()))


@pytest.mark.parametrize(
    ("one", "other", "values"),
    [
        (
            pa.array([3_000_001], pa.timestamp("us")),
            pa.array([5], pa.timestamp("ns")),
            [pd.Timestamp(3_000_001_000), pd.Timestamp(5)],
        ),
        (
            pa.array([Decimal("1.25")], pa.decimal128(5, 2)),
            pa.array([Decimal("12345.50")], pa.decimal128(7, 2)),
            [Decimal("1.25"), Decimal("12345.50")],
        ),
        (_texts(pa.int8(), "u"), _texts(pa.int16(), "v"), ["u", "v"]),
        (_texts(pa.int8(), "u"), pa.array(["v"], pa.string_view()), ["u", "v"]),
    ],
)
def test_times_decimals_and_texts_of_several_files_meet(
    one: pa.Array, other: pa.Array, values: list[object], tmp_path: Path
) -> None:
    for name, column in (("a", one), ("b", other)):
        feather.write_feather(pa.table({"x": column}), str(tmp_path / f"{name}.feather"))
    (found,) = open_tables(str(tmp_path), "dataset.path", Form())
    assert [value for batch in found.batches(["x"]) for value in batch.column("x").to_pylist()] == values


def test_a_time_too_far_for_the_unit_of_another_file_is_told(tmp_path: Path) -> None:
    for name, value, unit in (("a", 0, "ns"), ("b", 32_503_680_000, "s")):  # the year 3000
        feather.write_feather(pa.table({"x": pa.array([value], pa.timestamp(unit))}), str(tmp_path / f"{name}.feather"))
    with pytest.raises(ConfigError, match=r"b.feather: a value does not fit the type that its column has in other"):
        _read(str(tmp_path))


def test_a_time_with_a_zone_meets_none_without(tmp_path: Path) -> None:
    for name, kind in (("a", pa.timestamp("us")), ("b", pa.timestamp("us", "UTC"))):
        feather.write_feather(pa.table({"x": pa.array([0], kind)}), str(tmp_path / f"{name}.feather"))
    with pytest.raises(ConfigError, match=r"b.feather: column 'x' holds timestamp\[us, tz=UTC\], and timestamp\[us\]"):
        _read(str(tmp_path))


@pytest.mark.parametrize("beside", ["nonsense\n", ""])
def test_a_line_with_two_objects_is_odd_whatever_is_beside_it(beside: str, tmp_path: Path) -> None:
    write(tmp_path / "t.jsonl", '{"x": 1}\n{"x": 2}{"x": 3}\n' + beside + '{"x": 4}\n')
    found, odd = open_table(tmp_path / "t.jsonl"), dict[int, str]()
    rows = [row["x"] for batch in found.batches(["x"], odd.__setitem__) for row in batch.to_pylist()]
    assert (rows, sorted(odd)) == ([1, 4], [1, 2] if beside else [1])
    with pytest.raises(ConfigError, match=r"t.jsonl: row 2 is no object of JSON on a line of its own: Extra data"):
        list(found.batches(["x"]))


def test_rows_that_cannot_be_read_are_told_by_their_number_in_all_files(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", '{"n": 1}\nnonsense\n\n{"n": 2}\n[3]\n')
    write(tmp_path / "b.jsonl", '{"n": 3}\n{"n": 4\n')
    (found,) = open_tables(str(tmp_path / "?.jsonl"), "dataset.path", Form())
    odd: dict[int, str] = {}
    rows = [row["n"] for batch in found.batches(["n"], odd.__setitem__) for row in batch.to_pylist()]
    assert (rows, sorted(odd)) == ([1, 2, 3], [1, 3, 5])
    with pytest.raises(ConfigError, match=r"a.jsonl: row 2 is no object of JSON"):
        list(found.batches(["n"]))


BAD: dict[str, tuple[dict[str, str | bytes], str, str]] = {
    "no match": ({"a.tsv": "x"}, "*.csv", r"dataset.path=.*\*.csv: no file matches; .* holds a.tsv$"),
    "an empty folder": ({"_SUCCESS": ""}, "", "it is a folder without files; .* holds _SUCCESS$"),
    "empty files alone": ({"a.csv": ""}, "*.csv", "every file there is empty"),
    "other columns": (
        {"a.csv": "x,y\n1,2\n", "b.csv": "x,z,u\n1,2,3\n"},
        "*.csv",
        "b.csv has not the columns of .*a.csv: it lacks y and has z, u more",
    ),
    "files of two kinds": ({"a.csv": "x,y\n", "b.jsonl": '{"x": 1}'}, "", "a.csv and .*b.jsonl are of different kinds"),
    "types that do not meet": (
        {"a.jsonl": '{"x": 1}', "b.jsonl": '{"x": "u"}'},
        "*.jsonl",
        "b.jsonl: column 'x' holds string, and int64 in the files before",
    ),
    "values of several kinds": (
        {"a.jsonl": '{"x": 1}\n{"x": "u"}'},
        "a.jsonl",
        r"\(a number in row 1, a text in row 2\)",
    ),
    "a list of objects": ({"a.json": '[{"x": 1},\n{"x": 2}]'}, "a.json", "pandas.read_json"),
    "a key twice": ({"a.jsonl": '{"x": 1, "x": 2}'}, "a.jsonl", "row 1 is no object of JSON .*: a key is there twice"),
    "a wrong encoding": (
        {"a.jsonl": '{"x": "Straße"}'.encode("cp1252")},
        "a.jsonl",
        "is not UTF-8 text: dataset.encoding=cp1252 reads it, with 'Straße' in it",
    ),
    "a wrong encoding far below": (
        {"a.csv": b"x,y\n" + b"1,2\n" * 3_000_000 + b"1,\xe9t\xe9\n"},
        "a.csv",
        "is not UTF-8 text: dataset.encoding=cp1252 reads it, with 'été' in it",
    ),
    "an old pickle": ({"a.pkl": b"\x80\x04abc"}, "a.pkl", "is a pickle, .*pandas.read_pickle"),
    "a tar": ({"a.csv.tar.gz": b"\x1f\x8b"}, "a.csv.tar.gz", "is a tar archive: unpack it"),
    "a database": ({"a.csv": b"SQLite format 3\0"}, "a.csv", "is a database: .*sqlite3.connect"),
    "arrays": ({"a.npy": b"\x93NUMPY"}, "a.npy", "is a file of arrays: dataset=npz reads it"),
    "no Arrow": ({"a.arrow": "x,y\n"}, "a.arrow", "is no Arrow file"),
}


@pytest.mark.parametrize("case", BAD)
def test_files_that_cannot_be_read_are_told_with_a_cure(case: str, tmp_path: Path) -> None:
    files, path, message = BAD[case]
    for name, content in files.items():
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        _read(str(tmp_path / path))


def _read(path: str) -> None:
    for found in open_tables(path, "dataset.path", Form()):
        list(found.batches(found.columns))


def test_files_called_after_splits_are_told(tmp_path: Path) -> None:
    for name in ("train-0.csv", "test-0.csv", "other.csv"):
        write(tmp_path / name, "x,y\n1,2\n")
    (found,) = open_tables(str(tmp_path), "dataset.path", Form())
    assert "2 files are called after splits (test-0.csv, train-0.csv)" in found.notes[0]
    write(tmp_path / "empty.csv", "")
    survey_anew()
    (found,) = open_tables(str(tmp_path), "dataset.path", Form())
    assert "1 file is empty, and is left out (empty.csv)" in found.notes[0]


def test_class_labels_in_parquet_have_their_names(tmp_path: Path) -> None:
    import pyarrow.parquet as parquet

    features = {"y": {"names": ["no", "yes"], "_type": "ClassLabel"}}
    whole = pa.table({"y": pa.array([1, -1, 0])}).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    parquet.write_table(whole, tmp_path / "t.parquet")
    found = [batch.column("y").to_pylist() for batch in open_table(tmp_path / "t.parquet").batches(["y"])]
    assert found == [["yes", None, "no"]]


def test_nested_columns_are_told_with_what_to_do(tmp_path: Path) -> None:
    write(tmp_path / "t.jsonl", '{"x": {"a": 1}, "y": "u"}\n{"x": {"a": 2}, "y": "v"}\n' * 9)
    with pytest.raises(ConfigError, match=r"column 'x' holds structures: flatten it, with pandas.json_normalize, or"):
        prepared(tmp_path / "cache", *table(tmp_path / "t.jsonl"))
    images = pa.array([{"bytes": b"a", "path": None}] * 30)
    feather.write_feather(pa.table({"image": images, "y": ["u", "v"] * 15}), str(tmp_path / "t.feather"))
    with pytest.raises(ConfigError, match=r"column 'image' holds images.*: for dataset=image_directory"):
        prepared(tmp_path / "cache", *table(tmp_path / "t.feather"))


@pytest.mark.parametrize(
    "path", ["~nobody-at-all/t.csv", "~nobody-at-all/*.csv", "n" * 5000, "n" * 5000 + "*", "no\0thing*"]
)
def test_paths_that_no_file_can_have_are_told(path: str) -> None:
    with pytest.raises(ConfigError, match=r"there is no such file|cannot be read|no file matches"):
        open_tables(path, "dataset.path", Form())
