"""A registered model answers raw rows, of every kind of data, with the bits that were logged when it was judged."""

import base64
import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from equipoise.core.errors import ConfigError
from equipoise.data.prepare import prepare
from equipoise.serving import register
from equipoise.tracking import history
from equipoise.tracking.store import Store
from helpers import composed_dataset, new_store
from kinds import (
    Kind,
    a_boosted_table,
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


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, tensorflow: object) -> Store:
    return new_store(tmp_path_factory.mktemp("store"))


@contextlib.contextmanager
def told_by_mlflow() -> Iterator[list[str]]:
    """What MLflow logs."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("mlflow").addHandler(handler)
    try:
        yield said
    finally:
        logging.getLogger("mlflow").removeHandler(handler)


def registered(store: Store, *overrides: str) -> tuple[Any, pd.DataFrame, history.Logged]:
    """A model that was trained in this process, as MLflow serves it; what was logged of its test split; and its run."""
    import mlflow

    logged, expected = trained(store, *overrides)
    with told_by_mlflow() as said:
        made = register.register(store, logged, logged.params["dataset.name"], "champion", {})
    assert not [record for record in said if "input example" in record], "MLflow tries the example"
    return mlflow.pyfunc.load_model(made.uri), expected, logged


@pytest.fixture(scope="module")
def of_table(store: Store, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, pd.DataFrame, pd.DataFrame]:
    """A weighted model of a CSV, what was logged of it, and the CSV as MLflow reads it."""
    folder = tmp_path_factory.mktemp("table")
    raw = a_table(folder)
    model, expected, _ = registered(
        store, "dataset=csv", f"dataset.path='{folder}/t.csv'", "dataset.target=y", "model=mlp", "weighting=balanced"
    )
    return model, expected, raw


def assert_as_logged(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert found["predicted"].tolist() == expected["predicted"].tolist()
    for column in (name for name in expected if name.startswith("p(")):
        own, corrected = column.replace("p(", "p_raw("), column.replace("p(", "p_corrected(")
        np.testing.assert_array_equal(found[own if own in found else column], expected[column])
        if corrected in expected:
            np.testing.assert_array_equal(found[column], expected[corrected])


def test_a_model_of_a_table_answers_as_logged(of_table: tuple[Any, pd.DataFrame, pd.DataFrame]) -> None:
    model, expected, raw = of_table
    found = model.predict(raw.iloc[expected["row"]])
    assert_as_logged(found, expected)
    assert (found["notes"] == "").sum() >= (raw.iloc[expected["row"]].notna().all(axis=1)).sum()
    assert (expected["label"].to_numpy() == raw["y"].iloc[expected["row"]].to_numpy()).all()
    types = {column.name: column.type.name for column in model.metadata.get_input_schema()}
    words = {"code": "string", "city": "string"}
    assert types == {"x": "double", "whole": "long", "gaps": "double", "flag": "boolean", "digits": "long", **words}


def test_equal_rows_of_any_types_get_the_same_answer(
    of_table: tuple[Any, pd.DataFrame, pd.DataFrame],
) -> None:
    """Whole numbers as numbers of any type and as text, codes as text and as numbers, truths with a missing one."""
    loaded, expected, raw = of_table
    model = _Unwrapped(loaded.unwrap_python_model())
    raw = raw.iloc[expected["row"]].reset_index(drop=True)
    typed = {
        "as float": raw.astype({"whole": float, "digits": float}),
        "as Int64": raw.astype({"whole": "Int64", "digits": "Int64", "flag": "boolean"}),
        "as int32": raw.astype({"whole": "int32"}),
        "as text": raw.astype({"whole": str, "digits": str}).assign(digits=raw["digits"].map("{:05d}".format)),
        "as Python's": raw.astype(object),
        "as categories": raw.astype({"city": "category", "digits": "category", "code": "category"}),
    }
    for how, rows in typed.items():
        found = model.predict(rows)
        assert found["predicted"].tolist() == expected["predicted"].tolist(), how
        assert_as_logged(found, expected)
    numbers = raw.assign(code=raw["code"].replace("A12", "007")).reset_index(drop=True)
    known = model.predict(numbers)
    pd.testing.assert_frame_equal(model.predict(numbers.astype({"code": int})), known)
    pd.testing.assert_frame_equal(model.predict(numbers.astype({"code": float})), known)
    for missing in (np.nan, None, pd.NA):
        rows = raw.astype({"flag": "boolean", "whole": "Int64"} if missing is pd.NA else object)
        rows.loc[0, ["flag", "whole"]] = missing
        found = model.predict(rows)
        assert {"flag: missing", "whole: missing"} <= set(found["notes"][0].split("; "))
        assert_as_logged(found.iloc[1:], expected.iloc[1:])


class _Unwrapped:
    """A registered model without MLflow's look at types before it."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def predict(self, rows: Any) -> pd.DataFrame:
        found: pd.DataFrame = self._model.predict(None, rows)
        return found


