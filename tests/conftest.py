"""What tests share: a project of their own, TensorFlow started once, and skips that fail where nothing may be skipped."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]

Train = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Where CI=true everything that a test needs must be there, so a skip is a failure."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped under CI=true: {report.longrepr}"


def copy_project(folder: Path) -> Path:
    """The code and the config alone, so that the store, the cache and the outputs are the copy's own."""
    for name in ("src", "conf"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def train(project: Path, *overrides: str, cwd: Path | None = None, script: str = "train.py") -> "subprocess.CompletedProcess[str]":
    """`python src/train.py …` as a user runs it."""
    command = [sys.executable, str(project / "src" / script), *overrides]
    return subprocess.run(command, cwd=cwd or project, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One project for all tests that can share its runs. Its path has a space and a quote, as users' paths do."""
    return copy_project(tmp_path_factory.mktemp("it's a project"))


@pytest.fixture(scope="session")
def _tensorflow() -> None:
    from equipoise import runtime

    runtime.start("cpu", 1, deterministic=True)


@pytest.fixture
def tensorflow(_tensorflow: None) -> object:
    """TensorFlow, started as a run starts it."""
    import tensorflow as tf

    return tf
