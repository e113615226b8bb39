"""What runs are called, and where they lie."""

from collections.abc import Callable

import pytest

from equipoise.config import naming
from equipoise.config.naming import VARIED, run_name, told_apart
from equipoise.core.errors import ConfigError
from helpers import composed


@pytest.mark.parametrize(
    ("varied", "name"),
    [
        ("", "effective_number · class_weight · mlp · seed 3"),
        ("weighting,seed", "effective_number · seed 3"),
        (
            "seed,weighting.beta,model.hidden,dataset.imbalance_ratio",
            "effective_number · beta 0.99 · hidden [64, 64] · imbalance_ratio 20 · seed 3",
        ),
        ("model,experiment", "effective_number · mlp · seed 3"),
    ],
)
def test_a_run_is_called_by_what_its_sweep_varies(varied: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIED, varied)
    assert (
        run_name(
            composed("dataset=digits_lt", "model=mlp", "weighting=effective_number", "weighting.beta=0.99", "seed=3")
        )
        == name
    )


def test_variants_of_an_option_are_told_apart_by_what_they_differ_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if two YAML files had the name of one option, and other defaults."""
    strong = ("loss=focal", "loss.gamma=5.0", "loss.implementation=sample_weight")
    jobs = [composed("dataset=digits_lt", "model=linear", *words) for words in ((), ("loss=focal",), strong)]
    assert told_apart(["seed", "loss"], jobs) == ["seed", "loss", "loss.implementation", "loss.gamma"]
    assert told_apart(["seed", "loss"], jobs[:2]) == ["seed", "loss"], "options of other names"
    assert told_apart(["loss", "loss.gamma"], jobs) == ["loss", "loss.implementation", "loss.gamma"]
    monkeypatch.setenv(VARIED, "loss,loss.gamma")
    assert [run_name(job) for job in jobs] == [
        "none · class_weight · seed 0",
        "none · focal · gamma 2 · seed 0",
        "none · focal · gamma 5 · seed 0",
    ]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets MLflow's own variables."""

    def set_them(**values: str) -> None:
        for key, value in values.items():
            monkeypatch.setenv(f"MLFLOW_{key}", value)

    return set_them


def test_mlflow_s_own_names_are_heeded(given: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    plain, titled = (
        composed("dataset=digits_lt", "model=mlp"),
        composed("dataset=digits_lt", "model=mlp", "dataset.title=mine"),
    )
    datasets = [plain.dataset, titled.dataset]
    assert [naming.experiment_of(dataset) for dataset in datasets] == ["digits_lt", "mine"]
    assert naming.ignored_variables(datasets) == []
    given(EXPERIMENT_NAME="Our digits, 2026", RUN_NAME="on Tuesday\x1b[2J")
    assert [naming.experiment_of(dataset) for dataset in datasets] == ["Our digits, 2026", "mine"]
    assert naming.run_name(plain) == "on Tuesday[2J"
    assert naming.ignored_variables([plain.dataset]) == []
    assert naming.ignored_variables(datasets) == [
        "MLFLOW_EXPERIMENT_NAME is ignored where dataset.title=mine names the experiment"
    ]
    given(EXPERIMENT_NAME="mine", EXPERIMENT_ID="3")
    assert naming.ignored_variables(datasets) == ["MLFLOW_EXPERIMENT_ID is ignored; set MLFLOW_EXPERIMENT_NAME instead"]
    given(RUN_ID="0" * 32)
    assert naming.ignored_variables(datasets) == [], "`mlflow run` has set it"
    monkeypatch.setenv(naming.VARIED, "seed")
    assert naming.run_name(plain) == "on Tuesday[2J · none · seed 0", (
        "a name for all of a sweep's jobs would tell none from another"
    )
    given(EXPERIMENT_NAME=" ", RUN_NAME=" ")
    assert (naming.experiment_of(plain.dataset), naming.run_name(plain)) == ("digits_lt", "none · seed 0")


@pytest.mark.parametrize("name", ["../elsewhere", "a/b", ".hidden", "a\\b", "a\nb", "x" * 201])
def test_an_experiment_is_a_folder(given: Callable[..., None], name: str) -> None:
    given(EXPERIMENT_NAME=name)
    with pytest.raises(ConfigError, match=r"MLFLOW_EXPERIMENT_NAME='.*': it becomes a folder's name"):
        naming.experiment_of(composed("dataset=digits_lt", "model=mlp").dataset)
