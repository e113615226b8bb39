"""Scripts of plain Keras for tests: what they are written for, and how they are run beside what they repeat."""

import re
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from equipoise.data.prepare import prepare
from equipoise.data.resampling import resampled
from equipoise.data.sampling import SHIPPED as RULES
from equipoise.data.types import SPLITS
from equipoise.methods.learning_rates import LEARNING_RATES
from equipoise.methods.losses import IMPLEMENTED
from equipoise.methods.models import SHIPPED
from equipoise.methods.schedules import SCHEDULES
from equipoise.methods.second_stages import SECOND_STAGES
from equipoise.runs.weigh import weigh
from equipoise.training.plain.case import Origin
from equipoise.training.plain.script import ARRAYS, plain_keras
from helpers import composed
from options import needed

# 93 samples in batches of 16: the last batch holds 13.
SMALL = ["dataset=synthetic", "dataset.features=6", "trainer.batch_size=16", "trainer.epochs=2", "weighting=balanced"]
SMALL += ["trainer.learning_rate=0.01"]
MLP = [*SMALL, "model=mlp", "model.hidden=[8]", "model.dropout=0.3"]
LINEAR = [*SMALL, "model=linear"]
THREE, TWO = "dataset.class_counts=[60,25,8]", "dataset.class_counts=[60,33]"
STOPPED = [*MLP, THREE, "loss=custom", "trainer.epochs=20", "trainer.learning_rate=0.05"]
OTHERS = {
    **{f"weighting {name}": [*MLP, THREE, f"weighting={name}"] for name in ("none", "power")},
    "manual": [*MLP, THREE, "weighting=manual", "weighting.weights={0: 0.1, 1: 2, 2: 3}", "weighting.normalize=max"],
    **{f"schedule {name} {how}": [*MLP, THREE, f"weighting.schedule={name}", f"loss={how}", "trainer.epochs=3"]
       for name, course in SCHEDULES.items() if course.has_start for how in IMPLEMENTED},
    "cosine": [*MLP, THREE, "weighting.schedule=ramp", "weighting.shape=cosine", "trainer.epochs=4", "loss=custom"],
    **{f"sampling {name}": [*MLP, THREE, f"dataset.sampling={name}", f"loss={how}"]
       for name, how in zip(RULES, cycle(IMPLEMENTED))},
    "resampled": [*MLP, THREE, "dataset.sampling=smote", "loss=custom", "dataset.labels=one_hot", "seed=3"],
    "noisy": [*MLP, THREE, "dataset.sampling=rose", "loss=balanced_softmax"],
    **{f"stops by {monitor}": [*STOPPED, "trainer.early_stopping=1", f"trainer.monitor=val/{monitor}"]
       for monitor in ("balanced_accuracy", "macro_f1", "accuracy", "log_loss")},
    "one logit stops": [*STOPPED[:-4], TWO, "dataset.labels=binary", "trainer.epochs=20", "trainer.learning_rate=0.05",
                        "trainer.early_stopping=2", "trainer.monitor=val/log_loss"],
    **{f"second stage {name}": [*MLP, THREE, f"trainer.second_stage={name}"] for name in SECOND_STAGES},
    "crt of one logit": [*MLP, TWO, "dataset.labels=binary", "trainer.second_stage=crt"],
    "crt of one-hot labels": [*MLP, THREE, "dataset.labels=one_hot", "trainer.second_stage=crt"],
    **{f"optimizer {name}": [*MLP, THREE, f"trainer.optimizer={name}"] for name in ("adamw", "rmsprop", "sgd")},
    "xla": [*MLP, THREE, "trainer.jit=true", "loss=custom"],
    "programs of xla": [*MLP, "dataset.class_counts=[500,250,51]", "trainer.batch_size=4", "loss=custom"],
    "half precision": [*MLP, THREE, "trainer.precision=mixed_float16", "weighting=max_ratio"],
    "bfloat16": [*MLP, THREE, "trainer.precision=mixed_bfloat16"],
    **{f"learning rate {name}": [*MLP, THREE, f"trainer.schedule={name}", "trainer.epochs=4",
                                 "trainer.schedule_patience=1"] for name in LEARNING_RATES if name != "constant"},
    "ordinary": [*MLP, THREE, "trainer.weight_decay=0.1", "trainer.clip_norm=0.5", "trainer.ema=0.9"],
    "sharpness": [*MLP, THREE, "trainer.sharpness=sam", "loss=custom", "trainer.clip_norm=0.5",
                  "trainer.precision=mixed_float16"],
    "an average stops": [*MLP, THREE, *STOPPED[-2:], "trainer.early_stopping=2", "trainer.ema=0.5",
                         "trainer.monitor=val/log_loss"],
    "half precision, ordinary": [*MLP, THREE, "trainer.precision=mixed_float16", "trainer.weight_decay=0.1",
                                 "trainer.clip_norm=0.5", "trainer.ema=0.9"],
    **{f"augmented by {names}": ["dataset=digits_lt", "model=linear", f"dataset.augment=[{names}]", "trainer.epochs=2"]
       for names in ("flip,crop", "rotate,cutout", "translate")},
    "a large seed": [*MLP, THREE, "seed=4294967295"],
    "no weights": [*MLP, THREE, "weighting=none", "loss=custom"],
    **{name: [*(["dataset=digits_lt", "trainer.epochs=1"] if model.dimensions == 3 else [*SMALL, THREE]),
              f"model={name}", *needed(f"model={name}")] for name, model in SHIPPED.items()
       if model.file is None and not model.words},
    "cnn": ["dataset=digits_lt", "model=cnn", "model.filters=[4,4]", "model.hidden=8", "trainer.epochs=1"],
    "conv1d": [*SMALL, THREE, "dataset.form=series", "model=conv1d", "model.filters=[4]", "model.hidden=8"],
    "many classes": [*SMALL, f"dataset.class_counts=[{','.join(map(str, range(60, 10, -2)))}]", "model=linear",
                     "dataset.features=25", "weighting=effective_number"],
    "all at once": [*STOPPED, "trainer.early_stopping=2", "dataset.sampling=progressive",
                    "weighting.schedule=deferred"],
}  # fmt: skip


