"""A loss of the user's own for several labels a sample, or for a single logit: it is handed rows of 0 and 1."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from equipoise.commands import check
from equipoise.core import plugins
from trainings import TWO, fit

pytestmark = [pytest.mark.usefixtures("tensorflow"), pytest.mark.slow]

OWN = '''
import equipoise
import tensorflow as tf


@equipoise.loss
def bce(rows, logits):
    """Binary cross-entropy, the mean over labels."""
    return -tf.reduce_mean(rows * tf.math.log_sigmoid(logits) + (1 - rows) * tf.math.log_sigmoid(-logits), axis=-1)


@equipoise.loss
def rare(rows, logits, counts, prior, *, power: float = 1.0):
    """The same, with positives weighed by how rare they are."""
    samples = counts / prior
    of_positives = ((samples - counts) / counts) ** power
    positive = rows * of_positives * tf.math.log_sigmoid(logits)
    return -tf.reduce_mean(positive + (1 - rows) * tf.math.log_sigmoid(-logits), axis=-1)


@equipoise.loss
def by_label(rows, logits):
    return tf.nn.sigmoid_cross_entropy_with_logits(rows, logits)


@equipoise.loss
def of_classes(labels, logits):
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
'''


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What names a table of three labels, from a folder with the losses."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "own.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(plugins.VARIABLE, raising=False)
    monkeypatch.setenv("EQUIPOISE_ROOT", str(tmp_path))
    draw = np.random.default_rng(0)
    x = draw.normal(size=(200, 4))
    table = pd.DataFrame(x, columns=list("wxyz"))
    for name, threshold in {"a": 0.0, "b": 0.8, "c": 1.3}.items():
        table[name] = (x[:, 0] + 0.5 * draw.normal(size=200) > threshold).astype(int)
    table.to_csv("labels.csv", index=False)
    return ["dataset=multilabel", "dataset.path=labels.csv", "dataset.targets=[a,b,c]", "model=linear"]


def last(folder: Path, *words: str) -> np.ndarray:
    """All weights of the model after three epochs, in one row."""
    _, _, model, _ = fit(folder / "cache", *words)
    return np.concatenate([array.ravel() for array in model.get_weights()])


@pytest.mark.parametrize(
    ("own", "shipped"), [("loss=bce", ["loss=sigmoid"]), ("loss=rare", ["loss=sigmoid", "loss.pos_weight=auto"])]
)
def test_it_trains_as_the_same_formula_of_the_project(
    own: str, shipped: list[str], words: list[str], tmp_path: Path
) -> None:
    """Of three labels, and of a single logit, whose one label is the rarer class."""
    for data in (words, [*TWO, "dataset.labels=binary"]):
        np.testing.assert_allclose(last(tmp_path, *data, own), last(tmp_path, *data, *shipped), rtol=2e-4, atol=1e-6)
    assert np.abs(last(tmp_path, *words, "loss=rare") - last(tmp_path, *words, "loss=bce")).max() > 1e-3


REFUSED = {
    "loss=by_label": r"returns the shape \(6, 3\) for 6 samples; it must return one value a sample, .*axis=-1",
    "loss=of_classes": r"loss=of_classes is for one class a sample; dataset=multilabel takes loss=sigmoid or "
    r"distribution_balanced or sigmoid_f1 or bce or rare or by_label; one of your own .* its first parameter rows",
    "loss=bce weighting=balanced": "which loss=bce does not know: use weighting=none, or loss=sigmoid; .* `counts`",
    "loss=bce dataset=digits_lt": "loss=bce needs a single logit: dataset.labels=binary",
}


@pytest.mark.parametrize("typed", REFUSED)
def test_what_it_is_not_for_is_refused(typed: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    data = ["model=linear"] if "dataset=" in typed else words
    assert check.main([*data, *typed.split(), "trainer.device=cpu", "trainer.threads=1"]) == 2
    said = capsys.readouterr().err
    assert re.search(REFUSED[typed], said), said


def test_check_tries_it_on_a_single_logit(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main(["loss=rare", "trainer.device=cpu", "trainer.threads=1"]) == 0, capsys.readouterr().err
    assert "\nloss=rare: 4 samples, values " in capsys.readouterr().out
