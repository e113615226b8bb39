"""Rows of a table keep their numbers, whatever rows between them cannot be read, and in blocks of any size."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from equipoise.data.tables.opening import open_table

LINES = st.lists(st.sampled_from(["good", "short", "long", "blank", "quoted"]), min_size=1, max_size=80)


def line(kind: str, number: int) -> str:
    return {
        "good": f"{number},n{number}",
        "short": f"{number}",
        "long": f"{number},n,{number}",
        "blank": "",
        "quoted": f'{number},"n{number}, of\n two lines"',
    }[kind]


@pytest.mark.usefixtures("tensorflow")
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds=LINES, block_bytes=st.integers(64, 600), rows=st.integers(1, 30))
def test_every_row_has_its_number(kinds: list[str], block_bytes: int, rows: int, tmp_path: Path) -> None:
    """A blank line is no row, as when a table is prepared."""
    from equipoise.serving.answers import Read
    from equipoise.serving.table_rows import numbered

    kinds = [kind for kind in kinds if kind != "blank" or len(kinds) > 1]
    number, given_rows, lines = 0, [], []
    for kind in kinds:
        lines.append(line(kind, number))
        if kind != "blank":
            given_rows.append(kind)
            number += 1
    (tmp_path / "t.csv").write_text("a,b\n" + "\n".join(lines) + "\n")
    table = open_table(tmp_path / "t.csv")

    def batches(on_odd: Any) -> Any:
        for batch in table.batches(["a", "b"], on_odd, block_bytes):
            yield from (batch.slice(first, rows) for first in range(0, batch.num_rows, rows))

    def read(batch: Any) -> Read:
        values = np.array(batch.column(0).to_pylist(), np.float32).reshape(-1, 1)
        return Read(values, np.zeros(len(values), bool), [""] * len(values))

    nothing = Read(np.empty((0, 1), np.float32), np.empty(0, bool), [])
    found = list(numbered(batches, ["a"], "b", read, nothing))
    places = [place for block in found for place in block.places.to_pylist()]
    keys = [key for block in found for key in block.keys.to_pylist()]
    features = [float(value) for block in found for value in block.read.features[:, 0]]
    notes = [note for block in found for note in block.read.notes]
    assert places == list(range(number))
    for place, kind in enumerate(given_rows):
        if kind in ("short", "long"):
            cells = "1 cell" if kind == "short" else "3 cells"
            assert (keys[place], features[place], notes[place]) == (None, 0, f"has {cells}, and the header 2")
        else:
            assert features[place] == place
            assert str(keys[place]).startswith(f"n{place}")
            assert notes[place] == ""
