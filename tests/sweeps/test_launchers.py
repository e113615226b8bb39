"""Where jobs run: threads for each, and what is told before anything runs."""

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from hydra.core.utils import JobReturn
from hydra.errors import CompactHydraException

from equipoise.core.errors import ConfigError
from equipoise.sweeps.launchers import choose, ray_jobs, submitit_jobs
from equipoise.sweeps.launchers.job import Ended, Job
from equipoise.sweeps.planning import plan
from helpers import REPOSITORY
from hydra_plugins.remote_launcher import RemoteLauncher
from processes import LIMIT

SWEEP = ["-m", "dataset=digits_lt", "model=linear", "seed=0,1"]


@pytest.fixture(autouse=True)
def _four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(4))


@pytest.mark.parametrize(
    ("overrides", "threads"),
    [
        ((), None),
        (("hydra/launcher=joblib",), 2),  # four workers, two jobs
        (("hydra/launcher=joblib", "hydra.launcher.n_jobs=1"), 4),
        (("hydra/launcher=submitit_local",), 2),
        (("hydra/launcher=submitit_local", "hydra.launcher.array_parallelism=1"), 4),
        (("hydra/launcher=ray", "hydra.launcher.num_cpus=3"), 3),
        (("hydra/launcher=submitit_slurm",), 2),
        (("hydra/launcher=joblib", "trainer.threads=1"), None),
    ],
)
def test_cores_are_divided(overrides: tuple[str, ...], threads: int | None) -> None:
    found = plan([*SWEEP, *overrides])
    assert found
    assert [line for line in found.handed_over if line.startswith("trainer.threads")] == (
        [f"trainer.threads={threads}"] if threads else []
    )


def test_the_launcher_does_not_change_the_sweep() -> None:
    plans = [plan([*SWEEP, *more]) for more in ((), ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"))]
    assert len({found.sweep.id for found in plans if found and found.sweep}) == 1


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("hydra/launcher=ray", "hydra.launcher.address=head"), "must be local, HOST:PORT or ray://HOST:PORT"),
        (("hydra/launcher=ray", "hydra.launcher.address=127.0.0.1:9"), "no Ray cluster answers there"),
        (("hydra/launcher=submitit_slurm",), "needs Slurm's sbatch, squeue and srun"),
    ],
)
def test_no_cluster(overrides: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    found = plan([*SWEEP, *overrides])
    assert found
    assert found.sweep
    with pytest.raises(ConfigError, match=said):
        choose.reach(found.sweep.launcher_options, found.sweep.id, "local")


def processes(*overrides: str) -> submitit_jobs.Options:
    """The options of processes of this machine."""
    found = plan([*SWEEP, "hydra/launcher=submitit_local", *overrides])
    assert found
    assert found.sweep
    assert isinstance(found.sweep.launcher_options, submitit_jobs.Options)
    return found.sweep.launcher_options


@pytest.mark.slow
def test_two_processes_run_at_once_and_one_that_is_killed_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY / "src"))
    begun, running, counted = tmp_path / "begun", tmp_path / "running", tmp_path / "counted"
    begun.mkdir()
    running.mkdir()

    def job(number: int) -> Callable[[], Ended]:
        def run() -> Ended:
            (running / str(number)).touch()
            (begun / str(number)).touch()
            patience = time.monotonic() + 60
            while number < 2 and len(list(begun.iterdir())) < 2 and time.monotonic() < patience:
                time.sleep(0.01)  # the first two meet, however long either takes to start
            with counted.open("a") as file:
                file.write(f"{len(list(running.iterdir()))} ")
            time.sleep(0.5)
            (running / str(number)).unlink()
            if number == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            if number == 2:
                raise ValueError("no answer")
            return Ended(JobReturn(), str(number))

        return run

    options = processes("hydra.launcher.array_parallelism=2", f"hydra.launcher.submitit_folder={tmp_path}/%j")
    outcomes = dict(submitit_jobs.run([job(number) for number in range(5)], options))
    assert [
        outcome.said if isinstance(outcome, Ended) else outcome.reason.split(",")[0]
        for _, outcome in sorted(outcomes.items())
    ] == [
        "0",
        "its process is gone",
        "ValueError: no answer",
        "3",
        "4",
    ]
    assert max(map(int, counted.read_text().split())) == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")  # which is what it is to end
def test_processes_end_with_the_one_that_started_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY / "src"))
    pid = tmp_path / "pid"

    def endless() -> Ended:
        pid.write_text(str(os.getpid()))
        time.sleep(600)
        raise AssertionError

    def short() -> Ended:
        while not pid.exists() or not pid.read_text():
            time.sleep(0.01)
        return Ended(JobReturn(), "")

    options = processes(f"hydra.launcher.submitit_folder={tmp_path}/%j")
    outcomes = submitit_jobs.run([endless, short], options)
    next(outcomes)
    process = psutil.Process(int(pid.read_text()))
    outcomes.close()
    process.wait(LIMIT)
    with pytest.raises(CompactHydraException, match=r"the jobs cannot be submitted: .*File exists"):
        next(submitit_jobs.run([short], processes(f"hydra.launcher.submitit_folder={pid}/%j")))


