"""Run jobs on a Ray cluster: on this machine until the sweep ends, or at an address, whose nodes receive the code."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from equipoise.core.errors import ConfigError
from equipoise.core.schema import PositiveInt, Section
from equipoise.core.streams import quiet
from equipoise.sweeps.launchers.job import Ended, Lost

ON_THIS_MACHINE = "local"
PATIENCE = 5  # seconds that the address has to answer
ERROR = 40  # level of Python's logging
OBJECT_STORE = 80_000_000  # bytes, near Ray's minimum: jobs and their answers are small
SENT = Path(__file__).parents[3]  # only src/ is sent, neither data nor runs


class Options(Section):
    """The options in conf/hydra/launcher/ray.yaml."""

    engine: Literal["ray"]
    address: str
    cores: PositiveInt | None
    folder: str | None
    num_cpus: PositiveInt
    num_gpus: Annotated[float, Field(ge=0, strict=False)]
    max_retries: Annotated[int, Field(ge=0)]

    @property
    def leaves_this_machine(self) -> bool:
        """Whether jobs may run where this machine's files are not."""
        return self.address != ON_THIS_MACHINE


def connect(options: Options) -> None:
    """Connect this process to the cluster, unless it is connected already.

    Raises
    ------
    ConfigError
        If there is no cluster at the address.
    """
    import ray

    if ray.is_initialized():
        return
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": ERROR}
    address = options.address
    with _signals_kept():
        if address == ON_THIS_MACHINE:
            ray.init(
                address=address,
                num_cpus=options.cores,
                object_store_memory=OBJECT_STORE,
                include_dashboard=False,
                **settings,
            )
            return
        _knock(address)
        with quiet():  # Ray prints each attempt
            try:
                ray.init(
                    address=address, runtime_env={"working_dir": str(SENT), "excludes": ["__pycache__"]}, **settings
                )
            except (ConnectionError, RuntimeError, ValueError, OSError) as error:
                is_asked = "RAY_AUTH_MODE" not in os.environ
                token = "; if the cluster asks for a token: export RAY_AUTH_MODE=token RAY_AUTH_TOKEN=…" * is_asked
                raise ConfigError(f"hydra.launcher.address={address}: {_in_a_line(error)}{token}") from None


def _knock(address: str) -> None:
    """Check that something answers at the address; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdecimal()):
        raise ConfigError(f"hydra.launcher.address={address}: must be local, HOST:PORT or ray://HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"hydra.launcher.address={address}: no Ray cluster answers there ({why})") from None


def hold(sweep: str) -> Any:
    """Reserve the sweep on the cluster: jobs on machines without a shared disk cannot see each other's locks.

    Returns
    -------
    An object that reserves the sweep as long as it is referred to, at most until this process ends.

    Raises
    ------
    ConfigError
        If another process has reserved the sweep.
    """
    import ray

    try:
        return ray.remote(num_cpus=0)(_Held).options(name=sweep, namespace="equipoise").remote()
    except ValueError:
        raise ConfigError(
            f"sweep={sweep} is being run on this cluster by another process; "
            "the same command can go on with it afterwards"
        ) from None


class _Held:
    """An actor that exists for its name alone, and ends with the process that made it."""


def other_hosts() -> list[str]:
    """Return the names of the cluster's other machines."""
    import ray

    return sorted({node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]} - {socket.gethostname()})


def lacking(options: Options) -> list[str]:
    """Return a warning for each resource that a job asks for and no machine of the cluster has yet."""
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    most = {
        option: max((node.get(resource, 0) for node in nodes), default=0)
        for option, resource in (("num_cpus", "CPU"), ("num_gpus", "GPU"))
    }
    return [
        f"the jobs wait for a machine: hydra.launcher.{option}={getattr(options, option)}, "
        f"and no machine of the cluster has more than {has:g} now"
        for option, has in most.items()
        if getattr(options, option) > has
    ]


def run(jobs: Sequence[Callable[[], Ended]], options: Options) -> Iterator[tuple[int, Ended | Lost]]:
    """Run the jobs on the cluster, and yield each job's number and outcome as it ends; a lost job costs no other."""
    import ray
    from ray.exceptions import RayError

    connect(options)
    remote = ray.remote(num_cpus=options.num_cpus, num_gpus=options.num_gpus, max_retries=options.max_retries)(_run)
    running = {remote.remote(job): number for number, job in enumerate(jobs)}
    try:
        while running:
            (ended, *_), _ = ray.wait(list(running))
            try:
                outcome: Ended | Lost = ray.get(ended)
            except RayError as error:
                outcome = Lost(_in_a_line(getattr(error, "cause", None) or error))
            yield running.pop(ended), outcome
    finally:
        for job in running:
            ray.cancel(job)  # raises KeyboardInterrupt in the job, which closes its run
        if running:
            ray.wait(list(running), num_returns=len(running), timeout=PATIENCE)


def _run(job: Callable[[], Ended]) -> Ended:  # pragma: no cover - in a worker that Ray kills when it is done
    return job()


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Restore this process's handler of SIGTERM, which Ray replaces by its own."""
    before = signal.getsignal(signal.SIGTERM) if threading.current_thread() is threading.main_thread() else None
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _in_a_line(error: Exception) -> str:
    """Return the first sentence of a message that may fill a page."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line.split(". ")[0].rstrip(".")
