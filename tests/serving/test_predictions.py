"""Predictions of a file have the bits that were logged when the model was judged, whatever rows are beside a row."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from equipoise.core.errors import ConfigError
from equipoise.core.paths import ROOT
from equipoise.serving.parts import parts_of_run
from equipoise.serving.request import read_request
from equipoise.tracking.store import Store
from helpers import new_store
from kinds import (
    a_shipped_table,
    a_single_logit,
    a_table,
    a_typed_table,
    arrays,
    digits,
    series,
    several_labels,
    trained,
    unequal_series,
)

pytestmark = pytest.mark.slow

# What is typed to train, the file to predict, and more that is typed to predict it.
Case = tuple[list[str], Path, list[str]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, tensorflow: object) -> Store:
    return new_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(autouse=True)
def root(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ROOT, str(store.root))


def predicted(run: str, source: Path, file: Path, *words: str) -> tuple[pd.DataFrame, Any]:
    """The predictions of a run's model as a table, and what came of them."""
    from equipoise.serving.answers import answers_of
    from equipoise.serving.predictions import write_predictions

    options = dict(word.split("=", 1) for word in words)
    with parts_of_run(run, "local") as folder:
        answers = answers_of(folder)
    found = write_predictions(answers, read_request({"input": str(source), "output": str(file), **options}))
    # Unless told, pandas reads 17 digits to another last bit.
    read = pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file, float_precision="round_trip")
    return read, found


def assert_as_logged(found: pd.DataFrame, expected: pd.DataFrame, place: str = "row") -> None:
    """Assert that rows have the class and the bits that were logged for them."""
    rows = found.set_index(place).loc[expected[place]]
    for column in (name for name in expected if name.startswith("predicted")):
        assert rows[column].tolist() == expected[column].tolist()
    for column in (name for name in found if name.startswith("p(")):
        corrected = column.replace("p(", "p_corrected(")
        np.testing.assert_array_equal(rows[column], expected[corrected if corrected in expected else column])


def of_csv(folder: Path) -> Case:
    a_table(folder)
    return (
        ["dataset=csv", f"dataset.path='{folder}/t.csv'", "dataset.target=y", "weighting=balanced"],
        folder / "t.csv",
        [],
    )


def of_parquet(folder: Path) -> Case:
    return a_typed_table(folder)[0], folder / "t.parquet", ["key=code"]


def of_labels(folder: Path) -> Case:
    return several_labels(folder)[0], folder / "m.csv", []


def of_one_logit(folder: Path) -> Case:
    return a_single_logit(folder)[0], folder / "t.csv", ["key=city"]


def of_a_shipped_table(folder: Path) -> Case:
    typed, rows = a_shipped_table(folder)
    rows(slice(None)).to_csv(folder / "shipped.csv", index=False, sep=";")
    return typed, folder / "shipped.csv", ['separator=";"']


def of_arrays(folder: Path) -> Case:
    return arrays(folder)[0], folder / "a.npz", ["key=y"]


def of_numbers(folder: Path) -> Case:
    """An array a row, its numbers in columns."""
    typed, rows = arrays(folder)
    raw = rows(slice(None)).reshape(120, 12)
    pd.DataFrame(raw).assign(name=[f"n{row}" for row in range(120)]).to_csv(folder / "a.csv", index=False)
    return typed, folder / "a.csv", ["key=name"]


def of_series(folder: Path) -> Case:
    return series(folder)[0], folder / "s.npz", ["array=x"]


def of_unequal_series(folder: Path) -> Case:
    return unequal_series(folder)[0], folder / "s.ts", []


def of_digits(folder: Path) -> Case:
    typed, rows = digits(folder)
    np.savez(folder / "digits.npz", images=rows(slice(None)), other=np.zeros(3))
    return typed, folder / "digits.npz", []


