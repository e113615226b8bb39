"""Every shipped YAML, and every way to get one wrong: one clear message that names the option, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from equipoise.config.model import config_sha256, flat
from equipoise.config.overrides import compose_dataset
from equipoise.core.paths import config_folder
from equipoise.core.schema import ConfigError, OneOf, names_as_text
from equipoise.sweeps.planning import plan
from helpers import REPOSITORY, composed, imported_modules, write_small_shards
from mistakes import MISTAKES
from options import needed

OPTIONS = sorted(
    f"{file.parent.name}={file.stem}" for file in config_folder().glob("*/*.yaml") if file.parent.name != "experiment"
)
# The files of the datasets that read files.
FILES = {
    "dataset=csv": ["dataset.path=table.csv", "dataset.target=y"],
    "dataset=multilabel": ["dataset.path=table.csv", "dataset.targets=[y,z]", "loss=sigmoid"],
    "dataset=npz": ["dataset.path=arrays.npz"],
    "dataset=series": ["dataset.path=arrays.npz"],
    "dataset=image_directory": ["dataset.path=images"],
    "dataset=tfrecord": ["dataset.path=shards"],
}


@pytest.fixture
def some_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file of each kind, in the working directory."""
    import numpy as np
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    Path("table.csv").write_text("x,y,z\n" + "".join(f"{i},{i % 2},{i % 3 // 2}\n" for i in range(30)))
    np.savez("arrays.npz", x=np.zeros((30, 4, 2)), y=np.arange(30) % 2)
    for name in ("a", "b"):
        Path("images", name).mkdir(parents=True)
        for index in range(9):
            Image.new("L", (9, 9), index).save(f"images/{name}/{index}.png")
    write_small_shards(Path("shards"))


@pytest.mark.usefixtures("some_data")
@pytest.mark.parametrize("option", OPTIONS)
def test_every_shipped_yaml_is_valid_commented_and_named_like_its_file(option: str) -> None:
    group, name = option.split("=")
    file = config_folder() / group / f"{name}.yaml"
    if group != "trainer":
        assert yaml.safe_load(file.read_text())["name"] == name
    assert file.read_text().startswith("# ")
    config = composed(option, *needed(option), *FILES.get(option, []))
    assert flat(config)[f"{group}.name" if group != "trainer" else "trainer.epochs"]


def test_every_option_of_the_registries_has_its_yaml() -> None:
    from equipoise.data.catalogue import DATASETS
    from equipoise.methods.decisions import DECISIONS
    from equipoise.methods.losses import LOSSES
    from equipoise.methods.models import MODELS
    from equipoise.methods.weighting import STRATEGIES

    registries = {"dataset": DATASETS, "decision": DECISIONS, "loss": LOSSES, "model": MODELS, "weighting": STRATEGIES}
    shipped = {f"{group}={name}" for group, registry in registries.items() for name in registry}
    assert shipped == set(OPTIONS) - {"trainer=default", "tracking=local", "tracking=server"}


@pytest.mark.parametrize("file", sorted(config_folder().glob("experiment/*.yaml")), ids=lambda file: file.stem)
def test_every_recipe_composes_and_is_headed_by_its_command(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = file.read_text().splitlines()
    assert lines[0] == "# @package _global_"
    monkeypatch.chdir(tmp_path)
    for line in lines:
        if "python examples/" in line:
            script, *words = line.split("python ")[1].split()
            subprocess.run([sys.executable, str(REPOSITORY / script), *words], check=True)
    command = next(line for line in lines if "python src/train.py" in line).split("python src/train.py")[1].split()
    found = plan(command)
    assert found is not None
    assert found.jobs


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=[" ".join(arguments) for arguments, _ in MISTAKES])
def test_a_mistake_is_named(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan(arguments)
    assert message in str(caught.value)


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        plan(["trainer.batch_size=0", "seed=x", "weighting.normalize=no"])
    assert [line.split("=")[0] for line in str(caught.value).splitlines()] == [
        "weighting.normalize",
        "trainer.batch_size",
        "seed",
    ]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["train.py", "--help"], 0),
        (["train.py", "--cfg", "job"], 0),
        (["train.py", "weighting=balancd"], 2),
        (["train.py", "dataset=synthetic", "model=cnn"], 2),
        (["weights.py", "dataset=synthetic"], 0),
        (["compare.py", "--help"], 0),
    ],
    ids=str,
)
def test_quick_answers_load_no_heavy_library(command: list[str], code: int) -> None:
    found = subprocess.run(
        [sys.executable, "-X", "importtime", *command],
        cwd=config_folder().parent / "src",
        capture_output=True,
        text=True,
    )
    assert found.returncode == code, found.stderr
    assert not imported_modules(found.stderr) & {
        "tensorflow",
        "keras",
        "mlflow",
        "sklearn",
        "matplotlib",
        "pandas",
        "sqlalchemy",
        "PIL",
    }