SEVERAL = {
    "balanced": ["weighting=balanced"],
    "asymmetric": ["loss.pos_weight=3", "loss.clip=0.05", "loss.gamma_neg=4"],
    "by name": ["loss.pos_weight={a: 1, b: 2, c: 3.5}"],
    **{f"stops by {monitor}": ["trainer.early_stopping=1", f"trainer.monitor=val/{monitor}", "trainer.optimizer=sgd"]
       for monitor in ("balanced_accuracy", "macro_f1", "accuracy", "log_loss")},
}  # fmt: skip


def table_of_labels(folder: Path) -> list[str]:
    """A table of three labels, of which a sample may have several, as its overrides."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(120, 2))
    labels = (x @ [[1, 0, 1], [0, 1, 1]] + generator.normal(size=(120, 3)) > [0, 0.5, 1]).astype(int)
    file = folder / "labels.csv"
    rows = [",".join(map(str, [*features, *row])) for features, row in zip(x.round(3), labels, strict=True)]
    file.write_text("\n".join(["u,v,a,b,c", *rows]) + "\n")
    return ["dataset=multilabel", f"dataset.path='{file}'", "dataset.targets=[a,b,c]", "loss=sigmoid", "model=linear"]


def script(cache: Path, *overrides: str, **how: str) -> str:
    config = composed(*overrides)
    data = prepare(config.dataset, cache)
    return plain_keras(config, data, weigh(config, data), Origin("4a1f", {"device": "cpu", **how}, "0" * 64))


def run_and_script(cache: Path, folder: Path, *overrides: str) -> tuple[str, str, int, str]:
    """Digests of the weights that the project trains and that its script trains, the epochs, and the script."""
    from equipoise.training.engines.choose import choice_of
    from equipoise.training.keras_learner import KerasLearner

    config = composed(*overrides)
    data = resampled(config.dataset, prepare(config.dataset, cache), config.seed)
    weights, epochs = weigh(config, data), []
    learner = KerasLearner(config, data, "cpu", 1, choice_of(config, data, "cpu"))
    learner.fit(weights, lambda epoch, _: epochs.append(epoch), None)
    learner.second_stage()
    expected = learner.weights_sha256()
    text = plain_keras(config, data, weights, Origin("4a1f", learner.how, expected))
    splits = {name: data.split(name) for name in SPLITS}
    rows = {f"w_{name}": split.weights for name, split in splits.items() if split.weights is not None}
    np.savez(folder / ARRAYS, allow_pickle=False, **rows, **{f"x_{name}": np.asarray(split.features) for name, split in
             splits.items()}, **{f"y_{name}": np.asarray(split.labels) for name, split in splits.items()})  # fmt: skip
    namespace: dict[str, Any] = {}
    exec(compile(text.replace(f'"{ARRAYS}"', repr(str(folder / ARRAYS))), ARRAYS, "exec"), namespace)
    namespace["data"].close()  # the process of a script would end here
    return expected, namespace["digest"].hexdigest(), len(epochs), text


def check_bits(cache: Path, folder: Path, overrides: list[str]) -> None:
    """Whether a script ends with the bits of its run, and in the same epoch."""
    expected, found, epochs, text = run_and_script(cache, folder, *overrides)
    assert found == expected
    assert "bit for bit" in " ".join(text.split())
    limit = int(re.findall(r"trainer\.epochs=(\d+)", " ".join(overrides))[-1])
    assert (epochs < limit) == ("early_stopping" in " ".join(overrides)), "early stopping is tried"
