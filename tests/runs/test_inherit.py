"""What an evaluation inherits from the config of the run that it judges."""

from pathlib import Path

import pytest

from equipoise.config.model import flat
from equipoise.core.errors import ConfigError
from equipoise.data.prepare import surveyed
from equipoise.runs.inherit import inherit
from equipoise.tracking.history import LoggedConfig, from_params
from helpers import composed, logged_config


def params(*overrides: str) -> LoggedConfig:
    """As MLflow gives it back of a run of an older version."""
    return LoggedConfig(from_params({key: str(value) for key, value in flat(composed(*overrides)).items()}), None)


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        (
            "weighting=effective_number",
            "weighting.beta=0.99",
            "model=mlp",
            "model.hidden=[7,8]",
            "dataset=digits_lt",
            "dataset.title=mine",
        ),
        (
            "dataset=synthetic",
            "model=linear",
            "dataset.class_counts=[5,4]",
            "dataset.target_prior=[0.3,0.7]",
            "trainer.early_stopping=3",
            "trainer.jit=true",
        ),
        (
            "weighting=manual",
            "weighting.weights={0:1,1:2,2:3,3:4,4:5,5:6,6:7,7:8,8:9,9:10}",
            "trainer.learning_rate=1e-5",
            "evaluation.groups=[20,100]",
        ),
    ],
)
def test_options_that_are_not_typed_are_the_runs_own(overrides: tuple[str, ...]) -> None:
    assert inherit(logged_config(*overrides), ()) == composed(*overrides)
    assert inherit(params(*overrides), ()) == composed(*overrides)


def test_typed_options_replace_the_runs_own() -> None:
    logged = params("weighting=power", "weighting.alpha=0.3", "dataset.imbalance_ratio=50", "evaluation.resamples=10")
    found = inherit(logged, ["dataset.split_seed=7", "evaluation.groups=[5,9]"])
    expected = composed(
        "weighting=power",
        "weighting.alpha=0.3",
        "dataset.imbalance_ratio=50",
        "dataset.split_seed=7",
        "evaluation.groups=[5,9]",
        "evaluation.resamples=10",
    )
    assert found == expected


def test_values_that_params_cannot_hold_are_inherited(tmp_path: Path) -> None:
    """A column that looks like a number, class names with a point, and more than the 6,000 characters of a param."""
    wide = [f"gene_expression_{number:04d}" for number in range(400)]
    (tmp_path / "t.csv").write_text(
        ",".join(["x", *wide, "2024"]) + "\n" + "".join(f"{i}{',1' * 400},{i % 2 + 1}.0\n" for i in range(40))
    )
    table = [
        "dataset=csv",
        f"dataset.path='{tmp_path}/t.csv'",
        "dataset.target='2024'",
        f"dataset.drop=[{','.join(wide)}]",
        "model=linear",
    ]
    first, second = surveyed(composed(*table).dataset).classes
    overrides = [
        *table,
        "weighting=manual",
        f"weighting.weights={{{first}: 1, {second}: 5}}",
        f"cost={{{first}: {{{second}: 5}}}}",
    ]
    assert inherit(logged_config(*overrides), ()) == composed(*overrides)


def test_a_path_is_found_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    for name in ("here/t.csv", "here/other.csv", "there/typed.csv"):
        (tmp_path / name).write_text("x,y\n" + "".join(f"{i},{'ab'[i % 2]}\n" for i in range(40)))
    monkeypatch.chdir(tmp_path / "here")
    logged = logged_config(
        "dataset=csv", "dataset.path=t.csv", "dataset.test_path=other.csv", "dataset.target=y", "model=linear"
    )
    assert vars(inherit(logged, ()).dataset)["path"] == "t.csv"
    monkeypatch.chdir(tmp_path / "there")
    found = vars(inherit(logged, ["dataset.test_path=typed.csv"]).dataset)
    assert found["path"] == str(tmp_path / "here" / "t.csv")
    assert found["test_path"] == "typed.csv", "what is typed now is relative to where it is typed"


