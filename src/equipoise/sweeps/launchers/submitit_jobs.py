"""Run jobs as processes of this machine or as jobs of Slurm; submitit starts them, and they answer through files."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from hydra.errors import CompactHydraException
from pydantic import Field

from equipoise.core.errors import ConfigError
from equipoise.core.process import cores
from equipoise.core.schema import PositiveInt, Section
from equipoise.sweeps.launchers.job import Ended, Lost

if TYPE_CHECKING:
    from submitit import Executor
    from submitit import Job as Submitted

LOCAL, SLURM = "local", "slurm"
# The options of both engines.
SHARED = ("timeout_min", "cpus_per_task", "gpus_per_node", "mem_gb", "name", "stderr_to_stdout")
INTERVAL = 0.5  # seconds between two looks for answers
ASKING = 5  # seconds between two questions to Slurm, which serves many users
GRACE = 10  # seconds until the answer of an ended job appears on a shared disk
# The states of a job that will not answer any more. Slurm forgets a job minutes after its end.
OVER = {
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "REVOKED",
    "TIMEOUT",
    "forgotten",
}


class Options(Section):
    """The options in conf/hydra/launcher/submitit_local.yaml."""

    engine: Literal["local", "slurm"]
    submitit_folder: str
    timeout_min: PositiveInt
    cpus_per_task: PositiveInt | None
    gpus_per_node: PositiveInt | None
    mem_gb: Annotated[float, Field(gt=0, strict=False)] | None
    name: str
    stderr_to_stdout: bool
    array_parallelism: PositiveInt | None

    @property
    def leaves_this_machine(self) -> bool:
        """Whether jobs may run where this machine's files are not, or later, when they may have been edited."""
        return self.engine == SLURM


class SlurmOptions(Options):
    """The options in conf/hydra/launcher/submitit_slurm.yaml."""

    partition: str | None
    account: str | None
    qos: str | None
    constraint: str | None
    setup: list[str] | None
    additional_parameters: dict[str, Any]


def check() -> None:
    """Check that this machine can submit to Slurm.

    Raises
    ------
    ConfigError
        If it cannot.
    """
    if not all(map(shutil.which, ("sbatch", "squeue", "srun"))):
        raise ConfigError(
            "hydra/launcher=submitit_slurm needs Slurm's sbatch, squeue and srun, which are not on the PATH here: "
            "use a login node of the cluster"
        )
    if _ask("sinfo", "--noheader") is None:
        raise ConfigError("hydra/launcher=submitit_slurm: Slurm's controller does not answer (sinfo says why)")


def other_hosts(options: SlurmOptions) -> list[str]:
    """Return the names of the other machines that Slurm may run a job on."""
    partition = ["--partition", options.partition] if options.partition else []
    return sorted(
        set((_ask("sinfo", "--noheader", "--Node", "--format=%n", *partition) or "").split())
        - {socket.gethostname(), socket.gethostname().split(".")[0]}
    )


def run(jobs: Sequence[Callable[[], Ended]], options: Options) -> Iterator[tuple[int, Ended | Lost]]:
    """Run the jobs, and yield each job's number and outcome as it ends.

    A lost job costs no other. All jobs end if this process is interrupted.
    """
    with _submitting():
        executor = _executor(options)
    waiting = dict(enumerate(jobs))
    running: dict[int, Submitted[Ended]] = {}
    over: dict[int, tuple[str, float]] = {}  # the state of jobs that ended without an answer, and since when
    asked = time.monotonic()
    try:
        while waiting or running:
            started = list(waiting)[: _at_once(options) - len(running)]
            running.update(zip(started, _submit(executor, [waiting.pop(number) for number in started]), strict=True))
            time.sleep(INTERVAL)
            if options.engine == LOCAL or time.monotonic() - asked > ASKING:
                asked = time.monotonic()
                over = {
                    number: (state, over.get(number, (state, asked))[1])
                    for number, state in ended_states(running, options.engine).items()
                }
            for number, job in list(running.items()):
                outcome = _outcome(
                    job, *over.get(number, ("", time.monotonic())), GRACE if options.engine == SLURM else 0
                )
                if outcome:
                    del running[number]
                    yield number, outcome
    finally:
        for job in running.values():
            job.cancel(check=False)


def _at_once(options: Options) -> int:
    """Return how many jobs are submitted at a time; Slurm itself limits how many run."""
    return 1_000_000 if options.engine == SLURM else at_once(options)


def at_once(options: Options) -> int:
    """Return how many processes of this machine run at once."""
    return options.array_parallelism or cores()


def _executor(options: Options) -> "Executor":
    import submitit

    executor = submitit.AutoExecutor(options.submitit_folder, cluster=options.engine)
    ours = {"engine", "submitit_folder"} | ({"array_parallelism"} if options.engine == LOCAL else set())
    given = options.model_dump(exclude=ours, exclude_none=True)
    executor.update_parameters(
        **{key if key in SHARED else f"{options.engine}_{key}": value for key, value in given.items()}
    )
    return executor


def _submit(executor: "Executor", jobs: Sequence[Callable[[], Ended]]) -> "list[Submitted[Ended]]":
    if not jobs:
        return []
    with _submitting(), executor.batch():  # one array in Slurm
        return [executor.submit(job) for job in jobs]


@contextlib.contextmanager
def _submitting() -> Iterator[None]:
    """Turn whatever submitit raises about its folder or sbatch into an error of one line."""
    try:
        yield
    except Exception as error:
        said = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise CompactHydraException(
            f"the jobs cannot be submitted: {said[-1] if said else type(error).__name__}"
        ) from None


def ended_states(running: "Mapping[int, Submitted[Ended]]", engine: str) -> dict[int, str]:
    """Return the state of each job that no longer runs."""
    if engine == LOCAL:
        return {number: "its process is gone" for number, job in running.items() if job.done()}
    ids = ",".join(job.job_id for job in running.values())
    said = _ask(
        "squeue", "--noheader", "--array", "--states=all", "--format=%i %T", f"--jobs={ids}", unknown="Invalid job id"
    )
    if said is None:  # the controller is away, and the jobs are not
        return {}
    states = dict(line.split() for line in said.splitlines())
    found = {number: states.get(job.job_id, "forgotten") for number, job in running.items()}
    return {number: state for number, state in found.items() if state in OVER}


def _outcome(job: "Submitted[Ended]", state: str, since: float, grace: float) -> Ended | Lost | None:
    if job.paths.result_pickle.exists():
        try:
            ended: Ended = job.result()
        except Exception as error:
            lines = [line.strip() for line in str(error).splitlines()]
            return Lost(next((line for line in reversed(lines) if "Error" in line), type(error).__name__))
        return ended
    if state and time.monotonic() - since >= grace:
        return Lost(f"{state.lower().replace('_', ' ')}, job {job.job_id}", str(job.paths.stderr))
    return None


def _ask(*command: str, unknown: str | None = None) -> str | None:
    """Return the output of one of Slurm's commands; None if it fails, empty if it does not know the job."""
    with contextlib.suppress(OSError):
        found = subprocess.run(command, capture_output=True, text=True)
        if found.returncode == 0:
            return found.stdout
        if unknown and unknown in found.stderr:
            return ""
    return None
