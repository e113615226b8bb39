"""Time this project against what a user would write instead: in turn, on the same data, machine and threads.

    python benchmarks/bench.py [PART …] [rounds=N]

    answers    help, completion, a mistake and weights.py, and a bare Hydra program over the same conf/
    training   an epoch of each engine, of plain Keras, and of a loop by hand
    gpu        the same on a GPU; skipped without a GPU, unless named
    tiny       a run of a few seconds as a command, and a bare Keras script: what is not training
    run        one run as a command, and a bare Keras script, alone and with MLflow's autologging
    sweep      24 runs as separate commands, in one process, and in two
    stacked    24 small runs one after the other, and as one program, on a GPU if there is one
    metrics    an evaluation, and scikit-learn's functions for the same numbers
    growth     time and memory of a run against rows, classes, features, and runs in the store
    large      20,000 runs, 10,000,000 rows, 1,000,000 images and 10,000 classes; only if named, since it takes long

Prints the tables and writes results.json, results.md and growth.png into docs/performance/. Each part replaces its own
earlier results and keeps those of the others. docs/performance.md quotes the medians.
"""

import importlib
import json
import os
import platform
import re
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.markdown import Markdown

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "src"))

from equipoise.core import key_values
from equipoise.core.errors import ConfigError, suggestion
from equipoise.tracking import gpu_usage
from equipoise.training.runtime import unused_gpu

PARTS = ("answers", "training", "gpu", "tiny", "run", "sweep", "stacked", "metrics", "growth", "large")
IF_NAMED = ("gpu", "large")
PACKAGES = ("tensorflow", "keras", "mlflow", "scikit-learn", "numpy", "scipy")
RESULTS = REPOSITORY / "docs" / "performance"
INTRODUCTION = """# Results of the benchmarks

Written by `make bench`. A ratio such as `0.52 (0.42 to 0.53)` is the median and range over the rounds."""


def _bench(words: Sequence[str]) -> None:
    options = key_values.read([word for word in words if "=" in word], ["rounds"])
    rounds = key_values.whole_number(options, "rounds")
    typed = [word for word in words if "=" not in word]
    for word in typed:
        if word not in PARTS:
            raise ConfigError(f"{word}: there is no such part{suggestion(word, PARTS)}")
    for part in PARTS:
        if part in typed or (not typed and (part not in IF_NAMED or (part == "gpu" and unused_gpu()))):
            print(f"{part}:", flush=True)
            found, text = _alone(part, rounds)
            _write(part, found, text)
            Console(width=max(160, Console().width)).print(Markdown(text))


def _alone(part: str, rounds: int | None) -> tuple[dict[str, Any], str]:
    """Measure a part in a process of its own, since TensorFlow fixes its threads at start."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_measured, part, rounds).result()


def _measured(part: str, rounds: int | None) -> tuple[dict[str, Any], str]:
    module, when, on = importlib.import_module(part), date.today(), machine()
    rounds = rounds or module.ROUNDS
    found, text = module.measure(rounds)
    gpus = "".join(f" {name}," for name in on["gpus"])
    told = (
        f"{when.day} {when:%B %Y}, {on['processor']}, {on['cores']} cores,{gpus} "
        f"TensorFlow {on['versions']['tensorflow']}, rounds: {rounds}."
    )
    return {"date": str(when), "machine": on, "rounds": rounds, "found": found}, f"{told}\n\n{text}"


def machine() -> dict[str, Any]:
    """Return what the numbers depend on: hardware, load and versions."""
    names = re.findall(
        r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text() if sys.platform == "linux" else "", re.MULTILINE
    )
    return {
        "processor": names[0] if names else platform.machine(),
        "cores": psutil.cpu_count(),
        "gpus": _gpus(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load": round(os.getloadavg()[0], 2),
        "system": platform.system(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }


def _gpus() -> list[str]:
    if not (unused_gpu() and gpu_usage.is_known()):
        return []
    import pynvml

    pynvml.nvmlInit()
    return [
        pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(index))
        for index in range(pynvml.nvmlDeviceGetCount())
    ]


def _write(part: str, found: dict[str, Any], text: str) -> None:
    RESULTS.mkdir(exist_ok=True)
    numbers, tables = RESULTS / "results.json", RESULTS / "results.md"
    known = {**(json.loads(numbers.read_text()) if numbers.exists() else {}), part: found}
    numbers.write_text(json.dumps({name: known[name] for name in PARTS if name in known}, indent=1) + "\n")
    if not tables.exists():
        empty = "\n\n".join(f"## {name}\n\n<!-- {name} -->\n<!-- end of {name} -->" for name in PARTS)
        tables.write_text(f"{INTRODUCTION}\n\n{empty}\n")
    tables.write_text(with_passage(tables.read_text(), part, text))


def with_passage(page: str, part: str, text: str) -> str:
    """Return the page with the text between the two comments that name the part replaced."""
    begin, end = f"<!-- {part} -->", f"<!-- end of {part} -->"
    if page.count(begin) != 1 or page.count(end) != 1:
        raise ValueError(f"the page needs {begin} and {end}, once")
    return page.partition(begin)[0] + f"{begin}\n\n{text}\n\n{end}" + page.partition(end)[2]


if __name__ == "__main__":
    sys.exit(key_values.answer(sys.argv[1:], __doc__, _bench))
