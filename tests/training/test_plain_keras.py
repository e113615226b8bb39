"""Scripts of plain Keras: readable, of three libraries alone, and to the bit what a run trains."""

import ast
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from equipoise.config.model import Trainer
from equipoise.core.errors import ConfigError
from equipoise.data.prepare import prepare
from equipoise.data.types import Dataset
from equipoise.methods.learning_rates import LearningRate
from equipoise.methods.losses import IMPLEMENTED, LOSSES
from equipoise.methods.models import SHIPPED
from equipoise.methods.second_stages import SECOND_STAGES
from equipoise.methods.sharpness import Sharpness
from equipoise.methods.weighting import STRATEGIES
from equipoise.runs.weigh import weigh
from helpers import REPOSITORY, composed, imported_modules
from options import needed
from plain_scripts import (
    LINEAR,
    MLP,
    OTHERS,
    SEVERAL,
    SMALL,
    THREE,
    TWO,
    check_bits,
    script,
)

# What losses cannot do without, and options that take another way through their functions.
NEEDED: Mapping[str, list[str]] = {
    "cost_matrix": ["cost={0: {1: 5}}"],
    "predicted_class": ["loss.weights={0: 1, 1: 2}"],
    "focal": ["loss.alpha={0: 1, 1: 2}"],
    "label_smoothing": ["loss.head=0.1", "loss.tail=0.2"],
    "sigmoid": ["loss.pos_weight=auto", "loss.gamma_neg=2"],
    "sigmoid_f1": ["loss.slope=2", "loss.shift=0.5"],
}
FORMS = ("sparse", "one_hot", "binary")


def of_loss(loss: str, implementation: str, form: str) -> list[str]:
    """The overrides; for three classes, a class more in options by class.

    Cross-entropy has a hidden layer and dropout: a loss is of logits, whatever they are made of.
    """
    typed = NEEDED.get(loss, [])
    if form != "binary":
        typed = [option.replace("1: 2}", "1: 2, 2: 3}") for option in typed]
    typed = ["weighting=none", *typed] if LOSSES[loss].of_batches else typed
    options = [f"loss={loss}", f"loss.implementation={implementation}", f"dataset.labels={form}", *typed]
    return [*(MLP if loss in IMPLEMENTED else LINEAR), TWO if form == "binary" else THREE, *options]


# Every loss in every way that it can be put in; of the other forms of labels, those that it takes.
WAYS = {
    (loss, how, form): of_loss(loss, how, form)
    for loss, record in LOSSES.items()
    if record.begins is None
    for how in (["custom"] if record.of_batches else [record.implementation] if record.implementation else IMPLEMENTED)
    for form in FORMS
    if (form == "binary" or not record.yes_or_no) and (form != "binary" or record.head is None)
}


def is_trained(loss: str, how: str, form: str) -> bool:
    """Whether a way is trained, and not only written.

    Of a loss that has three implementations and takes three forms, three ways have each of them once, and the next
    loss has other three.
    """
    forms = [one for one in FORMS if (loss, how, one) in WAYS]
    if loss in IMPLEMENTED or LOSSES[loss].of_batches:
        return True
    return form == forms[([*LOSSES].index(loss) + [*IMPLEMENTED].index(how)) % len(forms)]


PUT_IN = {" ".join(way): overrides for way, overrides in WAYS.items() if is_trained(*way)}