def test_a_group_that_is_typed_is_composed_afresh() -> None:
    found = inherit(
        params("dataset.imbalance_ratio=50", "model=mlp"), ["dataset=digits_lt", "dataset.test_per_class=9"]
    )
    assert found == composed("dataset=digits_lt", "dataset.test_per_class=9", "model=mlp")
    assert found.dataset.model_dump()["imbalance_ratio"] == 20


def test_a_run_of_an_older_version_gets_the_defaults_of_what_it_did_not_have() -> None:
    for older in (logged_config("model=mlp"), params("model=mlp")):
        tree = {key: value for key, value in older.tree.items() if key != "evaluation"}
        assert inherit(LoggedConfig(tree, None), ()) == composed("model=mlp")


def test_a_sweeps_run_is_no_job_of_that_sweep_again() -> None:
    assert inherit(logged_config("sweep=mine", "trainer.threads=1"), ()) == composed()


def test_how_a_model_was_trained_stays_its_own_whatever_it_is_judged_on(tmp_path: Path) -> None:
    """Its prior comes of it: class_balanced makes [1/2, 1/2], and p(class) would be corrected from the data's."""
    (tmp_path / "t.csv").write_text("x,y\n" + "".join(f"{i},{'aab'[i % 3]}\n" for i in range(60)))
    table = ["dataset=csv", f"dataset.path='{tmp_path}/t.csv'", "dataset.target=y"]
    learned = ["dataset.sampling=smote", "dataset.sampling_options={k_neighbors: 2}", "dataset.mix=remix"]
    learned += ["dataset.mix_alpha=0.5", "dataset.labels=one_hot"]
    logged = logged_config(*table, *learned, "model=linear", "loss=balanced_softmax")
    own = inherit(logged, ()).dataset
    assert (own.sampling, own.sampling_options, own.mix) == ("smote", {"k_neighbors": 2}, "remix")
    same = ["dataset.labels=one_hot", "dataset.sampling=smote"]
    assert inherit(logged, [*table, *same]).dataset == own
    for typed, was in {
        "dataset.sampling=none": "dataset.sampling describes the training, in which it was smote: leave it out",
        "dataset.sampling_options={k_neighbors: 3}": "in which it was {k_neighbors: 2}: leave it out",
        "dataset.mix=none": "dataset.mix describes the training, in which it was remix",
        "dataset.mix_alpha=1": "dataset.mix_alpha describes the training, in which it was 0.5",
        "dataset.augment=[flip]": "dataset.augment describes the training, in which it was []",
    }.items():
        for before in ((), (*table, "dataset.labels=one_hot")):
            with pytest.raises(ConfigError) as error:
                inherit(logged, [*before, typed])
            assert was in str(error.value), typed
    other = inherit(logged, ["dataset=synthetic", "dataset.class_counts=[5,4]", "dataset.labels=one_hot"]).dataset
    assert other.sampling == "smote", "and five rows need not be enough to resample"
    for dataset in (["dataset=synthetic", "dataset.class_counts=[5,4]"], table):
        with pytest.raises(ConfigError, match=r"needs the prior .* after dataset\.mix=remix"):
            inherit(logged, [*dataset, "dataset.labels=one_hot", "decision=logit_adjusted"])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (
            "trainer.epochs=3",
            "the model is trained already, and only dataset, calibration, decision, evaluation can be changed",
        ),
        ("weighting=balanced", "the model is trained already"),
        ("seed=1", "the model is trained already"),
        (
            "dataset.split_sed=1",
            "dataset.split_sed=1: there is no option dataset.split_sed; did you mean 'dataset.split_seed'?",
        ),
        ("dataset.split_seed=1,2", "one evaluation has one value"),
        ("dataset=nothing", "nothing"),
        ("evaluation.groups=[9,5]", "evaluation.groups=[9,5]: the few are below the first"),
        ("evaluation.resamples=-1", "evaluation.resamples=-1: must be greater than or equal to 0"),
    ],
)
def test_a_mistake_is_named(override: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        inherit(params(), [override])
    assert said in str(error.value)
