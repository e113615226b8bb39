"""The resident engine leaves the bits of Keras's fit in all that is tried here."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trainings
from equipoise.core.errors import ConfigError
from equipoise.data.prepare import prepare
from equipoise.runs.resume import made_by
from equipoise.runs.weigh import weigh
from equipoise.training.checkpoints import Checkpoints
from helpers import composed
from trainings import IMPLEMENTATIONS

pytestmark = [pytest.mark.usefixtures("tensorflow"), pytest.mark.slow]

# A step long enough for another order to show.
SMALL = [*trainings.SMALL, "trainer.epochs=3", "trainer.learning_rate=0.01", "weighting=balanced"]
TWO = ["dataset.class_counts=[80,13]", "dataset.labels=binary"]
DEFERRED = ["weighting.schedule=deferred", "weighting.start=0.5"]
ORDINARY = ["trainer.weight_decay=0.1", "trainer.clip_norm=0.5", "trainer.ema=0.9"]
STOPPING = [
    "trainer.epochs=40",
    "trainer.early_stopping=2",
    "trainer.learning_rate=0.3",
    "trainer.monitor=val/log_loss",
]
NEEDS = {
    "focal": ["loss.alpha={0:1,1:2,2:3}"],
    "cost_matrix": ["cost={2:{0:5}}"],
    "predicted_class": ["loss.weights={0:1,1:2,2:3}"],
    "sigmoid": [*TWO, "loss.pos_weight=2", "loss.gamma_neg=1"],
}
FUNCTIONS = (
    "custom",
    "focal",
    "balanced_softmax",
    "logit_adjusted",
    "ldam",
    "vs",
    "poly",
    "label_smoothing",
    "cost_matrix",
    "predicted_class",
    "sigmoid",
)
FORMS = {"sparse": ["dataset.labels=sparse"], "one_hot": ["dataset.labels=one_hot"], "binary": TWO}
SERIES = ["dataset.form=series", "dataset.features=12", "model=conv1d", "model.filters=[4]", "model.hidden=8"]
DIGITS = [
    "dataset=digits_lt",
    "model=cnn",
    "model.filters=[4]",
    "model.hidden=8",
    "trainer.batch_size=50",
    "weighting=balanced",
    "trainer.epochs=2",
]
CASES = {
    "deferred weights": ["loss=custom", *DEFERRED, "trainer.epochs=4"],
    "a ramp of weights": ["loss=sample_weight", "weighting.schedule=ramp", "weighting.shape=cosine"],
    "a ramp of class_weight": ["loss=class_weight", "weighting.schedule=ramp"],
    "drawn samples": ["loss=custom", "dataset.sampling=progressive"],
    "drawn evenly": ["loss=sample_weight", "dataset.sampling=class_balanced", "trainer.optimizer=rmsprop"],
    "dropout": ["loss=custom", "model.dropout=0.5", "trainer.optimizer=adamw"],
    "stopped early": ["loss=custom", *STOPPING],
    "a last batch of one sample": ["loss=custom", "trainer.batch_size=46", "trainer.optimizer=sgd"],
    "one batch": ["loss=sample_weight", "trainer.batch_size=1000"],
    "batches of one sample": ["loss=custom", "trainer.batch_size=1", "trainer.epochs=1"],
    "ordinary": ["loss=custom", *ORDINARY, "trainer.schedule=warmup_cosine"],
    "ordinary, float16": ["loss=custom", *ORDINARY, "trainer.precision=mixed_float16", *DEFERRED],
    "XLA, ordinary": ["loss=custom", *ORDINARY, "trainer.schedule=step", "trainer.jit=true"],
    "float16": ["loss=custom", "trainer.precision=mixed_float16"],
    "bfloat16": ["loss=sample_weight", "trainer.precision=mixed_bfloat16"],
    "Conv1D": ["loss=custom", *SERIES],
    "mixed samples, sample_weight": ["loss=sample_weight", "dataset.mix=mixup", "dataset.labels=one_hot"],
    "remix, custom": ["loss=focal", "dataset.mix=remix", "dataset.mix_alpha=0.4", *DEFERRED],
    "CNN on altered images": [
        *DIGITS,
        "loss=custom",
        "dataset.augment=[flip,crop,rotate,translate,cutout]",
        "dataset.mix=cutmix",
        "dataset.sampling=class_balanced",
    ],
    "CNN with dropout": [*DIGITS, "loss=custom"],
    "XLA": ["loss=custom", "trainer.jit=true", "model.dropout=0.3"],
    "XLA, sharpness-aware": ["loss=focal", "trainer.jit=true", "trainer.sharpness=sam", "model.dropout=0.3"],
    "XLA, float16": ["loss=focal", "trainer.jit=true", "trainer.precision=mixed_float16"],
    "XLA, one batch": ["loss=custom", "trainer.jit=true", "trainer.batch_size=93"],
    "XLA, one batch and a smaller one": ["loss=custom", "trainer.jit=true", "trainer.batch_size=60"],
    "XLA, Conv1D": ["loss=custom", "trainer.jit=true", *SERIES],
}


def fit(
    cache: Path, engine: str, *overrides: str, folder: Path | None = None, end: int | None = None
) -> tuple[str, list[dict[str, float]], list[Any]]:
    """Return weights' digest, history and the optimiser's state; `end` is the epoch after which training breaks off."""
    from equipoise.training import fit as training
    from equipoise.training.graph import Compiled

    config = composed(*overrides, f"trainer.engine={engine}")
    data = prepare(config.dataset, cache)
    built, history = Compiled(config, data), []

    def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
        history.append(metrics)
        if epoch == end:
            raise InterruptedError

    kept = Checkpoints(folder, made_by(config, data), first=0) if folder else None
    training.fit(built, config, data, weigh(config, data), on_epoch, kept)
    return (
        training.weights_sha256(built.model),
        history,
        [variable.numpy().tolist() for variable in built.model.optimizer.variables],
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_loss_leaves_the_bits_of_fit_however_the_weights_are_put_in(cache: Path, name: str) -> None:
    def loss(implementation: str) -> list[str]:
        return (
            [f"loss={implementation}"]
            if name == "custom"
            else [f"loss={name}", f"loss.implementation={implementation}", *NEEDS.get(name, [])]
        )

    expected = fit(cache, "fit", *SMALL, *loss("class_weight"))
    for implementation in IMPLEMENTATIONS:
        assert fit(cache, "resident", *SMALL, *loss(implementation)) == expected, implementation


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_labels_leaves_the_bits_of_fit(cache: Path, form: str) -> None:
    expected = fit(cache, "fit", *SMALL, *FORMS[form], "loss=class_weight")
    for implementation in IMPLEMENTATIONS:
        assert fit(cache, "resident", *SMALL, *FORMS[form], f"loss={implementation}") == expected, implementation


@pytest.mark.parametrize("case", CASES)
def test_every_way_to_train_leaves_the_bits_of_fit(cache: Path, case: str) -> None:
    overrides = CASES[case] if case.startswith("CNN") else [*SMALL, *CASES[case]]
    assert fit(cache, "resident", *overrides) == fit(cache, "fit", *overrides)


def test_image_files_are_decoded_once_to_the_same_bits(cache: Path, tmp_path: Path) -> None:
    from PIL import Image

    generator = np.random.default_rng(0)
    for index, y in enumerate(np.repeat([0, 1], [40, 20])):
        (tmp_path / "images" / f"class {y}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 255, (10, 10, 3), dtype=np.uint8)).save(
            tmp_path / "images" / f"class {y}" / f"{index}.png"
        )
    images = [
        "dataset=image_directory",
        f"dataset.path='{tmp_path}/images'",
        "dataset.image_size=[8,8]",
        "model=mlp",
        "model.hidden=[8]",
    ]
    overrides = [*images, "loss=custom", "trainer.epochs=2", "trainer.batch_size=16"]
    assert fit(cache, "resident", *overrides) == fit(cache, "fit", *overrides)


def test_several_labels_leave_the_bits_of_fit(cache: Path, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(150, 2))
    (tmp_path / "table.csv").write_text(
        "\n".join(["x,y,a,b", *(f"{a:.4f},{b:.4f},{int(a > 1)},{int(b > -0.5)}" for a, b in x)])
    )
    table = [
        "dataset=multilabel",
        f"dataset.path='{tmp_path}/table.csv'",
        "dataset.targets=[a,b]",
        "loss=sigmoid",
        "model=mlp",
        "model.hidden=[8]",
    ]
    overrides = [*table, "weighting=balanced", "trainer.epochs=2"]
    assert fit(cache, "resident", *overrides) == fit(cache, "fit", *overrides)


@pytest.mark.parametrize("jit", ["false", "true"])
def test_an_interrupted_training_goes_on_to_the_same_bits(cache: Path, tmp_path: Path, jit: str) -> None:
    overrides = [
        f"trainer.jit={jit}",
        *(ORDINARY if jit == "false" else []),
        "trainer.schedule=reduce_on_plateau",
        "trainer.schedule_patience=1",
        *SMALL,
        *DEFERRED,
        "loss=custom",
        "trainer.epochs=5",
        "model.dropout=0.3",
        "dataset.sampling=progressive",
        "trainer.early_stopping=3",
    ]
    undisturbed = fit(cache, "fit", *overrides)
    for first, second in (("resident", "resident"), ("fit", "resident"), ("resident", "fit")):
        folder = tmp_path / f"{first}, {second}"
        folder.mkdir()
        with pytest.raises(InterruptedError):
            fit(cache, first, *overrides, folder=folder, end=2)
        assert fit(cache, second, *overrides, folder=folder) == undisturbed, (first, second)


@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_how_many_steps_a_call_takes_changes_no_bit(
    cache: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    from equipoise.training import fit as training
    from equipoise.training.engines import resident

    ends: list[int] = []
    original = training.Supervisor.on_train_batch_end

    def counted(self: Any, batch: int, logs: Any = None) -> None:
        ends.append(batch)
        original(self, batch, logs)

    monkeypatch.setattr(training.Supervisor, "on_train_batch_end", counted)
    expected = fit(cache, "fit", *SMALL, "loss=custom")
    assert ends == 3 * [5]
    ends.clear()
    monkeypatch.setattr(resident, "SECONDS_A_CALL", seconds)
    assert fit(cache, "resident", *SMALL, "loss=custom") == expected
    assert ends == (3 * [0, 1, 2, 3, 4, 5] if seconds == 0 else [0, 2, 5, 5, 5]), (
        "a signal is seen between calls: their length goes by the clock"
    )


def test_a_schedule_traces_no_step_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    traces = []
    original = keras.Model.train_step
    monkeypatch.setattr(keras.Model, "train_step", lambda *arguments: traces.append(1) or original(*arguments))
    fit(cache, "resident", *SMALL, "loss=sample_weight", "weighting.schedule=ramp", "trainer.epochs=6")
    assert traces == [1]


def test_divergence_is_told_as_by_fit(cache: Path) -> None:
    huge = [
        "weighting=manual",
        "weighting.weights={0:1e30,1:1e30,2:1e30}",
        "trainer.learning_rate=1e9",
        "trainer.optimizer=sgd",
    ]
    messages = []
    for engine in ("fit", "resident"):
        with pytest.raises(
            ConfigError, match=r"diverged in epoch 1 at step 1 of 6: its gradient .* Its batch holds"
        ) as error:
            fit(cache, engine, *SMALL, "loss=custom", *huge)
        messages.append(str(error.value))
    assert messages[0] == messages[1]


def test_a_loss_of_ones_own_ends_near_fit(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow puts these constants together in another way in the two graphs."""
    import tensorflow as tf

    from equipoise.methods.losses import LOSSES, Loss, cross_entropy
    from equipoise.training import fit as training

    def generalized(labels: Any, logits: Any) -> Any:
        return -tf.math.expm1(-0.7 * cross_entropy(labels, logits)) / 0.7

    monkeypatch.setitem(LOSSES.shipped, "custom", Loss(generalized, implementation="custom"))  # type: ignore[index]
    monkeypatch.setattr(training, "weights_sha256", lambda model: model.get_weights())
    weights = [
        fit(cache, engine, *SMALL, "loss=custom", "loss.function=generalized")[0] for engine in ("fit", "resident")
    ]
    for expected, found in zip(*weights, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
