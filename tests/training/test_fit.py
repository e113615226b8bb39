"""Losses, the three implementations, and what training promises: the same bits for the same config."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.config.model import Config
from equipoise.core.schema import ConfigError
from equipoise.data.prepare import prepare
from equipoise.data.prepared import Prepared
from equipoise.data.sampling import RULES
from equipoise.data.types import SPLITS
from equipoise.methods.weighting import class_weights
from helpers import composed
from options import SOFTMAX_LOSSES, of_loss
from trainings import HUGE, IMPLEMENTATIONS, SMALL

pytestmark = [pytest.mark.usefixtures("tensorflow"), pytest.mark.slow]

TWO = [*SMALL, "dataset.class_counts=[80,13]"]


def fit(cache: Path, *overrides: str) -> tuple[str, list[dict[str, float]], Any, Prepared]:
    """Weights' digest, history, model and data of a run of three epochs."""
    from equipoise.training import fit as training
    from equipoise.training.graph import Compiled

    config: Config = composed("trainer.epochs=3", *overrides)
    data = prepare(config.dataset, cache)
    weights = class_weights(config.weighting, data.counts, data.classes)
    built = Compiled(config, data)
    history: list[dict[str, float]] = []
    training.fit(built, config, data, weights, lambda _, metrics: history.append(metrics))
    return training.weights_sha256(built.model), history, built.model, data


@pytest.mark.parametrize("jit", ["false", "true"])
@pytest.mark.parametrize("labels", ["sparse", "one_hot", "binary"])
def test_the_three_implementations_are_bitwise_the_same(cache: Path, labels: str, jit: str) -> None:
    size = TWO if labels == "binary" else SMALL
    runs = [
        fit(cache, *size, f"dataset.labels={labels}", f"trainer.jit={jit}", "weighting=balanced", f"loss={name}")
        for name in IMPLEMENTATIONS
    ]
    assert len({digest for digest, *_ in runs}) == 1
    for _, history, *_ in runs[1:]:
        for found, expected in zip(history, runs[0][1], strict=True):
            # XLA sums the reported loss in another order; nothing is trained on that sum.
            assert found.pop("train/loss") == (
                pytest.approx(expected["train/loss"], rel=1e-6) if jit == "true" else expected["train/loss"]
            )
            assert found == {key: value for key, value in expected.items() if key != "train/loss"}
    unweighted, *_ = fit(cache, *size, f"dataset.labels={labels}", f"trainer.jit={jit}")
    assert unweighted != runs[0][0], "the weights have an effect"


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_uniform_weights_are_no_weights(cache: Path, implementation: str) -> None:
    ones = "weighting.weights={0: 1, 1: 1, 2: 1}"
    assert fit(cache, *SMALL, f"loss={implementation}", "weighting=manual", ones)[0] == fit(cache, *SMALL)[0]


def test_sparse_and_one_hot_labels_train_the_same(cache: Path) -> None:
    sparse, one_hot = (
        fit(cache, *SMALL, f"dataset.labels={form}", "weighting=balanced")[2] for form in ("sparse", "one_hot")
    )
    for left, right in zip(sparse.get_weights(), one_hot.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6)


