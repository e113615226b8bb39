"""A registered model brings the packages that its code imports."""

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

import pytest

from equipoise.core.paths import package_folder
from equipoise.serving.register import REQUIREMENTS

LOADED = """
import json, sys
import equipoise.serving.predict, equipoise.serving.predictions, equipoise.serving.prior_of_rows
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def brought(package: str, known: set[str]) -> set[str]:
    """The package and all that it needs, without its extras."""
    name = re.sub(r"[-_.]+", "-", package).lower()
    if name not in known:
        known.add(name)
        try:
            needed = requires(name) or []
        except PackageNotFoundError:
            return known
        for line in needed:
            if "extra ==" not in line:
                brought(re.split(r"[^\w.-]", line)[0], known)
    return known


@pytest.mark.slow
def test_what_a_folder_imports_is_in_its_requirements() -> None:
    """Of an estimator's folder, which brings no TensorFlow."""
    command = [sys.executable, "-c", LOADED]
    found = subprocess.run(command, cwd=package_folder().parent, capture_output=True, text=True, check=True, timeout=60)
    known: set[str] = set()
    for package in REQUIREMENTS:
        brought(package, known)
    of, ours = packages_distributions(), {"equipoise", "_distutils_hack"}
    missing = [
        name
        for name in json.loads(found.stdout)
        if name in of and name not in ours and not {re.sub(r"[-_.]+", "-", each).lower() for each in of[name]} & known
    ]
    assert missing == []
