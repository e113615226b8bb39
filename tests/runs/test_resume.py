"""Training that is killed again and again ends with the bits of one that was not, and a broken checkpoint is none."""

import hashlib
import json
import multiprocessing
import os
import random
import resource
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.config import identity
from equipoise.config.model import config_sha256
from equipoise.core.errors import ConfigError
from equipoise.core.locks import InUseError
from equipoise.data.prepare import prepare
from equipoise.data.prepared import Prepared
from equipoise.methods.decisions import DECISIONS, Rule
from equipoise.methods.weighting import STRATEGIES, class_weights
from equipoise.runs import resume
from equipoise.runs.resume import made_by
from equipoise.training import checkpoints
from equipoise.training.checkpoints import Checkpoints, State
from helpers import composed, new_store
from trainings import SMALL

DEFERRED = ["weighting.schedule=deferred", "weighting.start=0.5"]
RAMP = ["weighting.schedule=ramp", "weighting.shape=cosine"]
STOPPING = ["trainer.early_stopping=4", "trainer.monitor=val/log_loss", "trainer.learning_rate=0.05"]
KINDS = {
    "dropout": ["model.dropout=0.5", "weighting=balanced", "loss=class_weight", *DEFERRED],
    "drawn samples": [
        "dataset.sampling=progressive",
        "loss=balanced_softmax",
        "trainer.optimizer=rmsprop",
        "dataset.labels=one_hot",
    ],
    "early stopping": ["weighting=power", "loss=sample_weight", "trainer.optimizer=adamw", *STOPPING],
    "ramp": ["weighting=balanced", "loss=custom", *RAMP, "model.dropout=0.2", "dataset.labels=one_hot"],
    "binary": [
        "dataset.class_counts=[80,13]",
        "dataset.labels=binary",
        "loss=sigmoid",
        "loss.pos_weight=auto",
        "dataset.sampling=class_balanced",
    ],
    "unit length": [
        "loss=ldam",
        "loss.implementation=class_weight",
        "weighting=effective_number",
        *DEFERRED,
        "trainer.optimizer=sgd",
    ],
    "second stage": ["trainer.second_stage=crt", "loss=logit_adjusted", "model.dropout=0.2"],
    "programs of XLA": ["trainer.jit=true", "loss=class_weight", "weighting=balanced", "model.dropout=0.3", *DEFERRED],
    "xla": [
        "trainer.jit=true",
        "loss=focal",
        "loss.implementation=sample_weight",
        "weighting=balanced",
        "model.dropout=0.3",
    ],
}
EPOCHS = 7
KILLS = 3  # of each kind

# Forked from a process that has imported TensorFlow and run nothing.
fork = multiprocessing.get_context("forkserver")
fork.set_forkserver_preload(["tensorflow", "keras", "scipy.stats", "sklearn.metrics", "pandas", "hydra", "pydantic"])


@dataclass(frozen=True)
class End:
    """When a process ends itself: a part of an epoch's time after an epoch, or in the write that follows."""

    after: int  # the epoch, from 0; EPOCHS: in the second stage
    part: float
    writing: bool = False
    kills: bool = True  # a write that meets the limit kills the process, or fails as on a full disk

    def begin(self, took: float, folder: Path) -> None:
        if self.writing:
            size = max(file.stat().st_size for file in folder.glob("checkpoints/*.npz"))
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL if self.kills else signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            os.dup2(
                os.open(os.devnull, os.O_WRONLY), 2
            )  # else a warning that goes to a longer file would meet the limit
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(size * self.part), int(size * self.part)))
        else:
            threading.Timer(took * self.part, os.kill, (os.getpid(), signal.SIGKILL)).start()


