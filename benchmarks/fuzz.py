"""Try a hundred thousand hostile inputs: values for every option, and damaged files of every kind.

    python benchmarks/fuzz.py [CASES [KIND …]]

A case is a finding unless it is accepted whole, or refused with a printable message and nothing left behind. Findings
that come from the same place in the code are printed once, with a case that shows them.
"""

import contextlib
import functools
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
sys.path[:0] = [str(REPOSITORY / "src"), str(REPOSITORY / "tests")]
# Warnings are errors here, since a user would see them; TensorFlow's own are not the subject.
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

from hydra import initialize_config_dir
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from equipoise.core.paths import config_folder
from fuzzing import KINDS, command_lines, settings_of_options, try_command, try_file, try_settings, write_data

MEMORY = 8 << 30
SECONDS = 60  # limit of a case
OF_VALUES = 0.45  # share of the cases that try values of options

VALUES, WORDS = "values of options", "the same as typed words"


def main(cases: int, kinds: Sequence[str]) -> int:
    """Try each kind's share of the cases; return 1 if there is a finding."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, _too_long)
    warnings.simplefilter("error")
    values = int(cases * OF_VALUES)
    words = values // 50  # few, since Hydra needs 0.1 s for a whole command line
    files = -(-(cases - values) // len(KINDS))
    findings: dict[str, str] = {}
    print(
        "| kind | cases | accepted | refused | findings | seconds |\n| --- | --- | --- | --- | --- | --- |", flush=True
    )
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        write_data(Path(name))
        if VALUES in kinds:
            with initialize_config_dir(str(config_folder()), version_base="1.3"):
                _report(VALUES, _values(values - words, settings_of_options(), try_settings, findings))
        if WORDS in kinds:
            _report(WORDS, _values(words, command_lines(), try_command, findings))
        for kind in (kind for kind in KINDS if kind in kinds):
            numbers = range(files // 10 if KINDS[kind].slow else files)
            outcomes = _run(
                functools.partial(try_file, kind, folder=Path(name)),
                f"{kind} {{}}".format,
                numbers,
                findings,
            )
            _report(kind, outcomes)
        left = {entry.name for entry in Path(name).iterdir()} - {
            "table.csv",
            "labels.csv",
            "arrays.npz",
            "series.ts",
            "pictures",
        }
        if left:
            findings["something is left"] = str(left)
    for place, case in findings.items():
        print(f"\n{place}\n  {case}")
    return bool(findings)


def _values(
    cases: int, strategy: SearchStrategy[Any], attempt: Callable[[Any], str], findings: dict[str, str]
) -> tuple[Counter[str], float]:
    outcomes: Counter[str] = Counter()

    @seed(0)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(drawn: Any) -> None:
        outcomes.update(_run(lambda _: attempt(drawn), lambda _: repr(drawn)[:300], range(1), findings)[0])

    started = time.perf_counter()
    draw()
    return outcomes, time.perf_counter() - started


def _run(
    attempt: Callable[[int], str], shown: Callable[[int], str], numbers: range, findings: dict[str, str]
) -> tuple[Counter[str], float]:
    outcomes: Counter[str] = Counter()
    started = time.perf_counter()
    for number in numbers:
        signal.alarm(SECONDS)
        try:
            outcome = attempt(number)
        except Exception as error:
            outcome = "finding"
            ours = [
                frame
                for frame in traceback.extract_tb(error.__traceback__)
                if "/src/" in frame.filename or "fuzzing" in frame.filename
            ]
            where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(ours[-2:]))
            findings.setdefault(f"{type(error).__name__} at {where}", f"{shown(number)}: {str(error)[:300]}")
        finally:
            signal.alarm(0)
        outcomes[outcome] += 1
    return outcomes, time.perf_counter() - started


def _report(kind: str, result: tuple[Counter[str], float]) -> None:
    outcomes, seconds = result
    numbers = " | ".join(f"{outcomes[name]:,}" for name in ("accepted", "refused", "finding"))
    print(f"| {kind} | {outcomes.total():,} | {numbers} | {seconds:.0f} |", flush=True)


def _too_long(*_: object) -> None:
    raise TimeoutError(f"more than {SECONDS} s")


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 110_000, sys.argv[2:] or [VALUES, WORDS, *KINDS]))