@pytest.fixture(scope="module")
def own_data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """A table, time series and an image folder of three unequal classes, as their overrides."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("own data")
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [50, 25, 10])
    (folder / "table.csv").write_text(
        "x,z,y\n"
        + "".join(
            f"{value:.3f},{'ab'[y % 2]},{['cat', 'dog', 'cow'][y]}\n"
            for value, y in zip(labels + generator.normal(size=85), labels, strict=True)
        )
    )
    np.savez(folder / "series.npz", x=labels[:, None, None] + generator.normal(size=(85, 12, 2)), y=labels)
    for index, y in enumerate(labels):
        (folder / "images" / f"class {y}").mkdir(parents=True, exist_ok=True)
        pixels = np.clip(80 * y + generator.integers(0, 80, (10, 10, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"class {y}" / f"{index}.png")
    return {
        "table": ["dataset=csv", f"dataset.path='{folder}/table.csv'", "dataset.target=y"],
        "series": ["dataset=series", f"dataset.path='{folder}/series.npz'"],
        "images": ["dataset=image_directory", f"dataset.path='{folder}/images'", "dataset.image_size=[8,8]"],
    }


@pytest.mark.parametrize("kind", ["table", "series", "images"])
def test_the_implementations_agree_on_the_users_own_data(
    cache: Path, own_data: dict[str, list[str]], kind: str
) -> None:
    shared = [
        *own_data[kind],
        "model=mlp",
        "model.hidden=[8]",
        "trainer.batch_size=16",
        "weighting=balanced",
        "dataset.labels=one_hot",
    ]
    digests = {fit(cache, *shared, f"loss={name}")[0] for name in IMPLEMENTATIONS}
    assert len(digests) == 1
    assert digests != {fit(cache, *shared, "weighting=none")[0]}


def test_a_thousand_classes_are_weighed_alike(cache: Path) -> None:
    counts = ",".join(str(1 + index % 3) for index in range(1000))
    many = [
        "dataset=synthetic",
        f"dataset.class_counts=[{counts}]",
        "dataset.features=1000",
        "dataset.test_per_class=1",
        "dataset.validation_per_class=1",
    ]
    shared = [*many, "model=linear", "trainer.epochs=1", "trainer.batch_size=500"]
    digests = {fit(cache, *shared, "weighting=balanced", f"loss={name}")[0] for name in IMPLEMENTATIONS}
    assert len(digests) == 1
    assert digests != {fit(cache, *shared)[0]}


def test_arrays_on_disk_train_as_arrays_in_memory(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from equipoise.data import feed

    resident = fit(cache, *SMALL)[0]
    monkeypatch.setattr(feed, "MOST_RESIDENT_BYTES", 0)
    assert fit(cache, *SMALL)[0] == resident


def test_sampling_changes_what_is_learned(cache: Path) -> None:
    digests = [fit(cache, *SMALL, f"dataset.sampling={rule}")[0] for rule in ("none", *RULES, "class_balanced")]
    assert len(set(digests)) == 1 + len(RULES)
    assert digests[1] == digests[-1]


def test_the_same_config_gives_the_same_bits_and_another_seed_does_not(cache: Path) -> None:
    digests = [fit(cache, *SMALL, "model.dropout=0.3", f"seed={seed}")[0] for seed in (0, 0, 1)]
    assert digests[0] == digests[1] != digests[2]


def test_weights_twice_as_large_double_the_loss(cache: Path) -> None:
    still = ["trainer.optimizer=sgd", "trainer.learning_rate=1e-30"]
    once = fit(cache, *SMALL, *still, "weighting=manual", "weighting.weights={0: 1, 1: 2, 2: 3}")[1]
    twice = fit(cache, *SMALL, *still, "weighting=manual", "weighting.weights={0: 2, 1: 4, 2: 6}")[1]
    for key in ("train/loss", "val/loss"):
        assert twice[0][key] == pytest.approx(2 * once[0][key], rel=1e-5)
    assert twice[0]["val/log_loss"] == pytest.approx(once[0]["val/log_loss"], rel=1e-5), "which is unweighted"


def test_duplicating_a_class_is_weighing_it(cache: Path) -> None:
    """The gradient of the summed loss with every sample of class 2 thrice is that with weight 3."""
    import tensorflow as tf

    from equipoise.methods.losses import cross_entropy

    generator = np.random.default_rng(0)
    logits, labels = generator.normal(size=(12, 3)).astype(np.float32), np.arange(12) % 3
    thrice = np.concatenate([np.arange(12), np.flatnonzero(labels == 2), np.flatnonzero(labels == 2)])
    direction = tf.Variable(np.zeros(3, np.float32))

    def gradient(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(
                cross_entropy(tf.constant(labels[rows]), tf.constant(logits[rows]) + direction) * weights[labels[rows]]
            )
        found: np.ndarray = tape.gradient(total, direction).numpy()
        return found

    np.testing.assert_allclose(
        gradient(thrice, np.ones(3, np.float32)), gradient(np.arange(12), np.array([1, 1, 3], np.float32)), rtol=1e-5
    )


SCHEDULES = [
    ["weighting.schedule=deferred", "weighting.start=0.5"],
    ["weighting.schedule=ramp", "weighting.start=0.5"],
    ["weighting.schedule=ramp", "weighting.shape=cosine"],
]


@pytest.mark.parametrize("jit", ["false", "true"])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=["deferred", "linear", "cosine"])
def test_scheduled_weights_are_bitwise_the_same_in_all_implementations(
    cache: Path, schedule: list[str], jit: str
) -> None:
    common = [*SMALL, "weighting=balanced", "trainer.epochs=4", f"trainer.jit={jit}", *schedule]
    runs = [fit(cache, *common, f"loss={name}") for name in IMPLEMENTATIONS]
    assert len({digest for digest, *_ in runs}) == 1
    assert runs[0][0] != fit(cache, *SMALL, "weighting=balanced", "trainer.epochs=4", f"trainer.jit={jit}")[0], (
        "the schedule has an effect"
    )
    shares = [metrics["weight_schedule"] for metrics in runs[0][1]]
    cosine = [(1 - np.cos(np.pi * epoch / 3)) / 2 for epoch in range(4)]
    assert shares == pytest.approx([[0, 0, 1, 1], [0, 0.5, 1, 1], cosine][SCHEDULES.index(schedule)])


def test_deferred_weights_are_none_and_then_all(cache: Path) -> None:
    """Until the weights set in, every bit is that of a run without weights; their loss is weighted from there on."""
    deferred = fit(cache, *SMALL, "weighting=balanced", *SCHEDULES[0], "trainer.epochs=4")[1]
    without = fit(cache, *SMALL, "trainer.epochs=4")[1]
    for epoch in (0, 1):
        assert {key: value for key, value in deferred[epoch].items() if key != "weight_schedule"} == without[epoch]
    assert deferred[2]["train/loss"] != without[2]["train/loss"]


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_changing_weights_compiles_nothing_again(
    cache: Path, implementation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from equipoise.methods.implementations import PerSampleLoss

    traces = []
    original = PerSampleLoss.call

    def counted(self: Any, y_true: Any, y_pred: Any) -> Any:
        traces.append(1)
        return original(self, y_true, y_pred)

    monkeypatch.setattr(PerSampleLoss, "call", counted)
    fit(cache, *SMALL, "weighting=balanced", f"loss={implementation}", "trainer.epochs=2")
    constant = len(traces)
    fit(cache, *SMALL, "weighting=balanced", f"loss={implementation}", "trainer.epochs=8", *SCHEDULES[2])
    assert len(traces) == 2 * constant, "eight epochs of changing weights are traced as often as two of the same"


def test_a_schedule_and_early_stopping_go_together(cache: Path) -> None:
    overrides = [
        "weighting=balanced",
        *SCHEDULES[1],
        "trainer.learning_rate=0.3",
        "trainer.monitor=val/log_loss",
        "trainer.early_stopping=2",
    ]
    _, history, model, data = fit(cache, *SMALL, *overrides, "trainer.epochs=40")
    losses = [metrics["val/log_loss"] for metrics in history]
    assert len(history) < 40
    assert losses.index(min(losses)) == len(history) - 3
    from equipoise.metrics.classification import epoch_metrics

    validation = data.split("validation")
    again = epoch_metrics(np.asarray(validation.labels), model.predict(validation.features, verbose=0))
    assert again["log_loss"] == pytest.approx(min(losses), rel=1e-5), (
        "the best weights are restored at the very end alone"
    )


@pytest.mark.parametrize("name", SOFTMAX_LOSSES)
def test_every_loss_trains_the_same_bits_however_the_weights_are_put_in(cache: Path, name: str) -> None:
    common = [*SMALL, f"loss={name}", *of_loss(name), "weighting=power"]
    runs = [
        fit(cache, *common, f"loss.implementation={implementation}", "trainer.epochs=2")
        for implementation in IMPLEMENTATIONS
    ]
    assert len({digest for digest, *_ in runs}) == 1
    first, last = runs[0][1][0], runs[0][1][-1]
    assert np.isfinite(list(last.values())).all()
    assert last["train/loss"] < first["train/loss"]


def test_sigmoid_with_automatic_weights_is_cross_entropy_with_those_of_the_positives(cache: Path) -> None:
    sigmoid = fit(cache, *TWO, "dataset.labels=binary", "loss=sigmoid", "loss.pos_weight=auto")[2]
    ratio = fit(cache, *TWO, "dataset.labels=binary", "weighting=max_ratio")[2]
    assert sigmoid.output_shape == (None, 1)
    for left, right in zip(sigmoid.get_weights(), ratio.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-5)


class TestSecondStage:
    def run(
        self, cache: Path, stage: str, *overrides: str
    ) -> tuple[Any, list[np.ndarray], dict[str, list[float]], Prepared, Any]:
        from equipoise.training import fit as training
        from equipoise.training.graph import Compiled
        from equipoise.training.second_stage import run_second_stage

        config = composed(*SMALL, f"trainer.second_stage={stage}", "trainer.epochs=5", *overrides)
        data = prepare(config.dataset, cache)
        weights = class_weights(config.weighting, data.counts, data.classes)
        built = Compiled(config, data)
        model, predictor = built.model, built.predict
        training.fit(built, config, data, weights, lambda *_: None)
        before = model.get_weights()
        return model, before, run_second_stage(model, predictor, config, data), data, predictor

    @pytest.mark.parametrize("labels", ["sparse", "one_hot", "binary"])
    def test_a_retrained_classifier_leaves_the_features_as_they_are(self, cache: Path, labels: str) -> None:
        size = TWO if labels == "binary" else []
        model, before, curves, data, predictor = self.run(
            cache, "crt", *size, f"dataset.labels={labels}", "trainer.learning_rate=0.03"
        )
        after = model.get_weights()
        assert all((left == right).all() for left, right in zip(before[:-2], after[:-2], strict=True))
        assert (before[-2] != after[-2]).all()
        assert len(curves["train/loss"]) == 5
        assert curves["train/loss"][-1] < curves["train/loss"][0]
        from equipoise.metrics.classification import class_logits, epoch_metrics

        validation = data.split("validation")
        logits = class_logits(predictor(validation.features))
        assert (
            curves["val/balanced_accuracy"][1]
            == epoch_metrics(np.asarray(validation.labels), logits)["balanced_accuracy"]
        )

    def test_the_same_seed_retrains_the_same_bits(self, cache: Path) -> None:
        once, twice = (self.run(cache, "crt")[0].get_weights() for _ in range(2))
        assert all((left == right).all() for left, right in zip(once, twice, strict=True))

    def test_tau_normalisation_shortens_the_long_vectors(self, cache: Path) -> None:
        model, before, curves, _, _ = self.run(cache, "tau_norm")
        (tau,) = curves["tau"]
        kernel, bias = model.get_weights()[-2:]
        np.testing.assert_allclose(kernel, before[-2] / np.linalg.norm(before[-2], axis=0) ** tau, rtol=1e-6)
        assert not bias.any()
        assert 0 <= tau <= 1


def test_early_stopping_asks_for_a_metric_that_the_validation_samples_define(cache: Path, tmp_path: Path) -> None:
    rows = "".join(
        f"{i},{part},{int(i % 3 == 0 and part != 'validation')},{int(i % 2 and part != 'validation')}\n"
        for part in SPLITS
        for i in range(9)
    )
    (tmp_path / "t.csv").write_text("x,p,rain,wind\n" + rows)
    table = [
        "dataset=multilabel",
        f"dataset.path='{tmp_path}/t.csv'",
        "dataset.targets=[rain,wind]",
        "dataset.split_column=p",
        "model=linear",
        "loss=sigmoid",
    ]
    with pytest.raises(
        ConfigError, match=r"trainer\.monitor=val/balanced_accuracy is not defined on these .* use val/.*val/log_loss"
    ):
        fit(cache, *table, "trainer.early_stopping=1")
    assert len(fit(cache, *table, "trainer.early_stopping=3", "trainer.monitor=val/log_loss")[1]) == 3


def test_early_stopping_keeps_the_best_weights(cache: Path) -> None:
    # With so large a step the first epoch is rarely beaten; what counts is that the kept weights are those of the best.
    overrides = [
        *SMALL,
        "trainer.epochs=40",
        "trainer.early_stopping=2",
        "trainer.learning_rate=0.3",
        "trainer.monitor=val/log_loss",
    ]
    _, history, model, data = fit(cache, *overrides)
    assert len(history) < 40
    losses = [metrics["val/log_loss"] for metrics in history]
    assert losses.index(min(losses)) == len(history) - 3, "two epochs without improvement follow the best"
    from equipoise.metrics.classification import epoch_metrics

    validation = data.split("validation")
    again = epoch_metrics(np.asarray(validation.labels), model.predict(validation.features, verbose=0))
    assert again["log_loss"] == pytest.approx(min(losses), rel=1e-5)


@pytest.mark.parametrize("jit", ["false", "true"])
def test_a_step_that_breaks_the_numbers_stops_the_run_and_is_named(cache: Path, jit: str) -> None:
    message = (
        r"diverged in epoch 1 at step 1 of 6: its gradient leaves .* Its batch holds (\d+) of 0, (\d+) of 1.*"
        r" trainer.learning_rate=1000000000"
    )
    with pytest.raises(ConfigError, match=message):
        fit(cache, *SMALL, *HUGE, f"trainer.jit={jit}")


def test_a_loss_that_is_not_finite_is_told_from_a_gradient(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Class 2 costs infinity; the first batch that holds it is named."""
    import tensorflow as tf

    from equipoise.methods.losses import LOSSES, Loss, cross_entropy

    def broken(labels: Any, logits: Any) -> Any:
        return tf.where(labels == 2, float("inf"), cross_entropy(labels, logits))

    broken.__name__ = "cross_entropy"  # whose options it has
    monkeypatch.setitem(LOSSES, "class_weight", Loss(broken))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"at step \d of 6: its loss is not finite. Its batch holds .* of 2\."):
        fit(cache, *SMALL)