def fit(overrides: list[str], cache: Path, folder: Path, end: End | None = None) -> None:
    """Train from the newest checkpoint on, and leave the digest of weights, optimiser and history."""
    from equipoise.training import fit as training
    from equipoise.training import runtime, second_stage
    from equipoise.training.graph import Compiled

    runtime.start("cpu", 1, deterministic=True)
    checkpoints.MOST_SHARE = float("inf")  # one at every epoch
    config = composed(*SMALL, f"trainer.epochs={EPOCHS}", *overrides)
    data = prepare(config.dataset, cache)
    built = Compiled(config, data)
    model = built.model
    history: list[dict[str, float]] = []
    # On a slow machine the end before this one may have come epochs late: what has been trained is only told again.
    trained = max((int(file.name[:8]) for file in folder.glob("checkpoints/*.npz")), default=0)
    begun = time.monotonic()
    start = [begun]

    def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
        history.append(metrics)
        if end and epoch == max(end.after, trained):
            end.begin(time.monotonic() - start[0], folder)
        start[0] = time.monotonic()

    weights = class_weights(config.weighting, data.counts, data.classes)
    training.fit(built, config, data, weights, on_epoch, Checkpoints(folder, made_by(config, data), first=0))
    optimizer = [variable.numpy() for variable in model.optimizer.variables]
    if end and end.after == EPOCHS:
        end.begin(time.monotonic() - begun, folder)
    curves = (
        second_stage.run_second_stage(model, built.predict, config, data)
        if config.trainer.second_stage != "none"
        else {}
    )
    for timer in threading.enumerate():
        if isinstance(timer, threading.Timer):
            timer.join()
    digest = hashlib.sha256()
    for array in (*model.get_weights(), *optimizer):
        digest.update(array.tobytes())
    (folder / "result.json").write_text(json.dumps([digest.hexdigest(), history, curves]))


