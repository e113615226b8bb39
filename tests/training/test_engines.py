"""What `auto` takes: the resident engine where it leaves the bits of Keras's fit, XLA where it saves time."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import trainings
from equipoise.core.errors import ConfigError
from equipoise.data.prepare import prepare
from equipoise.runs.weigh import weigh
from helpers import composed
from trainings import IMPLEMENTATIONS

pytestmark = [pytest.mark.usefixtures("tensorflow"), pytest.mark.slow]

SMALL = [*trainings.SMALL, "trainer.epochs=3", "trainer.learning_rate=0.01", "weighting=balanced"]
# 801 samples in batches of 4: 201 steps, the last of one sample.
LONG = [
    "dataset=synthetic",
    "dataset.class_counts=[500,250,51]",
    "dataset.features=6",
    "model=mlp",
    "model.hidden=[8,5]",
    "trainer.batch_size=4",
]
LONG += ["trainer.epochs=3", "weighting=balanced"]


class Picked(NamedTuple):
    """A choice, with the engine's name."""

    name: str
    xla: bool
    in_programs: bool
    why: str


def chosen(cache: Path, *overrides: str, device: str = "cpu") -> Any:
    from equipoise.training.engines.choose import choice_of

    config = composed("trainer.engine=auto", *overrides)
    return choice_of(config, prepare(config.dataset, cache), device)


def picked(cache: Path, *overrides: str, device: str = "cpu") -> Picked:
    choice = chosen(cache, *overrides, device=device)
    return Picked(choice.engine.name, *choice[1:])


def test_auto_picks_what_leaves_the_bits_of_fit(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from equipoise.data import feed

    assert picked(cache, *SMALL, "loss=custom") == (
        "resident",
        False,
        False,
        "93 samples fit in memory; the bits are those of fit",
    )
    assert picked(cache, *SMALL, "loss=balanced_softmax", "loss.implementation=sample_weight").name == "resident"
    assert (
        picked(cache, *SMALL, "loss=class_weight").name
        == picked(cache, *SMALL, "loss=focal", "loss.implementation=class_weight").name
        == "fit"
    )
    assert picked(cache, *SMALL, "loss=class_weight", "trainer.engine=resident").name == "resident"
    assert picked(cache, *SMALL, "loss=custom", "trainer.engine=fit").name == "fit"
    assert picked(cache, *SMALL, "loss=custom", "trainer.strategy=mirrored").name == "replicas"
    assert picked(cache, *SMALL, "loss=custom", device="gpu") == picked(cache, *SMALL, "loss=custom")
    assert picked(
        cache, *SMALL, "loss=custom", "trainer.gpu_memory=1", "dataset.class_counts=[60000,2500,800]", device="gpu"
    ) == (
        "fit",
        False,
        False,
        "the samples take more than half of trainer.gpu_memory=1",
    )
    not_twice = (
        "93 samples fit in memory; with trainer.deterministic=false no engine leaves the same bits twice on a GPU"
    )
    assert picked(cache, *SMALL, "loss=vs", "trainer.deterministic=false", device="gpu") == (
        "resident",
        False,
        False,
        not_twice,
    )
    assert picked(cache, *SMALL, "loss=vs") == (
        "fit",
        False,
        False,
        "loss.function=vs may leave other last bits with trainer.engine=resident",
    )
    monkeypatch.setattr(feed, "MOST_RESIDENT_BYTES", 0)
    assert picked(cache, *SMALL, "loss=custom").name == "fit"


def test_files_that_are_decoded_are_left_to_fit(cache: Path, tmp_path: Path) -> None:
    from PIL import Image

    for y in range(40):
        (tmp_path / "images" / f"class {y % 2}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), y, np.uint8)).save(tmp_path / "images" / f"class {y % 2}" / f"{y}.png")
    images = [
        "dataset=image_directory",
        f"dataset.path='{tmp_path}/images'",
        "dataset.image_size=[8,8]",
        "model=mlp",
        "trainer.batch_size=1",
    ]
    assert picked(cache, *images, "loss=custom") == (
        "fit",
        False,
        False,
        "samples are read, or decoded, while they are trained on",
    )


def test_samples_that_do_not_fit_in_memory_are_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 4400})())
    with pytest.raises(
        ConfigError,
        match=r"trainer\.engine=resident: the training samples take 0\.0 GiB, more than half .*"
        r" use trainer\.engine=fit",
    ):
        picked(cache, *SMALL, "trainer.engine=resident")
    assert picked(cache, *SMALL).name == "fit"


def test_replicas_have_an_engine_of_their_own() -> None:
    with pytest.raises(
        ConfigError,
        match=r"trainer\.engine=resident with trainer\.strategy=mirrored: replicas have an engine of their own",
    ):
        composed("trainer.engine=resident", "trainer.strategy=mirrored")


