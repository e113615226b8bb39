"""`dataset.target_prior=estimate`: the rows to predict tell their class frequencies, by predict.py and evaluate.py."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from equipoise.core.errors import ConfigError
from equipoise.core.paths import ROOT
from equipoise.methods import label_shift
from equipoise.runs.inherit import inherit
from equipoise.serving.parts import parts_of_run
from equipoise.serving.request import read_request
from equipoise.tracking.history import Logged
from equipoise.tracking.store import Store
from helpers import composed, logged_config, new_store
from kinds import trained

pytestmark = pytest.mark.slow

TRUTH = [0.2, 0.3, 0.5]
NAMES = ["fraud", "odd", "ok"]


def rows(path: Path, shares: Any, count: int, seed: int) -> Path:
    generator = np.random.default_rng(seed)
    labels = generator.choice(3, size=count, p=shares)
    found = np.array([[3.0, 0.0], [0.0, 3.0], [0.0, 0.0]])[labels] + generator.normal(size=(count, 2))
    pd.DataFrame({"a": found[:, 0], "b": found[:, 1], "y": np.array(NAMES)[labels]}).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Logged, Path]]:
    """A logistic regression that learned of rare frauds, and a file where they are frequent."""
    folder = tmp_path_factory.mktemp("prior")
    store = new_store(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ROOT, str(folder))
        file = rows(folder / "rare.csv", [0.1, 0.1, 0.8], 900, 0)
        typed = ["dataset=csv", f"dataset.path='{file}'", "dataset.target=y", "model=logistic", "weighting=balanced"]
        run, _ = trained(store, *typed, "calibration=bias_corrected")
        yield store, run, rows(folder / "new.csv", TRUTH, 600, 1)


def predicted(run: str, source: Path, *words: str) -> tuple[pd.DataFrame, Any]:
    """The predictions under the class frequencies of the rows, and the estimate."""
    from equipoise.serving.answers import answers_of
    from equipoise.serving.predictions import write_predictions
    from equipoise.serving.prior_of_rows import moved_to_rows

    output = source.with_suffix(".parquet")
    typed = {"input": str(source), "output": str(output), **dict(word.split("=", 1) for word in words)}
    request = read_request(typed)
    with parts_of_run(run, "local") as folder:
        answers, prior = answers_of(folder), None
        if request.estimated:
            answers, prior = moved_to_rows(answers, request, folder)
    write_predictions(answers, request)
    return pd.read_parquet(output), prior


def test_rows_are_predicted_under_frequencies_that_they_tell(learned: tuple[Store, Logged, Path]) -> None:
    """The same file, the same numbers and the same bits by evaluate.py, and by predict.py of what it has logged."""
    from equipoise.runs.estimate_prior import Unlabelled
    from equipoise.runs.reevaluate import Asked, evaluate_again
    from equipoise.serving.hand_over import _notes
    from equipoise.serving.prior_of_rows import logits_of_file

    store, run, file = learned
    found, prior = predicted(run.id, file, "dataset.target_prior=estimate", "decision=prior_adjusted")
    np.testing.assert_allclose(prior.estimate.em, TRUTH, atol=0.1)
    assert (prior.estimate.low < TRUTH).all()
    assert (prior.estimate.high > TRUTH).all()
    assert prior.told == "estimated by EM from 600 rows of new.csv, without labels"

    unlabelled = Unlabelled("new.csv", lambda run, config: logits_of_file(run, "local", str(file), config.dataset, {}))
    words = ["dataset.target_prior=estimate", "decision=prior_adjusted"]
    judged = evaluate_again(store, run.id, words, asked=Asked(unlabelled=unlabelled))
    assert judged.prior is not None
    np.testing.assert_array_equal(judged.prior.estimate.em, prior.estimate.em)
    np.testing.assert_array_equal(judged.prior.estimate.high, prior.estimate.high)
    again, _ = predicted(judged.run_id, file)
    pd.testing.assert_frame_equal(again, found, check_exact=True)

    logged = store.client.get_run(judged.run_id).data
    numbers = json.loads(logged.params["dataset.target_prior"])
    assert numbers == prior.estimate.prior.tolist()
    assert logged.tags["target_prior"] == prior.told
    assert _notes(store, judged.run_id, logged.tags)[: len(prior.estimate.notes)] == list(prior.estimate.notes)
    table = json.loads((judged.folder / "evaluation" / "target_prior.json").read_text())
    assert [table["classes"][name]["used"] for name in NAMES] == numbers
    assert any("label shift" in note for note in judged.evidence.evaluation.notes)

    # Typed by hand, the numbers give the same bits; and p(class) is what they make of the calibrated logits.
    typed = evaluate_again(store, run.id, [f"dataset.target_prior={numbers}", "decision=prior_adjusted"])
    by_hand, _ = predicted(typed.run_id, file)
    pd.testing.assert_frame_equal(by_hand, found, check_exact=True)
    highest = found[[f"p({name})" for name in NAMES]].to_numpy().argmax(axis=1)
    assert found["predicted"].tolist() == [NAMES[index] for index in highest]


def test_the_test_rows_are_asked_without_their_labels_and_rules_say_if_they_do_not_follow(
    learned: tuple[Store, Logged, Path],
) -> None:
    from equipoise.runs.reevaluate import Asked, Unlabelled, evaluate_again

    store, run, _ = learned
    judged = evaluate_again(store, run.id, ["dataset.target_prior=estimate", "calibration=vector"])
    assert judged.prior is not None
    assert judged.prior.source == "the test split"
    assert judged.prior.true is not None
    np.testing.assert_allclose(judged.prior.estimate.em, judged.prior.true, atol=0.1)
    notes = " ".join(judged.evidence.evaluation.notes)
    assert "decision=argmax goes by the model's own probabilities, and does not follow" in notes
    assert store.client.get_run(judged.run_id).data.tags["engine"] == run.tags["engine"]
    assert "the test rows set the prior that they are then judged under" in notes
    with pytest.raises(ConfigError, match=r"unlabelled=x\.csv is for dataset\.target_prior=estimate"):
        evaluate_again(store, run.id, [], asked=Asked(unlabelled=Unlabelled("x.csv", lambda *_: (np.empty(0), 0))))


def test_rows_are_read_as_it_is_typed_for_them(learned: tuple[Store, Logged, Path]) -> None:
    from equipoise.commands.evaluate import _unlabelled

    _, run, file = learned
    german = file.with_name("german.csv")
    pd.read_csv(file).to_csv(german, index=False, sep=";", decimal=",")
    typed = {"unlabelled": str(german), "separator": '";"', "decimal": "comma"}
    found, plain = _unlabelled(typed, "local"), _unlabelled({"unlabelled": str(file)}, "local")
    assert found is not None
    assert plain is not None
    assert found.words[1:] == ['separator=";"', "decimal=comma"]
    config = composed("dataset=csv", f"dataset.path='{file}'", "dataset.target=y", "model=logistic")
    np.testing.assert_allclose(found.read(run.id, config)[0], plain.read(run.id, config)[0], rtol=1e-6)
    with pytest.raises(ConfigError, match="separator=; says how unlabelled=… is read, and there is none"):
        _unlabelled({"separator": ";"}, "local")


def test_only_a_missing_file_is_missing_and_p_is_what_it_is_said_to_be(learned: tuple[Store, Logged, Path]) -> None:
    from equipoise.methods.deciders import Biased
    from equipoise.serving.answers import answers_of
    from equipoise.serving.predictions import _why_apart
    from equipoise.tracking.artifacts import read_bytes

    store, run, _ = learned
    with pytest.raises(FileNotFoundError):
        read_bytes(store, run.id, "evaluation/nothing.npz")
    with pytest.raises(ConfigError, match="its evaluation cannot be read"):
        read_bytes(store, run.id, "evaluation")
    with parts_of_run(run.id, "local") as folder:
        answers = replace(answers_of(folder), decide=Biased(np.zeros(3)))
    assert _why_apart(answers).endswith("p(class) is under dataset.target_prior")
    unknown = replace(answers, moved=replace(answers.moved, uncorrected="it is a forest"))
    assert _why_apart(unknown).endswith("p(class) is not corrected")


def test_of_many_rows_some_are_chosen_whatever_the_blocks(
    learned: tuple[Store, Logged, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from equipoise.serving import blocks
    from equipoise.serving.answers import answers_of
    from equipoise.serving.prior_of_rows import sampled_logits

    _, run, file = learned
    request = replace(read_request({"input": str(file), "output": str(file.with_suffix(".parquet"))}))
    monkeypatch.setattr(label_shift, "MOST_ROWS", 50)
    with parts_of_run(run.id, "local") as folder:
        answers = answers_of(folder)
    found = []
    for size in (7, 100_000):
        monkeypatch.setattr(blocks, "ROWS", size)
        logits, whole = sampled_logits(answers, request)
        assert (logits.shape, whole) == ((50, 3), 600)
        found.append(logits)
    np.testing.assert_array_equal(*found)


def test_what_cannot_be_moved_is_refused(learned: tuple[Store, Logged, Path]) -> None:
    _, run, file = learned
    with pytest.raises(ConfigError, match=r"run=… dataset\.target_prior=uniform, then predict by that run"):
        predicted(run.id, file, "dataset.target_prior=uniform")
    with pytest.raises(ConfigError, match=r"or by decision=prior_adjusted with dataset\.target_prior=estimate"):
        predicted(run.id, file, "decision=prior_adjusted")
    with pytest.raises(ConfigError, match="is for a model that is trained"):
        composed("dataset=digits_lt", "dataset.target_prior=estimate")
    several = ["dataset=multilabel", f"dataset.path='{_labels(file)}'", "dataset.targets=[u,v]", "model=mlp"]
    with pytest.raises(ConfigError, match="is for one class a sample"):
        inherit(logged_config(*several, "loss=sigmoid"), ["dataset.target_prior=estimate"])
    weighted = ["dataset.target_prior=estimate", "evaluation.weighted=true"]
    with pytest.raises(ConfigError, match="counts every row alike"):
        inherit(logged_config("dataset=digits_lt"), weighted)


def _labels(beside: Path) -> Path:
    file = beside.with_name("labels.csv")
    pd.DataFrame({"x": range(60), "u": [0, 1, 1] * 20, "v": [1, 0] * 30}).to_csv(file, index=False)
    return file
