"""Texts of a dataset of the user's own, for a model of the user's own that makes numbers of them itself."""

import functools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from equipoise.commands import check
from equipoise.commands import weights as weights_command
from equipoise.core import plugins
from equipoise.core.errors import ConfigError
from equipoise.data import feed
from equipoise.data.prepare import prepare
from equipoise.data.write_shards import write_shards
from equipoise.methods.weighting import class_weights
from equipoise.runs.run import Finished, run
from equipoise.runs.session import Session
from equipoise.serving import register
from equipoise.tracking import history
from equipoise.tracking.artifacts import load_model
from equipoise.training.checkpoints import Checkpoints
from helpers import composed, new_store
from trainings import fit as fit_three_epochs

pytestmark = [pytest.mark.usefixtures("tensorflow"), pytest.mark.slow]

REVIEWS = '''
import equipoise
import keras
import numpy as np


@equipoise.dataset
def reviews(*, n: int = 240):
    """Short reviews, each with a number of its own, few of them bad."""
    draw = np.random.default_rng(0)
    labels = np.where(np.arange(n) % 4, "good", "bad")
    words = {"good": ["fine", "très bien", "liked it"], "bad": ["dull", "awful", "left early"]}
    return [f"{draw.choice(words[label])} film{place}" for place, label in enumerate(labels)], labels


@equipoise.model
def bag(shape, logits, texts, *, words: int = 1000):
    """A bag of the training split's words, then dense layers with dropout."""
    count = keras.layers.TextVectorization(max_tokens=words, output_mode="multi_hot")
    count.adapt(texts)
    inputs = keras.Input(shape, dtype="string")
    x = keras.layers.Dropout(0.2)(keras.layers.Dense(8, activation="relu")(count(inputs)))
    return keras.Model(inputs, keras.layers.Dense(logits, dtype="float32")(x))


@equipoise.model
def numbers(shape, logits):
    return keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(logits)])


@equipoise.model
def dense(shape, logits):
    return keras.Sequential([keras.Input(shape), keras.layers.Dense(logits)])
'''
WORDS = ["dataset=reviews", "model=bag", "trainer.device=cpu", "trainer.threads=1", "evaluation.resamples=0"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, with the plugin."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "reviews.py").write_text(REVIEWS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EQUIPOISE_ROOT", str(tmp_path))
    monkeypatch.delenv(plugins.VARIABLE, raising=False)
    return tmp_path


def vocabulary(model: Any) -> set[str]:
    return {word for layer in model.layers if hasattr(layer, "get_vocabulary") for word in layer.get_vocabulary()}


def test_a_model_of_texts_is_trained_judged_saved_loaded_and_served(folder: Path) -> None:
    import mlflow
    import tensorflow as tf

    store, config, outputs = new_store(folder), composed(*WORDS, "trainer.epochs=4"), folder / "run"
    outputs.mkdir()
    with Session(store, outputs) as session:
        finished = run(config, session, folder / "cache")
    assert isinstance(finished, Finished)
    data = prepare(config.dataset, folder / "cache")
    train, test = ([text.decode() for text in data.split(name).features.tolist()] for name in ("train", "test"))
    assert (len(train), len(test)) == (168, 48)
    (logged,) = history.chosen_runs(store, [finished.run_id], ["val/balanced_accuracy"])
    loaded = load_model(store, logged.id)
    words = {word for text in train for word in re.findall(r"\w+", text)}
    assert vocabulary(loaded) == words | {"[UNK]"}, "of the training split alone, and saved with the model"
    judged = pd.read_parquet(outputs / "evaluation" / "predictions.parquet")
    logits = loaded(tf.constant(test)).numpy()
    np.testing.assert_allclose(tf.nn.softmax(logits), judged.filter(regex=r"^p\(").to_numpy(), rtol=1e-5)
    (saved,) = store.client.search_logged_models([logged.experiment_id], f"source_run_id = '{logged.id}'")
    through_mlflow = mlflow.tensorflow.load_model(saved.model_uri)
    np.testing.assert_array_equal(through_mlflow(tf.constant(test)), logits)

    made = register.register(store, logged, "reviews", "champion", {})
    served = mlflow.pyfunc.load_model(made.uri)
    found = served.predict(pd.DataFrame({"text": test}))
    assert found["predicted"].tolist() == judged["predicted"].tolist()
    np.testing.assert_array_equal(found.filter(regex=r"^p\("), judged.filter(regex=r"^p\("))
    odd = served.unwrap_python_model().predict(None, pd.DataFrame({"text": [test[0], None, 3, ""]}))
    assert odd["notes"].tolist() == ["", "is no text", "is no text", ""]
    assert odd["predicted"].isna().tolist() == [False, True, True, False]
    assert odd["p(bad)"][0] == found["p(bad)"][0]


