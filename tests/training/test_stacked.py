"""Jobs trained as one program end where each of them ends by itself, up to the last bits."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.config.checks import check_prepared, check_together
from equipoise.config.model import Config
from equipoise.core.errors import ConfigError
from equipoise.core.paths import ROOT, cache_folder
from equipoise.data.prepare import prepare
from equipoise.runs.run import train
from equipoise.sweeps import planning
from equipoise.sweeps.in_process import carry_out, planned_sweep
from equipoise.tracking import history
from equipoise.tracking.artifacts import read_text
from helpers import composed

SMALL = ("dataset=synthetic", "dataset.class_counts=[60,25,8]", "model=mlp", "model.hidden=[8]", "trainer.epochs=6")
QUICK = ("trainer.threads=1", "trainer.device=cpu", "evaluation.resamples=0")


def jobs(*shared: str, each: Sequence[Sequence[str]]) -> list[Config]:
    return [composed(*SMALL, *QUICK, *shared, *words) for words in each]


def stacked(found: Sequence[Config]) -> list[Any]:
    from equipoise.runs.weigh import weigh
    from equipoise.training.graph import compiled
    from equipoise.training.stacked import Member
    from equipoise.training.stacked import train as train_stack

    data = prepare(found[0].dataset, cache_folder())
    return train_stack(compiled(found[0], data), [Member(job, weigh(job, data)) for job in found], data)


def alone(job: Config) -> tuple[list[dict[str, float]], list[Any]]:
    from equipoise.runs.weigh import weigh
    from equipoise.training.fit import fit
    from equipoise.training.graph import compiled

    data, history = prepare(job.dataset, cache_folder()), []
    made = compiled(job, data)
    fit(made, job, data, weigh(job, data), lambda _, metrics: history.append(metrics))
    return history, made.model.get_weights()


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(
    ("shared", "each"),
    [
        (
            ["trainer.optimizer=adamw", "trainer.weight_decay=0.01", "trainer.judge_after=[2,best]"],
            [["weighting=none", "seed=0"], ["weighting=balanced", "seed=1"], ["weighting=power", "seed=0"]],
        ),
        (
            ["trainer.optimizer=sgd", "dataset.sampling=class_balanced"],
            [["weighting=none"], ["weighting=balanced", "weighting.schedule=deferred", "weighting.start=0.5"]],
        ),
        (["loss=ldam", "dataset.labels=one_hot", "weighting=balanced"], [["seed=0"], ["seed=1"]]),
        (["loss=balanced_softmax"], [["seed=0"], ["seed=1"]]),
        (["loss=focal"], [["seed=0"], ["seed=1", "weighting=balanced"]]),
        (["loss=soft_f1"], [["seed=0"], ["seed=1"]]),
    ],
)
def test_each_job_ends_as_by_itself(shared: list[str], each: list[list[str]]) -> None:
    found = jobs(*shared, each=each)
    learned = stacked(found)
    for job, one in zip(found, learned, strict=True):
        history, weights = alone(job)
        assert one.error is None
        for mine, its in zip(one.history, history, strict=True):
            assert mine.keys() == its.keys()
            assert mine == pytest.approx(its, rel=1e-4, abs=1e-5)
        for mine, its in zip(one.weights[6], weights, strict=True):
            np.testing.assert_allclose(mine, its, rtol=1e-3, atol=1e-5)
        asked = {each for each in job.trainer.judge_after if each != "best"}
        assert asked | {6} <= {*one.weights}
        if "best" in job.trainer.judge_after:
            values = [metrics[job.trainer.monitor] for metrics in one.history]
            assert {*one.weights} == asked | {6, 1 + values.index(max(values))}
    for mine, its in zip(stacked(found)[1].weights[6], learned[1].weights[6], strict=True):
        np.testing.assert_array_equal(mine, its, "the same stack leaves the same bits")


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow")
def test_one_job_diverges_alone() -> None:
    words = ["weighting=manual", "weighting.normalize=none"]
    found = stacked(jobs(*words, each=[[f"weighting.weights={{0: 1, 1: 1, 2: {large}}}"] for large in ("2", "1e38")]))
    assert (len(found[0].history), found[0].error) == (6, None)
    assert not found[1].history
    assert str(found[1].error).startswith("training diverged in epoch 1: loss, weights or logits are not finite. Lower")


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow")
def test_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each job logs what it would by itself: metrics, the best epoch, and every fourth epoch, as is asked."""
    monkeypatch.setenv(ROOT, str(tmp_path))
    shared = [*SMALL, *QUICK, "trainer.judge_after=[2,best]", "weighting=balanced"]
    found = carry_out(*planned_sweep([*shared, "seed=0,1", "trainer.stacked=true", "tracking.every=4"]))
    assert not found.unfinished
    runs = {run.tags["seed"]: run for run in history.sweep_runs(found.store, found.sweep.id, ["test/"])}
    assert [run.tags["engine"] for run in runs.values()] == ["stacked", "stacked"]
    run, single = runs["1"], train(composed(*shared, "seed=1"))
    assert run.metrics["test/log_loss"] == pytest.approx(single.metrics["test/log_loss"], rel=1e-4)
    file = "evaluation/earlier.json"
    logged, its = read_text(found.store, run.id, file), (single.folder / file).read_text()
    best, expected = (json.loads(text)["best"] for text in (logged, its))
    assert best["epochs"] == expected["epochs"]
    assert best["test"]["argmax"] == pytest.approx(expected["test"]["argmax"])
    assert [point["step"] for point in found.store.points(run.id, ["train/loss"])] == [1, 3, 5]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["model=cnn", "dataset=digits_lt"], "model=cnn"),
        (["model.dropout=0.1"], "model.dropout=0.1"),
        (["trainer.early_stopping=3"], "trainer.early_stopping=3"),
        (["trainer.clip_norm=1"], "trainer.clip_norm=1.0"),
        (["trainer.schedule=cosine"], "trainer.schedule=cosine"),
        (["trainer.engine=fit"], "trainer.engine=fit"),
    ],
)
def test_what_a_stack_does_not_know(words: list[str], told: str) -> None:
    base = SMALL if words[0] != "model=cnn" else ()
    with pytest.raises(ConfigError, match=re.escape(f"trainer.stacked=true with {told}: ")):
        check_together(composed(*base, *QUICK, "trainer.stacked=true", *words))


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow")
def test_tables_with_many_categories_and_row_weights(tmp_path: Path) -> None:
    """Keras hands an optimiser an embedding's gradient sample by sample, which only SGD adds up to the same."""
    table = tmp_path / "rows.csv"
    rows = [f"c{place * 7 % 150},{place * 37 % 101},{1 + place % 3},{int(place * 7 % 11 < 3)}" for place in range(300)]
    table.write_text("\n".join(["city,x,w,y", *rows]) + "\n")
    words = ["dataset=csv", f"dataset.path='{table}'", "dataset.target=y", "dataset.weight=w", "dataset.labels=binary"]
    words += ["model=mlp", "model.hidden=[8]", "trainer.epochs=6", *QUICK]
    found = [composed(*words, "trainer.optimizer=sgd", f"weighting={name}") for name in ("none", "balanced")]
    (_, one), (history, weights) = stacked(found), alone(found[1])
    assert one.history[-1] == pytest.approx(history[-1], rel=1e-4, abs=1e-5)
    for mine, its in zip(one.weights[6], weights, strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-3, atol=1e-5)
    adam = composed(*words, "trainer.stacked=true")
    with pytest.raises(ConfigError, match=r"trainer\.optimizer=adam: the table has a column that is embedded"):
        check_prepared(adam, prepare(adam.dataset, cache_folder()))


def test_other_processes_and_searches_do_not_stack() -> None:
    words = ["-m", *SMALL, *QUICK, "seed=0,1", "trainer.stacked=true"]
    with pytest.raises(ConfigError, match="hydra/launcher=joblib gives each to another: leave one of the two out"):
        planning.plan([*words, "hydra/launcher=joblib"])
    with pytest.raises(ConfigError, match="results choose the next one"):
        planning.plan([*words[:-2], "trainer.stacked=true", "hydra/sweeper=optuna", "trainer.learning_rate=0.1,0.2"])
