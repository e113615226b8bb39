"""Sweeps as a user runs them: by every launcher, on clusters, again, killed, and shared by two commands."""

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusters import ELSEWHERE, ray_cluster, slurm
from equipoise.tracking.store import Store, open_store
from helpers import copy_project, jobs, train
from processes import Processes
from servers import Server, as_user

pytestmark = pytest.mark.slow

JOBS = ["-m", "dataset=digits_lt", "model=linear", "trainer.epochs=200", "trainer.threads=1", "weighting=none,balanced"]


@pytest.fixture(scope="module")
def calm(project: Path) -> Any:
    """The sweep undisturbed, in one process."""
    found = train(project, *JOBS, "sweep=calm")
    assert found.returncode == 0, found.stdout + found.stderr
    return found


@pytest.fixture(scope="module")
def store(project: Path, calm: Any) -> Store:
    return open_store(project)


def summary(store: Store, sweep: str) -> Any:
    (run,) = store.runs(kind="sweep", sweep_id=sweep)
    return run


def table(store: Store, sweep: str, name: str = "jobs") -> list[list[Any]]:
    """A table of the summary run, but for run ids."""
    run = summary(store, sweep)
    path = Path(store.root) / "mlruns" / "digits_lt" / str(run.info.run_id) / "artifacts" / f"{name}.json"
    whole = json.loads(path.read_text())
    kept = [index for index, heading in enumerate(whole["columns"]) if heading != "run"]
    return [[row[index] for index in kept] for row in whole["data"]]


def digests(store: Store, sweep: str) -> dict[str, tuple[str, str]]:
    """Status and digest of each job's one run."""
    runs = jobs(store, sweep_id=sweep)
    found = {run.data.tags["config_sha256"]: (run.info.status, run.data.tags.get("weights_sha256", "")) for run in runs}
    assert len(found) == len(runs), "no job is doubled"
    return found


def command_of(project: Path, *overrides: str) -> list[str]:
    return [sys.executable, str(project / "src/train.py"), *overrides]


def running(store: Store, sweep: str, finished: int = 0, **tags: str) -> Any:
    """A run that has logged an epoch, if so many others are finished, all with these tags."""
    runs = jobs(store, sweep_id=sweep, **tags)
    busy = [run for run in runs if run.info.status == "RUNNING" and "val/loss" in run.data.metrics]
    return busy[0] if busy and sum(run.info.status == "FINISHED" for run in runs) >= finished else None


def held(store: Store, sweep: str, finished: int = 0, **tags: str) -> Any:
    """Such a run, whose process stands still so that the run cannot end before the process is killed.

    It leaves the store's lock to others while it stands.
    """
    run = running(store, sweep, finished, **tags)
    if run is None:
        return None
    os.kill(pid_of(run), signal.SIGSTOP)
    if not is_locked(store) and store.client.get_run(run.info.run_id).info.status == "RUNNING":
        return run
    os.kill(pid_of(run), signal.SIGCONT)  # in the midst of a request, or over already
    return None


def is_locked(store: Store) -> bool:
    with contextlib.closing(sqlite3.connect(store.root / "mlflow.db", timeout=0)) as connection:
        try:
            connection.execute("BEGIN EXCLUSIVE")  # a reader that stands still would keep writers out for ever
        except sqlite3.OperationalError:
            return True
        return False


def pid_of(run: Any) -> int:
    return int(run.data.tags["pid"])


def test_a_sweep_says_what_it_does_then_a_line_for_each_job(calm: Any) -> None:
    lines = calm.stdout.splitlines()
    assert lines[:2] == [
        "Sweep calm: 2 jobs of weighting=none,balanced",
        "differs from the default: dataset=digits_lt, model=linear, trainer.epochs=200 (30), trainer.threads=1 (auto)",
    ]
    of_jobs = [line for line in lines if ": 200 epochs on cpu  balanced_accuracy 0." in line]
    assert [line.partition(":")[0] for line in of_jobs] == ["none · seed 0", "balanced · seed 0"]
    assert "HYDRA" not in calm.stdout
    assert "━━━" not in calm.stdout, "no bar without a terminal"