@pytest.mark.slow
def test_jobs_on_ray_are_interrupted_with_the_process_that_started_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY / "src"))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    begun, interrupted = tmp_path / "begun", tmp_path / "interrupted"

    def endless() -> Ended:
        try:
            begun.touch()
            while True:
                time.sleep(0.01)
        except KeyboardInterrupt:
            interrupted.touch()
            raise

    def short() -> Ended:
        while not begun.exists():
            time.sleep(0.01)
        return Ended(JobReturn(), "")

    options = ray_jobs.Options(
        engine="ray", address="local", cores=2, folder=None, num_cpus=1, num_gpus=0, max_retries=0
    )
    try:
        outcomes = ray_jobs.run([endless, short], options)
        assert next(outcomes)[0] == 1
        outcomes.close()
        assert interrupted.exists()
    finally:
        ray.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Ray Client connection timed out")
def test_an_address_where_no_ray_cluster_answers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.util.client import worker

    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    for patience in ("INITIAL_TIMEOUT_SEC", "MAX_TIMEOUT_SEC"):
        monkeypatch.setattr(worker, patience, 1)
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"ray://127.0.0.1:{other.getsockname()[1]}"
        options = ray_jobs.Options(
            engine="ray", address=address, cores=None, folder=None, num_cpus=1, num_gpus=0, max_retries=0
        )
        with pytest.raises(
            ConfigError, match=rf"address={address}: .*; if the cluster asks for a token: export RAY_AUTH_MODE=token"
        ):
            ray_jobs.connect(options)


def test_a_slurm_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its commands are there, and its controller is away, or does not know the job any more."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    def answers(error: str) -> None:
        for name in ("sbatch", "squeue", "srun", "sinfo"):
            (tmp_path / name).write_text(f"#!/bin/sh\necho slurm_load_jobs error: {error} >&2\nexit 1\n")
            (tmp_path / name).chmod(0o755)

    job: Any = SimpleNamespace(job_id="7_0")
    answers("Unable to contact slurm controller")
    with pytest.raises(ConfigError, match="Slurm's controller does not answer"):
        submitit_jobs.check()
    assert submitit_jobs.ended_states({3: job}, submitit_jobs.SLURM) == {}
    answers("Invalid job id specified")
    assert submitit_jobs.ended_states({3: job}, submitit_jobs.SLURM) == {3: "forgotten"}


def test_a_job_comes_to_a_machine_that_cannot_log_it_or_is_queued_again() -> None:
    nothing: Any = None
    job = Job(nothing, nothing, nothing, nothing, "/", {}, "", "a host of its own")
    with pytest.raises(ConfigError, match="tracking=local is a file of a host of its own, and this job came to"):
        job()
    assert job.checkpoint().function is job


def test_the_folder_of_a_sweep_on_the_machines_of_a_ray_cluster() -> None:
    launcher, there = RemoteLauncher(), SimpleNamespace(folder="/there")
    for folder, expected in (("multirun/a", "/there/multirun/a"), ("/elsewhere/b", "/there/b")):
        launcher.folder = REPOSITORY / folder
        assert launcher.folder_there(there) == Path(expected)


def test_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="did you mean 'joblib'"):
        plan([*SWEEP, "hydra/launcher=joblb"])
    with pytest.raises(ConfigError, match="add -m"):
        plan(["hydra/launcher=ray"])
    with pytest.raises(ConfigError, match=r"hydra\.launcher\.adress.*did you mean 'hydra\.launcher\.address'"):
        plan([*SWEEP, "hydra/launcher=ray", "hydra.launcher.adress=head:6379"])
    with pytest.raises(
        ConfigError, match=r"hydra\.launcher\.num_cpus=0: .* greater than or equal to 1\n.*num_gpus=x: .* valid number"
    ):
        plan([*SWEEP, "hydra/launcher=ray", "hydra.launcher.num_cpus=0", "hydra.launcher.num_gpus=x"])
    for workers in ("ten", "0", "1.5"):
        with pytest.raises(
            ConfigError, match=rf"hydra\.launcher\.n_jobs={workers}: must be a whole number of workers, or -1"
        ):
            plan([*SWEEP, "hydra/launcher=joblib", f"hydra.launcher.n_jobs={workers}"])
    monkeypatch.setattr(choose, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="make setup EXTRA=sweeps"):
        plan([*SWEEP, "hydra/launcher=ray"])
