"""Where jobs run: threads for each, and what is told before anything runs."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.utils import JobReturn

from equipoise import batch, launchers
from equipoise.command_line import plan
from equipoise.options import ConfigError
from equipoise.remote import Ended
from helpers import REPOSITORY

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
    assert [line for line in found.handed_over if line.startswith("trainer.threads")] == ([f"trainer.threads={threads}"] if threads else [])


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
        launchers.reach(found.sweep.launcher_options, found.sweep.id, "local")


def test_processes_of_this_machine_are_so_many_at_once_and_one_that_is_killed_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY / "src"))
    running, most = tmp_path / "running", tmp_path / "most"
    running.mkdir()

    def job(number: int) -> Callable[[], Ended]:
        def run() -> Ended:
            (running / str(number)).touch()
            time.sleep(0.5)
            with most.open("a") as file:
                file.write(f"{len(list(running.iterdir()))} ")
            (running / str(number)).unlink()
            if number == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return Ended(JobReturn(), str(number))

        return run

    found = plan([*SWEEP, "hydra/launcher=submitit_local", "hydra.launcher.array_parallelism=2", f"hydra.launcher.submitit_folder={tmp_path}/%j"])
    assert found
    assert found.sweep
    assert isinstance(found.sweep.launcher_options, batch.Options)
    outcomes = dict(batch.run([job(number) for number in range(5)], found.sweep.launcher_options))
    assert [outcome.said if isinstance(outcome, Ended) else outcome.reason.split(",")[0] for _, outcome in sorted(outcomes.items())] == [
        "0",
        "its process is gone",
        "2",
        "3",
        "4",
    ]
    assert max(map(int, most.read_text().split())) <= 2


def test_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="did you mean 'joblib'"):
        plan([*SWEEP, "hydra/launcher=joblb"])
    with pytest.raises(ConfigError, match="add -m"):
        plan(["hydra/launcher=ray"])
    with pytest.raises(ConfigError, match=r"hydra\.launcher\.adress.*did you mean 'hydra\.launcher\.address'"):
        plan([*SWEEP, "hydra/launcher=ray", "hydra.launcher.adress=head:6379"])
    with pytest.raises(ConfigError, match=r"hydra\.launcher\.num_cpus=0: .* greater than or equal to 1\n.*num_gpus=x: .* valid number"):
        plan([*SWEEP, "hydra/launcher=ray", "hydra.launcher.num_cpus=0", "hydra.launcher.num_gpus=x"])
    for workers in ("ten", "0", "1.5"):
        with pytest.raises(ConfigError, match=rf"hydra\.launcher\.n_jobs={workers}: must be a whole number of workers, or -1"):
            plan([*SWEEP, "hydra/launcher=joblib", f"hydra.launcher.n_jobs={workers}"])
    monkeypatch.setattr(launchers, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="make setup EXTRA=sweeps"):
        plan([*SWEEP, "hydra/launcher=ray"])