def fitted(*arguments: Any) -> int:
    """The exit code of a process of its own."""
    process = fork.Process(target=fit, args=arguments)
    process.start()
    process.join()
    return int(process.exitcode or 0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_training_that_is_killed_at_random_moments_ends_with_the_same_bits(kind: str, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    assert fitted(KINDS[kind], tmp_path, whole) == 0
    chance = random.Random(kind)
    epochs = [1, 4, EPOCHS] if "second" in kind else sorted(chance.sample(range(1, 5), KILLS))
    for epoch, writing in zip(epochs, (False, True, False), strict=True):
        killed = fitted(KINDS[kind], tmp_path, broken, End(epoch, chance.random(), writing))
        assert killed == -(signal.SIGXFSZ if writing else signal.SIGKILL)
        saved = [file.name for file in sorted((broken / "checkpoints").iterdir())]
        assert int(saved[-1][:8]) >= epoch, "there is something to go on with"
        assert not writing or any(name.endswith(".part") for name in saved), "in the middle of a write"
    assert fitted(KINDS[kind], tmp_path, broken) == 0
    assert (broken / "result.json").read_text() == (whole / "result.json").read_text()


@pytest.mark.slow
def test_a_full_disk_loses_nothing_beyond_the_last_checkpoint(tmp_path: Path) -> None:
    whole, full = tmp_path / "whole", tmp_path / "full"
    whole.mkdir()
    full.mkdir()
    assert fitted([], tmp_path, whole) == 0
    assert fitted([], tmp_path, full, End(2, 0.3, writing=True, kills=False)) == 1
    assert [file.name[:8] for file in sorted((full / "checkpoints").iterdir())] == ["00000001", "00000002"], (
        "and nothing half written"
    )
    assert fitted([], tmp_path, full) == 0
    assert (full / "result.json").read_text() == (whole / "result.json").read_text()


STATE = State({"weights": [np.arange(3.0), np.float32(2)], "best": []}, {"history": [{"a": 0.1}], "best": -np.inf})


def test_checkpoints_of_a_run_in_use_stay_and_those_after_a_mistake_go(tmp_path: Path) -> None:
    Checkpoints(tmp_path, {}).save(0, STATE)
    for error, left in ((InUseError("another's"), True), (ConfigError("a mistake"), False)):
        with pytest.raises(type(error)), resume.kept(tmp_path):
            raise error
        assert checkpoints.saved(tmp_path) == left


@pytest.mark.slow
def test_a_run_whose_folder_is_gone_is_begun_again(tmp_path: Path) -> None:
    store, config, folder = new_store(tmp_path), composed(), tmp_path / "run"
    folder.mkdir()
    tags = {"config_sha256": config_sha256(config), "data_sha256": "it", "folder": str(folder), **identity.tags(config)}
    run = store.client.create_run(store.experiment("e"), tags=tags).info.run_id
    store.client.set_terminated(run, "KILLED")
    assert resume.interrupted(store, config, "it") == resume.Begun(run, folder)
    folder.rmdir()
    assert resume.interrupted(store, config, "it") is None


@pytest.mark.slow
def test_a_run_with_damaged_logs_does_not_go_on_and_keeps_its_checkpoints(tmp_path: Path) -> None:
    store, config, folder = new_store(tmp_path), composed(), tmp_path / "run"
    folder.mkdir()
    tags = {"config_sha256": config_sha256(config), "data_sha256": "it", "folder": str(folder), **identity.tags(config)}
    store.client.set_terminated(store.client.create_run(store.experiment("e"), tags=tags).info.run_id, "KILLED")
    Checkpoints(folder, {}).save(0, STATE)
    for name, said in (
        ("metrics.jsonl", "its line after byte 0"),
        ("outbox.jsonl", "its line after byte 0"),
        ("uploaded.json", rf"rm {folder}/uploaded.json has"),
    ):
        (folder / name).write_text("torn\n")
        with pytest.raises(
            ConfigError, match=rf"{name} is damaged.* {said} .*To train anew, in another folder: trainer.resume=false"
        ):
            resume.interrupted(store, config, "it")
        assert resume.interrupted(store, composed("trainer.resume=false"), "it") is None
        (folder / name).unlink()
    assert resume.interrupted(store, config, "it") is not None
    assert checkpoints.saved(folder)


def test_only_a_folder_that_nothing_was_written_into_is_removed(tmp_path: Path) -> None:
    for name in ("unused", "used"):
        (tmp_path / name / ".hydra").mkdir(parents=True)
        (tmp_path / name / "train.log").touch()
    (tmp_path / "used" / "metrics.jsonl").touch()
    assert [resume.remove_unused(tmp_path / name) for name in ("unused", "used", "none")] == [True, False, False]
    assert [path.name for path in tmp_path.iterdir()] == ["used"]


@pytest.mark.slow
def test_a_run_that_other_code_has_begun_is_begun_anew_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, config = new_store(tmp_path), composed("weighting=balanced", "decision=tuned")
    tags = {
        "config_sha256": config_sha256(config),
        "data_sha256": "it",
        "folder": str(tmp_path),
        **identity.tags(config),
    }
    run = store.client.create_run(store.experiment("e"), tags=tags).info.run_id
    store.client.set_terminated(run, "KILLED")
    data = Prepared((), np.zeros(0, np.int64), tmp_path, (), "it", {})
    before = made_by(config, data)

    def argmax_again(*_: object, **__: object) -> None:
        """Judges a model that is trained as it was."""

    monkeypatch.setitem(DECISIONS.shipped, "tuned", Rule(argmax_again))  # type: ignore[arg-type]
    assert resume.interrupted(store, config, "it") == resume.Begun(run, tmp_path)
    assert made_by(config, data) == before
    assert capsys.readouterr().err == ""
    monkeypatch.setitem(STRATEGIES.shipped, "balanced", STRATEGIES["inverse"])  # type: ignore[arg-type]
    assert resume.interrupted(store, config, "it") is None
    assert (
        capsys.readouterr().err
        == f"warning: begun anew: the code of weighting=balanced has changed since run {run}, which was interrupted\n"
    )
    assert made_by(config, data) != before


def test_a_checkpoint_is_of_the_packages_that_make_its_rows_and_its_model(tmp_path: Path) -> None:
    data = Prepared((), np.zeros(0, np.int64), tmp_path, (), "it", {})
    small, of_keras = ["dataset=synthetic", "model=mlp"], {"numpy", "tensorflow", "keras"}
    digests = {"config_sha256", "data_sha256", "training_code_sha256"}
    assert made_by(composed(*small), data).keys() - digests == of_keras
    resampled = made_by(composed(*small, "dataset.sampling=smote"), data)
    assert resampled.keys() - digests == of_keras | {"scikit-learn", "imbalanced-learn"}
    assert made_by(composed(small[0], "model=boosting"), data).keys() - digests == {"numpy", "scikit-learn"}
