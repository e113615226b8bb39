"""What the terminal shows is whole at any width, and in any encoding."""

import io
import os
import re
import string
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from equipoise.core import streams, terminal
from equipoise.core.typed import without_quiet
from equipoise.methods.weighting import ClassWeights
from equipoise.metrics.classification import Predictions, evaluate
from equipoise.metrics.intervals import Interval
from equipoise.reports.console import print_evaluation, print_rules
from helpers import copy_project
from processes import LIMIT

WIDTHS = (60, 80, 100, 120, 200)
NAMES = (
    "a",
    "Iris versicolor from the southern slopes of the mountain",
    "ラテン文字ではないクラスの名前",
    "yes (paid)",
)


def shown_at(width: int, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Where the console of this width writes."""
    file = io.StringIO()
    monkeypatch.setattr(terminal, "console", Console(file=file, width=width, highlight=False, markup=False))
    return file


def assert_within(shown: str, width: int) -> None:
    from rich.cells import cell_len

    assert max(map(cell_len, shown.splitlines())) <= width


numbers = st.floats(-1e4, 1e4).map(lambda value: f"{value:+.3f}")
names = st.text(string.ascii_letters + "=,. ()", min_size=1, max_size=120).map(lambda text: f"<{text}>")


@settings(max_examples=40)
@given(st.data(), st.integers(60, 200), st.integers(1, 12), st.integers(1, 4))
def test_no_number_is_cut_and_every_part_names_its_rows(
    data: st.DataObject, width: int, columns: int, count: int
) -> None:
    headings = ["configuration", *(f"metric\n{number}" for number in range(columns))]
    rows = [[data.draw(names), *(data.draw(numbers) for _ in range(columns))] for _ in range(count)]
    file = io.StringIO()
    parts = terminal.tables("Title", headings, rows, width)
    for part in parts:
        Console(file=file, width=width).print(part)
    shown = file.getvalue()
    assert_within(shown, width)
    found = re.findall(r"[+-]\d+\.\d{3}(?!\d)", shown)
    assert sorted(found) == sorted(number for row in rows for number in row[1:])
    letters = re.sub(r"[^<>]", "", shown)
    assert letters.count("<") >= count * len(parts), "each part names its rows"


@pytest.mark.parametrize("width", WIDTHS)
def test_a_run_and_its_rules_are_whole(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(4, size=200)
    logits = generator.normal(size=(200, 4))
    evaluation = evaluate(Predictions(labels, logits, logits.argmax(axis=1)), NAMES, {})
    weights = ClassWeights(NAMES, np.array([1000, 200, 30, 4]), np.array([0.25, 1.25, 8.333, 62.5]))
    file = shown_at(width, monkeypatch)
    print_evaluation(evaluation, {"accuracy": Interval(0.123, 0.456)}, weights, np.arange(4))
    rules = {
        rule: dict.fromkeys(
            ("accuracy", "balanced_accuracy", "macro_f1", "mcc", "expected_cost", "log_loss_corrected"), -0.424
        )
        for rule in ("argmax", "logit_adjusted")
    }
    print_rules({"tuned": {"mcc": 0.123}}, rules, "argmax")
    shown = file.getvalue()
    assert_within(shown, width)
    for values in evaluation.per_class["recall"], evaluation.per_class["average_precision"]:
        for value in values:
            assert f"{value:.3f}" in shown
    assert "0.123 to 0.456" in shown
    assert shown.count("-0.424") == 12
    for rule in ("argmax (configured)", "logit_adjusted", "tuned"):
        assert rule in shown
    titles = " ".join(shown.split())
    chosen_by = titles.index("Validation split by decision rule")
    assert chosen_by < titles.index("for choosing") < titles.index("Test split by decision rule")


def test_messages_common_to_all_jobs_are_told_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = shown_at(200, monkeypatch)
    errors = io.StringIO()
    monkeypatch.setattr(terminal, "errors", Console(file=errors, width=200))
    with terminal.told_once():
        for job in ("none", "balanced"):
            terminal.warn("leakage: 1 of 9 test samples stand in the training split as well")
            terminal.note("trainer.engine=auto takes fit: it is Keras's own")
            terminal.retell("warning: leakage: 1 of 9 test samples stand in the training split as well")
            terminal.retell("note: trainer.engine=auto takes fit: it is Keras's own")
            terminal.retell(f"{job}: 3 epochs on cpu")
            terminal.retell(f"error: {job} failed")
    terminal.warn("leakage: 1 of 9 test samples stand in the training split as well")
    leak, failed = (
        "warning: leakage: 1 of 9 test samples stand in the training split as well",
        ["error: none failed", "error: balanced failed"],
    )
    assert errors.getvalue().splitlines() == [leak, *failed, leak]
    engine = "note: trainer.engine=auto takes fit: it is Keras's own"
    assert shown.getvalue().splitlines() == [engine, "none: 3 epochs on cpu", "balanced: 3 epochs on cpu"]


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("ascii", "a - b  -0.424 +/- 0.010 ... \\u65e5\\u672c na\\xefve"),
        ("latin-1", "a · b  -0.424 ± 0.010 ... \\u65e5\\u672c naïve"),
    ],
)
def test_no_encoding_ends_a_command(encoding: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr"):
        written = io.BytesIO()
        monkeypatch.setattr(sys, name, io.TextIOWrapper(written, encoding=encoding))
        streams.never_fail()
        print("a · b  −0.424 ± 0.010 … 日本 naïve", file=getattr(sys, name), flush=True)
        assert written.getvalue().decode(encoding) == f"{said}\n"


@pytest.mark.slow
def test_a_run_in_ascii_in_a_narrow_pipe(tmp_path: Path) -> None:
    """Class names of another script, and nothing of the terminal but 60 columns."""
    project = copy_project(tmp_path)
    (tmp_path / "names.csv").write_text(
        "x,y\n" + "".join(f"{row / 10},{name}\n" for name in ("日本", "naïve café") for row in range(30))
    )
    words = [
        "dataset=csv",
        f"dataset.path={tmp_path}/names.csv",
        "dataset.target=y",
        "model=linear",
        "trainer.epochs=1",
        "evaluation.resamples=0",
    ]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "60", "NO_COLOR": "1"}
    command = [sys.executable, str(project / "src/train.py"), *words]
    found = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=LIMIT)
    assert found.returncode == 0, found.stderr
    assert found.stdout.isascii()
    assert "\\u65e5\\u672c" in found.stdout
    assert "argmax (configured)" in found.stdout
    assert "Traceback" not in found.stderr
    tables = found.stdout[found.stdout.index("Test split by class") : found.stdout.index("Report: ")]
    assert max(map(len, tables.splitlines())) <= 60 + len("\\u65e5\\u672c"), "what replaces a character is wider"


def test_quietly_there_are_warnings_and_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    words, is_quiet = without_quiet(["-m", "--quiet", "seed=0,1"])
    assert (words, is_quiet) == (["-m", "seed=0,1"], True)
    assert without_quiet(["seed=0"]) == (["seed=0"], False)
    with terminal.quietly(is_quiet):
        terminal.note("engine=auto takes fit")
        terminal.console.print("a job")
        terminal.print_table("Table", ["a"], [["1"]])
        terminal.warn("leakage")
        terminal.retell("error: a job failed")
        with terminal.aloud():
            terminal.console.print("verdict")
        terminal.console.print("another job")
    terminal.console.print("loud again")
    assert capsys.readouterr() == ("verdict\nloud again\n", "warning: leakage\nerror: a job failed\n")
