"""Jobs trained as one program end where each of them ends by itself, up to the last bits."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from equipoise.config.model import Config
from equipoise.core.paths import cache_folder
from equipoise.data.prepare import prepare
from helpers import composed

SMALL = ("dataset=synthetic", "dataset.class_counts=[60,25,8]", "model=mlp", "model.hidden=[8]", "trainer.epochs=6")
QUICK = ("trainer.threads=1", "trainer.device=cpu", "evaluation.resamples=0")


def jobs(*shared: str, each: Sequence[Sequence[str]]) -> list[Config]:
    return [composed(*SMALL, *QUICK, *shared, *words) for words in each]


def stacked(found: Sequence[Config]) -> list[Any]:
    from equipoise.runs.weigh import weigh
    from equipoise.training.graph import compiled
    from equipoise.training.stacked import Member, train

    data = prepare(found[0].dataset, cache_folder())
    return train(compiled(found[0], data), [Member(job, weigh(job, data)) for job in found], data)


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
            ["trainer.optimizer=adamw", "trainer.weight_decay=0.01", "trainer.judge_after=[2]"],
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
        assert [*one.weights] == [*job.trainer.judge_after, 6]
    again = stacked(found[1:])
    same = [np.array_equal(*pair) for pair in zip(again[0].weights[6], learned[1].weights[6], strict=True)]
    assert all(same), "of the jobs beside it no bit depends"
