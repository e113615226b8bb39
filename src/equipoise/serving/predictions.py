"""Predictions of a file or folder, as long as it may be: read in blocks, answered, and written block by block."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from equipoise.core.bars import counting
from equipoise.core.errors import ConfigError, counted
from equipoise.methods.deciders import Biased, Decide, LeastCost, Rejecting, WithSets
from equipoise.metrics.counts import NO_CLASS
from equipoise.serving.answers import Answers
from equipoise.serving.blocks import Block
from equipoise.serving.inputs import open_input
from equipoise.serving.outputs import written
from equipoise.serving.request import Request

if TYPE_CHECKING:
    import pyarrow as pa

NOTES = "notes"
NEAR = 1e-9  # of two probabilities that are equal but for rounding
MOST_LISTED = 10  # rows that cannot be read, by name


@dataclass
class Predicted:
    """What came of an input.

    Attributes
    ----------
    place : what tells a row: `row` or `path`
    rows, noted : how many rows there are, and how many have a note and a class
    bad : how many cannot be read
    listed : the first of them, each with why
    by_class : how many rows got each class, or each label
    rejected : how many the decision rule gave no class
    apart : how many got another class than that with the highest p(class), and why
    held : how many classes all sets hold together; None if the decision rule makes none
    outside : how many rows got a class that is not in their set
    """

    place: str
    rows: int = 0
    noted: int = 0
    bad: int = 0
    listed: list[str] = field(default_factory=list)
    by_class: dict[str, int] = field(default_factory=dict)
    rejected: int = 0
    apart: int = 0
    why: str = ""
    held: int | None = None
    outside: int = 0


def write_predictions(answers: Answers, request: Request) -> Predicted:
    """Predict all rows, and write a row for each of them to the file, which appears once it is whole.

    A row that cannot be read has no class, and its note says why.

    Raises
    ------
    ConfigError
        If there is no such source, it is not what the model takes, or no row of it can be read. Nothing is written.
    """
    given = open_input(request, answers)
    _check_key(request.key, answers, given.place)
    found = Predicted(given.place, by_class=dict.fromkeys(answers.classes, 0), why=_why_apart(answers))
    with written(request.file) as write, counting(given.rows, "rows") as advance:
        for block in given.blocks():
            table = _answered(answers, block, given.place, request.key)
            _count(found, block, table, answers)
            if found.bad and not request.skip:
                raise ConfigError(f"input={request.source}: {found.listed[0]}; on_bad_row=skip predicts the others")
            write(table)
            advance(table.num_rows)
        if found.rows == found.bad:
            why = f"no row of its {found.rows} can be read: {found.listed[0]}" if found.rows else "it has no rows"
            raise ConfigError(f"input={request.source}: {why}")
    return found


def _check_key(key: str | None, answers: Answers, place: str) -> None:
    """Refuse a key that is called as another column of the output.

    Raises
    ------
    ConfigError
        If it is.
    """
    kinds = ("p", "set") if isinstance(answers.decide, WithSets) else ("p",)
    of_classes = [f"{kind}({name})" for kind in kinds for name in answers.classes]
    names = [place, *_decided_names(answers), *of_classes, NOTES]
    if key in names:
        raise ConfigError(f"key={key}: the output has a column of that name: rename it, or leave it out")


def said(found: Predicted, output: Path) -> str:
    """Say what came of an input, in a few lines."""
    shares = ", ".join(f"{name} {count:,}" for name, count in found.by_class.items() if count)
    none = f"; no class: {found.rejected:,}, which the decision rule rejects" if found.rejected else ""
    lines = [f"{output}: {counted(found.rows, 'row', 'rows')}; predicted: {shares or 'nothing'}{none}"]
    if found.held is not None and found.rows > found.bad:
        size = found.held / (found.rows - found.bad)
        outside = (
            f"; the class of {counted(found.outside, 'row is', 'rows is')} not in its set" if found.outside else ""
        )
        lines.append(f"on average a set holds {size:.2f}{outside}")
    if found.noted:
        lines.append(f"{counted(found.noted, 'row has', 'rows have')} a note: values that training did not know")
    if found.apart:
        has = "row has" if found.apart == 1 else "rows have"
        lines.append(f"{found.apart:,} {has} another class than that with the highest p(class): {found.why}")
    return "\n".join(lines)


def _why_apart(answers: Answers) -> str:
    """Say what the decision goes by in place of p(class)."""
    decide: Decide = answers.decide
    p = "p(class) is not corrected" if answers.moved.uncorrected else "p(class) is under dataset.target_prior"
    if isinstance(decide, LeastCost | Rejecting):
        return "the decision rule takes the least expected cost"
    if isinstance(decide, WithSets) or (isinstance(decide, Biased) and not decide.bias.any()):
        return f"`predicted` goes by the model's own probabilities, {p}"
    return f"the decision rule favours some classes, {p}"


def told(found: Predicted) -> list[str]:
    """Return a line for all rows that cannot be read, and a line for each of the first of them."""
    if not found.bad:
        return []
    more = found.bad - len(found.listed)
    has = "has" if found.bad == 1 else "have"
    lines = [f"{found.bad} of {found.rows} rows cannot be read, and {has} no class:", *found.listed]
    return [*lines, *([f"and {more} more: their notes say why"] if more else [])]


def _decided_names(answers: Answers) -> list[str]:
    return [f"predicted({name})" for name in answers.classes] if answers.several else ["predicted"]


def _answered(answers: Answers, block: Block, place: str, key: str | None) -> "pa.Table":
    """Return the output's rows."""
    import pyarrow as pa

    read = block.read
    judged = answers.judge(read.features)
    columns: dict[str, Any] = {place: block.places}
    if key is not None:
        columns[key] = block.keys
    if answers.several:
        for name, decided in zip(_decided_names(answers), judged.decided.T, strict=True):
            columns[name] = pa.array(decided, mask=read.unreadable)
    else:
        columns["predicted"] = pa.array(answers.classes, pa.string()).take(
            pa.array(judged.decided, mask=read.unreadable | (judged.decided == NO_CLASS))
        )
    if judged.sets is not None:
        for name, held in zip(answers.classes, judged.sets.T, strict=True):
            columns[f"set({name})"] = pa.array(held, mask=read.unreadable)
    for name, values in zip(answers.classes, judged.probabilities["p"].T, strict=True):
        columns[f"p({name})"] = pa.array(values, mask=read.unreadable)
    columns[NOTES] = pa.array([note or None for note in read.notes], pa.string())
    return pa.table(columns)


