"""What begins a process: a command tunes it, an import does not."""

import subprocess
import sys

from helpers import REPOSITORY

SHOWS = "import gc; before = gc.get_threshold()[0]; {}; print(before, gc.get_threshold()[0])"


def threshold_after(statement: str) -> list[int]:
    """The collector's first threshold before and after a statement in a new process."""
    found = subprocess.run(
        [sys.executable, "-c", SHOWS.format(statement)],
        cwd=REPOSITORY / "src",
        check=True,
        capture_output=True,
        text=True,
    )
    return [int(word) for word in found.stdout.split()]


def test_a_command_has_the_collector_run_less_often_and_an_import_leaves_it_alone() -> None:
    before, imported = threshold_after("import train")
    assert imported == before
    before, begun = threshold_after("from equipoise.core import process; process.begin()")
    assert (before < begun, begun) == (True, 20_000)
