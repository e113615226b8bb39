"""The form of a served model: its input and output, as its page in MLflow shows them, and its files."""

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from equipoise.data import dates
from equipoise.data.arrays.scaled import SeriesPreprocessing
from equipoise.data.images.dataset import ImagePreprocessing
from equipoise.data.tables.columns import CategoricalColumn, Column, DateColumn, IdColumn, TablePreprocessing
from equipoise.data.tables.pandas_types import PandasType
from equipoise.data.texts import TextPreprocessing
from equipoise.data.types import Preprocessing
from equipoise.data.words import WordPreprocessing
from equipoise.methods.deciders import Decide, WithSets
from equipoise.metrics.probabilities import OfLabels, Probabilities

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

IMAGE = "image"  # the column of paths or encoded images
GREY = 128
# The files of a folder with all that a model answers by, beside the model and what `prepare` learned.
CLASSES, DECISION, PROBABILITIES = "classes.json", "decision.json", "probabilities.json"
SOURCE = "validation.npz"  # logits and labels of validation rows


def column_of(learned: Preprocessing) -> str | None:
    """Return the one column that holds images or texts; None of other data."""
    if isinstance(learned, TextPreprocessing | WordPreprocessing):
        return learned.column
    return IMAGE if isinstance(learned, ImagePreprocessing) else None


def signature(learned: Preprocessing, classes: Sequence[str], moved: Probabilities, decide: Decide) -> "ModelSignature":
    """Return the types of the input and the output.

    A table's columns have the types that pandas gives them in the training file, since pandas reads rows for MLflow.
    Arrays have no schema: with one, MLflow would refuse exact values of another type, and rows of a CSV.
    """
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, DataType, Schema

    several = isinstance(moved, OfLabels)
    given = (
        [ColSpec(DataType.long, f"predicted({name})") for name in classes]
        if several
        else [ColSpec(DataType.string, "predicted")]
    )
    if isinstance(decide, WithSets):
        given += [ColSpec(DataType.boolean, f"set({name})") for name in classes]
    kinds = ("p",) if moved.uncorrected else ("p", "p_raw")
    found = [ColSpec(DataType.double, f"{kind}({name})") for kind in kinds for name in classes]
    types = _columns(learned)
    columns = [ColSpec(AnyType() if kind == "any" else DataType[kind], name) for name, kind in types.items()]
    inputs = Schema(columns) if columns else None
    return ModelSignature(inputs, Schema([*given, *found, ColSpec(DataType.string, "notes")]))


def _columns(learned: Preprocessing) -> dict[str, str]:
    """Return the columns of a row, each with its type; an array has none."""
    if isinstance(learned, TablePreprocessing):
        return {column.name: learned.pandas[column.name] for column in learned.columns}
    column = column_of(learned)
    return {} if column is None else {column: "string"}


def example(learned: Preprocessing) -> Any:
    """Return a row that nobody has: the mean of each number, a category of each text, a grey image, or means."""
    import pandas as pd

    if isinstance(learned, TablePreprocessing):
        return pd.DataFrame(
            {column.name: [_typical(column, learned.pandas[column.name])] for column in learned.columns}
        )
    if isinstance(learned, ImagePreprocessing):
        return pd.DataFrame({IMAGE: [_grey(learned)]})
    if isinstance(learned, TextPreprocessing | WordPreprocessing):
        return pd.DataFrame({learned.column: ["a text"]})
    if isinstance(learned, SeriesPreprocessing):
        return np.array(learned.shift)[np.newaxis, :, np.newaxis]
    shape: tuple[int, ...] = vars(learned)["shape"]
    return np.broadcast_to(np.array(vars(learned)["shift"]), (1, *shape)).astype(np.float64)


def said(learned: Preprocessing) -> str:
    """Say what a row is, for readers of the model's page."""
    if isinstance(learned, TablePreprocessing):
        return "the table's own columns"
    if isinstance(learned, ImagePreprocessing):
        content = "the image's file as bytes, base64 or data URL"
        return f"the column {IMAGE}: the path of an image where the model runs, or {content}"
    if isinstance(learned, TextPreprocessing | WordPreprocessing):
        return f"the column {learned.column}: a text a row"
    if isinstance(learned, SeriesPreprocessing):
        steps, channels = learned.shape
        return f"a list of series, each of {channels - 1} channels by up to {steps} steps"
    return f"samples of shape {vars(learned)['shape']}, or a row a sample: its raw values, flattened in C order"


def _typical(column: Column, kind: PandasType) -> Any:
    if kind == "boolean":
        return False
    if isinstance(column, DateColumn):
        seconds = round(column.earliest * dates.DAY)
        moment = np.datetime64(seconds, "s").item()
        return {"long": seconds, "double": float(seconds), "datetime": moment}.get(kind, moment.isoformat())
    if isinstance(column, CategoricalColumn | IdColumn):
        category = next(iter(column.categories), "")
        return {"long": int, "double": float}.get(kind, str)(category)
    return {"long": round(column.mean), "string": str(column.mean)}.get(kind, column.mean)


def _grey(learned: ImagePreprocessing) -> str:
    from PIL import Image

    height, width, channels = learned.shape
    file = io.BytesIO()
    mode, color = ("L", GREY) if channels == 1 else ("RGB", (GREY, GREY, GREY))
    Image.new(mode, (width, height), color).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