@pytest.mark.parametrize("form", ["text/csv", "dataframe_split", "dataframe_records", "inputs"])
def test_a_model_of_a_table_answers_over_http(form: str, of_table: tuple[Any, pd.DataFrame, pd.DataFrame]) -> None:
    """`mlflow models serve` answers a request with a missing cell; a missing column is told in one line."""
    from mlflow.exceptions import MlflowException

    model, expected, raw = of_table
    raw = raw.iloc[expected["row"]].reset_index(drop=True)
    assert_as_logged(answered(model, form, raw), expected)
    gap = raw.copy()
    gap.loc[0, "x"] = np.nan
    found = answered(model, form, gap)
    assert "x: missing" in found["notes"][0].split("; ")
    assert_as_logged(found.iloc[1:], expected.iloc[1:])
    with pytest.raises(MlflowException) as caught:
        model.unwrap_python_model().predict(None, raw.rename(columns={"whole": "wole"}))
    assert caught.value.message == "there is no column 'whole', which the model learned from; did you mean 'wole'?"


def answered(model: Any, form: str, rows: pd.DataFrame) -> pd.DataFrame:
    """The answer of MLflow's server to these rows."""
    import json

    from mlflow.pyfunc.scoring_server import invocations

    if form == "text/csv":
        sent, kind = rows.to_csv(index=False), form
    else:
        orient = {"dataframe_split": "split", "dataframe_records": "records", "inputs": "list"}[form]
        content = (
            json.loads(rows.to_json(orient=orient))
            if orient != "list"
            else rows.astype(object).where(rows.notna(), None).to_dict("list")
        )
        sent, kind = json.dumps({form: content}), "application/json"
    response = invocations(sent, kind, model, model.metadata.get_input_schema())
    assert response.status == 200
    return pd.DataFrame(json.loads(response.response)["predictions"])


def test_probabilities_are_those_of_the_data_and_not_of_the_weights(
    of_table: tuple[Any, pd.DataFrame, pd.DataFrame],
) -> None:
    """Balanced weights teach equal class frequencies: the odds of the data are those times n_rare / n_often."""
    model, _, raw = of_table
    found = model.predict(raw)
    odds, own = (found[f"{kind}(rare)"] / found[f"{kind}(often)"] for kind in ("p", "p_raw"))
    ratio = (odds / own).to_numpy()
    np.testing.assert_allclose(ratio, ratio[0])
    counts = raw["y"].value_counts()
    assert ratio[0] == pytest.approx(counts["rare"] / counts["often"], rel=0.05), "the training split is stratified"
    assert found["p(rare)"].mean() < found["p_raw(rare)"].mean()


def test_an_answer_tells_the_unknown_values_of_its_row(of_table: tuple[Any, pd.DataFrame, pd.DataFrame]) -> None:
    model, _, raw = of_table
    rows = raw[raw.notna().all(axis=1)].iloc[[0] * 4].reset_index(drop=True)
    rows.loc[1, "city"] = "berlin"
    rows.loc[2, ["x", "city"]] = np.nan, None
    rows.loc[3, "x"] = 1e30
    notes = model.predict(rows)["notes"].tolist()
    assert notes[:3] == ["", "city=berlin: not seen in training", "x: missing; city: missing"]
    assert "x=1e+30" in notes[3]


