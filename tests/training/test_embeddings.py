"""Columns of many categories: a vector each, the same bits in every implementation and engine, and who refuses them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from equipoise.config.checks import check_prepared
from equipoise.core.errors import ConfigError
from equipoise.data import preprocessing
from equipoise.data.prepare import prepare
from equipoise.data.tables.columns import IdColumn, TablePreprocessing
from equipoise.methods.models import MODELS
from equipoise.runs.weigh import weigh
from equipoise.training.plain.case import Origin
from equipoise.training.plain.script import plain_keras
from helpers import composed
from trainings import fit

CITIES = 40


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Forty cities, of which every fifth has rare rows, ten that occur once, and a code of a few values."""
    folder, generator, n = tmp_path_factory.mktemp("cities"), np.random.default_rng(0), 300
    city = np.concatenate([np.arange(100, 110), generator.integers(0, CITIES, n - 10)])
    rare = (city % 5 == 0) & (generator.random(n) < 0.9)
    frame = pd.DataFrame({"x": generator.normal(size=n), "city": [f"city {number}" for number in city]})
    frame["kind"], frame["y"] = generator.choice(["a", "b"], n), np.where(rare, "rare", "often")
    frame.loc[40:43, "city"] = None
    frame.to_csv(folder / "t.csv", index=False)
    return [
        *("dataset=csv", f"dataset.path='{folder}/t.csv'", "dataset.target=y", "dataset.max_categories=20"),
        *("weighting=balanced", "trainer.threads=1", "trainer.device=cpu", "trainer.jit=false"),
    ]


class TestNumbers:
    def test_unseen_and_single_categories_share_a_number(self, words: list[str], cache: Path) -> None:
        data = prepare(composed(*words, "model=mlp").dataset, cache)
        learned = preprocessing.read(data.folder)
        assert isinstance(learned, TablePreprocessing)
        column = learned.columns[-1]
        assert isinstance(column, IdColumn)
        train = pd.read_csv(words[1].partition("=")[2].strip("'"))["city"].to_numpy()[data.split("train").rows]
        counts = pd.Series(train).value_counts()
        assert column.categories == tuple(sorted(counts.index[counts > 1]))
        assert column.rare == tuple(sorted(counts.index[counts == 1]))
        assert data.ids == (len(column.categories) + 2,), "one for unseen ones, and one for missing ones"
        assert data.shape == (4,), "x, kind=a, kind=b and the number, which stands last"
        cells = [column.categories[0], column.categories[-1], column.rare[0], "nowhere", None]
        rows = {"x": [0.0] * 5, "kind": ["a"] * 5, "city": cells}
        assert learned.apply(rows)[:, -1].tolist() == [1, data.ids[0] - 2, 0, 0, data.ids[0] - 1]
        assert learned.unknown(rows) == ["", "", "", "city=nowhere: not seen in training", "city: missing"]

    def test_few_categories_stay_features_of_their_own(self, words: list[str], cache: Path) -> None:
        data = prepare(composed(*words, "dataset.max_categories=100", "model=mlp").dataset, cache)
        assert (data.ids, data.shape[0] > CITIES) == ((), True)

    def test_codes_of_a_typed_file_are_those_of_a_csv(self) -> None:
        categories = tuple(f"{number:03d}" for number in range(5000))
        column = IdColumn(name="x", type="string", missing=(), categories=categories, rare=("x",), incomplete=False)
        learned = TablePreprocessing(columns=(column,))
        assert learned.apply({"x": [7, 4999, 5000]})[:, 0].tolist() == [8, 5000, 0]
        assert learned.apply({"x": ["007", "x", None]})[:, 0].tolist() == [8, 0, 0]


