"""Scripts of plain Keras end with the bits of runs: in every way to train, of every kind of labels and rows."""

from pathlib import Path

import numpy as np
import pytest

from equipoise.core.errors import ConfigError
from equipoise.methods.losses import IMPLEMENTED
from plain_scripts import OTHERS, SEVERAL, check_bits, run_and_script, script

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("tensorflow")]


@pytest.mark.parametrize("case", OTHERS)
def test_a_script_ends_with_the_run_s_bits_in_every_way_to_train(case: str, cache: Path, tmp_path: Path) -> None:
    check_bits(cache, tmp_path, OTHERS[case])


@pytest.mark.parametrize("case", SEVERAL)
def test_a_script_of_several_labels_does_too(case: str, cache: Path, several: list[str], tmp_path: Path) -> None:
    expected, found, *_ = run_and_script(cache, tmp_path, *several, "trainer.epochs=6", *SEVERAL[case])
    assert found == expected


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Arrays of three classes whose rows have weights."""
    generator, y = np.random.default_rng(0), np.repeat([0, 1, 2], [60, 25, 10])
    file = tmp_path_factory.mktemp("rows") / "rows.npz"
    np.savez(file, x=generator.normal(size=(95, 3)) + y[:, None], y=y, w=generator.random(95) * 3 + 0.1)
    return ["dataset=npz", f"dataset.path='{file}'", "dataset.weight=w", "model=linear", "trainer.epochs=3"]


ROWS = {
    **{how: ["weighting=balanced", f"loss={how}"] for how in IMPLEMENTED},
    "no weights": ["weighting=none"],
    "a schedule": ["weighting=power", "weighting.schedule=deferred", "loss=custom"],
    "by weight": ["weighting=effective_number", "dataset.count=weight", "loss=balanced_softmax"],
    "scaled": ["weighting=none", "weighting.normalize=sample_mean", "trainer.optimizer=sgd"],
    "crt": ["weighting=none", "trainer.second_stage=crt"],
}


@pytest.mark.parametrize("case", ROWS)
def test_a_script_takes_the_rows_weights(case: str, cache: Path, rows: list[str], tmp_path: Path) -> None:
    expected, found, _, text = run_and_script(cache, tmp_path, *rows, *ROWS[case])
    assert found == expected
    assert "w_train[order]" in text


def test_counts_of_two_kinds_are_refused(cache: Path, rows: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"dataset\.count=weight with dataset\.sampling or trainer\.second_stage"):
        script(cache, *rows, "dataset.count=weight", "trainer.second_stage=crt")


OWN = """
import tensorflow as tf

import equipoise


@equipoise.loss
def hinge(labels, logits, *, margin: float = 1.0):
    mine = tf.gather(logits, labels, batch_dims=1)
    return tf.nn.relu(margin - mine + tf.reduce_max(logits - 1e9 * tf.one_hot(labels, logits.shape[-1]), axis=-1))


@equipoise.loss
def adjusted(labels, logits, prior, counts, *, tau: float = 1.0):
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits + tau * tf.math.log(prior) + 0 * counts)


@equipoise.loss
def rare(rows, logits, counts, *, power: float = 0.5):
    losses = tf.nn.sigmoid_cross_entropy_with_logits(rows, logits)
    return tf.reduce_mean(losses * (tf.reduce_max(counts) / counts) ** power, axis=-1)


@equipoise.weighting
def cube_root(counts, *, strength: float = 1.0):
    return (counts.max() / counts) ** (strength / 3)


@equipoise.sampling
def half(counts, progress):
    return (counts / counts.sum() + 1 / len(counts)) / 2
"""

TWO = ["dataset=synthetic", "dataset.class_counts=[60,20]", "model=linear", "trainer.epochs=2"]
OF_OWN = {
    "sparse": ["loss=hinge", "loss.margin=0.5", "weighting=cube_root"],
    "one-hot": ["loss=adjusted", "dataset.labels=one_hot", "weighting=cube_root", "dataset.sampling=half"],
    "binary": ["loss=hinge", "dataset.labels=binary", "loss.implementation=sample_weight", "weighting=cube_root"],
    "rows of a logit": ["loss=rare", "dataset.labels=binary"],
    "rows": ["loss=rare", "trainer.epochs=3"],
}


@pytest.mark.parametrize("case", OF_OWN)
def test_a_script_of_the_users_own_options_does_too(
    case: str, cache: Path, several: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "own_of_scripts.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    data = [word for word in several if not word.startswith("loss=")] if case == "rows" else TWO
    expected, found, _, text = run_and_script(cache, tmp_path, *data, *OF_OWN[case])
    assert found == expected
    assert "equipoise" not in text