@pytest.mark.parametrize(
    "case",
    [
        of_csv,
        of_parquet,
        of_labels,
        of_one_logit,
        of_a_shipped_table,
        of_arrays,
        of_numbers,
        of_series,
        of_unequal_series,
        of_digits,
    ],
)
def test_every_row_has_the_bits_that_were_logged(
    case: Callable[[Path], Case], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In blocks of any number of rows, though the model was judged on some of the rows, in batches of their own."""
    from equipoise.serving import blocks

    typed, source, words = case(tmp_path)
    run, expected = trained(store, "model=linear", *typed)
    for rows in (1, 100_000):
        monkeypatch.setattr(blocks, "ROWS", rows)
        found, told = predicted(run.id, source, tmp_path / f"{rows}.parquet", *words)
        assert_as_logged(found, expected)
        assert found["row"].tolist() == list(range(len(found)))
        assert (told.rows, told.bad) == (len(found), 0)
    assert sum(told.by_class.values()) == found.filter(like="predicted").to_numpy().size or case is of_labels
    keys = [word.removeprefix("key=") for word in words if word.startswith("key=")]
    assert list(found)[: 1 + len(keys)] == ["row", *keys]
    as_text, _ = predicted(run.id, source, tmp_path / "p.csv", *words)
    for name in found.filter(like="p("):
        np.testing.assert_array_equal(as_text[name], found[name])


def test_images_of_a_folder(store: Store, tmp_path: Path) -> None:
    """Of any formats and sizes, in folders or not; those that cannot be read are told by their paths."""
    generator = np.random.default_rng(0)
    for label, name in enumerate(("cat", "dog")):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(30):
            pixels = generator.integers(100 * label, 100 * label + 156, (9 + number % 3, 8, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / name / f"{number}{('.png', '.jpg', '.webp')[number % 3]}")
    typed = ["dataset=image_directory", f"dataset.path='{tmp_path}/pets'", "dataset.image_size=[8,8]", "model=linear"]
    run, expected = trained(store, *typed)
    found, _ = predicted(run.id, tmp_path / "pets", tmp_path / "p.parquet")
    assert_as_logged(found, expected, "path")
    assert len(found) == 60
    (tmp_path / "pets" / "a note.txt").write_text("no image, and not said to be one")
    (tmp_path / "pets" / "cut.png").write_bytes((tmp_path / "pets" / "cat" / "0.png").read_bytes()[:60])
    (tmp_path / "elsewhere.png").write_bytes((tmp_path / "pets" / "cat" / "0.png").read_bytes())
    (tmp_path / "pets" / "link.png").symlink_to(tmp_path / "elsewhere.png")
    found, told = predicted(run.id, tmp_path / "pets", tmp_path / "p.csv")
    assert_as_logged(found, expected, "path")
    bad = found[found["predicted"].isna()].set_index("path")
    assert (len(found), told.bad, sorted(bad.index)) == (62, 2, ["cut.png", "link.png"])
    assert bad.loc["link.png", "notes"] == f"is a link that leaves {tmp_path}/pets"
    assert "cut off" in bad.loc["cut.png", "notes"]
    by_path = tmp_path / "paths.csv"
    by_path.write_text("image\n" + "\n".join(str(tmp_path / "pets" / path) for path in expected["path"]) + "\n")
    found, _ = predicted(run.id, by_path, tmp_path / "p.parquet")
    assert_as_logged(found.assign(path=expected["path"]), expected, "path")


@pytest.fixture(scope="module")
def of_table(store: Store, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, pd.DataFrame, Path]:
    """A run on a CSV, what was logged of it, and the CSV."""
    folder = tmp_path_factory.mktemp("table")
    typed, source, _ = of_csv(folder)
    run, expected = trained(store, "model=linear", *typed)
    return run.id, expected, source


def test_rows_are_the_same_in_every_form_of_file(of_table: tuple[str, pd.DataFrame, Path], tmp_path: Path) -> None:
    """As German Excel, pandas and Spark write them; a decimal comma is learned of no row, and typed."""
    run, expected, source = of_table
    table = pd.read_csv(source, dtype={"code": str, "digits": str, "flag": str})
    table.to_csv(tmp_path / "de.csv", index=False, sep=";", decimal=",", encoding="cp1252")
    table.to_json(tmp_path / "t.jsonl", orient="records", lines=True, double_precision=15)
    table.to_feather(tmp_path / "t.arrow")
    for place, rows in enumerate((slice(0, 70), slice(70, None))):
        table[rows].to_csv(tmp_path / f"part-{place}.csv", index=False)
    german = ("separator=;", "encoding=cp1252", "decimal=comma")
    for name, words in (("de.csv", german), ("t.jsonl", ()), ("t.arrow", ()), ("part-*.csv", ())):
        found, _ = predicted(run, tmp_path / name, tmp_path / "p.parquet", *words)
        assert len(found) == len(table)
        assert not found["notes"].str.contains("no number", na=False).any()
        rows = found.set_index("row").loc[expected["row"]]
        assert rows["predicted"].tolist() == expected["predicted"].tolist()
        np.testing.assert_allclose(rows["p(rare)"], expected["p_corrected(rare)"], rtol=1e-6)


def test_rows_with_another_number_of_cells_are_listed_and_the_others_keep_their_numbers(
    of_table: tuple[str, pd.DataFrame, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the beginning, in the middle, next to each other and at the end; in blocks of any size."""
    from equipoise.serving import blocks, table_rows

    run, expected, source = of_table
    head, *lines = source.read_text().splitlines()
    at = (0, 1, 40, 41, 90, len(lines) + 5)
    for number in at:
        lines.insert(number, "odd" if number % 2 else "an,odd,line,of,too,many,cells,in,all")
    file = tmp_path / "odd.csv"
    file.write_text("\n".join([head, *lines[:50], "", *lines[50:]]) + "\n")
    good = [number for number in range(len(lines)) if number not in at]
    moved = expected.assign(row=[good[row] for row in expected["row"]])
    for block_bytes, rows in ((1 << 20, 16_384), (1 << 20, 7), (700, 16_384), (700, 3)):
        monkeypatch.setattr(table_rows, "AHEAD", block_bytes)
        monkeypatch.setattr(blocks, "ROWS", rows)
        found, told = predicted(run, file, tmp_path / "p.parquet", "key=city")
        assert_as_logged(found, moved)
        assert found["row"].tolist() == list(range(len(lines)))
        assert found.loc[found["predicted"].isna(), "row"].tolist() == list(at)
        assert found.loc[list(at), "city"].isna().all()
        assert not found.loc[good, "city"].isna().any()
        assert (told.rows, told.bad) == (len(lines), len(at))
        assert told.listed[:2] == [
            "row 0: has 9 cells, and the header 8",
            "row 1: has 1 cell, and the header 8",
        ]
    with pytest.raises(ConfigError, match=r"row 0: has 9 cells, and the header 8; on_bad_row=skip predicts the others"):
        predicted(run, file, tmp_path / "new.csv", "on_bad_row=error")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["odd.csv", "p.parquet"]


def test_notes_tell_what_training_did_not_know(of_table: tuple[str, pd.DataFrame, Path], tmp_path: Path) -> None:
    run, _, source = of_table
    rows = pd.read_csv(source, dtype=str).dropna().head(4)
    rows = rows.assign(city=["berlin", *rows["city"][1:]], x=[rows["x"].iloc[0], "tall", *rows["x"][2:]])
    rows.to_csv(tmp_path / "rows.csv", index=False)
    found, told = predicted(run, tmp_path / "rows.csv", tmp_path / "p.csv")
    notes = ["city=berlin: not seen in training", "x=tall: no number, read as missing"]
    assert found["notes"].tolist()[:2] == notes
    assert found["notes"][2:].isna().all()
    assert (told.noted, told.bad) == (2, 0)


@pytest.mark.parametrize(
    ("part", "content"),
    [
        ("classes.json", '["often", "rare", "never"]'),
        ("classes.json", '["often"]'),
        ("classes.json", '["often", "often"]'),
        ("classes.json", '["often", 1]'),
        ("classes.json", '["often", "\\u001b[2J"]'),
        ("classes.json", "7"),
        ("classes.json", "{"),
        ("decision.json", '{"kind": "Biased", "bias": [0, 0, 0]}'),
        ("decision.json", '{"kind": "Biased", "bias": ["a", "b"]}'),
        ("decision.json", '{"kind": "Above", "thresholds": [0, 0, 0]}'),
        ("decision.json", '{"kind": "Known"}'),
        ("decision.json", '{"kind": "LeastCost", "costs": [[0, 1]], "effective": null, "target": [1, 1]}'),
        ("decision.json", "[]"),
        ("probabilities.json", '{"kind": "OfClasses", "effective": [0.5, 0.5], "target": [1, 1, 1]}'),
        ("probabilities.json", "null"),
        ("preprocessing.json", '{"kind": "array", "shape": [13], "shift": [0], "factor": [1], "more": 1}'),
        ("preprocessing.json", '{"kind": "array", "shape": [12], "shift": [0], "factor": [1]}'),
        ("preprocessing.json", '{"kind": "table", "columns": []}'),
        ("model.keras", "no model"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused_in_a_line(
    part: str, content: str, of_table: tuple[str, pd.DataFrame, Path], tmp_path: Path
) -> None:
    from equipoise.serving.answers import answers_of
    from equipoise.serving.parts import parts_of_model

    with parts_of_run(of_table[0], "local") as folder:
        shutil.copytree(folder, tmp_path / "parts")
    with parts_of_model(str(tmp_path / "parts"), "local") as folder:
        assert answers_of(folder).classes == ("often", "rare")
        (folder / part).write_text(content)
        with pytest.raises(ConfigError) as caught:
            answers_of(folder)
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).isprintable()


def test_a_store_that_mlflow_must_be_asked_gives_the_same_parts(
    of_table: tuple[str, pd.DataFrame, Path], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a server's must be: of a run, and of a registered model by its alias."""
    from equipoise.serving import parts, register
    from equipoise.tracking import history

    def content(folder: Path) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.name != "model.keras"}

    run, expected, source = of_table
    register.register(store, history.judged_run(store, run), "by a client", "champion", {})
    with parts.parts_of_run(run, "local") as of_run, parts.parts_of_model("by a client@champion", "local") as of_model:
        quick = content(of_run), content(of_model)
    monkeypatch.setattr(parts, "run_folders", lambda *_: None)
    monkeypatch.setattr(parts, "registered_folder", lambda *_: None)
    with parts.parts_of_run(run, "local") as of_run, parts.parts_of_model("by a client@champion", "local") as of_model:
        assert (content(of_run), content(of_model)) == quick
        assert len(quick[0]) == 6
        assert (of_model / "model.keras").is_file()
    found, _ = predicted(run, source, tmp_path / "p.parquet")
    assert_as_logged(found, expected)
    for alias, why in (("nobody", r"did you mean 'by a client@champion'\?"), ("", r"there is no such folder")):
        with pytest.raises(ConfigError, match=why), parts.parts_of_model(f"by a client@{alias}", "local"):
            pass


@pytest.mark.parametrize(
    ("rows", "words", "why"),
    [
        ("x,whole\n1,2\n", [], "has no column 'gaps' nor flag, code, digits, city, which the model learned from"),
        (None, ["key=ctiy"], "key=ctiy: TABLE has no such column; did you mean 'city'?"),
        ("x;whole\n1;2\n", [], "has one column when read with separator=',': try 'separator=\";\"'"),
        ("HEAD\n", [], "it has no rows"),
        ("HEAD\n1,2\n3\n", [], "no row of its 2 can be read: row 0: has 2 cells, and the header 8"),
        ("", [], "is empty"),
        (None, ["separator=,,"], "separator=,,: must be one character"),
        (None, ["on_bad_row=stop"], "on_bad_row=stop: there is no such on_bad_row; choose from skip, error"),
        (None, ["encoding=latni-1"], "encoding=latni-1 is no encoding of text; did you mean 'latin-1'?"),
        (None, ["decimal=coma"], "decimal=coma: there is no such decimal; did you mean 'comma'?"),
        (None, ["input=nowhere*.csv"], "input=nowhere*.csv: no file matches"),
        (None, ["output=p.txt"], "output=p.txt: the name must end in .csv or .parquet"),
        (None, ["output=nowhere/p.csv"], "output=nowhere/p.csv: there is no folder nowhere"),
        (None, ["output=TABLE"], "is the input, which would be lost"),
        (None, ["input=nowhere.csv"], "input=nowhere.csv: there is no such file"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_written(
    rows: str | None, words: list[str], why: str, of_table: tuple[str, pd.DataFrame, Path], tmp_path: Path
) -> None:
    run, _, source = of_table
    file = source
    if rows is not None:
        file = tmp_path / "rows.csv"
        file.write_text(rows.replace("HEAD", source.read_text().splitlines()[0]))
    before = {path.name for path in tmp_path.iterdir()}
    typed = {"output": str(tmp_path / "p.csv")} | dict(
        word.replace("TABLE", str(source)).split("=", 1) for word in words
    )
    with pytest.raises(ConfigError) as caught:
        predicted(run, Path(typed.pop("input", str(file))), Path(typed.pop("output")), *map("=".join, typed.items()))
    assert why.replace("TABLE", str(source)) in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("case", "name", "why"),
    [
        (of_csv, "a.npz", "is of another kind; the model takes rows of a table, in a CSV, JSON Lines"),
        (of_csv, "pictures", "it is a folder without files"),
        (of_arrays, "t.csv", "has 8 columns of numbers; the model takes 12, a sample of shape (4, 3) in C order"),
        (of_arrays, "s.npz", "has no array of samples of shape (4, 3), which the model takes; it has 'x' (120, 16)"),
        (of_arrays, "two.npz", "has several arrays that the model takes: name one by array=a or array=b"),
        (of_unequal_series, "t.csv", "is of another kind; the model takes series"),
    ],
)
def test_what_the_model_does_not_take_is_refused(
    case: Callable[[Path], Case], name: str, why: str, store: Store, tmp_path: Path
) -> None:
    typed, _, _ = case(tmp_path)
    run, _ = trained(store, "model=linear", *typed)
    a_table(tmp_path)
    arrays(tmp_path)
    series(tmp_path)
    np.savez(tmp_path / "two.npz", a=np.zeros((2, 4, 3)), b=np.zeros((2, 12)))
    (tmp_path / "pictures").mkdir()
    with pytest.raises(ConfigError) as caught:
        predicted(run.id, tmp_path / name, tmp_path / "p.csv")
    assert why in str(caught.value)
    assert not (tmp_path / "p.csv").exists()


def test_numbers_that_are_none_make_their_row_unreadable(store: Store, tmp_path: Path) -> None:
    typed, file, _ = of_numbers(tmp_path)
    run, expected = trained(store, "model=linear", *typed)
    table = pd.read_csv(file, dtype=str)
    rows = [row for row in range(120) if row not in set(expected["row"])]
    table.loc[rows[0], "3"] = "many"
    table.loc[rows[1], "4"] = ""
    table.to_csv(file, index=False)
    found, told = predicted(run.id, file, tmp_path / "p.parquet", "key=name")
    assert_as_logged(found, expected)
    assert found.loc[rows[:2], "notes"].tolist() == ["3=many: no number", "holds NaN or infinity"]
    assert found.loc[rows[:2], "predicted"].isna().all()
    assert told.bad == 2


def test_a_text_a_line(tmp_path: Path) -> None:
    """From a .txt, a folder of them, and a column; a model that counts words answers each by itself."""
    import keras

    from equipoise.data.texts import TextPreprocessing
    from equipoise.methods.deciders import Biased
    from equipoise.metrics.probabilities import OfClasses
    from equipoise.serving.answers import Answers
    from equipoise.serving.predictions import write_predictions
    from equipoise.training.predictor import Predictor

    words = keras.layers.TextVectorization(output_mode="count", vocabulary=["bad", "good"])
    model = keras.Sequential([keras.Input((), dtype="string"), words, keras.layers.Dense(2, use_bias=False)])
    model.layers[-1].set_weights([np.array([[0, 0], [1, 0], [0, 1]], np.float32)])
    moved = OfClasses(None, np.array([0.5, 0.5]), "of a test")
    answers = Answers(Predictor(model), (), ("bad", "good"), TextPreprocessing(), Biased(np.zeros(2)), moved)
    texts = ["good, good, bad", "bad", "not so bad", "good"]
    (tmp_path / "rows.txt").write_text("\n".join(texts) + "\n")
    pd.DataFrame({"text": texts, "n": range(4)}).to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "rows").mkdir()
    for number, text in enumerate(texts):
        (tmp_path / "rows" / f"{number}.txt").write_text(text)
    (tmp_path / "rows" / "4.txt").write_bytes(b"\xff\xfe\xfd")
    for name in ("rows.txt", "rows.csv", "rows"):
        file = tmp_path / "p.parquet"
        write_predictions(answers, read_request({"input": str(tmp_path / name), "output": str(file)}))
        found = pd.read_parquet(file)
        assert found["predicted"].tolist()[:4] == ["good", "bad", "bad", "good"], name
        assert found["p(good)"][0] == pytest.approx(1 / (1 + np.exp(-1)))
    said = "is not UTF-8 text; type its encoding, such as encoding=cp1252"
    assert found.iloc[4][["path", "predicted", "notes"]].tolist() == ["4.txt", None, said]
    latin = {"input": str(tmp_path / "rows"), "output": str(file), "encoding": "latin-1"}
    write_predictions(answers, read_request(latin))
    assert pd.read_parquet(file)["notes"].isna().all()


def test_the_output_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    import pyarrow as pa

    from equipoise.serving.outputs import written

    file = tmp_path / "p.csv"
    file.write_text("of yesterday")

    def fails() -> None:
        with written(file) as write:
            write(pa.table({"row": [0]}))
            assert len(list(tmp_path.iterdir())) == 2
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fails()
    assert file.read_text() == "of yesterday"
    with written(file) as write:
        write(pa.table({"row": [0], "b,c": ["x"]}))
        write(pa.table({"row": [1], "b,c": [None]}, schema=pa.schema({"row": pa.int64(), "b,c": pa.string()})))
    assert pd.read_csv(file).to_dict("list") == {"row": [0, 1], "b,c": ["x", pytest.approx(np.nan, nan_ok=True)]}
    assert os.listdir(tmp_path) == ["p.csv"]


def test_rows_with_another_class_than_the_most_probable_are_counted() -> None:
    import pyarrow as pa

    from equipoise.serving.predictions import _apart

    table = pa.table(
        {
            "predicted": ["a", "b", None, "b", "a"],
            "p(a)": [0.9, 0.8, None, 0.5, 0.1],
            "p(b)": [0.1, 0.2, None, 0.5, 0.9],
        }
    )
    assert _apart(table, ("a", "b")) == 2
    assert _apart(table.slice(2, 1), ("a", "b")) == 0