def test_the_config_of_a_sweep_is_shown_as_that_of_a_run() -> None:
    found = plan(["--cfg", "job", "hydra.mode=MULTIRUN", "seed=0,1"])
    assert found is not None
    assert (found.shows_config, found.sweep, len(found.jobs)) == (True, None, 2)


def test_a_dataset_alone_is_composed_of_its_own_options() -> None:
    with pytest.raises(ConfigError, match=r"seed=1: only dataset=… and its options"):
        compose_dataset(["dataset=digits_lt", "seed=1"])


def test_biases_are_not_tried_for_thousands_of_classes() -> None:
    many = [
        "dataset=synthetic",
        "dataset.features=1001",
        f"dataset.class_counts=[{','.join(['9'] * 1001)}]",
        "model=mlp",
    ]
    with pytest.raises(ConfigError, match=r"decision=tuned is too slow for 1001 classes"):
        composed(*many, "decision=tuned")


def test_a_sweep_is_the_product_of_its_lists() -> None:
    found = plan(["-m", "weighting=none,balanced", "seed=range(3)", "trainer.epochs=2"])
    assert found is not None
    assert [(job.weighting.name, job.seed) for job in found.jobs] == [
        (name, seed) for name in ("none", "balanced") for seed in range(3)
    ]
    assert {job.trainer.epochs for job in found.jobs} == {2}


def test_values_are_set_as_hydra_sets_them() -> None:
    """Jobs are composed by their options alone, and their values set afterwards: the same as if Hydra did it all."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from equipoise.config.model import validate

    manual = ["weighting=manual", *needed("weighting=manual")]
    for overrides in (
        ["seed=3", "trainer.learning_rate=1e-2", "model.filters=[4,8]"],
        ["dataset.split_seed=${seed}", "seed=3"],
        manual,
        ["experiment=mnist_lt_control", "dataset.title=mine"],
    ):
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            by_hydra = validate(OmegaConf.to_container(compose("config", overrides), resolve=True))  # type: ignore[arg-type]
        assert composed(*overrides) == by_hydra


def test_a_large_sweep_is_checked_to_its_last_job() -> None:
    with pytest.raises(ConfigError, match=r"trainer\.batch_size=0: must be greater"):
        plan(["-m", "seed=range(400)", "trainer.batch_size=8,0"])


def test_the_same_sweep_has_the_same_id_whatever_the_order() -> None:
    def identity(*arguments: str) -> str | None:
        found = plan(["-m", *arguments])
        assert found is not None
        assert found.sweep is None or f"sweep={found.sweep.id}" in found.handed_over
        return found.sweep and found.sweep.id

    first = identity("weighting=none,balanced", "seed=0,1")
    assert (
        first
        == identity("seed=0,1", "weighting=none,balanced")
        == identity("seed=0,1", "weighting=none,balanced", "trainer.threads=1")
    )
    assert first != identity("weighting=none,balanced", "seed=0,2")
    assert identity("seed=0,1", "sweep=mine") == "mine"
    assert identity("seed=0,1", "sweep=new") != identity("seed=0,1", "sweep=new")
    single = plan(["seed=3"])
    assert single is not None
    assert single.sweep is None


def test_the_digest_leaves_out_what_changes_nothing() -> None:
    digest = config_sha256(composed())
    assert digest == config_sha256(
        composed("sweep=mine", "trainer.threads=1", "trainer.gpu_memory=2000", "trainer.profile=true")
    )
    assert digest == config_sha256(composed("dataset.imbalance_ratio=100.0")), "however the number is written"
    assert digest != config_sha256(composed("seed=1"))
    assert digest != config_sha256(composed("weighting.normalize=sum"))


def test_a_class_may_be_named_by_a_number() -> None:
    config = composed(*["weighting=manual", *needed("weighting=manual")])
    assert flat(config)["weighting.weights.3"] == 4.0
    with pytest.raises(ValueError, match="a class is named twice"):
        names_as_text({1: 2.5, "1": 3.5})


def test_a_new_option_is_one_function_and_one_registry_line() -> None:
    """The schema follows from the signature: nothing else is to be written."""
    from typing import Annotated, Any

    from pydantic import TypeAdapter, ValidationError

    from equipoise.core.schema import Positive
    from equipoise.methods.weighting import Weighting

    def mine(counts: Any, *, steepness: Positive) -> Any:
        return counts**-steepness

    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[Weighting, OneOf({"mine": mine, "other": lambda counts: counts})])
    common = {"name": "mine", "normalize": "none", "schedule": "constant", "start": "auto", "shape": "auto"}
    assert adapter.validate_python({**common, "steepness": 2}).steepness == 2.0
    for wrong in ({"steepness": 0}, {}, {"steepness": 1, "extra": 1}):
        with pytest.raises(ValidationError):
            adapter.validate_python({**common, **wrong})
