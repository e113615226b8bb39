"""What `prepare` learned makes the prepared features of the raw rows, to the bit, for every kind of data."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.core.errors import ConfigError
from equipoise.data import preprocessing
from equipoise.data.prepare import prepare
from equipoise.data.types import ArrayPreprocessing
from helpers import composed_dataset


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_numbers_are_read_back_to_the_last_bit(tmp_path_factory: pytest.TempPathFactory, values: list[float]) -> None:
    folder = tmp_path_factory.mktemp("record")
    learned = ArrayPreprocessing(shape=(len(values),), shift=tuple(values), factor=tuple(values))
    preprocessing.write(learned, folder)
    assert preprocessing.read(folder) == learned


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"kind": "nothing"}',
        '{"kind": "array"}',
        '{"kind": "array", "shape": [1], "shift": [NaN], "factor": [1]}',
    ],
)
def test_a_damaged_record_is_told(content: str, tmp_path: Path) -> None:
    (tmp_path / preprocessing.PREPROCESSING).write_text(content)
    with pytest.raises(ConfigError, match="missing, damaged or of another version"):
        preprocessing.read(tmp_path)


@pytest.mark.parametrize("scale", ["standard", "byte", "none"])
def test_raw_arrays(scale: str, tmp_path: Path) -> None:
    raw = np.random.default_rng(0).integers(0, 256, (90, 4, 3)).astype(np.uint8)
    np.savez(tmp_path / "a.npz", x=raw, y=np.arange(90) % 3)
    data = prepare(
        composed_dataset("dataset=npz", f"dataset.path='{tmp_path}/a.npz'", f"dataset.scale={scale}"),
        tmp_path / "cache",
    )
    assert_made_of(data, raw)


def test_the_shipped_digits(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    data = prepare(composed_dataset("dataset=digits_lt"), tmp_path / "cache")
    assert_made_of(data, load_digits().images[..., np.newaxis])


def assert_made_of(data: Any, raw: Any) -> None:
    """Every prepared sample is one of the raw ones, prepared again by what the folder says."""
    known = {row.tobytes() for row in preprocessing.read(data.folder).apply(raw)}
    for split in ("train", "validation", "test"):
        assert {np.ascontiguousarray(row).tobytes() for row in data.split(split).features} <= known