def test_a_training_that_is_interrupted_ends_with_the_same_bits(folder: Path) -> None:
    from equipoise.training import fit
    from equipoise.training.graph import Compiled

    config = composed(*WORDS, "trainer.epochs=4", "weighting=balanced")
    data = prepare(config.dataset, folder / "cache")
    weights = class_weights(config.weighting, data.counts, data.classes)
    told: list[int] = []

    def on_epoch(until: int, epoch: int, _metrics: object) -> None:
        told.append(epoch)
        if epoch == until:
            raise KeyboardInterrupt

    whole, broken, begun = Compiled(config, data), Compiled(config, data), Compiled(config, data)
    fit.fit(whole, config, data, weights, functools.partial(on_epoch, -1))
    kept = functools.partial(Checkpoints, folder, {"by": "this"}, first=0)
    told.clear()
    with pytest.raises(KeyboardInterrupt):
        fit.fit(broken, config, data, weights, functools.partial(on_epoch, 2), kept())
    assert told == [0, 1, 2]
    assert fit.weights_sha256(broken.model) != fit.weights_sha256(whole.model)
    assert kept().newest() is not None, "there is something to go on with"
    fit.fit(begun, config, data, weights, functools.partial(on_epoch, -1), kept())
    assert fit.weights_sha256(begun.model) == fit.weights_sha256(whole.model)


def test_texts_that_stay_on_the_disk_train_the_same_weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_memory, *_ = fit_three_epochs(folder / "cache", *WORDS)
    monkeypatch.setattr(feed, "MOST_RESIDENT_BYTES", 0)
    read, *_ = fit_three_epochs(folder / "cache", *WORDS)
    assert read == in_memory


REFUSED = {
    "model=cnn": "model=cnn takes numbers; dataset=reviews gives texts: choose a model of your own",
    "model=numbers": r"model=numbers: its function takes numbers; samples are texts: .*dtype=\"string\"",
    "model=dense": r"model=dense \(its samples are texts\): its function dense fails: ValueError: ",
    "dataset=digits_lt": "model=bag takes texts; dataset=digits_lt gives numbers",
    "trainer.jit=true": "trainer.jit=true: dataset=reviews gives texts, and XLA knows numbers alone: leave it out",
    "trainer.engine=resident": "trainer.engine=resident: dataset=reviews gives texts, and it keeps numbers in memory",
    "trainer.strategy=mirrored": "trainer.strategy=mirrored: dataset=reviews gives texts, and replicas",
}


@pytest.mark.parametrize("word", REFUSED)
def test_what_takes_numbers_alone_is_refused(word: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [each for each in WORDS if each.split("=")[0] != word.split("=")[0]]
    assert check.main([*words, word]) == 2
    assert re.search(REFUSED[word], capsys.readouterr().err)


def test_check_finds_the_model_to_the_texts_and_the_texts_to_the_model(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["dataset=reviews"], ["model=bag"]):
        assert check.main([*words, "trainer.device=cpu", "trainer.threads=1"]) == 0, capsys.readouterr().err
        said = capsys.readouterr().out
        assert "dataset=reviews: 168 samples of shape () to train on, 2 classes" in said
        assert "model=bag: " in said


def test_weights_are_shown_and_shards_are_not_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert weights_command.main(["dataset=reviews", "weighting=balanced"]) == 0, capsys.readouterr().err
    assert re.search(r"bad +42 +2\b", capsys.readouterr().out), "168 / (2 * 42)"
    with pytest.raises(ConfigError, match="these samples are texts"):
        write_shards(prepare(composed(*WORDS).dataset, folder / "cache"), folder / "shards", 2)
    assert not (folder / "shards").exists()


def test_there_is_no_script_of_plain_keras(folder: Path) -> None:
    from equipoise.training.plain.case import Origin
    from equipoise.training.plain.script import plain_keras

    config = composed(*WORDS)
    data = prepare(config.dataset, folder / "cache")
    weights = class_weights(config.weighting, data.counts, data.classes)
    with pytest.raises(ConfigError, match="its samples are texts, of which the model makes numbers"):
        plain_keras(config, data, weights, Origin("0", {}, "0"))
