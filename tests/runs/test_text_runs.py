"""Texts from a table to a served model: `dataset=text model=text`, every way to weigh, resume, replicas and engines."""

import functools
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from equipoise.commands import check
from equipoise.commands import weights as weights_command
from equipoise.data.prepare import prepare
from equipoise.data.preprocessing import read
from equipoise.data.write_shards import write_shards
from equipoise.methods.weighting import class_weights
from equipoise.runs.reevaluate import evaluate_again
from equipoise.serving import register
from equipoise.serving.answers import answers_of
from equipoise.serving.predictions import write_predictions
from equipoise.serving.request import read_request
from equipoise.tracking.artifacts import load_model
from equipoise.tracking.store import Store
from equipoise.training.checkpoints import Checkpoints
from helpers import composed, new_store
from kinds import trained
from trainings import IMPLEMENTATIONS, fit

pytestmark = [pytest.mark.usefixtures("tensorflow"), pytest.mark.slow]


@pytest.fixture(scope="module")
def mails(tmp_path_factory: pytest.TempPathFactory) -> Path:
    draw, file = np.random.default_rng(0), tmp_path_factory.mktemp("mails") / "mails.csv"
    kinds = np.where(np.arange(120) % 5, "ham", "spam")
    words = {"ham": ["lunch", "report", "Möbel", "agenda"], "spam": ["win", "prize", "money", "lunch"]}
    bodies = [" ".join(draw.choice([*words[kind], "the", "a", "we"], draw.integers(1, 9))) for kind in kinds]
    pd.DataFrame({"body": bodies, "kind": kinds, "w": 1 + np.arange(120) % 3}).to_csv(file, index=False)
    return file


@pytest.fixture
def words(mails: Path) -> list[str]:
    options = [
        "dataset=text",
        f"dataset.path='{mails}'",
        "dataset.text=body",
        "dataset.target=kind",
        "dataset.length=8",
    ]
    return [*options, "model=text", "model.width=8", "model.filters=4", "trainer.batch_size=16", "trainer.threads=1"]


@pytest.mark.parametrize("kind", ["bag", "transformer"])
def test_every_way_to_put_weights_in_and_every_engine_leave_the_same_bits(
    kind: str, words: list[str], cache: Path
) -> None:
    words = [*words, f"model.kind={kind}", "weighting=balanced"]
    found = {way: fit(cache, *words, f"loss={way}")[0] for way in IMPLEMENTATIONS}
    assert len(set(found.values())) == 1
    resident = fit(cache, *words, "loss=custom", "trainer.engine=resident")[0]
    assert resident == found["custom"]
    if kind == "bag":
        rows = {way: fit(cache, *words, f"loss={way}", "dataset.weight=w")[0] for way in ("sample_weight", "custom")}
        assert len({*rows.values(), *found.values()}) == 2, "row weights train other bits, alike in every way"
        _, history, _, _ = fit(cache, *words, "model.bag=tfidf", "trainer.jit=true", "dataset.sampling=class_balanced")
        assert np.isfinite(history[-1]["train/loss"])


def test_a_training_that_is_interrupted_ends_with_the_same_bits(words: list[str], cache: Path, tmp_path: Path) -> None:
    from equipoise.training import fit as training
    from equipoise.training.graph import Compiled

    config = composed(*words, "model.kind=transformer", "trainer.epochs=2")
    data = prepare(config.dataset, cache)
    weights = class_weights(config.weighting, data.counts, data.classes)

    def on_epoch(until: int, epoch: int, _metrics: object) -> None:
        if epoch == until:
            raise KeyboardInterrupt

    whole, broken, begun = Compiled(config, data), Compiled(config, data), Compiled(config, data)
    training.fit(whole, config, data, weights, functools.partial(on_epoch, -1))
    kept = functools.partial(Checkpoints, tmp_path, {"by": "this"}, first=0)
    with pytest.raises(KeyboardInterrupt):
        training.fit(broken, config, data, weights, functools.partial(on_epoch, 0), kept())
    training.fit(begun, config, data, weights, functools.partial(on_epoch, -1), kept())
    assert training.weights_sha256(begun.model) == training.weights_sha256(whole.model)


def test_a_learner_beside_keras_takes_bags_of_words_wherever_it_answers(
    store: Store, words: list[str], mails: Path, tmp_path: Path
) -> None:
    import mlflow

    for_keras = ("model.width", "model.filters", "trainer.batch_size")
    texts = [word for word in words if not word.startswith(("model=", *for_keras))]
    logged, expected = trained(store, *texts, "model=logistic", "weighting=balanced", "dataset.weight=w")
    data = prepare(composed(*texts, "model=logistic").dataset, store.root / "cache")
    assert data.words is not None
    assert load_model(store, logged.id).n_features_in_ == data.words.ids
    judged = evaluate_again(store, logged.id, ["decision=tuned"])
    np.testing.assert_allclose(np.exp(judged.evidence.log_probabilities[:, 1]), expected["p(spam)"], rtol=1e-6)

    made = register.register(store, logged, "bags", "champion", {})
    found = mlflow.pyfunc.load_model(made.uri).predict(pd.read_csv(mails)[["body"]].iloc[expected["row"]])
    assert found["predicted"].tolist() == expected["predicted"].tolist()
    parts = Path(mlflow.artifacts.download_artifacts(made.uri)) / "artifacts" / "parts"
    (tmp_path / "lines.txt").write_text("win money\nzebra\n")
    request = read_request({"input": str(tmp_path / "lines.txt"), "output": str(tmp_path / "out.csv")})
    assert not write_predictions(answers_of(parts), request).bad
    assert pd.read_csv(tmp_path / "out.csv")["notes"].fillna("").tolist() == ["", "holds no word that training knew"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, tensorflow: object) -> Store:
    return new_store(tmp_path_factory.mktemp("store"))


