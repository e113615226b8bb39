"""`python src/check.py` as a user runs it: what is the user's own is tried in seconds, and no run is made."""

import os
import textwrap
from pathlib import Path

import pytest

from equipoise.core import plugins
from helpers import copy_project, imported_modules, train

pytestmark = pytest.mark.slow

GOOD = {
    "hinge.py": """
        import equipoise
        import tensorflow as tf

        @equipoise.loss
        def hinge(labels, logits, *, margin: float = 1.0):
            \"\"\"max(0, margin - z_y + max other z): multi-class hinge.\"\"\"
            mine = tf.gather(logits, labels, batch_dims=1)
            others = tf.reduce_max(logits - 1e9 * tf.one_hot(labels, logits.shape[-1]), axis=-1)
            return tf.nn.relu(margin - mine + others)
    """,
    "more.py": """
        import equipoise as eq

        @eq.model
        def of_rows(shape, logits):
            \"\"\"For vectors alone.\"\"\"
            import keras

            (features,) = shape
            return keras.Sequential([keras.Input((features,)), keras.layers.Dense(logits)])

        @eq.weighting
        def halves(counts, *, strength: float = 2.0):
            return counts * 0.0 + strength

        @eq.dataset
        def dots(*, n: int = 90):
            import numpy as np

            labels = np.arange(n) % 3
            return np.random.default_rng(0).normal(size=(n, 4)) + labels[:, None], labels

        @eq.decision
        def first(known):
            return [1.0, *[0.0] * (known.logits.shape[1] - 1)]

        @eq.sampling
        def even(counts, progress):
            return counts * 0 + 1 / len(counts)
    """,
}
SCALAR = "import equipoise\n\n@equipoise.loss\ndef total(labels, logits):\n    return logits[0, 0]\n"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project, and beside it a folder whose plugins/ holds an option of each kind."""
    project = copy_project(tmp_path_factory.mktemp("check") / "project")
    (project.parent / "here" / "plugins").mkdir(parents=True)
    for name, text in GOOD.items():
        (project.parent / "here" / "plugins" / name).write_text(textwrap.dedent(text))
    return project


def test_help_is_there_at_once(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    found = train(own, "--help", script="check.py")
    assert "python src/check.py loss=hinge" in found.stdout
    assert not imported_modules(found.stderr) & {"tensorflow", "mlflow", "hydra"}


def test_without_words_every_option_is_tried_and_a_mistake_does_not_end_it(own: Path) -> None:
    here = own.parent / "here"
    found = train(own, script="check.py", cwd=here)
    assert found.returncode == 0, found.stderr
    for line in (
        "model=of_rows: 68 weights, from (None, 16) to (None, 4), finite",
        "weighting=halves: weights 2 to 2",
        "dataset=dots: 63 samples of shape (4,) to train on, 3 classes",
        "dataset.sampling=even: shares 0.1 to 0.1",
        "decision=first: decides for 500 samples, on made-up logits",
    ):
        assert line in found.stdout.splitlines()
    assert "loss=hinge: 20 samples, values " in found.stdout
    assert "gradient finite; compiled" in found.stdout
    (here / "plugins" / "a_total.py").write_text(SCALAR)
    try:
        found = train(own, script="check.py", cwd=here)
    finally:
        (here / "plugins" / "a_total.py").unlink()
    assert found.returncode == 2
    assert [line for line in found.stderr.splitlines() if line.startswith("error")] == [
        "error: loss=total: its function total returns the shape () for 20 samples; it must return one value a sample, "
        "(20,), which class weights multiply: leave out the mean or the sum over the batch (plugins/a_total.py, line 4)"
    ]
    assert "Traceback" not in found.stderr
    assert "loss=hinge: 20 samples" in found.stdout, "what comes after it is tried"
    assert {path.name for path in own.iterdir()} == {"src", "conf", "cache"}, "no run, no store"
    assert os.listdir(here) == ["plugins"]


def test_typed_options_are_tried_together(own: Path) -> None:
    typed = [
        "dataset=dots",
        "dataset.n=300",
        "loss=hinge",
        "weighting=halves",
        "weighting.strength=3",
        "decision=first",
    ]
    found = train(own, *typed, script="check.py", cwd=own.parent / "here")
    assert found.returncode == 0, found.stderr
    assert "dataset=dots: 210 samples" in found.stdout
    assert "weighting=halves: weights 3 to 3" in found.stdout
    assert "loss=hinge: 6 samples" in found.stdout
    found = train(own, "loss=hing", script="check.py", cwd=own.parent / "here")
    assert found.returncode == 2
    assert "did you mean 'hinge'" in found.stderr


def test_a_folder_without_options_is_told(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(plugins.VARIABLE, raising=False)
    found = train(own, script="check.py", cwd=tmp_path)
    assert found.returncode == 2
    assert found.stderr.startswith("error: there is no option of your own: put a Python file into plugins/")
