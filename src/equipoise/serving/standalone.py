"""Predict the rows of a file or folder with the model beside this script, without the project that trained it.

  python predict.py rows.csv predictions.csv                 a row for each row: predicted, p(class), notes
  python predict.py rows.csv predictions.parquet key=id      with the column that tells which row is which
  python predict.py rows.csv predictions.csv on_bad_row=error    nothing is written if a row cannot be read
  python predict.py rows.csv predictions.csv dataset.target_prior=estimate   and separator=tab, array=NAME in an npz

README.md says what the model takes and what it must not be used for. The code in code/ is run: trust it as a program.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(words: Sequence[str]) -> int:
    """Do what was typed; return the exit code: 1 if a row cannot be read, 2 for a mistake."""
    sys.path.insert(0, str(HERE / "code"))  # the code that the model was judged by
    from equipoise.core import key_values

    return key_values.answer(words, __doc__, _predict)


def _predict(words: Sequence[str]) -> int:
    from equipoise.core import key_values
    from equipoise.core.errors import ConfigError
    from equipoise.serving.predict import predict
    from equipoise.serving.request import OPTIONS, read_request

    if len(words) < 2:
        raise ConfigError("type what to read and what to write: python predict.py rows.csv predictions.csv")
    typed = key_values.read([f"input={words[0]}", f"output={words[1]}", *words[2:]], OPTIONS)
    parts = HERE / "artifacts" / "parts"
    return predict(read_request(typed), parts, carried=parts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
