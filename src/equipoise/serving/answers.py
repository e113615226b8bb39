"""A model's answers to raw rows, prepared and decided as when it was judged: the one way from rows to classes.

The served model, `predict.py` and a folder that was handed over all answer by it. It knows nothing of MLflow.
"""

import base64
import contextlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from equipoise.core.errors import ConfigError, control_characters, suggestion
from equipoise.core.paths import is_file
from equipoise.core.schema import Booleans, Floats, Integers
from equipoise.data import preprocessing
from equipoise.data.arrays.scaled import SeriesPreprocessing
from equipoise.data.images.dataset import ImagePreprocessing
from equipoise.data.tables.columns import TablePreprocessing
from equipoise.data.texts import TextPreprocessing
from equipoise.data.types import Preprocessing
from equipoise.data.words import WordPreprocessing, as_text
from equipoise.methods import deciders
from equipoise.methods.deciders import Decide, OfLabels, WithSets, names_of
from equipoise.methods.stored_model import load_stored, model_in
from equipoise.metrics import probabilities
from equipoise.metrics.classification import class_logits
from equipoise.metrics.probabilities import Probabilities
from equipoise.serving.served_form import CLASSES, DECISION, IMAGE, PROBABILITIES
from equipoise.training.answering import logits_of, taken_by, takes

if TYPE_CHECKING:
    import pandas as pd

MOST_BYTES = 256 << 20  # of an image's file


@dataclass(frozen=True)
class Read:
    """Rows that were read.

    Attributes
    ----------
    features : float32 (n, *shape), zeros for a row that cannot be read; of texts bytes (n,), or none
    unreadable : (n,)
    notes : for each row what training did not know, or why it cannot be read; or ""
    """

    features: Any
    unreadable: Booleans
    notes: list[str]


@dataclass(frozen=True)
class Judged:
    """The answer to rows.

    Attributes
    ----------
    decided : int64 (n,) class indices, NO_CLASS of a row that is given none, or 0 and 1 of (n, labels)
    probabilities : by the name of their kind, float64 (n, classes): `p`, and `p_raw` if these are others
    sets : bool (n, classes), whether the row may be of each class; None: the decision rule gives no sets
    """

    decided: Integers
    probabilities: Mapping[str, Floats]
    sets: Booleans | None = None


