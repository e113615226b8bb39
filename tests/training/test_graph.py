"""Jobs of one process that share a graph end with the bits of jobs that do not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.core.errors import ConfigError
from equipoise.data.prepare import prepare
from equipoise.data.resampling import resampled
from equipoise.methods.losses import LOSSES
from equipoise.runs.weigh import weigh
from helpers import composed
from options import YES_OR_NO, of_loss, two_values
from trainings import SMALL

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("tensorflow")]

# What differs from job to job. The third ends early; after it comes one that goes out of numbers.
JOBS = [
    ["weighting=none", "seed=0", "trainer.epochs=3"],
    ["weighting=balanced", "seed=1", "trainer.learning_rate=0.02", "trainer.epochs=2", "decision=tuned"],
    ["weighting=power", "weighting.schedule=ramp", "trainer.early_stopping=1", "trainer.epochs=5", "seed=2"],
    ["weighting=manual", "weighting.weights={0:1e30,1:1e30,2:1e30}", "trainer.learning_rate=1e9", "trainer.epochs=2"],
    ["weighting=balanced", "trainer.schedule=cosine", "trainer.schedule_end=0.1", "trainer.epochs=3"],
    ["weighting=none", "seed=0", "trainer.epochs=3"],
]
SHARED = {
    "fit, class_weight": ["trainer.engine=fit", "loss=class_weight", "model.dropout=0.3"],
    "fit, sample_weight": ["trainer.engine=fit", "loss=sample_weight", "trainer.optimizer=rmsprop"],
    "fit, custom": ["trainer.engine=fit", "loss=custom", "dataset.labels=one_hot", "trainer.optimizer=adamw"],
    "resident, dropout": ["trainer.engine=resident", "loss=custom", "model.dropout=0.3"],
    "resident, class_weight": ["trainer.engine=resident", "loss=class_weight", "trainer.optimizer=sgd"],
    "resident, one loss of many": ["trainer.engine=resident", "loss=ldam"],
    "fit, XLA": ["trainer.engine=fit", "loss=class_weight", "trainer.jit=true"],
    "resident, XLA": ["trainer.engine=resident", "loss=custom", "trainer.jit=true", "model.dropout=0.3"],
    "an average of weights": ["loss=custom", "trainer.ema=0.8", "trainer.weight_decay=0.01"],
    "16 bits": ["trainer.engine=fit", "loss=custom", "trainer.precision=mixed_bfloat16"],
}


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    from equipoise.training import graph

    graph.graphs().clear()
    yield
    graph.graphs().clear()


def train(cache: Path, make: Any, *overrides: str) -> list[Any]:
    """All that comes out of a training, or what it ended by."""
    from equipoise.training import fit

    config = composed(*SMALL, *overrides)
    data = resampled(config.dataset, prepare(config.dataset, cache), config.seed)
    history: list[Any] = []
    made = make(config, data)
    try:
        fit.fit(made, config, data, weigh(config, data), lambda _, metrics: history.append(metrics))
    except ConfigError as error:
        return [*history, str(error)]
    logits = made.predict(data.split("test").features)
    return [
        *history,
        fit.weights_sha256(made.model),
        [variable.numpy().tolist() for variable in made.model.optimizer.variables],
        logits.tolist(),
    ]


# Two values of each option that goes into a table of a loss, and of costs.
IN_TABLES = {
    **{
        (name, option): [f"loss.{option}={value}" for value in two_values(name, option)]
        for name, loss in LOSSES.items()
        for option in loss.in_variables
    },
    **{
        (name, "cost"): ["cost={0:{1:3},2:{0:5}}", "cost={2:{1:7}}"]
        for name, loss in LOSSES.items()
        if loss.needs_costs
    },
}


@pytest.mark.parametrize(("loss", "option"), IN_TABLES)
@pytest.mark.parametrize("engine", ["fit", "resident"])
def test_values_in_tables_share_a_graph(cache: Path, loss: str, option: str, engine: str) -> None:
    from equipoise.training import graph

    others = [word for word in of_loss(loss) if word.split("=")[0] not in (option, f"loss.{option}")]
    shared = [f"loss={loss}", *others, f"trainer.engine={engine}", "trainer.epochs=2"]
    shared += YES_OR_NO if LOSSES[loss].yes_or_no else []
    first, second = ([*shared, value] for value in IN_TABLES[loss, option])
    alone = train(cache, graph.Compiled, *second)
    assert train(cache, graph.compiled, *first) != alone
    assert train(cache, graph.compiled, *second) == alone
    assert len(graph.graphs()) == 1


def test_options_in_tables_are_known_from_the_record() -> None:
    assert LOSSES["focal"].in_variables == ["alpha"], "gamma is an exponent in the graph"
    assert LOSSES["ldam"].in_variables == ["max_margin"], "the scale is a layer of the model, too"
    assert LOSSES["vs"].in_variables == [], "whose tables are constants"


@pytest.mark.parametrize("case", SHARED)
def test_jobs_that_share_a_graph_end_with_the_bits_of_jobs_that_do_not(
    cache: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from equipoise.methods.implementations import PerSampleLoss
    from equipoise.training import graph

    overrides = [[*SHARED[case], *job] for job in JOBS]
    alone = [train(cache, graph.Compiled, *job) for job in overrides[1:-1]]
    traces = []
    original = PerSampleLoss.call
    monkeypatch.setattr(PerSampleLoss, "call", lambda *arguments: traces.append(1) or original(*arguments))
    first, *found, again = [train(cache, graph.compiled, *job) for job in overrides]
    assert found == alone
    assert again == first, "which made the graph, and had it to itself"
    assert traces == [1, 1] if "XLA" in case else traces == [1], (
        "traced once for all of them; under XLA the smaller batch by itself"
    )
    assert len(graph.graphs()) == 1
    assert any("diverged" in str(job[-1]) for job in alone)
    assert len({str(job) for job in (first, *alone)}) == 1 + len(alone), "all differ"


def test_jobs_that_differ_in_the_graph_share_none(cache: Path) -> None:
    from equipoise.training import graph

    def make(*overrides: str) -> None:
        config = composed(*SMALL, *overrides)
        graph.compiled(config, resampled(config.dataset, prepare(config.dataset, cache), config.seed))

    base = ["loss=custom", "weighting=balanced", "trainer.epochs=1"]
    make(*base)
    for other in (
        ["model.hidden=[9]"],
        ["loss=sample_weight"],
        ["trainer.optimizer=sgd"],
        ["trainer.batch_size=8"],
        ["dataset.split_seed=1"],
        ["dataset.labels=one_hot"],
        ["loss=focal"],
        ["loss=focal", "loss.alpha={0:1,1:2,2:3}"],
        ["loss=focal", "loss.gamma=1"],
        ["dataset.sampling=class_balanced"],
        ["dataset.sampling=class_balanced", "trainer.epochs=2"],
        ["dataset.sampling=smote"],
        ["dataset.sampling=smote", "seed=1"],
        ["trainer.precision=mixed_float16"],
        ["trainer.precision=mixed_float16", "weighting=none"],
    ):
        before = list(graph.graphs())
        make(*base, *other)
        assert list(graph.graphs())[-1] not in before, other


def test_the_model_that_was_used_longest_ago_is_given_up_first(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from equipoise.training import graph

    def kept(*overrides: str) -> list[int]:
        config = composed(*SMALL, *overrides)
        graph.compiled(config, prepare(config.dataset, cache))
        return [made.model.layers[1].units for made, _ in graph.graphs().values()]

    monkeypatch.setattr(graph, "MOST_KEPT", 2)
    assert kept("model.hidden=[2]") == [2]
    assert kept("model.hidden=[3]") == [2, 3]
    assert kept("model.hidden=[2]", "seed=5") == [3, 2]
    assert kept("model.hidden=[4]") == [2, 4]
    monkeypatch.setattr(graph, "MOST_KEPT_BYTES", 2 * 93 * 6 * 4)
    assert kept("model.hidden=[5]") == [4, 5]
    monkeypatch.setattr(graph, "MOST_KEPT_BYTES", 1)
    assert kept("model.hidden=[6]") == [6], "the one in use stays"


def test_a_model_taken_over_begins_with_the_weights_of_its_seed(cache: Path) -> None:
    from equipoise.training import graph

    config = composed(*SMALL, "seed=7")
    data = prepare(config.dataset, cache)
    first = graph.compiled(composed(*SMALL, "seed=1"), data)
    again = graph.compiled(config, data)
    assert again is first
    for left, right in zip(again.model.get_weights(), graph.build(config, data).get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)
