"""Digests of files, whole or by blocks."""

import os
from pathlib import Path

import pytest

from equipoise.data import seals


def test_the_seal_of_a_large_file_covers_blocks_from_its_beginning_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seals, "WHOLE", 399)
    monkeypatch.setattr(seals, "BLOCK", 10)
    monkeypatch.setattr(seals, "BLOCKS", 5)
    file, content = tmp_path / "a", bytes(range(200)) * 2
    file.write_bytes(content)
    before = seals.digest(file)
    seen = []
    for place in range(400):
        file.write_bytes(content[:place] + b"\xff" + content[place + 1 :])
        os.utime(file, ns=(place, place))
        seen.append(seals.digest(file) != before)
    starts = [0, 97, 195, 292, 390]  # of five blocks of 10 bytes, as evenly as can be
    assert [place for place in range(400) if seen[place]] == [
        start + offset for start in starts for offset in range(10)
    ]
    file.write_bytes(content + b"\0")
    assert seals.digest(file) != before, "another size"
    monkeypatch.setattr(seals, "WHOLE", 400)
    file.write_bytes(content[:150] + b"\xfe" + content[151:])
    assert seals.digest(file) != before, "a file that is not large is read whole"