def test_the_summary_run_tells_the_sweep(store: Store, calm: Any) -> None:
    run = summary(store, "calm")
    assert (run.info.status, run.info.run_name, run.data.params) == (
        "FINISHED",
        "sweep calm",
        {"weighting": "none,balanced"},
    )
    note = run.data.tags["mlflow.note.content"]
    assert "2 jobs, `weighting=none,balanced`" in note
    assert "python src/train.py -m dataset=digits_lt" in note
    results = table(store, "calm", "results")
    means = [float(row[3].split()[0]) for row in results]
    assert means == sorted(means, reverse=True), "best first"
    assert results
    assert all(f"| {row[1]} |" in note for row in results)
    by_job = table(store, "calm")
    assert [row[:3] for row in by_job] == [[f"weighting={name}", "FINISHED", None] for name in ("balanced", "none")]
    (balanced,) = list(store.runs(sweep_id="calm", weighting="balanced"))
    assert by_job[0][3] == balanced.data.metrics["test/balanced_accuracy"]
    assert {"tensorflow", "keras", "deterministic"} < balanced.data.tags.keys()
    assert json.loads(run.data.tags["mlflow.loggedArtifacts"]) == [
        {"path": f"{name}.json", "type": "table"} for name in ("results", "jobs")
    ]


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])  # Ray and Slurm: test_plugins_travel.py
def test_every_launcher_gives_the_same_bits(launcher: str, project: Path, store: Store) -> None:
    found = train(project, *JOBS, f"hydra/launcher={launcher}", f"sweep={launcher}")
    assert found.returncode == 0, found.stdout + found.stderr
    assert digests(store, launcher) == digests(store, "calm")
    assert table(store, launcher) == table(store, "calm")
    for weighting in ("none", "balanced"):
        assert found.stdout.count(f"{weighting} · seed 0: 200 epochs on cpu") == 1
    assert "Traceback" not in found.stderr
    assert all(line.startswith("warning: ") for line in found.stderr.splitlines()), found.stderr


def test_alone_and_in_another_order_it_is_the_same(project: Path, store: Store) -> None:
    found = train(project, *JOBS[:-1], "weighting=balanced,none", "--quiet", "sweep=reversed")
    assert found.returncode == 0, found.stderr
    assert [line.split()[0] for line in found.stdout.split("\n\n")[-1].strip().splitlines()[:3]] == [
        "Sweep",
        "Verdict",
        "Written",
    ]
    assert not re.search("epochs on cpu|^note|Mean|differs", found.stdout, re.M), found.stdout
    assert "--quiet" not in summary(store, "reversed").data.tags["commands"], "it is no part of the sweep"
    assert digests(store, "reversed") == digests(store, "calm")
    alone = train(project, *JOBS[1:-1], "weighting=balanced")
    assert alone.returncode == 0, alone.stderr
    (run,) = [
        run
        for run in store.runs(weighting="balanced", model="linear")
        if "sweep_id" not in run.data.tags and run.data.params["trainer.epochs"] == "200"
    ]
    assert (run.info.status, run.data.tags["weights_sha256"]) == digests(store, "calm")[run.data.tags["config_sha256"]]


def test_a_launcher_is_killed(project: Path, store: Store, processes: Processes) -> None:
    process = processes.start(command_of(project, *JOBS, "sweep=cut_off"))
    processes.until(lambda: held(store, "cut_off", finished=1), process)
    process.kill()
    process.communicate()
    found = train(project, *JOBS, "sweep=cut_off")
    assert found.returncode == 0, found.stdout + found.stderr
    assert "1 of 2 jobs are finished already" in found.stdout
    assert digests(store, "cut_off") == digests(store, "calm")
    assert table(store, "cut_off") == table(store, "calm")
    assert summary(store, "cut_off").info.status == "FINISHED"


def test_a_worker_is_killed(project: Path, store: Store, processes: Processes) -> None:
    overrides = (*JOBS, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "sweep=worker_lost")
    process = processes.start(command_of(project, *overrides))
    worker = processes.until(lambda: held(store, "worker_lost"), process)
    os.kill(pid_of(worker), signal.SIGKILL)
    output, errors = processes.said(process)
    assert process.returncode == 1, output + errors
    assert "jobs did not finish; the same command again does only these" in errors
    run = summary(store, "worker_lost")
    assert run.info.status == "FAILED"
    assert "interrupted" in run.data.tags["mlflow.note.content"]
    assert not [one for one in store.runs(sweep_id="worker_lost") if one.info.status == "RUNNING"]
    found = train(project, *overrides)
    assert found.returncode == 0, found.stdout + found.stderr
    assert digests(store, "worker_lost") == digests(store, "calm")
    assert table(store, "worker_lost") == table(store, "calm")


