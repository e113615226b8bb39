"""What this project runs on: versions, device, store. For a question or a bug report."""

import platform
import sys
from importlib.metadata import version

from equipoise import runtime, tracking
from equipoise.paths import project_root
from equipoise.terminal import print_table

PACKAGES = ("tensorflow", "keras", "hydra-core", "mlflow", "dvc", "scikit-learn", "numpy")


def main() -> int:
    """Print the table; returns the exit code."""
    device = runtime.start("auto", "auto", deterministic=True)
    store = tracking.open_store(project_root())
    rows = [("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")]
    rows += [(package, version(package)) for package in PACKAGES]
    rows += [("device", device), ("store", store.uri), ("runs", str(len(store.runs())))]
    print_table("Equipoise runs on", ("what", "which"), rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
