"""Weights of single rows in training: sums by hand, rows repeated or left out, and the same bits in every way."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.core.schema import Floats
from equipoise.data.prepare import prepare
from equipoise.methods.priors import effective_prior
from equipoise.runs.weigh import drawing, notes, weigh
from helpers import composed
from trainings import IMPLEMENTATIONS, fit

pytestmark = [pytest.mark.usefixtures("tensorflow"), pytest.mark.slow]

MODEL = ["model=mlp", "model.hidden=[8]", "trainer.batch_size=16", "weighting=balanced"]


@pytest.fixture(scope="module")
def arrays() -> dict[str, Any]:
    """105 rows of three classes, `w` whole numbers from 1 to 4, and their splits."""
    generator = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [60, 30, 15])
    x = generator.normal(size=(105, 4)) + y[:, np.newaxis]
    split = np.resize(["train", "train", "train", "validation", "test"], 105)
    return {"x": x, "y": y, "w": generator.integers(1, 5, 105), "split": split, "ones": np.ones(105)}


@pytest.fixture(scope="module")
def file(arrays: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("rows") / "rows.npz"
    np.savez(found, **arrays, third=arrays["w"] / 3)
    return found


def of(file: Path, *overrides: str) -> list[str]:
    return ["dataset=npz", f"dataset.path='{file}'", "dataset.split=split", *MODEL, *overrides]


def repeated(arrays: dict[str, Any], file: Path, times: Any) -> Path:
    np.savez(file, **{name: np.repeat(values, times, axis=0) for name, values in arrays.items()})
    return file


@pytest.mark.parametrize(
    ("jit", "form", "engine"),
    [("false", "sparse", "fit"), ("false", "one_hot", "resident"), ("true", "sparse", "resident")],
)
def test_every_way_to_put_row_weights_in_leaves_the_same_bits(
    cache: Path, file: Path, jit: str, form: str, engine: str
) -> None:
    options = of(file, f"trainer.jit={jit}", f"trainer.engine={engine}", f"dataset.labels={form}")

    def digests(weight: str) -> set[str]:
        return {fit(cache, *options, f"dataset.weight={weight}", f"loss={name}")[0] for name in IMPLEMENTATIONS}

    (weighted,), (even,) = digests("third"), digests("ones")
    assert even == fit(cache, *options)[0]
    assert weighted != even, "the weights have an effect"


def test_row_weights_that_are_class_weights_are_those(cache: Path, arrays: dict[str, Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{**arrays, "w": np.array([2, 3, 5])[arrays["y"]]})
    by_row = fit(cache, *of(tmp_path / "a.npz", "weighting=none", "dataset.weight=w"))[0]
    assert by_row == fit(cache, *of(tmp_path / "a.npz", "weighting=manual", "weighting.weights={0: 2, 1: 3, 2: 5}"))[0]


@pytest.mark.parametrize("loss", ["custom", "class_weight"])
def test_the_loss_is_that_of_a_sum_by_hand(cache: Path, file: Path, arrays: dict[str, Any], loss: str) -> None:
    from equipoise.training.graph import Compiled

    options = of(file, "dataset.weight=w", f"loss={loss}", "trainer.batch_size=1000", "trainer.epochs=1")
    config = composed(*options, "trainer.optimizer=sgd", "trainer.learning_rate=1e-12")
    data = prepare(config.dataset, cache)
    built = Compiled(config, data)
    means = {}
    for split, name in (("train", "train/loss"), ("validation", "val/loss")):
        samples = data.split(split)
        logits = built.predict(samples.features).astype(np.float64)
        losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(logits)), samples.labels]
        # w_c of `balanced` by rows: 63 training rows, 36 + 18 + 9.
        of_class = (63 / 3 / np.array([36, 18, 9]))[samples.labels]
        assert samples.weights is not None
        assert samples.weights.tolist() == arrays["w"][arrays["split"] == split].tolist()
        means[name] = np.mean(losses * of_class * samples.weights)
    _, (history,), *_ = fit(cache, *options, "trainer.optimizer=sgd", "trainer.learning_rate=1e-12", "trainer.epochs=1")
    assert history["train/loss"] == pytest.approx(means["train/loss"], rel=1e-5)
    assert history["val/loss"] == pytest.approx(means["val/loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("weighting", "loss"),
    [("none", "custom"), ("balanced", "class_weight"), ("effective_number", "custom"), ("none", "balanced_softmax")],
)
def test_a_weight_of_k_is_the_row_k_times(
    cache: Path, file: Path, arrays: dict[str, Any], tmp_path: Path, weighting: str, loss: str
) -> None:
    """Under sum reduction: one step over all rows, whose learning rate undoes the division by their number."""
    again = repeated(arrays, tmp_path / "repeated.npz", arrays["w"])
    more = [f"weighting={weighting}", f"loss={loss}", "dataset.scale=none", "trainer.optimizer=sgd"]
    more += ["trainer.batch_size=1000", "dataset.count=weight", "trainer.epochs=2"]

    def trained(file: Path, *typed: str) -> list[Floats]:
        rows = int(np.sum(np.load(file)["split"] == "train"))
        return fit(cache, *of(file, *more, *typed, f"trainer.learning_rate={rows / 1000}"))[2].get_weights()

    weighted, longer = trained(file, "dataset.weight=w"), trained(again, "dataset.weight=ones")
    for left, right in zip(weighted, longer, strict=True):
        np.testing.assert_allclose(left, right, rtol=2e-5, atol=2e-6)


def test_a_row_of_weight_0_is_not_there(cache: Path, arrays: dict[str, Any], tmp_path: Path) -> None:
    void = np.random.default_rng(1).random(105) < 0.2
    np.savez(tmp_path / "with.npz", **{**arrays, "w": np.where(void, 0, arrays["w"])})
    without = repeated(arrays, tmp_path / "without.npz", (~void).astype(int))
    for split in ("split", "null"):  # named by the data, or divided here
        runs = [
            fit(cache, *of(path, f"dataset.split={split}", "dataset.weight=w", "loss=custom"))
            for path in (tmp_path / "with.npz", without)
        ]
        assert runs[0][:2] == runs[1][:2]
        assert f"{void.sum()} rows have the weight 0, and are left out of every split" in " ".join(runs[0][3].notes)
        assert runs[0][3].counts.tolist() == runs[1][3].counts.tolist()


def test_samples_that_are_drawn_keep_their_weights(cache: Path, file: Path, arrays: dict[str, Any]) -> None:
    config = composed(*of(file, "dataset.weight=w", "dataset.sampling=class_balanced", "weighting=none"))
    data = prepare(config.dataset, cache)
    prior = effective_prior(weigh(config, data), config.loss, "none", drawing(config, data))
    train = arrays["split"] == "train"
    means = np.array([arrays["w"][train & (arrays["y"] == label)].mean() for label in range(3)])
    np.testing.assert_allclose(prior, means / means.sum())  # each class is drawn equally often
    found = [fit(cache, *of(file, "dataset.weight=w", "dataset.sampling=class_balanced", f"loss={name}"))[0]
             for name in IMPLEMENTATIONS]  # fmt: skip
    assert len(set(found)) == 1


def test_what_a_model_learns_under_is_the_sum_of_the_weights(cache: Path, file: Path, arrays: dict[str, Any]) -> None:
    train = arrays["split"] == "train"
    sums = np.bincount(arrays["y"][train], arrays["w"][train])
    for count, counts in (("rows", np.array([36, 18, 9])), ("weight", sums)):
        config = composed(*of(file, "dataset.weight=w", f"dataset.count={count}", "weighting=inverse"))
        data = prepare(config.dataset, cache)
        weights = weigh(config, data)
        np.testing.assert_allclose(weights.weights, counts.sum() / counts)
        np.testing.assert_allclose(data.prior, counts / counts.sum())
        mass = sums * weights.weights
        np.testing.assert_allclose(effective_prior(weights, config.loss), mass / mass.sum())
        each = (arrays["w"] * weights.weights[arrays["y"]])[train]
        assert weights.sample_mean == pytest.approx(each.mean())
        assert weights.effective_sample_size == pytest.approx(each.sum() ** 2 / (each**2).sum())
        found = " ".join(notes(config, data, weights))
        assert "Keras refuses" in found
        assert "counts rows" not in found, "the classes' means are much the same"


def test_rows_that_weigh_more_in_one_class_are_told_of(cache: Path, arrays: dict[str, Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{**arrays, "w": np.array([1, 2, 5])[arrays["y"]]})
    for count, name, is_told in (("rows", "balanced", True), ("weight", "balanced", False), ("rows", "none", False)):
        config = composed(*of(tmp_path / "a.npz", "dataset.weight=w", f"dataset.count={count}", f"weighting={name}"))
        data = prepare(config.dataset, cache)
        found = " ".join(notes(config, data, weigh(config, data)))
        told = (
            "a row of class 2 weighs 5 times one of class 0 by dataset.weight: that comes on top; dataset.count=weight"
        )
        assert (told in found) is is_told


def test_normalised_weights_keep_the_scale_of_the_loss(cache: Path, file: Path) -> None:
    config = composed(*of(file, "dataset.weight=w", "weighting=none", "weighting.normalize=sample_mean"))
    assert weigh(config, prepare(config.dataset, cache)).sample_mean == pytest.approx(1)


def test_shares_are_those_of_weighted_samples(cache: Path, file: Path, arrays: dict[str, Any]) -> None:
    from equipoise.training.audit import audit

    config = composed(*of(file, "dataset.weight=w"))
    samples = prepare(config.dataset, cache).split("train")
    function = lambda labels, logits: logits[:, 0] + 0.0 * logits[:, 1]  # noqa: E731 - the loss of each sample is 1
    found = audit(
        lambda features: np.ones((len(features), 3), np.float32), function, samples,
        np.array([1.0, 2.0, 4.0]), "sparse",
    )  # fmt: skip
    sums = np.bincount(samples.labels, samples.weights) * [1, 2, 4]
    np.testing.assert_allclose(found.loss, sums / sums.sum(), rtol=1e-6)
    np.testing.assert_allclose(found.gradient, sums / sums.sum(), rtol=1e-6)


def test_a_second_stage_keeps_classes_even(cache: Path, file: Path) -> None:
    from equipoise.methods.second_stages import within_classes
    from equipoise.training.second_stage import run_second_stage

    labels, rows = np.array([0, 0, 1, 1, 1]), np.array([1.0, 3, 5, 5, 8])
    np.testing.assert_allclose(within_classes(rows, labels), [0.5, 1.5, 5 / 6, 5 / 6, 8 / 6], rtol=1e-6)
    heads = []
    for weight in ("w", "ones", "null"):
        options = of(file, "weighting=none", f"dataset.weight={weight}", "trainer.second_stage=crt")
        config = composed(*options, "trainer.epochs=3")
        _, _, model, data = fit(cache, *of(file, "weighting=none", "trainer.epochs=1"))
        data = prepare(config.dataset, cache)
        from equipoise.training.predictor import Predictor

        run_second_stage(model, Predictor(model), config, data)
        heads.append(model.layers[-1].get_weights()[0])
    assert np.array_equal(heads[1], heads[2])
    assert not np.array_equal(heads[0], heads[1])


def test_streamed_batches_carry_their_weights(cache: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from equipoise.data import feed

    resident = fit(cache, *of(file, "dataset.weight=third", "trainer.engine=fit"))[0]
    monkeypatch.setattr(feed, "MOST_RESIDENT_BYTES", 0)
    assert fit(cache, *of(file, "dataset.weight=third", "trainer.engine=fit"))[0] == resident


def test_several_labels_take_row_weights(cache: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(2)
    x, labels = generator.normal(size=(60, 2)).round(3), generator.integers(2, size=(60, 2))
    times = generator.integers(1, 4, 60)
    split = np.resize(["train", "train", "validation", "test"], 60)

    def written(name: str, rows: Any) -> list[str]:
        lines = [",".join(map(str, [*x[row], *labels[row], times[row], 1, split[row]])) for row in rows]
        (tmp_path / name).write_text("\n".join(["u,v,a,b,w,one,split", *lines]) + "\n")
        return [
            "dataset=multilabel", f"dataset.path='{tmp_path / name}'", "dataset.targets=[a,b]", "loss=sigmoid",
            "model=linear", "dataset.split_column=split", "dataset.count=weight", "weighting=balanced",
        ]  # fmt: skip

    config = composed(*written("w.csv", range(60)), "dataset.weight=w", "dataset.drop=[one]")
    data = prepare(config.dataset, cache)
    train = split == "train"
    positives = times[train] @ labels[train]
    np.testing.assert_allclose(
        weigh(config, data).weights, (times[train].sum() - positives) / positives, rtol=1e-6
    )  # as if each row stood there so often
    plain, weighted = (
        fit(cache, *written("w.csv", range(60)), f"dataset.weight={name}", f"dataset.drop=[{other}]")[0]
        for name, other in (("one", "w"), ("w", "one"))
    )
    assert plain != weighted
