"""An estimator of the user's own, as the page on learners shows it."""

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.core.errors import ConfigError
from equipoise.data.prepare import prepare
from equipoise.methods.models import estimator
from equipoise.methods.saved_estimator import load_estimator, own_modules_in, write_estimator
from equipoise.runs.weigh import weigh
from equipoise.training.estimator_learner import EstimatorLearner
from helpers import REPOSITORY, composed

PAGE = REPOSITORY / "docs" / "learners.md"


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EQUIPOISE_PLUGINS", str(tmp_path))
    return tmp_path


def test_the_one_on_the_page_learns_is_saved_and_has_no_known_prior(plugins: Path, cache: Path) -> None:
    (block,) = re.findall(r"In `plugins/extra\.py`:\n\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (plugins / "extra.py").write_text(block)
    typed = ["dataset=synthetic", "dataset.class_counts=[60,25,8]", "dataset.features=6", "weighting=balanced"]
    config = composed(*typed, "model=extra_trees", "model.n_estimators=5")
    record = estimator("extra_trees")
    assert record is not None
    data = prepare(config.dataset, cache)
    made = EstimatorLearner(config, data, record)
    assert next(line.partition(",")[0] for line in made.described()) == "model=extra_trees: ExtraTreesClassifier"
    made.fit(weigh(config, data), lambda *_: None, None)
    kept: list[Any] = []
    made.save(lambda model, _: kept.append(model))
    write_estimator(kept[0], plugins / "model.skops")
    features = np.asarray(data.split("test").features)
    again = load_estimator(plugins / "model.skops", "it")
    np.testing.assert_array_equal(again.predict_proba(features), kept[0].predict_proba(features))
    with pytest.raises(ConfigError, match=r"after model=extra_trees it has no analytic form"):
        composed(*typed, "model=extra_trees", "decision=logit_adjusted")


def test_an_estimator_is_handed_no_texts(plugins: Path) -> None:
    (plugins / "odd.py").write_text("import equipoise\n@equipoise.model\ndef odd(seed, threads, texts): ...\n")
    with pytest.raises(ConfigError, match=r"odd\.py, line 3: model odd takes seed, as an estimator does, and texts"):
        composed("model=odd")


OF_ITS_OWN_CLASS = '''
import equipoise
import numpy as np


class Frequent:
    """The classes' weighted shares, for every row."""

    def fit(self, features, labels, sample_weight):
        mass = np.bincount(labels, sample_weight)
        self.shares_ = mass / mass.sum()
        return self

    def predict_proba(self, features):
        return np.tile(self.shares_, (len(features), 1))


@equipoise.model
def frequent(seed, threads):
    """The classes' shares."""
    return Frequent()
'''


def test_one_of_a_class_in_plugins_is_loaded_where_that_file_is(
    plugins: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (plugins / "of_shares.py").write_text(OF_ITS_OWN_CLASS)
    config = composed("dataset=synthetic", "dataset.class_counts=[60,25,8]", "model=frequent", "weighting=balanced")
    record = estimator("frequent")
    assert record is not None
    data = prepare(config.dataset, cache)
    made = EstimatorLearner(config, data, record)
    made.fit(weigh(config, data), lambda *_: None, None)
    np.testing.assert_allclose(np.exp(made.logits(np.zeros((1, 20)))), [[1 / 3] * 3], rtol=1e-6)
    kept: list[Any] = []
    made.save(lambda model, _: kept.append(model))
    file = tmp_path_factory.mktemp("saved") / "model.skops"
    write_estimator(kept[0], file)
    assert own_modules_in(file) == ["equipoise_plugins.of_shares"]
    assert load_estimator(file, "it").predict_proba(np.zeros((1, 20))).shape == (1, 3)
    monkeypatch.setenv("EQUIPOISE_PLUGINS", str(file.parent))
    monkeypatch.delitem(sys.modules, "equipoise_plugins.of_shares")
    with pytest.raises(ConfigError, match=r"it needs the code of equipoise_plugins\.of_shares\.Frequent"):
        load_estimator(file, "it")
    again = load_estimator(file, "it", carried=plugins)
    assert again.predict_proba(np.zeros((2, 20))).shape == (2, 3)
