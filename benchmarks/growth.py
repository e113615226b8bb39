"""Measure how a run's time and memory grow with rows, features and classes, and a comparison's with the runs stored.

Each measurement is a whole command in a project of its own, from the data file to the last picture. Memory is the peak
of RssAnon, sampled ten times a second: it leaves out pages of mapped files, which the operating system can take back.

The fitted line is a + b·n^k with the size n; k is 1 where twice the size takes twice as long.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls

from equipoise.comparison.compare import PANEL
from equipoise.metrics.ranks import MOST_KEYED
from equipoise.runs.log_evaluation import KEYED
from equipoise.tracking.history import CLASS_COUNTS
from equipoise.tracking.store import Store, open_store
from paired import REPOSITORY, copy_project, seconds, table

ROUNDS = 1
FIGURE = REPOSITORY / "docs" / "performance" / "growth.png"
FLAT = 1.15  # ratio of the last value to the first; up to here a series counts as flat
EXPONENTS = [number / 100 for number in range(1, 301)]
BLOCK = 5000  # rows drawn at once, so that this process stays small as well

QUICK = ("dataset=digits_lt", "model=linear", "trainer.epochs=1", "trainer.resume=false")
# Wall time in seconds, and peak memory in MiB.
Costs = tuple[float, float]
KINDS = ("seconds", "mebibytes")


@dataclass(frozen=True)
class Growth:
    """The best fit of y = a + b·n^k, relative to y; k is 0 where y is flat."""

    constant: float
    share: float  # b·n^k at the largest n
    exponent: float

    def __str__(self) -> str:
        return "flat" if self.exponent == 0 else f"{self.exponent:.2f}"


@dataclass(frozen=True)
class Series:
    """Sizes, and a function that returns the costs of one or more commands at a size, by name."""

    sizes: tuple[int, ...]
    costs: Callable[[Path, int], dict[str, Costs]]


def measure(rounds: int) -> tuple[dict[str, Any], str]:
    """Return the costs at each size with fitted exponents, and their table; draw the figure."""
    found: dict[str, Any] = {}
    for series in SERIES:
        with tempfile.TemporaryDirectory() as folder:
            seconds(copy_project(Path(folder)), *QUICK)  # makes the store and the bytecode
            costs = [_medians([series.costs(Path(folder), size) for _ in range(rounds)], size) for size in series.sizes]
        for name in costs[0]:
            found[name] = {"sizes": series.sizes}
            for place, kind in enumerate(KINDS):
                values = [each[name][place] for each in costs]
                found[name][kind] = {"values": values, **vars(fit(series.sizes, values))}
    _draw(found)
    return found, _table(found)


def _medians(rounds: Sequence[dict[str, Costs]], size: int) -> dict[str, list[float]]:
    medians = {
        name: [statistics.median(kind) for kind in zip(*(each[name] for each in rounds), strict=True)]
        for name in rounds[0]
    }
    for name, (taken, peak) in medians.items():
        print(f"  {name}, {size:,}: {taken:.1f} s, {peak:,.0f} MiB", flush=True)
    return medians


def fit(sizes: Sequence[float], values: Sequence[float]) -> Growth:
    """Fit at least three points by least squares relative to each value, with no negative term."""
    x, y = np.array(sizes, float) / max(sizes), np.array(values, float)
    if y[-1] <= FLAT * y[0]:
        return Growth(float(y.mean()), 0.0, 0.0)
    # For a given exponent, the rest is linear.
    found = {
        exponent: nnls(np.stack([np.ones_like(x), x**exponent], axis=1) / y[:, np.newaxis], np.ones_like(y))
        for exponent in EXPONENTS
    }
    exponent = min(found, key=lambda each: found[each][1])
    constant, share = found[exponent][0]
    return Growth(float(constant), float(share), exponent)


def _table(found: dict[str, Any]) -> str:
    lines = []
    for name, series in found.items():
        times, memory = (series[kind]["values"] for kind in KINDS)
        ends = f"{times[0]:.1f} to {times[-1]:.1f} s", f"{memory[0]:,.0f} to {memory[-1]:,.0f} MiB"
        exponents = [str(_growth(series[kind])) for kind in KINDS]
        lines.append(
            [name, f"{series['sizes'][0]:,} to {series['sizes'][-1]:,}", ends[0], exponents[0], ends[1], exponents[1]]
        )
    return table(["", "sizes", "time", "exponent", "peak memory", "exponent"], lines)


def _draw(found: dict[str, Any]) -> None:
    """Draw time above memory, one column a series."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    figure = Figure((2.7 * len(found), 5.5), layout="constrained")
    axes = figure.subplots(len(KINDS), len(found), sharex="col", sharey="row")
    for column, (name, series) in zip(axes.T, found.items(), strict=True):
        sizes = np.array(series["sizes"], float)
        between = np.geomspace(sizes[0], sizes[-1], 100)
        for place, kind in zip(column, KINDS, strict=True):
            line = _growth(series[kind])
            place.loglog(between, line.constant + line.share * (between / sizes[-1]) ** line.exponent, color="#999999")
            place.loglog(sizes, series[kind]["values"], "o", color="#0072b2")
            exponent = f"exponent {line}" if line.exponent else "flat"
            place.set_title(f"{name}\n{exponent}" if kind == "seconds" else exponent, fontsize=10)
            place.grid(alpha=0.3)
    for row, label in zip(axes, ("seconds", "peak memory, MiB"), strict=True):
        row[0].set_ylabel(label)
        row[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        row[0].yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        row[0].yaxis.set_minor_formatter(NullFormatter())
    FIGURE.parent.mkdir(exist_ok=True)
    figure.savefig(FIGURE, dpi=90)


def _growth(kind: dict[str, Any]) -> Growth:
    return Growth(kind["constant"], kind["share"], kind["exponent"])


def watched(*command: str | Path) -> Costs:
    """Return wall time and peak RssAnon of a Python program, which must succeed."""
    start, peak = time.perf_counter(), 0
    process = subprocess.Popen(
        [sys.executable, *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None:
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                peak = max(peak, int(line.split()[1]))
        time.sleep(0.1)
    if process.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {process.returncode}")
    return time.perf_counter() - start, peak / 1024


def _trained(
    name: str, rows: Callable[[int], int], features: Callable[[int], int], classes: Callable[[int], int], *options: str
) -> Any:
    """Return a function for the costs of one run on a file that has not been prepared yet."""

    def costs(project: Path, size: int) -> dict[str, Costs]:
        file = project / "data.npz"
        write_npz(file, rows(size), features(size), classes(size))
        source = (
            "dataset=npz",
            f"dataset.path='{file}'",
            "weighting=balanced",
            "trainer.epochs=1",
            "trainer.batch_size=256",
            "trainer.resume=false",
        )
        shutil.rmtree(project / "cache")
        os.sync()  # or else the disk is still busy with the file
        return {name: watched(project / "src" / "train.py", *source, *options)}

    return costs


def write_npz(file: Path, rows: int, features: int, classes: int) -> None:
    """Write noise in classes of equal size."""
    generator = np.random.default_rng(0)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        with archive.open("x.npy", "w", force_zip64=True) as stream:
            np.lib.format.write_array_header_1_0(
                stream, {"descr": "<f4", "fortran_order": False, "shape": (rows, features)}
            )
            for start in range(0, rows, BLOCK):
                stream.write(
                    generator.standard_normal((min(BLOCK, rows - start), features), dtype=np.float32).tobytes()
                )
        with archive.open("y.npy", "w") as stream:
            np.lib.format.write_array(stream, np.arange(rows) % classes)


def _in_a_full_store(project: Path, runs: int) -> dict[str, Costs]:
    """Return the costs of comparing that many runs, and of one more run."""
    store = open_store(project)
    _fill(store, runs)
    compared = watched(project / "src" / "compare.py", f"sweep={SWEEP}")
    return {"runs compared": compared, "runs in the store, one more": watched(project / "src" / "train.py", *QUICK)}


def _fill(store: Store, runs: int) -> None:
    """Add plausible runs until the store has that many, written by MLflow's client as training writes them."""
    from mlflow.entities import Metric, Param

    experiment = store.experiment(SWEEP)
    keys = [f"test/{name}" for name in PANEL] + [f"{name}/{index}" for name in PER_CLASS for index in range(MOST_KEYED)]
    for number in range(len(store.runs(sweep_id=SWEEP)), runs):
        seed, which = divmod(number, CONFIGURATIONS)
        params = {
            "dataset.name": SWEEP,
            "dataset.split_seed": "0",
            "seed": str(seed),
            "weighting.name": "power" if which else "none",
        }
        params |= {"weighting.alpha": str(which / 10)} if which else {}
        run = store.client.create_run(
            experiment,
            tags={
                "sweep_id": SWEEP,
                "weights_sha256": f"{number:064x}",
                "weighting": params["weighting.name"],
                CLASS_COUNTS: json.dumps({f"{index}": 100 - index for index in range(MOST_KEYED)}),
            },
        )
        values = np.random.default_rng(number).uniform(size=len(keys)).tolist()
        metrics = [Metric(key, value, 0, 0) for key, value in zip(keys, values, strict=True)]
        store.client.log_batch(run.info.run_id, metrics, [Param(key, value) for key, value in params.items()])
        store.client.set_terminated(run.info.run_id)


SWEEP, CONFIGURATIONS = "benchmark", 5
PER_CLASS = (*(f"test/{name}" for name in KEYED), "weight")
SERIES = (
    Series(
        (10_000, 100_000, 300_000, 1_000_000),
        _trained("rows of 20 features", lambda n: n, lambda _: 20, lambda _: 10, "model=mlp"),
    ),
    Series(
        (100_000, 200_000, 400_000, 900_000),
        _trained("rows of 1,000 features, streamed", lambda n: n, lambda _: 1000, lambda _: 10, "model=linear"),
    ),
    Series(
        (16, 128, 1024, 8192),
        _trained("features of 5,000 rows", lambda _: 5000, lambda n: n, lambda _: 10, "model=mlp"),
    ),
    Series(
        (10, 100, 1000, 10_000),
        _trained("classes of 40,000 rows", lambda _: 40_000, lambda _: 64, lambda n: n, "model=linear"),
    ),
    Series((10, 100, 500, 2000), _in_a_full_store),
)
