"""Checkpoints are read as they were written, take a twentieth of the time, and are passed over if damaged."""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.training import checkpoints
from equipoise.training.checkpoints import Checkpoints, State

STATE = State({"weights": [np.arange(3.0), np.float32(2)], "best": []}, {"history": [{"a": 0.1}], "best": -np.inf})


def test_a_checkpoint_is_read_as_it_was_written(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path, {"version": "1"})
    assert kept.newest() is None
    for number in (9, 10, 11):
        kept.save(number, State(STATE.arrays, {**STATE.values, "number": number}))
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2
    found = kept.newest()
    assert found is not None
    assert (found.values["number"], found.values["history"], found.values["best"]) == (11, [{"a": 0.1}], -np.inf)
    assert [array.tolist() for array in found.arrays["weights"]] == [[0, 1, 2], 2]
    assert found.arrays["best"] == []
    assert Checkpoints(tmp_path, {"version": "2"}).newest() is None, "made by another version"
    checkpoints.remove(tmp_path)
    assert not checkpoints.saved(tmp_path)


def test_writing_checkpoints_takes_a_twentieth_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now[0])
    replace = os.replace

    def slowly(*arguments: Any) -> None:
        replace(*arguments)
        now[0] += 2

    monkeypatch.setattr(os, "replace", slowly)  # the last step of writing a file
    kept = Checkpoints(tmp_path, {})
    assert not kept.due(last=False)
    now[0] += checkpoints.FIRST
    assert kept.due(last=False)
    kept.save(0, STATE)
    now[0] += 39
    assert (kept.due(last=False), kept.due(last=True)) == (False, True)
    now[0] += 1
    assert kept.due(last=False)


@pytest.mark.parametrize("damage", ["torn", "flipped", "empty", "pickled", "unreadable"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path: Path, damage: str) -> None:
    kept = Checkpoints(tmp_path, {})
    for number in (1, 2):
        kept.save(number, State(STATE.arrays, {"number": number}))
    newest = sorted((tmp_path / "checkpoints").iterdir())[-1]
    content = newest.read_bytes()
    if damage == "pickled":
        newest.unlink()
        np.savez(tmp_path / "evil", values=np.array([{"x": 1}], dtype=object))
        content = (tmp_path / "evil.npz").read_bytes()
        newest = newest.with_name(f"00000002-{hashlib.sha256(content).hexdigest()}.npz")
    if damage == "unreadable":
        newest.unlink()
        newest.mkdir()
    else:
        newest.write_bytes(
            {
                "torn": content[:-100],
                "flipped": content[:99] + b"\xff" + content[100:],
                "empty": b"",
                "pickled": content,
            }[damage]
        )
    found = kept.newest()
    assert found is not None
    assert found.values["number"] == 1
