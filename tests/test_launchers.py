"""Where jobs run: threads for each, and what is told before anything runs."""

import os

import pytest

from equipoise import launchers
from equipoise.command_line import plan
from equipoise.options import ConfigError

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


def test_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="did you mean 'joblib'"):
        plan([*SWEEP, "hydra/launcher=joblb"])
    with pytest.raises(ConfigError, match="add -m"):
        plan(["hydra/launcher=ray"])
    monkeypatch.setattr(launchers, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="make setup EXTRA=sweeps"):
        plan([*SWEEP, "hydra/launcher=ray"])
