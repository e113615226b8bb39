"""Training that is killed again and again ends with the bits of one that was not, and a broken checkpoint is none."""

import hashlib
import json
import multiprocessing
import random
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise import checkpoints
from equipoise.checkpoints import Checkpoints, State
from equipoise.data.prepare import prepare
from equipoise.resume import made_by
from equipoise.weighting import class_weights
from helpers import composed

# 93 samples in batches of 16: the last batch holds 13.
SMALL = ["dataset=synthetic", "dataset.class_counts=[60,25,8]", "dataset.features=6", "model=mlp", "model.hidden=[8]", "trainer.batch_size=16"]
DEFERRED = ["weighting.schedule=deferred", "weighting.start=0.5"]
RAMP = ["weighting.schedule=ramp", "weighting.shape=cosine"]
STOPPING = ["trainer.early_stopping=4", "trainer.monitor=val/log_loss", "trainer.learning_rate=0.05"]
KINDS = {
    "dropout": ["model.dropout=0.5", "weighting=balanced", "loss=class_weight", *DEFERRED],
    "drawn samples": ["dataset.sampling=progressive", "loss=balanced_softmax", "trainer.optimizer=rmsprop", "dataset.labels=one_hot"],
    "early stopping": ["weighting=power", "loss=sample_weight", "trainer.optimizer=adamw", *STOPPING],
    "ramp": ["weighting=balanced", "loss=custom", *RAMP, "model.dropout=0.2", "dataset.labels=one_hot"],
    "binary": ["dataset.class_counts=[80,13]", "dataset.labels=binary", "loss=sigmoid", "loss.pos_weight=auto", "dataset.sampling=class_balanced"],
    "unit length": ["loss=ldam", "loss.implementation=class_weight", "weighting=effective_number", *DEFERRED, "trainer.optimizer=sgd"],
    "xla": ["trainer.jit=true", "loss=focal", "loss.implementation=sample_weight", "weighting=balanced", "model.dropout=0.3"],
}
EPOCHS = 10
KILLS = 3  # of each kind

# Forked from a process that has imported TensorFlow and run nothing.
fork = multiprocessing.get_context("forkserver")
fork.set_forkserver_preload(["tensorflow", "keras", "scipy.stats", "sklearn.metrics", "pandas", "hydra", "pydantic"])


def fit(overrides: list[str], cache: Path, folder: Path, most_bytes: int | None = None) -> None:
    """Train from the newest checkpoint on, and leave the digest of weights, optimiser and history."""
    from equipoise import runtime, training

    runtime.start("cpu", 1, deterministic=True)
    checkpoints.MOST_SHARE = float("inf")  # one at every epoch
    config = composed(*SMALL, f"trainer.epochs={EPOCHS}", *overrides)
    data = prepare(config.dataset, cache)
    model = training.build(config, data)
    history: list[dict[str, float]] = []

    def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
        history.append(metrics)
        (folder / "epoch").write_text(str(epoch))
        time.sleep(0.03)  # for the other process to choose its moment in
        if most_bytes is not None and epoch == 2:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as a disk that is full: the write fails
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    weights = class_weights(config.weighting, data.counts, data.classes)
    training.fit(model, training.Predictor(model), config, data, weights, on_epoch, Checkpoints(folder, made_by(config, data)))
    digest = hashlib.sha256()
    for array in (*model.get_weights(), *(variable.numpy() for variable in model.optimizer.variables)):
        digest.update(array.tobytes())
    (folder / "result.json").write_text(json.dumps([digest.hexdigest(), history]))


def begun(*arguments: Any) -> Any:
    process = fork.Process(target=fit, args=arguments)
    process.start()
    return process


def wait(process: Any, met: Callable[[], bool]) -> None:
    while process.is_alive() and not met():
        time.sleep(0.0005)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_random_moments_ends_with_the_same_bits(kind: str, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    process = begun(KINDS[kind], tmp_path, whole)
    process.join()
    assert process.exitcode == 0
    chance = random.Random(kind)
    epochs = sorted(chance.randrange(EPOCHS // 2) for _ in range(KILLS))
    for number, epoch in enumerate(epochs):
        process = begun(KINDS[kind], tmp_path, broken)
        wait(process, lambda: int((broken / "epoch").read_text() or -1) >= epoch if (broken / "epoch").exists() else False)  # noqa: B023
        if number == 1:
            wait(process, lambda: any(broken.glob("checkpoints/*.part")))
        else:
            time.sleep(chance.random() * 0.02)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, "killed while it trained"
    process = begun(KINDS[kind], tmp_path, broken)
    process.join()
    assert process.exitcode == 0
    assert (broken / "result.json").read_text() == (whole / "result.json").read_text()


@pytest.mark.slow
def test_a_full_disk_loses_nothing_beyond_the_last_checkpoint(tmp_path: Path) -> None:
    whole, full = tmp_path / "whole", tmp_path / "full"
    whole.mkdir()
    full.mkdir()
    begun([], tmp_path, whole).join()
    process = begun([], tmp_path, full, 1000)
    process.join()
    assert process.exitcode == 1
    assert [file.name[:8] for file in sorted((full / "checkpoints").iterdir())] == ["00000001", "00000002"], "and nothing half written"
    begun([], tmp_path, full).join()
    assert (full / "result.json").read_text() == (whole / "result.json").read_text()


STATE = State({"weights": [np.arange(3.0), np.float32(2)], "best": []}, {"history": [{"a": 0.1}], "best": -np.inf})


def test_a_checkpoint_is_read_as_it_was_written(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path, {"version": "1"})
    assert kept.newest() is None
    for number in (9, 10, 11):
        kept.save(number, State(STATE.arrays, {**STATE.values, "number": number}), last=True)
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2
    found = kept.newest()
    assert found is not None
    assert (found.values["number"], found.values["history"], found.values["best"]) == (11, [{"a": 0.1}], -np.inf)
    assert [array.tolist() for array in found.arrays["weights"]] == [[0, 1, 2], 2]
    assert found.arrays["best"] == []
    assert Checkpoints(tmp_path, {"version": "2"}).newest() is None, "made by another version"
    checkpoints.remove(tmp_path)
    assert not checkpoints.saved(tmp_path)


@pytest.mark.parametrize("damage", ["torn", "flipped", "empty", "pickled"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path: Path, damage: str) -> None:
    kept = Checkpoints(tmp_path, {})
    for number in (1, 2):
        kept.save(number, State(STATE.arrays, {"number": number}), last=True)
    newest = sorted((tmp_path / "checkpoints").iterdir())[-1]
    content = newest.read_bytes()
    if damage == "pickled":
        newest.unlink()
        np.savez(tmp_path / "evil", values=np.array([{"x": 1}], dtype=object))
        content = (tmp_path / "evil.npz").read_bytes()
        newest = newest.with_name(f"00000002-{hashlib.sha256(content).hexdigest()}.npz")
    newest.write_bytes({"torn": content[:-100], "flipped": content[:99] + b"\xff" + content[100:], "empty": b"", "pickled": content}[damage])
    found = kept.newest()
    assert found is not None
    assert found.values["number"] == 1