@pytest.mark.slow
def test_every_script_can_be_read(cache: Path, several: list[str], tmp_path: Path) -> None:
    ways = {" ".join(way): overrides for way, overrides in WAYS.items()}
    cases = {**ways, **OTHERS, **{f"several {name}": [*several, *options] for name, options in SEVERAL.items()}}
    assert {loss for loss, *_ in WAYS} | {"influence_balanced"} == {*LOSSES}
    for number, (name, overrides) in enumerate(cases.items()):
        text = script(cache, *overrides)
        lines = text.splitlines()
        assert len(lines) <= (100 if "sharpness" in name else 80), name
        assert max(map(len, lines)) <= 120, name
        check_imports(text)
        (tmp_path / f"script_{number}.py").write_text(text)
    command = [sys.executable, "-m", "ruff", "check", "--config", str(REPOSITORY / "pyproject.toml"), str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


def check_imports(text: str) -> None:
    """Nothing but TensorFlow, Keras, NumPy, imbalanced-learn and the standard library's hashes, each of them used."""
    tree = ast.parse(text)
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert {name.split(".")[0] for name in names} <= {"tensorflow", "keras", "numpy", "hashlib", "imblearn"}


def test_a_script_reads_as_it_is_meant_to(cache: Path) -> None:
    text = script(cache, *SMALL, THREE, "model=mlp", "model.hidden=[8,5]", "model.dropout=0.5", "loss=focal")
    for line in [
        '"""synthetic · balanced · focal · mlp · seed 0: the same training in plain Keras.',
        "SEED, EPOCHS, BATCH_SIZE = 0, 2, 16",
        'x_train, y_train = data["x_train"], data["y_train"]',
        'x = layers.Dense(8, activation="relu")(x)',
        'x = layers.Dense(5, activation="relu")(x)',
        "x = layers.Dropout(0.5)(x)",
        'model = Model(inputs, layers.Dense(3, dtype="float32", name="logits")(x))',
        "# weighting=balanced: w_c = N / (C n_c): every class weighs the same",
        "    0: 0.51666665,  # 0: 60 samples",
        "    2: 3.875,  # 2: 8 samples",
        "    labels = tf.cast(labels, tf.int32)",
        "    values = -log_p * tf.pow(tf.maximum(-tf.math.expm1(log_p), 1e-12), 2.0)",
        "    return tf.gather(values, labels, batch_dims=1) * tf.gather(class_weights, labels)",
        "model.compile(keras.optimizers.Adam(0.01), weighted_focal, jit_compile=False)",
        "    python src/export.py run=4a1f output=plain_keras.py",
        f'print("of the run:     {"0" * 64}")',
    ]:
        assert f"\n{line}" in f"\n{text}", line


def test_keras_s_own_loss_and_class_weight_are_taken_where_they_are_the_same(cache: Path) -> None:
    text = script(cache, *SMALL, THREE, "model=linear", "loss=class_weight")
    assert "keras.losses.SparseCategoricalCrossentropy(from_logits=True)" in text
    assert "class_weight=class_weight" in text
    assert "def " not in text
    assert "seeds" not in text, "nothing draws"
    assert "class_weight" not in script(cache, *SMALL, THREE, "model=linear", "weighting=none").split('"""')[2]


def test_the_header_says_where_bits_are_not_promised(cache: Path) -> None:
    poly = [*SMALL, THREE, "model=linear", "loss=poly"]

    def header(*overrides: str, **how: str) -> str:
        return " ".join(script(cache, *overrides, **how).split('"""')[1].split())

    assert "bit for bit on the same kind of processor" in header(*poly, engine="fit")
    assert "to about 1e-5: the run's engine may round otherwise." in header(*poly, engine="resident")
    assert "to about 1e-5: a GPU adds up in another order." in header(*poly, device="gpu")
    assert "to about 1e-5: the run's replicas shared each batch." in header(*poly, "trainer.strategy=mirrored")
    assert "set_visible_devices" in script(cache, *poly)
    assert "enable_op_determinism" in script(cache, *poly, device="gpu")
    assert "set_intra_op_parallelism_threads(3)" in script(cache, *poly, "trainer.threads=3")


@pytest.mark.slow
def test_strategies_differ_in_their_numbers_alone(cache: Path) -> None:
    """Those that are all 1 are left out. So what is trained of `none` and of `power` is trained of all."""

    def taken_apart(text: str) -> tuple[str, list[str]]:
        number = r"^    \d: (\S+),  # \d: \d+ samples\n"
        code = re.sub(r"^#.*\n", "", text.partition("\nimport ")[2], flags=re.MULTILINE)
        return re.sub(number, "", code, flags=re.MULTILINE), re.findall(number, code, re.MULTILINE)

    trained = {name: taken_apart(script(cache, *OTHERS[f"weighting {name}"]))[0] for name in ("none", "power")}
    assert "class_weight = {\n}\n" in trained["power"]
    assert "class_weight" not in trained["none"]
    for name in STRATEGIES:
        overrides = [*MLP, THREE, f"weighting={name}", *needed(f"weighting={name}", 3)]
        code, numbers = taken_apart(script(cache, *overrides))
        config = composed(*overrides)
        weights = weigh(config, prepare(config.dataset, cache)).weights.astype(np.float32)
        has_weights = bool((weights != 1).any())
        assert code == trained["power" if has_weights else "none"], name
        assert np.array(numbers, np.float32).tolist() == (weights.tolist() if has_weights else []), name


def test_names_of_the_user_can_do_no_harm(cache: Path, tmp_path: Path) -> None:
    names = ['"""; import os', "a\\b", "é ü" * 60]
    table = tmp_path / "names.csv"
    rows = [f'{index % 7},"{name.replace(chr(34), chr(34) * 2)}"' for index in range(20) for name in names]
    table.write_text("\n".join(["x,y", *rows]) + "\n")
    text = script(
        cache, "dataset=csv", f"dataset.path='{table}'", "dataset.target=y", "model=linear", "weighting=inverse"
    )
    check_imports(text)
    assert re.search(r'^    0: [0-9.]+,  # """; import os: 14 samples$', text, re.MULTILINE)
    assert max(map(len, text.splitlines())) <= 120


def test_images_that_are_decoded_while_training_are_refused(cache: Path, tmp_path: Path) -> None:
    from PIL import Image

    for y in range(40):
        (tmp_path / f"class {y % 2}").mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), y, np.uint8)).save(tmp_path / f"class {y % 2}" / f"{y}.png")
    images = ["dataset=image_directory", f"dataset.path='{tmp_path}'", "dataset.image_size=[8,8]", "model=linear"]
    with pytest.raises(ConfigError, match="dataset=image_directory: its images are decoded while a model trains"):
        script(cache, *images)
    with pytest.raises(ConfigError, match=r"dataset\.mix=mixup: it is not written as plain Keras"):
        script(cache, *SMALL, THREE, "model=linear", "loss=custom", "dataset.mix=mixup")


