"""Predict rows, and tell what came of it: the one way of the command and of a folder that was handed over."""

from pathlib import Path
from typing import TYPE_CHECKING

from equipoise.serving.request import Request

if TYPE_CHECKING:
    from equipoise.serving.answers import Answers


def predict(request: Request, parts: Path, carried: Path | None = None) -> int:
    """Predict by the model in a folder of parts; return the exit code, 1 if a row cannot be read.

    Parameters
    ----------
    carried : a folder of code that goes with the model and is trusted as this code is

    Raises
    ------
    ConfigError
        If the input is not what the model takes, or a part is missing or damaged. Nothing is written.
    """
    from equipoise.methods.stored_model import KERAS

    if (parts / KERAS).is_file():  # another model needs no TensorFlow
        from equipoise.training import runtime

        runtime.start("auto", "auto", deterministic=True)

    from equipoise.core.terminal import console, errors
    from equipoise.serving.answers import answers_of
    from equipoise.serving.predictions import said, told, write_predictions

    answers = answers_of(parts, carried)
    if request.estimated:
        answers = _moved(answers, request, parts)
    found = write_predictions(answers, request)
    console.print(said(found, request.file), soft_wrap=True)
    for line in told(found):
        errors.print(line, soft_wrap=True)
    return 1 if found.bad else 0


def _moved(answers: "Answers", request: Request, parts: Path) -> "Answers":
    """Return the answers under the class frequencies of the rows, and tell of them."""
    from equipoise.core.terminal import warn
    from equipoise.reports.prior_table import print_prior
    from equipoise.serving.prior_of_rows import moved_to_rows, told

    moved, prior = moved_to_rows(answers, request, parts)
    print_prior(prior)
    for note in filter(None, (*prior.estimate.notes, told(moved))):
        warn(note)
    return moved