class TestRefusals:
    def test_others_are_told_of_the_ways_out(self, words: list[str], cache: Path) -> None:
        config = composed(*words, "model=mlp")
        data = prepare(config.dataset, cache)
        check_prepared(config, data)
        other = config.model_copy(update={"model": config.model.model_copy(update={"name": "cnn"})})
        with pytest.raises(ConfigError, match=rf"model=cnn has no embedding.* of {data.ids[0] - 1} categories.*"
            rf"use model=linear or mlp, type dataset.max_categories={10 * data.ids[0]}, which"):  # fmt: skip
            check_prepared(other, data)
        with pytest.raises(ConfigError, match=r"dataset\.mix=mixup mixes quantities"):
            check_prepared(composed(*words, "model=mlp", "dataset.mix=mixup", "weighting=none"), data)

    def test_vectors_of_nothing_are_told(self, words: list[str], cache: Path) -> None:
        config = composed(*words, "model=mlp", "dataset.max_categories=100", "model.embedding=one_hot")
        with pytest.raises(ConfigError, match=r"model\.embedding=one_hot has no effect: no column of dataset=csv has"):
            check_prepared(config, prepare(config.dataset, cache))

    def test_shards_hold_quantities(self, words: list[str], cache: Path, tmp_path: Path) -> None:
        from equipoise.data.write_shards import write_shards

        data = prepare(composed(*words, "model=mlp").dataset, cache)
        with pytest.raises(ConfigError, match="shards hold numbers that are quantities"):
            write_shards(data, tmp_path / "shards", 2)


@pytest.mark.usefixtures("tensorflow")
class TestTraining:
    @pytest.mark.parametrize("typed", [["model=mlp", "model.hidden=[8]", "model.embedding=3"], ["model=linear"]])
    def test_every_way_leaves_the_same_bits(self, typed: list[str], words: list[str], cache: Path) -> None:
        ways = [("class_weight", "fit"), ("sample_weight", "resident"), ("custom", "fit")]
        found = [fit(cache, *words, *typed, f"loss={loss}", f"trainer.engine={engine}") for loss, engine in ways]
        assert len({digest for digest, *_ in found}) == 1

    def test_a_vector_has_the_length_that_the_rule_says(self) -> None:
        for size, length in ((101, 21), (5002, 189), (100_000, 600)):
            model = MODELS["mlp"]((3,), 2, None, (size,), hidden=(4,), dropout=0.0, embedding="auto")
            found = [layer.embeddings.shape for layer in model.layers if hasattr(layer, "embeddings")]
            assert found == [(size, length)]

    def test_one_hot_inside_the_model_is_one_hot_outside(self) -> None:
        rows = np.array([[0.5, -1.0, 0], [2.0, 0.0, 3], [0.0, 1.0, 2]], np.float32)
        inside = MODELS["linear"]((3,), 2, None, (4,))
        outside = MODELS["linear"]((6,), 2)
        outside.set_weights(inside.get_weights())
        spread = np.hstack([rows[:, :2], np.eye(4, dtype=np.float32)[rows[:, 2].astype(int)]])
        np.testing.assert_array_equal(inside(rows), outside(spread))

    def test_numbers_stay_whole_in_half_precision(self) -> None:
        import keras

        keras.config.set_dtype_policy("mixed_bfloat16")  # which has no 2,001
        model = MODELS["mlp"]((1,), 2, None, (5000,), hidden=(), dropout=0.0, embedding=2)
        vectors = np.repeat(np.arange(5000, dtype=np.float32)[:, np.newaxis] % 7, 2, axis=1)
        model.set_weights([vectors, np.eye(2, dtype=np.float32), np.zeros(2, np.float32)])
        numbers = np.arange(5000, dtype=np.float32)[:, np.newaxis]
        np.testing.assert_array_equal(np.asarray(model(numbers))[:, 0], np.arange(5000) % 7)

    def test_the_script_of_a_run_has_the_layer(self, words: list[str], cache: Path) -> None:
        config = composed(*words, "model=mlp", "model.hidden=[8]")
        data = prepare(config.dataset, cache)
        text = plain_keras(config, data, weigh(config, data), Origin("a" * 32, {"device": "cpu"}, "b" * 64))
        length = min(600, round(1.6 * data.ids[0] ** 0.56))
        assert f"layers.Embedding({data.ids[0]}, {length})(number)" in text