def test_the_served_model_and_predict_take_texts(store: Store, words: list[str], mails: Path, tmp_path: Path) -> None:
    import mlflow

    logged, expected = trained(store, *words, "model.bag=tfidf", "weighting=balanced")
    made = register.register(store, logged, "mails", "champion", {})
    served = mlflow.pyfunc.load_model(made.uri)
    frame = pd.read_csv(mails)
    found = served.predict(frame[["body"]].iloc[expected["row"]])
    assert found["predicted"].tolist() == expected["predicted"].tolist()
    own = "p_raw(spam)" if "p_raw(spam)" in found else "p(spam)"
    np.testing.assert_array_equal(found[own], expected["p(spam)"])
    model = served.unwrap_python_model()
    odd = model.predict(None, pd.DataFrame({"body": ["win money", None, 3, "zebra", ""]}))
    assert odd["notes"].tolist() == ["", "is no text", "is no text", *["holds no word that training knew"] * 2]
    assert odd["predicted"].isna().tolist() == [False, True, True, False, False]
    bare = model.predict(None, ["win money"])
    assert bare["p(spam)"][0] == odd["p(spam)"][0]

    parts = Path(mlflow.artifacts.download_artifacts(made.uri)) / "artifacts" / "parts"
    (tmp_path / "lines.txt").write_text("win money\nzebra\n")
    for source in (mails, tmp_path / "lines.txt"):
        request = read_request({"input": str(source), "output": str(tmp_path / "out.csv")})
        assert not write_predictions(answers_of(parts), request).bad
    answered = pd.read_csv(tmp_path / "out.csv")
    assert answered["notes"].fillna("").tolist() == odd["notes"].iloc[[0, 3]].tolist()
    np.testing.assert_allclose(answered["p(spam)"], odd["p(spam)"].iloc[[0, 3]].astype(float), rtol=1e-12)
    ids = prepare(composed(*words).dataset, store.root / "cache").words
    assert ids is not None
    assert load_model(store, logged.id)(ids.apply(["win money"])).shape == (1, 2), "the logged model takes ids"


def test_a_saved_model_of_texts_takes_those_of_a_table(words: list[str], cache: Path, tmp_path: Path) -> None:
    import keras

    count = keras.layers.TextVectorization(max_tokens=50, output_mode="multi_hot")
    count.adapt(["win money prize", "lunch report agenda"])
    inputs = keras.Input((), dtype="string")
    keras.Model(inputs, keras.layers.Dense(2)(count(inputs))).save(tmp_path / "own.keras")
    of_file = [each for each in words if not each.startswith("model")]
    saved = ["dataset.tokens=none", "model=saved", f"model.path='{tmp_path}/own.keras'", "model.dropout=0"]
    _, history, model, data = fit(cache, *of_file, *saved, "weighting=balanced")
    assert model.inputs[0].dtype == "string"
    assert history[-1]["train/loss"] < history[0]["train/loss"]
    assert read(data.folder).model_dump()["column"] == "body"


REFUSED = {
    "model=mlp": "model=mlp takes numbers; dataset=text gives ids of words: use model=text or logistic",
    "dataset.tokens=none": "model=text takes numbers; dataset=text gives texts: leave dataset.tokens=none out",
    "dataset.augment=[flip]": "dataset.augment=[flip] alters images (height, width, channels); dataset=text has texts",
    "dataset.mix=mixup": "dataset.mix=mixup mixes numbers; dataset=text has texts: leave it out",
    "dataset.text=bod": "did you mean 'body'",
}


@pytest.mark.parametrize("word", REFUSED)
def test_what_takes_no_texts_is_refused(word: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    kept = [each for each in words if word != "model=mlp" or not each.startswith("model")]
    assert check.main([*kept, word]) == 2
    assert REFUSED[word] in capsys.readouterr().err


def test_other_data_are_no_texts_and_shards_hold_none(
    words: list[str], cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check.main(["dataset=digits_lt", "model=text"]) == 2
    assert "model=text takes ids of words; dataset=digits_lt gives numbers: use dataset=text" in capsys.readouterr().err
    of_data = [each for each in words if each.startswith("dataset")]
    assert weights_command.main(of_data) == 0, "it takes a model of texts by itself"
    assert re.search(r"spam +\d+", capsys.readouterr().out)
    with pytest.raises(Exception, match="these samples are texts"):
        write_shards(prepare(composed(*words).dataset, cache), tmp_path / "shards", 2)