def test_a_job_is_cancelled_in_slurm(
    project: Path, store: Store, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = (*JOBS, "hydra/launcher=submitit_slurm", "sweep=slurm")
    with slurm() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        process = processes.start(command_of(project, *command))
        pid = pid_of(processes.until(lambda: held(store, "slurm"), process))
        given = dict(line.split("=", 1) for line in Path(f"/proc/{pid}/environ").read_text().split("\0") if line)
        job = f"{given['SLURM_ARRAY_JOB_ID']}_{given['SLURM_ARRAY_TASK_ID']}"
        subprocess.run(["scancel", job], check=True)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)  # as Slurm does to what goes on; this would be over before
        output, errors = processes.said(process)
        assert process.returncode == 1, output + errors
        assert f"is lost: cancelled, job {job}" in errors
        assert "1 of 2 jobs did not finish; the same command again does only these" in errors
        assert "Traceback" not in errors
        assert "lost: cancelled" in summary(store, "slurm").data.tags["mlflow.note.content"]
        found = train(project, *command)
        refused = train(project, *command[:-1], "sweep=new", "hydra.launcher.partition=large")
    assert found.returncode == 0, found.stdout + found.stderr
    assert "1 of 2 jobs are finished already" in found.stdout
    assert digests(store, "slurm") == digests(store, "calm")
    assert table(store, "slurm") == table(store, "calm")
    assert refused.returncode == 1
    assert "invalid partition specified: large" in refused.stderr
    assert "Traceback" not in refused.stderr


# A decision rule that is argmax, and takes its time. On the other machine the second job waits until it is lost; here
# all but the first wait until it is there. So that machine has two jobs, of which one is never over.
PATIENT = """
import socket
import time
from pathlib import Path

import equipoise
from hydra.core.hydra_config import HydraConfig


@equipoise.decision
def patient(known, *, folder: str = ""):
    job, host = str(HydraConfig.get().job.num), socket.gethostname()
    (Path(folder) / host).mkdir(exist_ok=True)
    (Path(folder) / host / job).touch()
    is_first = len(list((Path(folder) / host).iterdir())) == 1
    while not is_first and (host == "elsewhere" or len(list((Path(folder) / "elsewhere").glob("*"))) < 2):
        time.sleep(0.05)
    return [0.0] * known.logits.shape[1]
"""


def waiting(store: Store, turns: Path) -> Any:
    """The run that waits on the other machine to be lost, once another is finished there."""
    if len(list(turns.glob(f"{ELSEWHERE}/*"))) < 2:
        return None
    runs = {run.info.status: run for run in jobs(store, sweep_id="ray_cluster", host=ELSEWHERE)}
    return runs.get("RUNNING") if "FINISHED" in runs else None


@pytest.fixture
def turns(project: Path, tmp_path: Path) -> Iterator[Path]:
    """A folder for the rule's notes; plugins/ of the project has the rule as long as the test runs."""
    file = project / "plugins" / "patient.py"
    file.parent.mkdir()
    file.write_text(PATIENT)
    (tmp_path / "turns").mkdir()
    yield tmp_path / "turns"
    shutil.rmtree(file.parent)