def test_a_model_without_a_correction_says_so(store: Store, tmp_path: Path) -> None:
    a_table(tmp_path)
    model, expected, run = registered(
        store, "dataset=csv", f"dataset.path='{tmp_path}/t.csv'", "dataset.target=y", "model=linear", "loss=focal"
    )
    found = model.predict(pd.read_csv(tmp_path / "t.csv").iloc[expected["row"]])
    assert_as_logged(found, expected)
    assert not [name for name in found if name.startswith("p_raw")]
    assert (
        "not corrected, since loss=focal: the prior that the model learns under has no analytic form"
        in model.metadata.metadata["probabilities"]
    )
    version = store.client.get_model_version_by_alias("csv", "champion")
    assert (version.run_id, version.tags["probabilities"]) == (run.id, model.metadata.metadata["probabilities"])


def shards(folder: Path) -> Kind:
    """A model of shards takes the rows that the shards were made of."""
    from equipoise.data.write_shards import write_shards

    overrides, raw = arrays(folder)
    data = prepare(composed_dataset(*overrides), folder / "cache")
    write_shards(data, folder / "shards", 2)
    rows = data.split("test").rows
    assert rows is not None
    return ["dataset=tfrecord", f"dataset.path='{folder}/shards'"], lambda chosen: raw(rows[chosen])


@pytest.mark.parametrize(
    "kind",
    [
        *(a_typed_table, several_labels, a_shipped_table, arrays, series, unequal_series, a_single_logit),
        *(a_boosted_table, digits, shards),
    ],
)
def test_every_kind_of_data(kind: Callable[[Path], Kind], store: Store, tmp_path: Path) -> None:
    overrides, raw = kind(tmp_path)
    model, expected, _ = registered(store, "model=linear", *overrides)
    found = model.predict(raw(expected["row"].to_numpy()))
    has_missing_numbers = kind in (a_typed_table, several_labels, a_single_logit, a_boosted_table)
    assert (set(found["notes"]) != {""}) is has_missing_numbers
    if kind is several_labels:
        for name in ("rain", "wind"):
            assert found[f"predicted({name})"].tolist() == expected[f"predicted({name})"].tolist()
            np.testing.assert_array_equal(found[f"p_raw({name})"], expected[f"p({name})"])
            np.testing.assert_array_equal(found[f"p({name})"], expected[f"p_corrected({name})"])
    else:
        assert_as_logged(found, expected)


@pytest.mark.parametrize(
    "rule",
    [
        ("decision=abstain", "decision.reject_cost=0.15"),
        ("decision=conformal", "decision.alpha={rare: 0.05}", "calibration=temperature"),
    ],
)
def test_rows_without_a_class_and_sets_are_as_logged(rule: tuple[str, ...], store: Store, tmp_path: Path) -> None:
    """By the served model and by predict.py; a row without a class has probabilities, and no name."""
    from equipoise.serving.predictions import said, write_predictions
    from equipoise.serving.request import read_request

    raw = a_table(tmp_path)
    typed = ["dataset=csv", f"dataset.path='{tmp_path}/t.csv'", "dataset.target=y", "model=logistic"]
    model, expected, _ = registered(store, *typed, *rule)
    found = model.predict(raw.iloc[expected["row"]])
    assert_as_logged(found, expected)
    output = tmp_path / "p.csv"
    request = read_request({"input": str(tmp_path / "t.csv"), "output": str(output)})
    told = write_predictions(model.unwrap_python_model().answers, request)
    written = pd.read_csv(output).iloc[expected["row"]].reset_index(drop=True)
    rejected = expected["predicted"].isna()
    assert written["predicted"].fillna("").tolist() == expected["predicted"].fillna("").tolist()
    assert written["p(rare)"].notna().all()
    sets = [name for name in expected if name.startswith("set(") and name != "set(label)"]
    assert sets == ([] if "abstain" in rule[0] else ["set(often)", "set(rare)"])
    pd.testing.assert_frame_equal(written[sets], expected[sets])
    pd.testing.assert_frame_equal(found[sets], expected[sets])
    if sets:
        assert expected[sets].to_numpy().sum(axis=1).max() == 2
        whole = pd.read_csv(output)
        outside = sum((whole["predicted"] == name) & ~whole[f"set({name})"] for name in ("often", "rare")).sum()
        assert (told.held, told.outside) == (whole[sets].to_numpy().sum(), outside)
        assert f"on average a set holds {told.held / len(whole):.2f}" in said(told, output)
        assert ("not in its set" in said(told, output)) == (outside > 0)
        assert {"set(often)", "set(rare)"} <= {column.name for column in model.metadata.get_output_schema()}
    else:
        assert 0 < rejected.sum() < len(rejected)
        assert f"no class: {told.rejected}, which the decision rule rejects" in said(told, output)
        assert told.rejected == pd.read_csv(output)["predicted"].isna().sum()


