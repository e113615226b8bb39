"""The resident engine leaves the bits of Keras's fit, whatever is trained, and `auto` takes it where that is so."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise import inputs
from equipoise.checkpoints import Checkpoints
from equipoise.data.prepare import prepare
from equipoise.options import ConfigError
from equipoise.resume import made_by
from helpers import composed

pytestmark = [pytest.mark.usefixtures("tensorflow"), pytest.mark.slow]

# 93 samples in batches of 16: the last batch holds 13. A step long enough for another order to show.
SMALL = ["dataset=synthetic", "dataset.class_counts=[60,25,8]", "dataset.features=6", "model=mlp", "model.hidden=[8]", "trainer.batch_size=16"]
SMALL += ["trainer.epochs=3", "trainer.learning_rate=0.01", "weighting=balanced"]
TWO = ["dataset.class_counts=[80,13]", "dataset.labels=binary"]
DEFERRED = ["weighting.schedule=deferred", "weighting.start=0.5"]
STOPPING = ["trainer.epochs=40", "trainer.early_stopping=2", "trainer.learning_rate=0.3", "trainer.monitor=val/log_loss"]
NEEDS = {
    "focal": ["loss.alpha={0:1,1:2,2:3}"],
    "cost_matrix": ["cost={2:{0:5}}"],
    "predicted_class": ["loss.weights={0:1,1:2,2:3}"],
    "sigmoid": [*TWO, "loss.pos_weight=2", "loss.gamma_neg=1"],
}
FUNCTIONS = ("custom", "focal", "balanced_softmax", "logit_adjusted", "ldam", "vs", "poly", "label_smoothing", "cost_matrix", "predicted_class", "sigmoid")
IMPLEMENTATIONS = ("class_weight", "sample_weight", "custom")
FORMS = {"sparse": ["dataset.labels=sparse"], "one_hot": ["dataset.labels=one_hot"], "binary": TWO}
SERIES = ["dataset.form=series", "dataset.features=12", "model=conv1d", "model.filters=[4]", "model.hidden=8"]
DIGITS = ["dataset=digits_lt", "model=cnn", "model.filters=[4]", "model.hidden=8", "trainer.batch_size=50", "weighting=balanced", "trainer.epochs=2"]
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
    "float16": ["loss=custom", "trainer.precision=mixed_float16"],
    "bfloat16": ["loss=sample_weight", "trainer.precision=mixed_bfloat16"],
    "Conv1D": ["loss=custom", *SERIES],
    "CNN with dropout": [*DIGITS, "loss=custom"],
    "XLA": ["loss=custom", "trainer.jit=true", "model.dropout=0.3"],
    "XLA, float16": ["loss=focal", "trainer.jit=true", "trainer.precision=mixed_float16"],
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def fit(cache: Path, engine: str, *overrides: str, folder: Path | None = None, end: int | None = None) -> tuple[str, list[dict[str, float]], list[Any]]:
    """Weights' digest, history and the optimiser's state; with a folder for checkpoints, of a training that ends after an epoch."""
    from equipoise import training

    config = composed(*overrides, f"trainer.engine={engine}")
    data = prepare(config.dataset, cache)
    model, history = training.build(config, data), []

    def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
        history.append(metrics)
        if epoch == end:
            raise InterruptedError

    kept = Checkpoints(folder, made_by(config, data)) if folder else None
    training.fit(model, training.Predictor(model), config, data, inputs.weigh(config, data), on_epoch, kept)
    return training.weights_sha256(model), history, [variable.numpy().tolist() for variable in model.optimizer.variables]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_every_loss_leaves_the_bits_of_fit(cache: Path, name: str, implementation: str) -> None:
    loss = [f"loss={implementation}"] if name == "custom" else [f"loss={name}", f"loss.implementation={implementation}", *NEEDS.get(name, [])]
    assert fit(cache, "resident", *SMALL, *loss) == fit(cache, "fit", *SMALL, *loss)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_every_form_of_labels_leaves_the_bits_of_fit(cache: Path, form: str, implementation: str) -> None:
    overrides = [*SMALL, *FORMS[form], f"loss={implementation}"]
    assert fit(cache, "resident", *overrides) == fit(cache, "fit", *overrides)


@pytest.mark.parametrize("case", CASES)
def test_every_way_to_train_leaves_the_bits_of_fit(cache: Path, case: str) -> None:
    overrides = CASES[case] if case.startswith("CNN") else [*SMALL, *CASES[case]]
    assert fit(cache, "resident", *overrides) == fit(cache, "fit", *overrides)
