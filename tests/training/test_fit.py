"""Losses, the three implementations, and what training promises: the same bits for the same config."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.core.errors import ConfigError
from equipoise.data.sampling import SHIPPED as RULES
from equipoise.data.types import SPLITS
from equipoise.methods.models import MODELS, Architecture
from helpers import composed
from options import SOFTMAX_LOSSES, of_loss
from trainings import IMPLEMENTATIONS, SMALL, TWO, fit, small_resnet

pytestmark = [pytest.mark.usefixtures("tensorflow"), pytest.mark.slow]


@pytest.fixture(scope="module")
def plain(cache: Path) -> str:
    """The digest of a training without weights, in a graph of its own."""
    return fit(cache, *SMALL)[0]


@pytest.mark.parametrize("jit", ["false", "true"])
@pytest.mark.parametrize("labels", ["sparse", "one_hot", "binary"])
def test_the_three_implementations_are_bitwise_the_same(cache: Path, labels: str, jit: str) -> None:
    typed = [*(TWO if labels == "binary" else SMALL), f"dataset.labels={labels}", f"trainer.jit={jit}"]
    runs = [fit(cache, *typed, "weighting=balanced", f"loss={name}", shared=True) for name in IMPLEMENTATIONS]
    assert len({digest for digest, *_ in runs}) == 1
    for _, history, *_ in runs[1:]:
        for found, expected in zip(history, runs[0][1], strict=True):
            # XLA sums the reported loss in another order; nothing is trained on that sum.
            assert found.pop("train/loss") == (
                pytest.approx(expected["train/loss"], rel=1e-6) if jit == "true" else expected["train/loss"]
            )
            assert found == {key: value for key, value in expected.items() if key != "train/loss"}
    unweighted, *_ = fit(cache, *typed, shared=True)
    assert unweighted != runs[0][0], "the weights have an effect"


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_uniform_weights_are_no_weights(cache: Path, implementation: str, plain: str) -> None:
    ones = "weighting.weights={0: 1, 1: 1, 2: 1}"
    assert fit(cache, *SMALL, f"loss={implementation}", "weighting=manual", ones)[0] == plain


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


def test_batch_norm_learns_the_same_by_every_implementation(
    cache: Path, own_data: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS.shipped, "resnet", Architecture(small_resnet, dimensions=3))  # type: ignore[arg-type]
    shared = [*own_data["images"], "model=resnet", "trainer.batch_size=16", "trainer.epochs=1"]
    ways = [[f"loss={name}"] for name in IMPLEMENTATIONS] + [["loss=custom", "trainer.engine=resident"]]
    digests = [fit(cache, *shared, "weighting=balanced", *way)[0] for way in ways]
    assert len(set(digests)) == 1
    assert digests[0] != fit(cache, *shared, "weighting=none")[0]


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


def test_arrays_on_disk_train_as_arrays_in_memory(cache: Path, plain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from equipoise.data import feed

    monkeypatch.setattr(feed, "MOST_RESIDENT_BYTES", 0)
    assert fit(cache, *SMALL)[0] == plain


def test_sampling_changes_what_is_learned(cache: Path) -> None:
    digests = [fit(cache, *SMALL, f"dataset.sampling={rule}")[0] for rule in ("none", *RULES, "class_balanced")]
    assert len(set(digests)) == 1 + len(RULES)
    assert digests[1] == digests[-1]


@pytest.mark.parametrize("engine", ["fit", "resident"])
def test_resampled_rows_leave_the_same_bits_whatever_puts_weights_in(engine: str, cache: Path) -> None:
    pytest.importorskip("imblearn")
    how = [*SMALL, "weighting=power", "dataset.sampling=smote", f"trainer.engine={engine}"]
    found = [fit(cache, *how, f"loss={name}") for name in IMPLEMENTATIONS]
    assert len({digest for digest, *_ in found}) == 1
    data = found[0][-1]
    assert (
        np.bincount(data.training.labels).tolist() == [60, 60, 60] != np.bincount(data.split("train").labels).tolist()
    )
    assert found[0][0] != fit(cache, *how[:-2], f"trainer.engine={engine}")[0]


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
    common = [*SMALL, "weighting=balanced", "trainer.epochs=4", f"trainer.jit={jit}"]
    runs = [fit(cache, *common, *schedule, f"loss={name}", shared=True) for name in IMPLEMENTATIONS]
    assert len({digest for digest, *_ in runs}) == 1
    assert runs[0][0] != fit(cache, *common, shared=True)[0], "the schedule has an effect"
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


def test_class_balanced_focal_is_focal_with_the_effective_number_to_the_same_bits(cache: Path) -> None:
    one_word = fit(cache, *SMALL, "loss=class_balanced_focal", "weighting=none")
    composed_of = fit(cache, *SMALL, "loss=focal", "weighting=effective_number")
    assert one_word[0] == composed_of[0], "the digest of the trained weights"


def test_influence_balanced_begins_at_the_epoch_that_schedules_begin_at() -> None:
    from equipoise.training.loss import begins_at

    config = composed(*SMALL, "loss=influence_balanced", "loss.start=0.29", "trainer.epochs=100")
    assert begins_at(config) == 29, "and not 28, as 0.29 * 100 is a little less"


def test_influence_balanced_trains_as_cross_entropy_until_it_begins(cache: Path) -> None:
    """Weights go in in every way to the same bits."""
    common = [*SMALL, "loss=influence_balanced", "weighting=power", "trainer.epochs=4", "loss.alpha=1"]
    late, sampled = (fit(cache, *common, *more) for more in ([], ["loss.implementation=sample_weight"]))
    plain = fit(cache, *SMALL, "loss=custom", "weighting=power", "trainer.epochs=4")
    assert late[0] == sampled[0]
    losses, expected = ([metrics["train/loss"] for metrics in history] for _, history, *_ in (late, plain))
    assert losses[:2] == pytest.approx(expected[:2], rel=1e-5), "half of the epochs"
    assert abs(losses[2] / expected[2] - 1) > 0.1
    judged, as_plain = ([metrics["val/loss"] for metrics in history] for _, history, *_ in (late, plain))
    assert judged[:2] == pytest.approx(as_plain[:2], rel=1e-5), "judged by what it is trained by"
    assert abs(judged[2] / as_plain[2] - 1) > 0.1


def test_a_loss_of_a_batch_trains_the_same_in_another_engine_and_under_xla(cache: Path) -> None:
    common = [*SMALL, "loss=soft_f1", "trainer.epochs=3"]
    usual, other = (fit(cache, *common, *more) for more in ([], ["trainer.engine=resident", "trainer.jit=true"]))
    assert usual[1][-1]["train/loss"] < usual[1][0]["train/loss"]
    for left, right in zip(usual[2].get_weights(), other[2].get_weights(), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-4)


def test_sigmoid_with_automatic_weights_is_cross_entropy_with_those_of_the_positives(cache: Path) -> None:
    sigmoid = fit(cache, *TWO, "dataset.labels=binary", "loss=sigmoid", "loss.pos_weight=auto")[2]
    ratio = fit(cache, *TWO, "dataset.labels=binary", "weighting=max_ratio")[2]
    assert sigmoid.output_shape == (None, 1)
    for left, right in zip(sigmoid.get_weights(), ratio.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-5)


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
