"""Train what the table of the study lacks, part by part, and add it to the table:

PYTHONPATH=src:pipelines python pipelines/study/run.py [quick] [only=boosting,centre/centre] [minutes=40] [workers=2]
    [through='srun --ntasks=1']

only: parts whose names begin with one of these, in the order of these; minutes: after which no part is begun any more;
workers: parts at a time; through: what starts each command elsewhere, such as Slurm's srun; quick: those of make
study-quick.
Each part is one command (or some, where the table has a share of its runs), which logs into a folder of its own below
pipelines/study/under_way. That goes once its results are in the table. It may be interrupted at any time, and goes on.
"""

import math
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grid import read
from harvest import Harvest
from parts import DIGITS, Part, Plans, by_data, jobs, of_jobs, parts
from table import QUICK, TABLE, change, configs, with_rows
from table import read as read_table

from equipoise.config.model import Config, config_sha256
from equipoise.core import key_values
from equipoise.core.errors import ConfigError, listing
from equipoise.core.paths import ROOT

HERE = Path(__file__).parent
UNDER_WAY, CACHE = HERE / "under_way", HERE / "cache"
TRIES = 2  # of a job that crashes


@dataclass
class Study:
    """A call of this program.

    Attributes
    ----------
    file : the table
    until : monotonic seconds; no part is begun after them
    through : a program and its options, which run the command that follows them, and end as it does
    running : the commands that are being carried out
    whole : the names of parts that the table has
    """

    grid: Mapping[str, Any]
    file: Path
    until: float
    through: tuple[str, ...] = ()
    plans: Plans = field(default_factory=Plans.read)
    running: set["subprocess.Popen[bytes]"] = field(default_factory=set)
    whole: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopped: bool = False

    def lacking(self, part: Part) -> set[str]:
        """Return the digests of the part's jobs that the table has not."""
        with self.lock:
            return set(self.plans.digests(part)) - configs(read_table(self.file))

    def carry_out(self, part: Part) -> str:
        """Train what is missing of the part; return how it ended, in a sentence."""
        if self.stopped or time.monotonic() > self.until:
            return ""
        if not self.lacking(part):
            self.whole.add(part.name)
            return ""
        begun, root = time.monotonic(), UNDER_WAY / part.folder
        with self.lock:
            wanted = {config_sha256(job)[:DIGITS]: job for job in jobs(part)}
        self._add(part, root, wanted)
        for _ in range(TRIES):
            missing = self.lacking(part)
            if not missing or self.stopped:
                break
            # The last bits of a job depend on its whole stack.
            again = {*wanted} if any(job.trainer.stacked for job in wanted.values()) else missing
            for words in of_jobs(part, again, [*wanted]):
                self._command(words, root)
            self._add(part, root, wanted)
        left, minutes = len(self.lacking(part)), (time.monotonic() - begun) / 60
        if not left:
            self.whole.add(part.name)
            shutil.rmtree(root, ignore_errors=True)
        done = f"{len(wanted) - left} of {len(wanted)} runs are in the table"
        return f"{part.name}: {done}, {minutes:.1f} minutes" + (f"; see {root / 'log.txt'}" if left else "")

    def _add(self, part: Part, root: Path, wanted: Mapping[str, Config]) -> None:
        """Add the results of the runs that are finished to the table."""
        with self.lock:
            known = configs(read_table(self.file))
            new = {digest: job for digest, job in wanted.items() if digest not in known}
            rows = [*Harvest(self.grid, part, root, CACHE).rows(new)]
            # MLflow leaves the address of its store here, and the next part has another one.
            os.environ.pop("MLFLOW_TRACKING_URI", None)
            if rows:
                change(lambda table: with_rows(table, rows), self.file)

    def _command(self, words: Sequence[str], root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        CACHE.mkdir(exist_ok=True)
        cache = root / "cache"  # one for all parts
        if not cache.is_symlink():
            cache.symlink_to(CACHE)
        program = [sys.executable, "src/train.py", "--quiet", *words]
        if self.through:  # a job of Ray begins in another folder, with another environment
            program = [*self.through, "env", "-C", os.getcwd(), f"{ROOT}={root}", *program]
        with self.lock:
            if self.stopped:
                return
            with open(root / "log.txt", "ab") as log:
                process = subprocess.Popen(program, stdout=log, stderr=log, env={**os.environ, ROOT: str(root)})
            self.running.add(process)
        process.wait()
        self.running.discard(process)

    def stop(self) -> None:
        """End the commands that are being carried out; what their runs have done is gone on with later."""
        with self.lock:
            self.stopped = True
        for process in [*self.running]:
            process.terminate()


def _asked(known: Sequence[Part], only: str) -> list[Part]:
    """Return the parts whose names begin with one of the typed beginnings, in the order of these.

    Raises
    ------
    ConfigError
        If no part's name begins with one of them.
    """
    found: dict[str, Part] = {}
    for beginning in only.split(","):
        some = {part.name: part for part in known if part.name.startswith(beginning)}
        if not some or (only and not beginning):
            raise ConfigError(f"only={only}: no part's name begins with '{beginning}'; the first is {known[0].name}")
        found |= {name: part for name, part in some.items() if name not in found}
    return [*found.values()]


def _with_data(asked: Sequence[Part]) -> list[Part]:
    """Return the parts whose data are there, and print how many are left out: a machine without npm has no texts."""
    absent = sorted({file for part in asked for file in part.files if not Path(file).exists()})
    some = [part for part in asked if not set(absent) & set(part.files)]
    if absent:
        print(f"{len(asked) - len(some)} parts are left out, whose data are not there: {listing(absent)}", flush=True)
    return some


def _program(through: str) -> tuple[str, ...]:
    """Return the words of what starts commands elsewhere.

    Raises
    ------
    ConfigError
        If there is no such program.
    """
    try:
        words = shlex.split(through)
    except ValueError as error:
        raise ConfigError(f"through={through}: {error}") from error
    if words and shutil.which(words[0]) is None:
        raise ConfigError(f"through={through}: there is no program {words[0]}")
    return tuple(words)


def main(arguments: Sequence[str]) -> int:
    """Run the parts; return 1 if some of what was asked for is missing in the end."""
    quick, grid = "quick" in arguments, read("study")
    typed = key_values.read([word for word in arguments if word != "quick"], ("only", "minutes", "workers", "through"))
    workers = key_values.whole_number(typed, "workers") or os.cpu_count() or 1
    until = time.monotonic() + 60 * (key_values.number(typed, "minutes") or math.inf)
    study = Study(grid, QUICK if quick else TABLE, until, _program(typed.get("through", "")))
    asked = _asked([*parts(grid, quick=quick)], typed.get("only", ""))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    some = _with_data(asked)
    print(f"{len(some)} parts are planned, which takes some minutes in a new checkout", flush=True)
    for part in by_data(some):
        study.plans.digests(part)
    with ThreadPoolExecutor(workers) as pool:
        try:
            for told in pool.map(study.carry_out, some):
                if told:
                    print(told, flush=True)
        except BaseException:
            study.stop()
            pool.shutdown(cancel_futures=True)
            raise
    print(f"{len(study.whole)} of {len(asked)} parts are in {study.file.relative_to(HERE.parents[1])}")
    return int(len(study.whole) < len(asked))


if __name__ == "__main__":
    sys.exit(key_values.answer(sys.argv[1:], __doc__, main))
