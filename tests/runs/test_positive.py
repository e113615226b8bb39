"""Which of two classes a single logit speaks of, and that everything that reads it agrees."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from equipoise.config import advice
from equipoise.config.model import config_sha256, flat
from equipoise.core.errors import ConfigError
from equipoise.data.prepare import prepare
from equipoise.data.prepared import Prepared
from equipoise.methods.priors import effective_prior, target_prior
from equipoise.methods.weighting import class_weights
from equipoise.runs.weigh import shown as shown_weights
from equipoise.tracking.store import open_store
from helpers import composed, copy_project, train

ONE_LOGIT = ["dataset.labels=binary", "loss=sigmoid", "model=linear", "trainer.epochs=3"]


def table(folder: Path, rare: str = "fraud", usual: str = "ok") -> list[str]:
    """300 rows, of which 30 are rare and lie elsewhere; the same rows whatever the classes are called."""
    generator = np.random.default_rng(0)
    is_rare = generator.permutation(np.arange(300) < 30)
    frame = pd.DataFrame({"x": generator.normal(size=300) + 2 * is_rare, "y": np.where(is_rare, rare, usual)})
    frame["part"] = generator.choice(["train", "train", "validation", "test"], 300)
    frame.to_csv(folder / f"{rare}.csv", index=False)
    return ["dataset=csv", f"dataset.path='{folder / rare}.csv'", "dataset.target=y", "dataset.drop=[part]"]


def prepared(cache: Path, *overrides: str) -> tuple[Any, Prepared]:
    config = composed(*overrides)
    return config, prepare(config.dataset, cache)


def test_the_rarer_class_is_positive_unless_another_is_named(tmp_path: Path) -> None:
    words = [*table(tmp_path), *ONE_LOGIT]
    _, data = prepared(tmp_path / "cache", *words)
    assert data.classes == ("ok", "fraud")
    assert data.counts.tolist() == [189, 21]
    assert np.bincount(data.split("train").labels).tolist() == [189, 21]
    _, other = prepared(tmp_path / "cache", *words, "dataset.positive=ok")
    assert other.classes == ("fraud", "ok")
    same, _ = prepared(tmp_path / "cache", *words, "dataset.positive=fraud")
    assert prepare(same.dataset, tmp_path / "cache").data_sha256 == data.data_sha256
    np.testing.assert_array_equal(data.split("test").labels, 1 - np.asarray(other.split("test").labels))
    np.testing.assert_array_equal(data.split("test").features, other.split("test").features)
    assert other.data_sha256 != data.data_sha256, "a run on one is no run on the other"


def test_the_last_of_equally_frequent_classes_is_positive(tmp_path: Path) -> None:
    pd.DataFrame({"x": np.arange(60.0), "y": [1, 0] * 30}).to_csv(tmp_path / "t.csv")
    words = ["dataset=csv", f"dataset.path='{tmp_path}/t.csv'", "dataset.target=y", *ONE_LOGIT]
    assert prepared(tmp_path / "cache", *words)[1].classes == ("0", "1")
    for typed in ("0", "0.0", "'0'"):
        assert prepared(tmp_path / "cache", *words, f"dataset.positive={typed}")[1].classes == ("1", "0")


def test_softmax_keeps_its_order_and_so_do_digests_where_the_last_class_is_the_rarer(tmp_path: Path) -> None:
    words = table(tmp_path)
    plain, named = (
        prepared(tmp_path / "cache", *words, "model=linear", *more)[1] for more in ((), ("dataset.positive=ok",))
    )
    assert plain.classes == named.classes == ("fraud", "ok")
    assert plain.data_sha256 == named.data_sha256
    words = table(tmp_path, rare="zebra")
    sparse, binary = (
        prepared(tmp_path / "cache", *words, "model=linear", f"dataset.labels={form}")[1]
        for form in ("sparse", "binary")
    )
    assert sparse.classes == binary.classes == ("ok", "zebra")
    assert sparse.folder == binary.folder, "nothing is prepared twice"


def test_a_config_that_names_no_positive_class_has_the_digest_that_it_had(tmp_path: Path) -> None:
    import hashlib
    import json

    from equipoise.config.model import CONTROL, SILENT, below

    config, later = composed("model=linear"), dict(SILENT)
    before = {key: value for key, value in flat(config).items() if not below(key, CONTROL) and key not in later}
    assert config_sha256(config) == hashlib.sha256(json.dumps(before, sort_keys=True).encode()).hexdigest()
    words = [*table(tmp_path), *ONE_LOGIT]
    assert config_sha256(composed(*words)) != config_sha256(composed(*words, "dataset.positive=fraud"))


@pytest.mark.parametrize(("more", "message"), [
    (["dataset.positive=fruad"],
     "dataset.positive names the class 'fruad', which the data do not have; did you mean 'fraud'?"),
    (["dataset.positive=fruad", "dataset.labels=sparse", "loss=custom"], "did you mean 'fraud'?"),
    (["dataset=digits_lt", "dataset.positive=3", "loss=custom"],
     "dataset.positive=3: there are 10 classes, and one of them is positive only where there are two"),
])  # fmt: skip
def test_a_positive_class_that_does_not_exist_is_told(more: list[str], message: str, tmp_path: Path) -> None:
    words = table(tmp_path) if "dataset=digits_lt" not in more else []
    with pytest.raises(ConfigError) as caught:
        composed(*words, *(ONE_LOGIT if words else ["model=linear"]), *more)
    assert message in str(caught.value)


def test_all_that_counts_by_class_counts_the_positive_one_last(tmp_path: Path) -> None:
    words = [*table(tmp_path), *ONE_LOGIT, "loss.pos_weight=9", "dataset.target_prior=[0.2,0.8]"]
    config, data = prepared(tmp_path / "cache", *words)
    weights = class_weights(config.weighting, data.counts, data.classes)
    shown = shown_weights(config, data, weights)
    assert shown.weights.tolist() == [1, 9]
    assert [shown.label(index) for index in range(2)] == ["ok", "fraud (positive)"]
    assert (
        advice.told(config, shown)
        == "fraud (the rarer one in training; dataset.positive names another), 21 of 210 training samples"
    )
    # p_c v_c: 0.9 and 0.1 * 9.
    np.testing.assert_allclose(effective_prior(weights, config.loss), [0.5, 0.5])
    assert target_prior(config.dataset, data).tolist() == [0.8, 0.2], (
        "typed for fraud and ok, as they stand in every other form of labels"
    )
    automatic, _ = prepared(tmp_path / "cache", *words[:-2], "loss.pos_weight=auto")
    assert shown_weights(automatic, data, weights).weights.tolist() == [1, 9]
    softmax, plain = prepared(tmp_path / "cache", *table(tmp_path), "model=linear")
    assert shown_weights(softmax, plain, class_weights(softmax.weighting, plain.counts, plain.classes)).positive is None


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow")
def test_names_alone_change_no_bit(tmp_path: Path) -> None:
    """The rare class comes first by alphabet as `fraud`, last as `zebra`; either way the same numbers are learned."""
    from equipoise.training import fit
    from equipoise.training.graph import Compiled

    digests = []
    for rare in ("fraud", "zebra"):
        config, data = prepared(
            tmp_path / "cache",
            *table(tmp_path, rare),
            "dataset.drop=[]",
            "dataset.split_column=part",
            *ONE_LOGIT,
            "loss.pos_weight=9",
        )
        built = Compiled(config, data)
        fit.fit(built, config, data, class_weights(config.weighting, data.counts, data.classes), lambda *_: None)
        digests.append((fit.weights_sha256(built.model), data.data_sha256))
    assert digests[0] == digests[1]


@pytest.mark.slow
def test_a_run_says_which_class_is_positive_and_is_judged_again_by_it(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project")
    words = [
        *table(tmp_path),
        *ONE_LOGIT,
        "loss.pos_weight=9",
        "trainer.epochs=30",
        "trainer.learning_rate=0.01",
        "evaluation.resamples=0",
    ]
    found = train(project, *words)
    assert found.returncode == 0, found.stderr
    assert (
        "Positive class: fraud (the rarer one in training; dataset.positive names another), "
        "21 of 210 training samples, weight 9" in found.stdout
    )
    assert "fraud (positive)" in found.stdout
    store = open_store(project, "local")
    (run,) = store.runs(dataset="csv")
    assert run.data.tags["positive"] == "fraud"
    assert run.data.metrics["weight/fraud"] == 9
    assert run.data.metrics["test/recall/fraud"] >= 0.5
    report = next((project / "outputs").rglob("report.html"))
    assert "The positive class is fraud." in report.read_text()
    # Where the other class is the rarer one, the logit still speaks of fraud.
    frame = pd.read_csv(tmp_path / "fraud.csv")
    pd.concat([frame[frame["y"] == "fraud"], frame[frame["y"] == "ok"][:9]]).to_csv(tmp_path / "new.csv", index=False)
    again = train(project, "run=latest", f"dataset.test_path='{tmp_path}/new.csv'", script="evaluate.py")
    assert again.returncode == 0, again.stderr
    (judged,) = store.runs(kind="evaluation")
    assert judged.data.metrics["test/recall/fraud"] >= 0.5
    assert "fraud (positive)" in again.stdout
    table_shown = train(project, *words[:4], *ONE_LOGIT, "loss.pos_weight=9", "weighting=none", script="weights.py")
    assert "none pos_weight=9" in table_shown.stdout
    assert "Positive class: fraud" in table_shown.stdout