def test_auto_takes_xla_for_many_steps_of_dense_layers_however_the_weights_are_put_in(cache: Path) -> None:
    said = "XLA makes short work of 201 steps an epoch of dense layers, to other last bits than trainer.jit=false"
    for implementation in IMPLEMENTATIONS:
        for engine in ("auto", "fit", "resident"):
            found = picked(cache, *LONG, f"loss={implementation}", f"trainer.engine={engine}")
            assert found[1:3] == (True, True)
            assert found.why.endswith(f"; {said}")
    assert (
        str(chosen(cache, *LONG, "loss=custom"))
        == f"resident under XLA: 801 samples fit in memory; the bits are those of fit; {said}"
    )


@pytest.mark.parametrize(
    ("overrides", "device"),
    [
        (["trainer.batch_size=5"], "cpu"),  # 161 steps
        (["trainer.jit=false"], "cpu"),
        (["loss=vs"], "cpu"),
        (["trainer.precision=mixed_bfloat16"], "cpu"),
        (["trainer.strategy=mirrored"], "cpu"),
        (["dataset.form=series", "model=conv1d", "model.hidden=8"], "cpu"),
        ([], "gpu"),
        (["trainer.jit=true"], "gpu"),
    ],
)
def test_auto_leaves_xla_out_otherwise(cache: Path, overrides: list[str], device: str) -> None:
    assert not picked(cache, *LONG, *overrides, device=device).xla


def test_auto_leaves_xla_out_of_large_batches(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from equipoise.training.engines import choose

    monkeypatch.setattr(choose, "MOST_NUMBERS", 24)  # 4 samples of 6 numbers
    assert picked(cache, *LONG).xla
    monkeypatch.setattr(choose, "MOST_NUMBERS", 23)
    assert not picked(cache, *LONG).xla


def test_a_typed_choice_of_xla_is_kept(cache: Path) -> None:
    assert picked(cache, *SMALL, "trainer.jit=true")[1:3] == (True, True)
    assert picked(cache, *SMALL, "loss=vs", "trainer.jit=true")[1:3] == (True, False)
    assert picked(cache, *SMALL, "trainer.batch_size=43691", "trainer.jit=true")[1:3] == (
        True,
        False,
    )  # of 6 numbers each
    assert picked(cache, *SMALL, "trainer.jit=true", "trainer.deterministic=false", device="gpu").xla


def test_how_many_steps_a_call_takes() -> None:
    import keras

    from equipoise.training.engines.engine import even_steps, steps_per_program

    # All of an epoch up to 50; the largest divisor up to 50, unless that is less than 10.
    assert [even_steps(steps) for steps in (1, 7, 50, 63, 100, 53, 194)] == [50, 50, 50, 21, 50, 50, 50]

    def model(features: int, units: int) -> keras.Model:
        return keras.Sequential([keras.Input((features,)), keras.layers.Dense(units)])

    assert steps_per_program(model(9, 10), 256) == 250
    assert steps_per_program(model(1024, 2), 128) == 128, "2^24 numbers of batches of 2^17"
    assert steps_per_program(model(99, 400), 250) == 80, "8e8 products of 250 samples and 40,000 weights"
    assert steps_per_program(model(999, 1000), 100) == 50, "no fewer than a call"


def trained(cache: Path, *overrides: str) -> tuple[str, list[dict[str, float]], bool]:
    """Weights' digest, history without the loss that XLA sums in another order, and whether XLA was there."""
    from equipoise.training import fit
    from equipoise.training.graph import Compiled

    config = composed(*overrides)
    data = prepare(config.dataset, cache)
    built = Compiled(config, data)
    history: list[Mapping[str, float]] = []
    fit.fit(built, config, data, weigh(config, data), lambda _, metrics: history.append(metrics))
    without = [{key: value for key, value in metrics.items() if key != "train/loss"} for metrics in history]
    return fit.weights_sha256(built.model), without, bool(built.model.jit_compile)


XLA_CASES = {
    "two classes": ["dataset.class_counts=[500,301]", "dataset.labels=one_hot"],
    "one logit": ["dataset.class_counts=[500,301]", "dataset.labels=binary", "model.dropout=0.3"],
    "a ramp, no last batch": [
        "dataset.class_counts=[500,250,50]",
        "weighting.schedule=ramp",
        "trainer.optimizer=adamw",
    ],
    "drawn samples": ["dataset.sampling=progressive", "trainer.optimizer=rmsprop", "model=linear"],
}


@pytest.mark.parametrize("case", XLA_CASES)
def test_under_xla_too_every_way_and_engine_leaves_the_bits_of_keras(
    cache: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one with its own function, which has each step compiled by itself."""
    from equipoise.training import graph

    options = [
        option for option in LONG if not (option.startswith("model.hidden") and "model=linear" in XLA_CASES[case])
    ]
    options += XLA_CASES[case]
    with monkeypatch.context() as patch:
        original = graph.choice_of
        patch.setattr(graph, "choice_of", lambda *arguments: original(*arguments)._replace(in_programs=False))
        expected = trained(cache, *options, "loss=class_weight", "trainer.engine=fit")
    assert expected[2]
    for implementation in IMPLEMENTATIONS:
        for engine in ("fit", "resident"):
            assert trained(cache, *options, f"loss={implementation}", f"trainer.engine={engine}") == expected, (
                implementation,
                engine,
            )
    without = trained(cache, *options, "loss=custom", "trainer.jit=false")
    assert without[0] != expected[0], "it would show"