@dataclass(frozen=True)
class Answers:
    """A model with all that it was judged with: what `prepare` learned, its classes, decision rule and priors."""

    logits: Callable[[Any], Floats]
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    learned: Preprocessing
    decide: Decide
    moved: Probabilities

    @property
    def several(self) -> bool:
        """Whether a row may have several labels, or none."""
        return isinstance(self.decide, OfLabels)

    @property
    def nothing(self) -> Read:
        """What no row is read as."""
        kind = "S1" if isinstance(self.learned, TextPreprocessing) else np.float32
        return Read(np.empty((0, *self.shape), kind), np.empty(0, bool), [])

    def __call__(self, rows: Any) -> "pd.DataFrame":
        """Return each row's class, or 0 or 1 for each label, all probabilities, and a note on unknown values.

        A row that cannot be read has no class and no probabilities, and its note says why. One that the decision rule
        rejects has no class. Under a rule with sets each class has a column that tells whether the row may be of it.

        Raises
        ------
        ConfigError
            If the rows do not have the form that the model takes.
        """
        import pandas as pd

        read = self.read(rows)
        judged = self.judge(read.features)
        if self.several:
            table = pd.DataFrame(judged.decided, columns=[f"predicted({name})" for name in self.classes])
        else:
            table = pd.DataFrame({"predicted": names_of(judged.decided, self.classes)})
        if judged.sets is not None:
            table = table.join(pd.DataFrame(judged.sets, columns=[f"set({name})" for name in self.classes]))
        if read.unreadable.any():
            table = table.astype(object)
            table[read.unreadable] = None
        for kind, values in judged.probabilities.items():
            values = np.where(read.unreadable[:, np.newaxis], np.nan, values)
            table = table.join(pd.DataFrame(values, columns=[f"{kind}({name})" for name in self.classes]))
        table["notes"] = read.notes
        return table

    def judge(self, features: Any) -> Judged:
        """Return the answer to features as `read` gives them: a row's bits do not depend on the other rows."""
        logits = self.class_logits(features)
        found = {"p": self.moved(logits)} | ({} if self.moved.uncorrected else {"p_raw": self.moved.raw(logits)})
        sets = self.decide.sets(logits) if isinstance(self.decide, WithSets) else None
        return Judged(self.decide(self.moved.calibrated(logits)), found, sets)

    def class_logits(self, features: Any) -> Floats:
        """Return logits of features as `read` gives them, (n, classes) or (n, labels)."""
        raw = self.logits(features) if len(features) else np.empty((0, len(self.classes)), np.float32)
        return raw.astype(np.float64) if self.several else class_logits(raw)

    def read(self, rows: Any) -> Read:
        """Return features as training made them of such rows."""
        if isinstance(self.learned, TablePreprocessing):
            rows = _by_column(rows)
            encoded = self.learned.encode(rows)
            return self._read(encoded.features, encoded.told())
        if isinstance(self.learned, ImagePreprocessing):
            return self._one_by_one(_column(rows, IMAGE, "images"), self._decoded)
        if isinstance(self.learned, TextPreprocessing):
            return self._texts(_column(rows, self.learned.column, "texts"))
        if isinstance(self.learned, WordPreprocessing):
            return _of_words(self.learned, _column(rows, self.learned.column, "texts"))
        if _are_series(self.learned, rows, self.shape):
            return self._one_by_one(rows, lambda series: self.learned.apply([np.asarray(series, np.float64)]))
        values = np.asarray(rows, dtype=np.float64).reshape(-1, *self.shape)
        return self._read(self.learned.apply(values), self.learned.unknown(values))

    def _read(self, features: Floats, notes: list[str]) -> Read:
        bad: Booleans = np.logical_not(np.isfinite(features).reshape(len(features), -1).all(axis=1))
        notes = [note or "holds NaN or infinity" if odd else note for note, odd in zip(notes, bad, strict=True)]
        return Read(np.where(bad.reshape(-1, *[1] * len(self.shape)), np.float32(0), features), bad, notes)

    def _texts(self, rows: Iterable[Any]) -> Read:
        """Read texts, each by itself."""
        found: list[Any] = []
        notes = []
        for row in rows:
            try:
                found += self.learned.apply([row]).tolist()
                notes.append("")
            except ConfigError:
                found.append(b"")
                notes.append("is no text")
        return Read(self.learned.apply(found), np.array([bool(note) for note in notes], bool), notes)

    def _one_by_one(self, rows: Iterable[Any], apply: Callable[[Any], Floats]) -> Read:
        """Apply it to each row by itself, so that a row that cannot be read does not affect the others."""
        found: list[Floats] = []
        notes = []
        for row in rows:
            try:
                found += [*apply(row)]
                notes.append("")
            except ConfigError as error:
                found.append(np.full(self.shape, np.nan, np.float32))
                notes.append(re.sub(r"^(image|series) 0 ", "", str(error)))
        return self._read(np.stack(found) if found else np.empty((0, *self.shape), np.float32), notes)

    def _decoded(self, image: Any) -> Floats:
        """Return the features of an image: its encoded bytes, base64 of them, alone or in a data URL, or a path.

        Raises
        ------
        ConfigError
            If it is none of these. The message does not tell whether a file exists: any client may ask.
        """
        if isinstance(image, bytes | bytearray | memoryview | np.bytes_):
            return self.learned.apply([bytes(image)])
        unread = ConfigError("is no image: neither its bytes, nor base64 of them, nor the path of one that can be read")
        if not isinstance(image, str):
            raise unread
        path = Path(image)
        with contextlib.suppress(OSError, ConfigError):
            if is_file(path) and path.stat().st_size <= MOST_BYTES:
                return self.learned.apply([path.read_bytes()])
        try:
            data = base64.b64decode(re.sub(r"^data:[^,]*;base64,|\s", "", image), validate=True)
        except ValueError:
            raise unread from None
        return self.learned.apply([data])