def test_divergence_in_the_very_last_step_is_seen(cache: Path) -> None:
    """One step in all: the loss, taken before it, is finite; what it leaves is not."""
    with pytest.raises(
        ConfigError, match=r"diverged in epoch 1 at step 1 of 1: its gradient .* holds 60 of 0, 25 of 1, 8 of 2"
    ):
        fit(cache, *SMALL, *HUGE, "trainer.epochs=1", "trainer.batch_size=1000")


@pytest.mark.parametrize(
    "engine",
    [
        ["engine=fit"],
        ["engine=fit", "jit=true"],
        ["engine=resident"],
        ["engine=resident", "jit=true"],
        ["strategy=mirrored"],
    ],
)
def test_weights_of_nan_are_seen_though_a_relu_hides_them_from_the_loss(tmp_path: Path, engine: list[str]) -> None:
    from equipoise.training import fit as training
    from equipoise.training.graph import Compiled

    config = composed(*SMALL, "trainer.epochs=3", *(f"trainer.{option}" for option in engine))
    data = prepare(config.dataset, tmp_path)
    features = np.load(data.folder / "train_features.npy")
    features[3, 1] = np.nan
    np.save(data.folder / "train_features.npy", features)
    history: list[dict[str, float]] = []
    hidden = r"diverged in epoch 1: dense\w*/kernel holds NaN or infinity, which a layer above it hides"
    # Compiled by XLA, a ReLU lets NaN through.
    with pytest.raises(
        ConfigError, match=r"diverged in epoch 1 at step 1 of 6" if "jit=true" in engine else hidden
    ) as refused:
        training.fit(
            Compiled(config, data),
            config,
            data,
            class_weights(config.weighting, data.counts, data.classes),
            lambda _, found: history.append(found),
        )
    assert "Lower trainer.learning_rate=0.001" in str(refused.value)
    assert not history


