"""Every shipped YAML is a valid option; digests and names follow from the config alone."""

import hashlib
import json
import zipfile
from pathlib import Path

import pytest
import yaml

from equipoise.config.checked import compose_dataset
from equipoise.config.model import CONTROL, SILENT, config_sha256, flat, training_sha256
from equipoise.core.errors import ConfigError
from equipoise.core.paths import config_folder
from equipoise.core.schema import OneOf, names_as_text
from equipoise.sweeps.planning import plan
from helpers import composed, write_small_shards
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
    "dataset=text": ["dataset.path=table.csv", "dataset.text=x", "dataset.target=y"],
    "model=text": ["dataset=text", "dataset.path=table.csv", "dataset.text=x", "dataset.target=y"],
    "model=saved": ["model.path=model.keras"],
}


@pytest.fixture
def some_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file of each kind, in the working directory."""
    import h5py
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
    h5py.File("weights.h5", "w").close()
    with zipfile.ZipFile("model.keras", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.write("weights.h5", "model.weights.h5")


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
    from equipoise.methods.calibration import CALIBRATIONS
    from equipoise.methods.decisions import DECISIONS
    from equipoise.methods.losses import LOSSES
    from equipoise.methods.models import MODELS
    from equipoise.methods.weighting import STRATEGIES

    registries = {"dataset": DATASETS, "decision": DECISIONS, "loss": LOSSES, "model": MODELS, "weighting": STRATEGIES}
    shipped = {f"{group}={name}" for group, registry in registries.items() for name in registry}
    shipped |= {f"calibration={name}" for name in ("none", *CALIBRATIONS)}
    assert shipped == set(OPTIONS) - {"trainer=default", "tracking=local", "tracking=server"}


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


def test_the_digest_leaves_out_what_changes_nothing() -> None:
    digest = config_sha256(composed())
    assert digest == config_sha256(
        composed("sweep=mine", "trainer.threads=1", "trainer.gpu_memory=2000", "trainer.profile=true")
    )
    assert digest == config_sha256(composed("dataset.imbalance_ratio=100.0")), "however the number is written"
    assert digest != config_sha256(composed("seed=1"))
    assert digest != config_sha256(composed("weighting.normalize=sum"))


def test_a_new_option_leaves_the_digest_of_older_runs_as_it_was() -> None:
    left_out = (*CONTROL, "tracking.name", "tracking.every", "dataset.positive")
    kept = {key: value for key, value in flat(composed()).items() if key not in left_out}
    for key, value in SILENT[1:]:
        assert kept.pop(key, value) == value
    older = hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
    assert config_sha256(composed()) == older != config_sha256(composed("trainer.refit=true"))
    assert training_sha256(composed()) != training_sha256(composed("trainer.refit=true"))


def test_a_class_may_be_named_by_a_number() -> None:
    config = composed(*["weighting=manual", *needed("weighting=manual")])
    assert flat(config)["weighting.weights.3"] == 4.0
    with pytest.raises(ValueError, match="a class is named twice"):
        names_as_text({1: 2.5, "1": 3.5})


def test_a_new_option_is_one_function_and_one_registry_line() -> None:
    """The schema follows from the signature: nothing else is to be written."""
    from typing import Annotated, Any

    from pydantic import TypeAdapter, ValidationError

    from equipoise.core.registry import Registry
    from equipoise.core.schema import Positive
    from equipoise.methods.weighting import Weighting

    def mine(counts: Any, *, steepness: Positive) -> Any:
        return counts**-steepness

    shipped = {"mine": mine, "other": lambda counts: counts}
    options = Registry("weighting", shipped, lambda function, _: function)
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[Weighting, OneOf(options)])
    common = {"name": "mine", "normalize": "none", "schedule": "constant", "start": "auto", "shape": "auto"}
    assert adapter.validate_python({**common, "steepness": 2}).steepness == 2.0
    for wrong in ({"steepness": 0}, {}, {"steepness": 1, "extra": 1}):
        with pytest.raises(ValidationError):
            adapter.validate_python({**common, **wrong})


def test_an_option_of_steps_that_nothing_takes_is_refused_and_does_not_count() -> None:
    sam, wider = "trainer.sharpness=sam", "trainer.sharpness_rho=0.5"
    assert config_sha256(composed(wider)) == config_sha256(composed())
    assert len({config_sha256(composed(*given)) for given in ([], [sam], [sam, wider])}) == 3
    with pytest.raises(
        ConfigError, match=r"trainer\.sharpness_rho has no effect with trainer\.sharpness=none: leave it out"
    ):
        plan([wider])
    assert plan(["-m", "trainer.sharpness=none,sam", wider]) is not None


def test_an_option_of_resampling_is_one_value() -> None:
    with pytest.raises(ConfigError, match="sampling_strategy takes one number or one word, and no list or mapping"):
        composed("dataset=synthetic", "dataset.sampling=smote", "dataset.sampling_options={sampling_strategy: {a: 5}}")
