"""A model file may come from anyone: one that would run code is refused before Keras or MLflow reads it."""

import json
import pickle
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.core.errors import ConfigError
from equipoise.methods import saved_model
from equipoise.methods.models import MODELS
from equipoise.methods.saved_model import load_keras

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, tensorflow: object) -> Path:
    from equipoise.methods.losses import normalised_classifier
    from equipoise.methods.models import mlp

    file = tmp_path_factory.mktemp("model") / "model.keras"
    normalised_classifier(mlp((3,), 2, hidden=(4,), dropout=0.5, embedding="auto"), scale=30.0).save(file)
    return file


def changed(good: Path, file: Path, change: Callable[[Any], None]) -> Path:
    """A copy of the archive with another description of the layers."""
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                tree = json.loads(content)
                change(tree)
                content = json.dumps(tree).encode()
            new.writestr(name, content)
    return file


def test_a_model_of_stock_layers_is_loaded(good: Path) -> None:
    assert load_keras(good, "it").count_params() == 3 * 4 + 4 + 4 * 2


def test_a_description_that_would_fill_the_memory_is_not_read(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_model, "MOST_BYTES", 100)
    with pytest.raises(ConfigError, match=r"it describes its layers in \d+ bytes, more than 100, and is not loaded"):
        load_keras(good, "it")


def test_every_architecture_is_loaded(tmp_path: Path, tensorflow: Any) -> None:
    from equipoise.methods import models

    options = {"filters": (2, 3), "kernel_size": 3, "hidden": 4, "dropout": 0.1}
    for build, shape, keys in (
        (models.cnn, (4, 4, 1), options),
        (models.conv1d, (4, 1), options),
        (models.linear, (3,), {}),
    ):
        model = build(shape, 2, **keys)
        model.save(tmp_path / "model.keras")
        assert load_keras(tmp_path / "model.keras", "it").count_params() == model.count_params()


def test_a_module_that_is_not_keras_is_never_imported(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    file = changed(
        good,
        tmp_path / "model.keras",
        lambda tree: tree["config"]["layers"][-1].update(module="evil", class_name="Layer"),
    )
    with pytest.raises(ConfigError, match=r"it needs the code of evil\.Layer, and is not loaded"):
        load_keras(file, "it")
    assert not (tmp_path / "ran").exists()


def test_a_lambda_layer_is_refused(tmp_path: Path, tensorflow: Any) -> None:
    import keras

    inputs = keras.Input((3,))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1, output_shape=(3,))(inputs)).save(tmp_path / "model.keras")
    with pytest.raises(ConfigError, match=r"Lambda, and is not loaded"):
        load_keras(tmp_path / "model.keras", "it")


@pytest.mark.parametrize(
    "member",
    [
        *(
            "custom_objects.cloudpickle",
            "../escape",
            "/absolute",
            "assets/vocabulary.txt",
            "assets/a/../../vocabulary.txt",
        ),
        "assets/a/b.txt",
    ],
)
def test_nothing_else_may_lie_in_the_archive(good: Path, tmp_path: Path, member: str) -> None:
    file = changed(good, tmp_path / "model.keras", lambda tree: None)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(member, "x")
    with pytest.raises(ConfigError, match="no part of a Keras model of numbers alone"):
        load_keras(file, "it")


