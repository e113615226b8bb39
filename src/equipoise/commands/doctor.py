"""Print what this project runs on: versions, device, store. For a question or a bug report.

python src/doctor.py [tracking=server]
"""

import platform
from collections.abc import Sequence
from importlib.metadata import version

from equipoise.core import key_values
from equipoise.core.paths import project_root
from equipoise.core.terminal import print_table
from equipoise.tracking.history import run_count
from equipoise.tracking.store import open_store
from equipoise.training import runtime

PACKAGES = ("tensorflow", "keras", "hydra-core", "mlflow", "dvc", "scikit-learn", "numpy")


def _print(words: Sequence[str]) -> None:
    store = open_store(project_root(), key_values.store(key_values.read(words, ["tracking"])))
    device = runtime.start("auto", "auto", deterministic=True)
    rows = [("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")]
    rows += [(package, version(package)) for package in PACKAGES]
    rows += [("device", device), ("store", store.uri), ("runs", run_count(store))]
    print_table("Equipoise runs on", ("what", "which"), rows)


def main(words: Sequence[str]) -> int:
    """Do what was typed; return the exit code."""
    return key_values.answer(words, __doc__, _print)