def answers_of(folder: Path, carried: Path | None = None) -> Answers:
    """Return the answers of the model in a folder of parts.

    Parameters
    ----------
    carried : see `load_keras`

    Raises
    ------
    ConfigError
        If a part is missing or damaged, or the model needs code that is not here.
    """
    name = f"the model in {folder}"
    model = load_stored(model_in(folder, name), name, carried)
    learned = preprocessing.read(folder)
    try:
        classes, decision, moved = (
            json.loads((folder / name).read_text(encoding="utf-8")) for name in (CLASSES, DECISION, PROBABILITIES)
        )
        rule, probable = deciders.from_json(decision), probabilities.from_json(moved)
        shape = _shape(learned)
        if not takes(model, shape, learned):
            raise ValueError(
                f"what was learned of the data has the shape {shape}, and the model takes {taken_by(model)}"
            )
        answers = Answers(logits_of(model, learned), shape, tuple(classes), learned, rule, probable)
        _check(answers)
    except Exception as error:  # whatever damaged parts make JSON and NumPy raise
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"{folder}: its parts are damaged, or do not fit together: {said}") from None
    return answers


def _shape(learned: Preprocessing) -> tuple[int, ...]:
    """Return the shape of a sample."""
    return (learned.width,) if isinstance(learned, TablePreprocessing) else tuple(vars(learned)["shape"])


def _check(answers: Answers) -> None:
    """Try one row.

    Raises
    ------
    ValueError
        If the parts, which may come from anyone, do not fit together.
    """
    names = answers.classes
    if not all(isinstance(name, str) and not control_characters(name) for name in names) or len({*names}) < len(names):
        raise ValueError(f"{CLASSES} is no list of names")
    judged = answers.judge(np.zeros((1, *answers.shape), answers.nothing.features.dtype))
    shapes = [np.shape(values) for values in judged.probabilities.values()]
    decided = (1, len(names)) if answers.several else (1,)
    if judged.sets is not None:
        shapes.append(judged.sets.shape)
    if {*shapes} != {(1, len(names))} or judged.decided.shape != decided or judged.decided.max() >= max(2, len(names)):
        raise ValueError(f"{len(names)} names of classes do not fit the model's answer")


def _are_series(learned: Preprocessing, rows: Any, shape: tuple[int, ...]) -> bool:
    """Return whether the rows are series of their own lengths, and not arrays of the model's shape."""
    if not isinstance(learned, SeriesPreprocessing) or hasattr(rows, "columns"):
        return False
    return bool(np.shape(rows[0]) != shape)


def _by_column(rows: Any) -> Any:
    """Return rows by their columns, from any form that these are made of; a mapping of single values is one row."""
    if hasattr(rows, "columns") or hasattr(rows, "column_names") or hasattr(rows, "schema"):  # of pandas and of Arrow
        return rows
    import pandas as pd

    if isinstance(rows, Mapping) and all(np.ndim(value) == 0 for value in rows.values()):
        rows = [rows]
    return pd.DataFrame(rows)


def _of_words(learned: WordPreprocessing, rows: Iterable[Any]) -> Read:
    """Read the ids of the words of texts."""
    texts, bad = [], []
    for row in rows:
        try:
            texts.append(as_text(row))
            bad.append(False)
        except ConfigError:
            texts.append("")
            bad.append(True)
    ids = learned.apply(texts)
    notes = ["is no text" if odd else doubt for odd, doubt in zip(bad, learned.doubts(ids), strict=True)]
    return Read(ids, np.array(bad, bool), notes)


def _column(rows: Any, name: str, what: str) -> Iterable[Any]:
    """Return what the column of images or texts holds; rows without columns are what it would hold."""
    if not hasattr(rows, "columns") and not isinstance(rows, Mapping):
        return np.atleast_1d(np.asarray(rows, object))
    if name not in rows:
        raise ConfigError(
            f"there is no column '{name}', which holds the {what}{suggestion(name, [str(name) for name in rows])}"
        )
    found: Iterable[Any] = rows[name]
    return found