def test_images_by_path_bytes_and_base64(store: Store, tmp_path: Path) -> None:
    """A folder of several formats and sizes; the same answer in every way, and from a CSV of paths."""
    from mlflow.exceptions import MlflowException

    generator = np.random.default_rng(0)
    for label, name in enumerate(("cat", "dog")):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(30):
            pixels = generator.integers(100 * label, 100 * label + 156, (9 + number % 3, 8, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / name / f"{number}{('.png', '.jpg', '.webp')[number % 3]}")
    overrides = [
        "dataset=image_directory",
        f"dataset.path='{tmp_path}/pets'",
        "dataset.image_size=[8,8]",
        "model=linear",
        "trainer.epochs=3",
    ]
    model, expected, _ = registered(store, *overrides)
    paths = [str(tmp_path / "pets" / path) for path in expected["path"]]
    files = [Path(path).read_bytes() for path in paths]
    encoded = [base64.b64encode(file).decode() for file in files]
    wrapped = [base64.encodebytes(file).decode() for file in files]  # in lines, as MIME has it
    urls = [f"data:image/{Path(path).suffix[1:]};base64,{text}" for path, text in zip(paths, encoded, strict=True)]
    for given in (paths, files, encoded, wrapped, urls):
        found = model.predict(pd.DataFrame({"image": given}))
        assert_as_logged(found, expected)
        assert set(found["notes"]) == {""}
    by_itself = _Unwrapped(model.unwrap_python_model())
    for given in (paths, {"image": paths}):
        assert_as_logged(by_itself.predict(given), expected)
    with pytest.raises(MlflowException) as caught:
        by_itself.predict(pd.DataFrame({"picture": paths}))
    assert caught.value.message == "there is no column 'image', which holds the images; choose from picture"
    (tmp_path / "secret").write_text("no image")
    found = model.predict(
        pd.DataFrame({"image": [paths[0], "nowhere.png", str(tmp_path / "secret"), str(tmp_path), "/dev/zero", "abcd"]})
    )
    assert found["predicted"].isna().tolist() == [False] + [True] * 5
    assert found.filter(like="p(").isna().all(axis=1).tolist() == [False] + [True] * 5
    unread = "is no image: neither its bytes, nor base64 of them, nor the path of one that can be read"
    assert found["notes"].tolist()[:5] == ["", unread, unread, unread, unread], (
        "a file that is there and one that is not are told alike"
    )
    assert "cannot be decoded" in found["notes"].tolist()[5]


def test_a_run_of_an_older_version_is_refused_with_advice(store: Store) -> None:
    """It logged neither what was learned of its data nor its priors; to guess them would be wrong in silence."""
    run = store.client.create_run(store.experiment("old"))
    store.client.log_dict(run.info.run_id, {"a": {}, "b": {}}, "weights.json")
    old = history.Logged(run.info.run_id, run.info.experiment_id, 0, {}, {}, {"val/balanced_accuracy": 0.5})
    with pytest.raises(
        ConfigError,
        match=r"has no preprocessing.json: an older version logged it; train it again, then register that run",
    ):
        register.register(store, old, "old", "champion", {})
