"""What all tests share: one project, TensorFlow started once, and skips that fail where nothing may be skipped."""

import gc
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from equipoise.tracking.store import Store
from helpers import copy_project, new_store
from processes import Processes, ended_after
from servers import Server, running_server

# Ignored by what a shell starts in the background, or nohup does, as tests may be, and by all that this starts in turn.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
# The first example pays for imports, and the machine may be busy: time is no property here.
settings.register_profile("equipoise", deadline=None, max_examples=50)
settings.load_profile("equipoise")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--device", choices=["cpu", "gpu"], default="cpu", help="where TensorFlow is started in the tests' own process"
    )


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Where CI=true everything that a test needs must be there, so a skip is a failure."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped under CI=true: {report.longrepr}"


def pytest_collection_finish() -> None:
    """Let the collector pass over what the imports have made, some million objects that live as long as the tests."""
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_store_in_the_environment() -> Iterator[None]:
    """Forget what MLflow writes into the environment: the next test, or `mlflow run`, would take it."""
    written = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID")
    for name in written:
        os.environ.pop(name, None)
    yield
    for name in written:
        os.environ.pop(name, None)


@pytest.fixture(scope="session")
def _path_of_modules() -> tuple[str, ...]:
    return tuple(sys.path)


@pytest.fixture(autouse=True)
def _no_copy_of_the_project_is_imported(_path_of_modules: tuple[str, ...]) -> Iterator[None]:
    """Forget the folders that MLflow puts before all others when it loads a model that brings this package along.

    A process that a later test starts would import the model's copy, which has no conf/.
    """
    sys.path[:] = _path_of_modules
    yield
    sys.path[:] = _path_of_modules


@pytest.fixture(autouse=True)
def _float32_again() -> Iterator[None]:
    """Set back Keras's precision, which a training sets for its whole process."""
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].config.set_dtype_policy("float32")


@pytest.fixture(autouse=True, scope="session")
def _no_width_in_the_environment() -> None:
    """Give commands no width of the tests' own terminal; readline sets one past `os.environ`."""
    os.environ.pop("COLUMNS", None)
    os.unsetenv("COLUMNS")


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One project for all tests that can share its runs. Its path has a space and a quote, as users' paths do."""
    return copy_project(tmp_path_factory.mktemp("it's a project"), with_store=True)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the prepared data of one file's tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store of one file's tests, without a run."""
    return new_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The tracking server of `make server`, on PostgreSQL, for all tests that need one."""
    # Not below pytest's own folder, which is closed to others: PostgreSQL, started by root, runs as another user.
    with tempfile.TemporaryDirectory(prefix="equipoise-server-") as folder:
        Path(folder).chmod(0o711)
        with running_server(copy_project(Path(folder) / "project")) as started:
            yield started


@pytest.fixture
def processes() -> Iterator[Processes]:
    """What a test starts, ended with it."""
    with ended_after() as begun:
        yield begun


@pytest.fixture(autouse=True, scope="session")
def _tensorflow_first(request: pytest.FixtureRequest) -> None:
    """Start TensorFlow before any test of a worker could use it in another way; a single file runs without."""
    if hasattr(request.config, "workerinput"):
        request.getfixturevalue("tensorflow")


@pytest.fixture(scope="session")
def tensorflow(pytestconfig: pytest.Config) -> object:
    """TensorFlow, started once as a run starts it."""
    from equipoise.training import runtime

    runtime.start(pytestconfig.getoption("--device"), 1, deterministic=True)
    import tensorflow as tf

    return tf