def test_a_damaged_model_or_one_of_another_format_is_refused(good: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.keras").write_bytes(good.read_bytes()[:-200])
    for file, said in (
        (tmp_path / "cut.keras", "is damaged or needs code"),
        (tmp_path / "model.h5", "no other format is loaded"),
    ):
        with pytest.raises(ConfigError, match=said):
            load_keras(file, "it")


def test_weights_lie_in_the_file_and_are_numbers(good: Path, tmp_path: Path) -> None:
    """HDF5 reads other files, unpacks to any size and follows groups that hold themselves."""
    import h5py

    (tmp_path / "secret").write_bytes(b"1" * 48)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["0"] = [[1.0] * 4] * 3
    whole = h5py.VirtualLayout((3, 4), "f4")
    whole[:] = h5py.VirtualSource(tmp_path / "other.h5", "0", (3, 4))
    changes: dict[str, Callable[[Any], None]] = {
        "link": lambda at: at.__setitem__("0", h5py.ExternalLink(tmp_path / "other.h5", "0")),
        "soft": lambda at: at.__setitem__("0", h5py.SoftLink("/layers/dense_1/vars/0")),
        "external": lambda at: at.create_dataset("0", (3, 4), "f4", external=[(tmp_path / "secret", 0, 48)]),
        "virtual": lambda at: at.create_virtual_dataset("0", whole),
        "packed": lambda at: at.create_dataset("0", (10**6, 10**4), "f4", compression="gzip"),
        "huge": lambda at: at.create_dataset("0", (10**6, 10**6), "f4"),
        "objects": lambda at: at.create_dataset("0", (3, 4), h5py.string_dtype()),
        "itself": lambda at: at.__setitem__("0", at),
    }
    for name, change in changes.items():
        with zipfile.ZipFile(good) as old, zipfile.ZipFile(tmp_path / "model.keras", "w") as new:
            (tmp_path / "weights.h5").write_bytes(old.read("model.weights.h5"))
            with h5py.File(tmp_path / "weights.h5", "a") as weights:
                del weights["layers/dense/vars/0"]
                change(weights["layers/dense/vars"])
            for member in old.namelist():
                new.writestr(
                    member, (tmp_path / "weights.h5").read_bytes() if member.endswith("h5") else old.read(member)
                )
        with pytest.raises(ConfigError, match=r"it has weights that are no plain array of numbers in it \(0\)"):
            print(name, load_keras(tmp_path / "model.keras", "it"))


def test_an_archive_that_is_packed_is_refused(good: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(tmp_path / "model.keras", "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(ConfigError, match="may unpack to any size"):
        load_keras(tmp_path / "model.keras", "it")


class _Trap:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.file,))


def test_a_pickle_beside_a_logged_model_is_not_opened(good: Path, tmp_path: Path) -> None:
    """MLflow's own loader opens it."""
    import mlflow

    from equipoise.tracking.artifacts import load_model
    from equipoise.tracking.store import open_store

    store = open_store(tmp_path)
    experiment = store.experiment("it")
    run = store.client.create_run(experiment)
    folder = tmp_path / "mlruns" / "it" / run.info.run_id / "artifacts" / "model"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "model.keras").write_bytes(good.read_bytes())
    (folder / "data" / "custom_objects.cloudpickle").write_bytes(pickle.dumps(_Trap(tmp_path / "ran")))
    flavour = {
        "data": "data",
        "keras_module": "keras",
        "model_type": "keras",
        "save_format": "tf",
        "keras_version": "3",
    }
    mlflow.models.Model(artifact_path="model", run_id=run.info.run_id, flavors={"tensorflow": flavour}).save(
        str(folder / "MLmodel")
    )
    assert load_model(store, run.info.run_id).count_params() == 24
    assert not (tmp_path / "ran").exists()


OWN = """
from pathlib import Path

import keras

import equipoise


class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x


def function(x):
    return x


@equipoise.model
def doubling(shape, logits):
    inputs = keras.Input(shape)
    return keras.Model(inputs, keras.layers.Dense(logits)(Doubled()(inputs)))
"""


@pytest.fixture
def doubling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tensorflow: object) -> Iterator[Path]:
    """A model with a layer of the user's own, whose file is in plugins/ of the current folder."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "doubled.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "model.keras"
    MODELS["doubling"]((3,), 2).save(file)
    yield file
    sys.modules.pop("equipoise_plugins.doubled", None)


def test_a_layer_of_the_users_own_loads_where_its_file_is(doubling: Path, tmp_path: Path) -> None:
    own = load_keras(doubling, "the model")
    kernel = np.asarray(own.layers[-1].kernel)
    assert own(np.ones((1, 3), np.float32)).numpy() == pytest.approx(2 * kernel.sum(axis=0, keepdims=True))
    assert list(saved_model.own_classes(own.to_json())) == ["Doubled"]
    assert saved_model.own_modules(own.to_json()) == ["equipoise_plugins.doubled"]
    sys.modules.pop("equipoise_plugins.doubled")
    (tmp_path / "plugins").rename(tmp_path / "carried")
    with pytest.raises(
        ConfigError, match=r"needs the code of equipoise_plugins.doubled.Doubled, .*: plugins/doubled.py"
    ):
        load_keras(doubling, "the model")
    assert load_keras(doubling, "the model", tmp_path / "carried").layers[1].name == "doubled"


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        ("equipoise_plugins.doubled", "function"),
        ("equipoise_plugins.doubled", "Path"),
        ("equipoise_plugins.doubled", "keras"),
        ("equipoise_plugins.other", "Doubled"),
        ("equipoise_plugins", "Doubled"),
        ("doubled", "Doubled"),
        ("equipoise.core.plugins", "Own"),
        ("subprocess", "Popen"),
    ],
)
def test_nothing_but_a_class_of_such_a_file_is_used(doubling: Path, tmp_path: Path, module: str, kind: str) -> None:
    def change(tree: Any) -> None:
        tree["config"]["layers"][1] |= {"module": module, "class_name": kind}

    with pytest.raises(ConfigError, match=f"needs the code of {module}.{kind}"):
        load_keras(changed(doubling, tmp_path / "changed.keras", change), "the model")