def test_no_script_is_longer_than_a_screen_or_two(cache: Path) -> None:
    costs = ", ".join(f"{i}: {{{', '.join(f'{j}: {1 + i * j / 7}' for j in range(25) if j != i)}}}" for i in range(25))
    counts = f"dataset.class_counts=[{','.join(['20'] * 25)}]"
    with pytest.raises(ConfigError, match="more than 80 lines"):
        script(cache, *SMALL, counts, "dataset.features=25", "model=linear", "loss=cost_matrix", f"cost={{{costs}}}")


def test_no_option_is_passed_over() -> None:
    """Whoever adds an option here decides what a script makes of it."""
    trained_by = {"epochs", "batch_size", "optimizer", "learning_rate", "monitor", "early_stopping", "second_stage"}
    trained_by |= {"device", "precision", "threads", "jit", "engine", "strategy", "replicas", "deterministic"}
    trained_by |= {"weight_decay", "clip_norm", "ema", "phases", *LearningRate.model_fields, *Sharpness.model_fields}
    left_out = {"gpu_memory", "refit", "resume", "profile", "judge_after", "stacked"}
    assert Trainer.model_fields.keys() == trained_by | left_out
    of_data = {"name", "title", "positive", "split_seed", "target_prior"}
    assert Dataset.model_fields.keys() == of_data | {
        "labels",
        "sampling",
        "sampling_options",
        "augment",
        "mix",
        "mix_alpha",
    }
    assert set(IMPLEMENTED) == {"class_weight", "sample_weight", "custom"}
    assert set(SECOND_STAGES) == {"crt", "tau_norm"}
    assert {*OTHERS} >= {name for name, model in SHIPPED.items() if model.file is None and not model.words}


def test_a_backbone_that_the_run_has_not_made_is_refused(cache: Path) -> None:
    with pytest.raises(ConfigError, match="model=application: its backbone was not made by the run"):
        script(cache, "dataset=digits_lt", "model=application")


def test_phases_are_refused(cache: Path) -> None:
    with pytest.raises(ConfigError, match=r"trainer\.phases: a script trains all weights at once"):
        script(cache, "dataset=digits_lt", "model=linear", "trainer.phases=[{epochs: 2}]")


def test_to_write_a_script_takes_no_tensorflow() -> None:
    code = "import equipoise.training.plain.script"
    command = [sys.executable, "-X", "importtime", "-c", code]
    found = subprocess.run(command, cwd=REPOSITORY / "src", capture_output=True, text=True, check=True)
    assert not {"tensorflow", "keras"} & imported_modules(found.stderr)


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("case", PUT_IN)
def test_a_script_ends_with_the_run_s_bits(case: str, cache: Path, tmp_path: Path) -> None:
    check_bits(cache, tmp_path, PUT_IN[case])
