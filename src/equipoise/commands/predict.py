"""Predict the rows of a file or folder: their classes, probabilities, and notes on what training did not know.

  python src/predict.py input=rows.csv output=predictions.csv       by the model of the run that ended last
  python src/predict.py run=RUN_ID input=… output=…                 of this run, or of an evaluation by another rule
  python src/predict.py model=NAME@champion input=… output=…        by a registered model
  python src/predict.py model=FOLDER input=… output=…               by a folder that register.py export=FOLDER wrote

  input=rows.csv      CSV or JSON Lines (packed, too), Parquet, Arrow, 'several/*.csv', npz, .ts, a folder of images or
                      texts, or a .txt with a text a line
  output=…            a .csv or .parquet file, which is replaced if it exists
  key=COLUMN          a column of the input that tells which row is which; it goes to the output, too
  on_bad_row=skip     a row that cannot be read is listed and has no class, and the exit code is 1;
                      on_bad_row=error ends at the first, and writes nothing
  separator=,         of a CSV; encoding=cp1252: of a CSV or JSON Lines; decimal=comma: of numbers that are text
  array=NAME          the samples in an npz of several arrays
  dataset.target_prior=estimate   p(class) under the class frequencies of these rows, which are estimated first, and
                      told; decision=prior_adjusted predicts by it, if the model's own rule does not follow
  tracking=server     a run or model of the server that MLFLOW_TRACKING_URI names

The output has a row for each row of the input: row (its number, from 0) or path, the key, predicted, p(class) under
dataset.target_prior, and notes. They are what evaluate.py and the served model find, to the bit.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from equipoise.core import key_values
from equipoise.core.errors import ConfigError
from equipoise.serving.parts import RUN
from equipoise.serving.predict import predict
from equipoise.serving.request import OPTIONS, read_request


def _predict(words: Sequence[str]) -> int:
    options = key_values.read(words, ("run", "model", *OPTIONS, "tracking"))
    where = key_values.store(options)
    if "run" in options and "model" in options:
        raise ConfigError("run and model contradict each other: choose one of them")
    request = read_request(options)
    with _parts(options, where) as folder:
        if "model" not in options and options.get("run", "latest") == "latest":
            print(f"run={(folder / RUN).read_text(encoding='utf-8')}: the newest that has trained a model")
        return predict(request, folder)


def _parts(options: Mapping[str, str], where: str) -> AbstractContextManager[Path]:
    from equipoise.serving.parts import parts_of_model, parts_of_run

    if "model" in options:
        return parts_of_model(options["model"], where)
    return parts_of_run(options.get("run", "latest"), where)


def main(words: Sequence[str]) -> int:
    """Do what was typed; return the exit code."""
    return key_values.answer(words, __doc__, _predict)