def test_a_machine_of_a_ray_cluster_is_lost(
    project: Path,
    store: Store,
    server: Server,
    turns: Path,
    tmp_path: Path,
    processes: Processes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other machine sees nothing of the project but the code that it is sent, that of plugins/ too, and the server.

    What is finished there is finished for this machine: the same code was meant.
    """
    with ray_cluster(project) as cluster:
        for name, value in {**as_user(server.uri, "admin", server.password), **cluster.environment}.items():
            monkeypatch.setenv(name, value)
        command = [
            *JOBS,
            "seed=0,1",
            "decision=patient",
            f"decision.folder={turns}",
            "sweep=ray_cluster",
            "hydra/launcher=ray",
            f"hydra.launcher.address={cluster.address}",
        ]
        refused = train(project, *command)
        assert refused.returncode == 2
        assert (
            f"tracking=local is a file of this machine, and the cluster runs jobs on {ELSEWHERE} too" in refused.stderr
        )
        process = processes.start(command_of(project, *command, "tracking=server", "hydra.launcher.max_retries=0"))
        remote = open_store(project, "server")
        lost = processes.until(lambda: waiting(remote, turns), process)
        second = train(project, *command, "tracking=server")
        assert second.returncode == 2
        assert "sweep=ray_cluster is being run on this cluster by another process" in second.stderr
        cluster.lose_the_node()
        with contextlib.suppress(ProcessLookupError):  # it may end with its node
            os.kill(pid_of(lost), signal.SIGKILL)
        output, errors = processes.said(process)
        assert process.returncode == 1, output + errors
        name = lost.info.run_name
        assert f"warning: {name} is lost: " in errors
        assert "1 of 4 jobs did not finish; the same command again does only these" in errors
        assert "Traceback" not in errors
        assert f"\n{name}: 200 epochs" not in output
        assert output.count(": 200 epochs on cpu") == 3, "what the others said came home"
        assert not [run for run in jobs(remote, sweep_id="ray_cluster") if run.info.status == "RUNNING"]
        found = train(project, *command, "tracking=server", f"hydra.launcher.folder={tmp_path}/there")
    assert found.returncode == 0, found.stdout + found.stderr
    assert [path.name for path in (tmp_path / "there/cache").iterdir()], (
        "where the jobs were told to keep what they prepare"
    )
    assert "3 of 4 jobs are finished already" in found.stdout
    assert f"\n{name}: 200 epochs" in found.stdout
    trained = digests(remote, "ray_cluster")
    assert len(trained) == 4
    # What decides is another part of the config, and of no weight.
    assert set(digests(store, "calm").values()) <= set(trained.values())
    assert len(set(digests(store, "calm").values())) == 2
    assert {run.data.tags["host"] for run in jobs(remote, sweep_id="ray_cluster")} > {ELSEWHERE}, (
        "both machines had jobs"
    )


def test_two_launchers_share_one_sweep_and_an_outer_run_becomes_its_summary(
    project: Path, store: Store, processes: Processes
) -> None:
    command = command_of(project, *JOBS, "sweep=shared")
    first = processes.start(command)
    at_work = processes.until(lambda: held(store, "shared"), first)
    outer = store.client.create_run(store.experiment("digits_lt"))
    second = processes.start(command, env={**os.environ, "MLFLOW_RUN_ID": outer.info.run_id})
    processes.until(lambda: "FINISHED" in {run.info.status for run in jobs(store, sweep_id="shared")}, second)
    os.kill(first.pid, signal.SIGCONT)
    (output, errors), (other_output, other_errors) = processes.said(first), processes.said(second)
    assert (first.returncode, second.returncode) == (0, 0), output + errors + other_output + other_errors
    assert f"is being done by process {pid_of(at_work)} on" in other_output
    assert other_output.count(": 200 epochs on cpu") == 1
    assert output.count(": 200 epochs on cpu") == 1
    assert output.count("is finished in this sweep already") == 1
    assert digests(store, "shared") == digests(store, "calm")
    assert summary(store, "shared").info.run_id == outer.info.run_id
    assert summary(store, "shared").info.status == "FINISHED"


def test_more_values_and_another_commit(tmp_path: Path) -> None:
    """`sweep=ID` goes on with more values; failures are named; what another commit has done is named."""
    project = copy_project(tmp_path)
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "conf"], [*identity, "commit", "-qm", "one"]):
        subprocess.run(["git", "-C", str(project), *words], check=True)
    short = [
        "-m",
        "dataset=digits_lt",
        "model=mlp",
        "trainer.epochs=1",
        "trainer.optimizer=sgd",
        "trainer.learning_rate=0.1,1e9",
        "sweep=grows",
    ]
    assert train(project, *short).returncode == 1
    subprocess.run(["git", "-C", str(project), *identity, "commit", "-qm", "two", "--allow-empty"], check=True)
    found = train(project, *short, "seed=0,1")
    assert found.returncode == 1
    assert "1 of 4 jobs are finished already" in found.stdout
    assert "warning: finished at git commit" in found.stderr
    assert "2 of 4 jobs did not finish" in found.stderr
    assert "trainer.learning_rate=1000000000.0 seed=1: training diverged in epoch 1" in found.stderr
    store = open_store(project)
    run = summary(store, "grows")
    assert run.data.tags["mlflow.note.content"].count("python src/train.py") == 2
    assert "training diverged" in run.data.tags["mlflow.note.content"]
    assert [row[1] for row in table(store, "grows")] == ["FINISHED", "FINISHED", "UNFINISHED", "UNFINISHED"]
    failed = [one for one in jobs(store, sweep_id="grows") if one.info.status == "FAILED"]
    assert len(failed) == 2, "a failure that was done again is not there twice"
    assert all(one.data.tags["error"].startswith("training diverged") for one in failed)
