"""Code that is edited between two commands, as a user does it: what depends on it is made again, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

from equipoise.tracking.store import Store, open_store
from helpers import copy_project, jobs, train

pytestmark = pytest.mark.slow

SWEEP = ["-m", "dataset=digits_lt", "model=linear", "trainer.epochs=1", "weighting=none,balanced", "sweep=mine"]


def edit(project: Path, name: str, old: str, new: str) -> None:
    file = project / "src" / "equipoise" / name
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


def found(store: Store, weighting: str, seed: int) -> Any:
    (run,) = jobs(store, sweep_id="mine", weighting=weighting, seed=str(seed))
    return run


def test_an_edit_repeats_what_depends_on_it_and_nothing_else(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    first = train(project, *SWEEP, "seed=0")
    assert first.returncode == 0, first.stdout + first.stderr
    store = open_store(project)
    stale, kept = found(store, "balanced", 0), found(store, "none", 0)
    assert len(kept.data.tags["code_sha256"]) == 64

    edit(
        project,
        "methods/weighting.py",
        "counts.sum() / (len(counts) * counts)",
        "counts.sum() / (2 * len(counts) * counts)",
    )
    edit(project, "methods/weighting.py", "return np.ones(len(counts))", "return np.ones(len(counts))  # all the same")
    edit(
        project,
        "methods/weighting.py",
        "\n\nSHIPPED:",
        "\n\ndef halved(counts: Integers) -> Floats:\n    return 0.5 * inverse(counts)\n\n\nSHIPPED:",
    )
    edit(project, "reports/page.py", "WIDE = 9", "WIDE = 8")
    more = train(project, *SWEEP, "seed=1")
    assert more.returncode == 0, more.stdout + more.stderr
    assert "trained again" not in more.stdout
    told = " ".join(more.stdout.split())
    assert "The runs used different code (weighting=balanced)" in told

    again = train(project, *SWEEP, "seed=0,1")
    assert again.returncode == 0, again.stdout + again.stderr
    assert (
        f"trained again: the code of weighting=balanced has changed since run {stale.info.run_id}"
        in again.stdout.splitlines()
    )
    assert "3 of 4 jobs are finished already" in again.stdout
    assert again.stdout.count("is finished in this sweep already") == 3
    assert "Not all runs" not in again.stdout
    assert found(store, "none", 0).info.run_id == kept.info.run_id
    fresh = found(store, "balanced", 0)
    assert fresh.data.metrics["weight/9"] == pytest.approx(stale.data.metrics["weight/9"] / 2)
    left = store.client.get_run(stale.info.run_id)
    assert (left.info.lifecycle_stage, left.data.tags["superseded_in"], "sweep_id" in left.data.tags) == (
        "active",
        "mine",
        False,
    )

    edit(project, "data/long_tailed.py", "(8, 8, 1), 16, read)", "(8, 8, 1), 32, read)")
    other_data = train(project, *SWEEP, "seed=0")
    assert other_data.returncode == 0, other_data.stdout + other_data.stderr
    (line,) = [line for line in other_data.stdout.splitlines() if line.startswith("trained again: ")]
    assert line.startswith("trained again: the content of the data has changed since run ")
    assert {kept.info.run_id, fresh.info.run_id} == set(line.rpartition("run ")[2].split(", "))
    assert found(store, "none", 0).data.tags["data_sha256"] != kept.data.tags["data_sha256"]
    assert len(list((project / "cache").glob("digits_lt-*"))) == 2


def test_a_loss_or_a_model_that_cannot_be_trained_is_told_before_a_run_is_made(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    edit(
        project,
        "methods/losses.py",
        "return of_true(values, labels)",
        "return tf.reduce_mean(of_true(values, labels))",
    )
    edit(
        project,
        "methods/models.py",
        'hidden=(), dropout=0.0, embedding="one_hot")',
        'hidden=(), dropout=0.0, embedding="one_hot", end="softmax")',
    )
    edit(
        project,
        "methods/models.py",
        "shape: Shape, logits: int, ids: Shape = (), *, hidden: Counts, dropout: Fraction, embedding: Embedding\n",
        "shape, logits, ids=(), end=None, *, hidden: Counts, dropout: Fraction, embedding: Embedding\n",
    )
    first, _, rest = (
        (project / "src" / "equipoise" / "methods/models.py").read_text().partition('dtype="float32", name="logits"')
    )
    (project / "src" / "equipoise" / "methods/models.py").write_text(
        f'{first}dtype="float32", name="logits", activation=end{rest}'
    )
    alone = train(project, "dataset=digits_lt", "model=mlp", "loss=focal")
    assert alone.returncode == 2, alone.stdout + alone.stderr
    said = (
        "error: loss=focal: its function focal returns the shape () for 20 samples; "
        "it must return one value a sample, (20,)"
    )
    assert any(line.startswith(said) for line in alone.stderr.splitlines()), alone.stderr
    assert not list((project / "outputs").glob("*/*")), "nothing is left"

    several = train(
        project,
        "-m",
        "dataset=digits_lt",
        "loss=class_weight,focal",
        "model=mlp,linear",
        "trainer.epochs=1",
        "sweep=tried",
    )
    assert several.returncode == 1, several.stdout + several.stderr
    assert "error: model=linear: linear ends in softmax; it must end in logits" in several.stderr
    told = [line for line in several.stderr.splitlines() if line.startswith("warning:   ")]
    assert len(told) == 3
    assert sum("model=linear: linear ends in softmax; it must end in logits" in line for line in told) == 1
    assert sum("loss=focal: its function focal returns the shape ()" in line for line in told) == 2
    (run,) = jobs(open_store(project), sweep_id="tried")
    assert (run.info.status, run.data.tags["model"], run.data.tags["loss"]) == ("FINISHED", "mlp", "class_weight")
