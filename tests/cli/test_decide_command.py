"""`python src/decide.py`, as it is typed: a race that is killed, goes on elsewhere and ends in time; and mistakes."""

import html
import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from equipoise.tracking.store import open_store
from helpers import REPOSITORY, copy_project, read_back, train
from processes import ended_after

HINGE = '''
import equipoise


@equipoise.loss
def hinge(labels, logits, *, margin: float = 1.0):
    """max(0, margin - z_y + max other z): multi-class hinge."""
    import keras

    one_hot = keras.ops.one_hot(labels, logits.shape[-1])
    own = keras.ops.sum(one_hot * logits, axis=-1)
    return keras.ops.relu(margin - own + keras.ops.max(logits - 1e9 * one_hot, axis=-1))
'''
RACE = (
    "dataset=digits_lt",
    "model=linear",
    "trainer.epochs=3",
    "loss=custom,hinge",
    "metric=balanced_accuracy",
)


@pytest.mark.slow
def test_a_race_that_is_killed_goes_on_with_two_workers_and_ends_in_time(tmp_path: Path) -> None:
    """The candidates are cross-entropy and a loss of the user's own."""
    clone = copy_project(tmp_path / "clone")
    (clone / "plugins").mkdir()
    (clone / "plugins" / "hinge.py").write_text(HINGE)

    def finished() -> int:
        return len(list((clone / "mlruns" / "digits_lt").glob("*/artifacts/evaluation/report.html")))

    started = time.monotonic()
    with ended_after() as processes:
        begun = processes.start([sys.executable, str(clone / "src" / "decide.py"), *RACE, "minutes=60"], cwd=clone)
        processes.until(lambda: finished() >= 2, begun)
        os.killpg(begun.pid, signal.SIGKILL)
        processes.said(begun)
    # As many minutes as the machine needs for about two times the runs; they are no part of what the race is.
    words = [*RACE, f"minutes={2 * (time.monotonic() - started) / 60 + 0.2:.1f}"]
    told = train(clone, *words, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", script="decide.py")
    assert told.returncode == 0, told.stdout + told.stderr
    store = open_store(clone)
    (summary,) = [run for run in store.runs(kind="sweep") if "race_seconds" in run.data.tags]
    runs = [run for run in store.runs(sweep_id=summary.data.tags["sweep_id"]) if "kind" not in run.data.tags]
    done = [run for run in runs if run.info.status == "FINISHED"]
    places = Counter((run.data.params["loss.name"], run.data.params["dataset.split_seed"]) for run in done)
    assert set(places.values()) == {1}, "no job is done twice"
    assert len(done) > 2
    assert float(summary.data.tags["race_seconds"]) > 0
    lines = [line for line in told.stdout.splitlines() if line.strip()]
    verdict = next(number for number, line in enumerate(lines) if line.startswith("Verdict: "))
    assert summary.data.tags["verdict"] == lines[verdict]
    told_after = [line for line in lines[verdict:] if not line.startswith((" ", "The metrics favour"))]  # but a table
    assert len(told_after) <= 10
    assert summary.data.tags["mlflow.note.content"].startswith(f"{lines[verdict]}\n\n**Sweep ")
    assert [line.split(":")[0] for line in lines[-4:]] == [
        "Train it on all rows",
        "Register it",
        "Take it away, plain Keras",
        "The race, drawn",
    ]
    folder = clone / "outputs" / "decide" / summary.data.tags["sweep_id"]
    found = json.loads((folder / "decision.json").read_text())
    assert {entry["candidate"] for entry in found["entries"]} == {"none", "hinge"}
    assert {entry["rule"] for entry in found["entries"] if entry["candidate"] == "none"} == {
        "argmax",
        "logit_adjusted",
        "tuned",
    }
    mine = {run.info.run_id: run for run in done}
    values = [
        read_back(mine[run])["val/decision/tuned/balanced_accuracy"]
        for run in found["runs"]
        if mine[run].data.params["loss.name"] == "hinge"
    ]
    (tuned,) = [one for one in found["entries"] if (one["candidate"], one["rule"]) == ("hinge", "tuned")]
    assert tuned["mean"] == pytest.approx(sum(values) / len(values))
    assert lines[verdict] in html.unescape((folder / "decision.html").read_text())
    again = train(clone, *words, script="decide.py")
    assert (again.returncode, "Verdict: " in again.stdout) == (0, True), again.stderr
    # What is left of the time may do for a repetition of the two candidates, but there is no new time.
    more = len(store.runs(sweep_id=summary.data.tags["sweep_id"])) - 1 - len(runs)
    assert more <= 2, "the time was up"


def test_mistakes_are_told_before_anything_is_written(tmp_path: Path) -> None:
    for words, told in {
        ("dataset=digits_lt", "metric=test/macro_f1"): "test rows judge, and choose nothing; try metric=macro_f1",
        ("dataset=digits_lt", "weighting=none,balancd"): "did you mean 'balanced'",
    }.items():
        found = train(REPOSITORY, *words, cwd=tmp_path, script="decide.py", cold=True)  # libraries are not needed
        assert (found.returncode, told in found.stderr) == (2, True), found.stderr