def test_a_second_stage_that_breaks_the_numbers_is_told(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from equipoise.methods.second_stages import SECOND_STAGES, Learned, SecondStage
    from equipoise.training.predictor import Predictor
    from equipoise.training.second_stage import run_second_stage

    def diverging(learned: Learned) -> tuple[Any, Any, dict[str, list[float]]]:
        return learned.kernel * float("inf"), learned.bias, {}

    monkeypatch.setitem(SECOND_STAGES, "crt", SecondStage(diverging))  # type: ignore[arg-type]
    *_, model, data = fit(cache, *SMALL)
    with pytest.raises(
        ConfigError,
        match=r"trainer.second_stage=crt diverged: logits/kernel holds NaN or infinity. "
        r"Lower trainer.learning_rate=0.001",
    ):
        run_second_stage(model, Predictor(model), composed(*SMALL, "trainer.second_stage=crt"), data)


def test_every_epoch_has_an_order_of_its_own(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With so small a step the model stays as it is, so the loss of the last, partial batch tells the order."""
    import keras

    seen: list[float] = []

    class LastBatch(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            seen.append(round(float(logs["loss"]), 6))  # type: ignore[index]

    from equipoise.training.engines import engine

    monkeypatch.setattr(engine, "STEPS_PER_CALL", 1)
    fit_of_keras = keras.Model.fit
    monkeypatch.setattr(
        keras.Model,
        "fit",
        lambda model, *a, callbacks, **k: fit_of_keras(model, *a, callbacks=[*callbacks, LastBatch()], **k),
    )
    fit(cache, *SMALL, "trainer.optimizer=sgd", "trainer.learning_rate=1e-30")
    assert len(seen) == 18
    first, second, third = seen[0:6], seen[6:12], seen[12:18]
    assert first[-1] == pytest.approx(second[-1], abs=1e-5), "the same samples"
    assert second[-1] == pytest.approx(third[-1], abs=1e-5)
    assert len({first[0], second[0], third[0]}) == 3, "each in an order of its own"


class TestCrossEntropy:
    LOGITS = np.array([[2.0, 0.0, -1.0], [0.0, 0.0, 0.0]], np.float32)

    def loss(self, labels: Any, logits: Any = None) -> list[float]:
        import tensorflow as tf

        from equipoise.methods.losses import cross_entropy

        found: list[float] = (
            cross_entropy(tf.constant(labels), tf.constant(self.LOGITS if logits is None else logits)).numpy().tolist()
        )
        return found

    def test_by_hand(self) -> None:
        # -log(e^2 / (e^2 + 1 + e^-1)) and log 3
        expected = [np.log(np.exp(2) + 1 + np.exp(-1)) - 2, np.log(3)]
        assert self.loss([0, 2]) == pytest.approx(expected, rel=1e-6)
        assert self.loss([[0], [2]]) == pytest.approx(expected, rel=1e-6), (
            "labels of shape (n, 1) do not broadcast to (n, n)"
        )
        assert self.loss([[1.0, 0, 0], [0, 0, 1.0]]) == pytest.approx(expected, rel=1e-6)

    def test_of_a_single_logit(self) -> None:
        expected = [np.log1p(np.exp(-2)), np.log1p(np.exp(1))]
        for labels in ([1.0, 1.0], [[1.0], [1.0]]):
            assert self.loss(labels, np.array([[2.0], [-1.0]], np.float32)) == pytest.approx(expected, rel=1e-6)

    def test_extreme_logits_stay_finite(self) -> None:
        import tensorflow as tf

        from equipoise.methods.losses import cross_entropy

        logits = tf.Variable([[1e4, -1e4], [1e4, -1e4]])
        with tf.GradientTape() as tape:
            losses = cross_entropy(tf.constant([0, 1]), logits)
        assert losses.numpy().tolist() == [0, 2e4]
        assert np.isfinite(tape.gradient(losses, logits).numpy()).all()


def test_shares_of_loss_and_gradient_by_hand() -> None:
    from equipoise.methods.losses import cross_entropy
    from equipoise.training.audit import audit

    # Equal logits: every loss is log 2, every gradient (1/2, -1/2) long; three samples of class 0 and one of class 1.
    labels, weights = np.array([0, 0, 0, 1]), np.array([1.0, 2.0])
    shares = audit(
        lambda features: np.zeros((len(features), 2), np.float32),
        cross_entropy,
        np.zeros((4, 1), np.float32),
        labels,
        weights,
        "sparse",
    )
    assert shares.loss.tolist() == pytest.approx([3 / 5, 2 / 5])
    assert shares.gradient.tolist() == pytest.approx([3 / 5, 2 / 5])