def _count(found: Predicted, block: Block, table: "pa.Table", answers: Answers) -> None:
    """Add a block to what came of the input."""
    bad = np.flatnonzero(block.read.unreadable)
    found.rows += table.num_rows
    found.bad += len(bad)
    found.noted += sum(map(bool, block.read.notes)) - len(bad)
    for row in bad[: MOST_LISTED - len(found.listed)]:
        found.listed.append(f"{found.place} {block.places[row]}: {block.read.notes[row]}")
    if isinstance(answers.decide, WithSets):
        found.held = (found.held or 0) + sum(_true(table.column(f"set({name})")) for name in answers.classes)
    if not answers.several:
        found.apart += _apart(table, answers.classes)
        found.outside += _outside(table, answers.classes) if isinstance(answers.decide, WithSets) else 0
    if answers.several:
        for name in answers.classes:
            found.by_class[name] += int(np.nansum(table.column(f"predicted({name})").to_numpy()))
    else:
        found.rejected += table.column("predicted").null_count - len(bad)
        counts = table.column("predicted").value_counts()
        for each in counts.to_pylist():
            if each["values"] is not None:
                found.by_class[each["values"]] += each["counts"]


def _outside(table: "pa.Table", classes: Sequence[str]) -> int:
    """Return how many rows got a class that is not in their set."""
    import pyarrow.compute as compute

    def lacking(name: str) -> Any:
        return compute.and_(
            compute.equal(table.column("predicted"), name), compute.invert(table.column(f"set({name})"))
        )

    return sum(_true(lacking(name)) for name in classes)


def _true(column: Any) -> int:
    """Return how many values of a column are true; those of rows that cannot be read are null."""
    import pyarrow.compute as compute

    return compute.sum(column).as_py() or 0


def _apart(table: "pa.Table", classes: Sequence[str]) -> int:
    """Return how many rows got a class whose p(class) is below the highest, and not by rounding."""
    import pyarrow as pa
    import pyarrow.compute as compute

    predicted = table.column("predicted").combine_chunks()
    places = compute.index_in(predicted, pa.array(classes, pa.string())).drop_null().to_numpy()
    columns = [table.column(f"p({name})").filter(predicted.is_valid()).to_numpy() for name in classes]
    probabilities = np.column_stack(columns)
    own = probabilities[np.arange(len(places)), places]
    return int((own < probabilities.max(axis=1, initial=0) - NEAR).sum())
