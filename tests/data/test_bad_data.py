"""Data that cannot be learned from, and a cache that cannot be written: one message, and nothing is left."""

from pathlib import Path

import numpy as np
import pytest

from bad_data import BAD, TWELVE
from data_files import csv_with
from equipoise.core.errors import ConfigError
from equipoise.sweeps import planning
from equipoise.sweeps.planning import plan, prepare_all


def _prepare(words: list[str]) -> None:
    """Plan and prepare; data may be refused in either of the two."""
    found = plan(words)
    assert found is not None
    prepare_all(found)


@pytest.mark.parametrize("name", BAD)
def test_bad_data_end_in_one_message_and_leave_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, message = BAD[name]
    cache = tmp_path / "cache"
    monkeypatch.setattr(planning, "cache_folder", lambda: cache)
    with pytest.raises(ConfigError) as caught:
        _prepare(["model=linear", *make(tmp_path)])
    assert message in str(caught.value)
    assert list(cache.glob("*")) == []


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "cache_folder", lambda: tmp_path / "cache")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(ConfigError, match=r"cannot be prepared in .*cache: No space left on device"):
        _prepare(["model=linear", *csv_with("x,y\n" + TWELVE * 5)(tmp_path)])
    assert list((tmp_path / "cache").iterdir()) == []
