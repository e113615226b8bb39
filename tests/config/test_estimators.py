"""What is asked of a model without Keras: what is for Keras alone is refused by name, and counts for nothing."""

from pathlib import Path

import pytest

from equipoise.config import identity
from equipoise.config.estimators import seeds_in_vain
from equipoise.config.model import config_sha256
from equipoise.core.errors import ConfigError
from equipoise.methods.estimators import ESTIMATORS, Estimator
from equipoise.sweeps.planning import plan
from helpers import composed

BOOSTING = ["dataset=synthetic", "model=boosting"]
REFUSED = {
    "loss=focal": r"loss=focal with model=boosting: it has a loss of its own, .*; use loss=class_weight",
    "loss=balanced_softmax": r"loss=balanced_softmax with model=boosting",
    "weighting=balanced weighting.schedule=deferred": r"weighting\.schedule=deferred with .*: it is fitted once",
    "dataset.sampling=class_balanced": r"dataset\.sampling=class_balanced with model=boosting: rows are drawn anew",
    "dataset.mix=mixup": r"dataset\.mix=mixup with model=boosting",
    "trainer.schedule=cosine": r"trainer\.schedule=cosine with model=boosting",
    "trainer.weight_decay=0.1": r"trainer\.weight_decay=0\.1 with model=boosting",
    "trainer.clip_norm=1.0": r"trainer\.clip_norm=1\.0 with model=boosting",
    "trainer.sharpness=sam": r"trainer\.sharpness=sam with model=boosting",
    "trainer.ema=0.9": r"trainer\.ema=0\.9 with model=boosting",
    "trainer.early_stopping=3": r"trainer\.early_stopping=3 with model=boosting: it keeps all",
    "trainer.second_stage=crt": r"trainer\.second_stage=crt with model=boosting",
    "trainer.phases=[{epochs:2}]": r"trainer\.phases=.* with model=boosting",
    "trainer.device=gpu": r"trainer\.device=gpu with model=boosting: it is fitted on one CPU",
    "trainer.jit=true": r"trainer\.jit=true with model=boosting",
    "trainer.strategy=mirrored": r"trainer\.strategy=mirrored with model=boosting",
    "model=easy_ensemble weighting=balanced": r"weighting=balanced with model=easy_ensemble: it takes no weights",
    "model=lda weighting=balanced": r"weighting=balanced with model=lda: it takes no weights; use weighting=none",
    "model=random_forest weighting=balanced decision=logit_adjusted": r"after model=random_forest it has no analytic",
    "model=rus_boost decision=logit_adjusted": r"after model=rus_boost it has no analytic form",
}


@pytest.mark.parametrize("typed", REFUSED)
def test_what_is_for_keras_alone_is_refused_by_name(typed: str) -> None:
    with pytest.raises(ConfigError, match=REFUSED[typed]):
        composed(*BOOSTING, *typed.split())


def test_texts_and_several_labels_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y,z\n" + "".join(f"{i},{i % 2},{i % 3 // 2}\n" for i in range(30)))
    with pytest.raises(ConfigError, match=r"model=boosting learns one class a sample; dataset=multilabel has several"):
        composed("model=boosting", "dataset=multilabel", f"dataset.path='{tmp_path}/t.csv'", "dataset.targets=[y,z]")


def test_steps_are_refused_where_no_job_has_any() -> None:
    with pytest.raises(ConfigError, match=r"trainer\.epochs with model=boosting has no effect: .*; leave it out"):
        plan([*BOOSTING, "trainer.epochs=5"])
    with pytest.raises(ConfigError, match=r"trainer\.learning_rate with model=boosting has no effect"):
        plan(["-m", *BOOSTING, "seed=0,1", "trainer.learning_rate=0.1"])
    found = plan(["-m", "dataset=synthetic", "model=mlp,boosting", "trainer.epochs=5"])
    assert found is not None
    assert len(found.jobs) == 2


def test_what_has_no_effect_does_not_count() -> None:
    one, other = composed(*BOOSTING), composed(*BOOSTING, "trainer.epochs=7", "trainer.learning_rate=0.5")
    assert config_sha256(one) == config_sha256(other)
    assert config_sha256(one) != config_sha256(composed(*BOOSTING, "trainer.refit=true"))
    assert config_sha256(one) != config_sha256(composed(*BOOSTING, "model.max_iter=7"))
    of_keras = [config_sha256(composed("dataset=synthetic", "model=mlp", f"trainer.epochs={n}")) for n in (5, 7)]
    assert of_keras[0] != of_keras[1]


def test_its_code_is_another_than_that_of_training() -> None:
    assert list(identity.code(composed(*BOOSTING))) == [
        "weighting=none",
        "loss=class_weight",
        "model=boosting",
        "decision=argmax",
        "fitting",
        "evaluation",
    ]


def test_a_library_that_is_missing_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(seed: int, threads: int) -> None:
        """Nothing."""

    monkeypatch.setitem(ESTIMATORS, "rus_boost", Estimator(gone, "no_such_module", "imbalanced-learn"))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"model=rus_boost needs imbalanced-learn: make train EXTRA=rivals, or pip"):
        ESTIMATORS["rus_boost"].check_installed("rus_boost")
    with pytest.raises(ConfigError, match=r"model=xgboost needs xgboost: pip install xgboost"):
        Estimator(gone, "no_such_module", "xgboost").check_installed("xgboost")


def test_seeds_that_change_nothing_are_told() -> None:
    said: list[str] = []
    plan(["-m", "dataset=synthetic", "model=boosting,random_forest", "seed=0,1"], said.append)
    told = [line for line in said if line.startswith("note: ")]
    assert [line.partition(" of")[0] for line in told] == ["note: model=boosting draws nothing"]
    said.clear()
    plan(["-m", "dataset=synthetic", "model=boosting", "dataset.split_seed=0,1"], said.append)
    assert not any(line.startswith("note: ") for line in said)


def test_seeds_make_other_fits_where_rows_are_made_by_them() -> None:
    for sampling, in_vain in (("none", 1), ("tomek", 1), ("smote", 0)):
        jobs = [composed(*BOOSTING, f"dataset.sampling={sampling}", f"seed={seed}") for seed in (0, 1)]
        assert len(seeds_in_vain(jobs)) == in_vain, sampling
