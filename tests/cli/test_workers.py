"""`python src/train.py trainer.strategy=multi_worker` in two processes on loopback.

They train the weights of one device in one run, and go on after a worker has died.
"""

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.data.prepare import prepare
from equipoise.methods.weighting import class_weights
from equipoise.tracking.artifacts import load_model
from equipoise.tracking.store import Store, open_store
from equipoise.training.cluster import VARIABLE
from helpers import composed, copy_project, jobs, train
from processes import Process, Processes, ended_after

pytestmark = pytest.mark.slow

QUICK = [
    "dataset=digits_lt",
    "model=mlp",
    "trainer.epochs=40",
    "trainer.threads=1",
    "weighting=balanced",
    "loss=custom",
]
TOGETHER = "trainer.strategy=multi_worker"


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The chief's and the other worker's, as on two machines."""
    folder = tmp_path_factory.mktemp("two machines")
    return copy_project(folder / "chief", with_store=True), copy_project(folder / "worker")


def start(
    begun: Processes, projects: tuple[Path, Path], *, other: tuple[str, ...] = (), chief: str = "worker"
) -> list[Process]:
    """Start chief and worker, each with its TF_CONFIG.

    Parameters
    ----------
    other : overrides of the worker alone
    chief : the task type that TF_CONFIG gives the chief
    """
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        addresses = [f"127.0.0.1:{free.getsockname()[1]}" for free in (one, two)]
    workers = []
    for index, (project, more) in enumerate(zip(projects, ((), other), strict=True)):
        cluster = {"worker": addresses} if chief == "worker" else {"chief": addresses[:1], "worker": addresses[1:]}
        task = (
            {"type": "worker", "index": index}
            if chief == "worker"
            else {"type": ("chief", "worker")[index], "index": 0}
        )
        variable = json.dumps({"cluster": cluster, "task": task})
        command = [sys.executable, str(project / "src/train.py"), TOGETHER, *QUICK, *more]
        environment = {**os.environ, VARIABLE: variable}
        workers.append(begun.start(command, cwd=project, env=environment))
    return workers


def ended(begun: Processes, workers: list[Process]) -> list[tuple[int, str, str]]:
    """Exit code, output and errors of each."""
    said = [begun.said(worker) for worker in workers]
    return [(worker.returncode, *words) for worker, words in zip(workers, said, strict=True)]


@pytest.fixture(scope="module")
def undisturbed(projects: tuple[Path, Path]) -> list[tuple[int, str, str]]:
    with ended_after() as begun:
        return ended(begun, start(begun, projects))


@pytest.fixture(scope="module")
def store(projects: tuple[Path, Path], undisturbed: object) -> Store:
    return open_store(projects[0])


def test_two_workers_train_the_weights_of_one_device(
    undisturbed: list[Any], projects: tuple[Path, Path], store: Store, tensorflow: object
) -> None:
    from equipoise.training import fit
    from equipoise.training.graph import Compiled

    (code, output, errors), (other_code, other_output, other_errors) = undisturbed
    assert (code, other_code) == (0, 0), errors + other_errors
    assert "40 epochs on 2 × cpu, 351 training samples" in output
    assert (other_output.splitlines()[-2:], other_errors) == (
        ["Worker 1 of 2: waiting for the others", "Trained; the chief logs the run."],
        "",
    )
    (run,) = jobs(store)
    assert (run.info.status, run.data.tags["replicas"]) == ("FINISHED", "2")
    epochs = store.client.get_metric_history(run.info.run_id, "val/log_loss")
    assert [point.step for point in epochs] == list(range(40)), "each once"
    assert {path.name for path in projects[1].iterdir()} == {"src", "conf", "cache"}, (
        "the worker writes the prepared data alone"
    )

    config = composed(*QUICK)
    data = prepare(config.dataset, projects[0] / "cache")
    built = Compiled(config, data)
    history: list[dict[str, float]] = []
    weights = class_weights(config.weighting, data.counts, data.classes)
    fit.fit(built, config, data, weights, lambda _, metrics: history.append(metrics))
    for left, right in zip(built.model.get_weights(), load_model(store, run.info.run_id).get_weights(), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-4)
    assert [point.value for point in epochs] == pytest.approx(
        [metrics["val/log_loss"] for metrics in history], rel=1e-4
    )


@pytest.mark.parametrize("victim", [0, 1], ids=["chief", "worker"])
def test_a_worker_that_dies_is_reported_and_the_same_command_goes_on(
    victim: int, projects: tuple[Path, Path], store: Store, processes: Processes
) -> None:
    (whole, *_) = jobs(store)
    outputs = projects[0] / "outputs"
    before = set(outputs.rglob("*.npz"))
    workers = start(processes, projects)
    processes.until(lambda: set(outputs.rglob("*.npz")) - before, *workers)
    workers[victim].kill()
    survivor = ended(processes, workers)[1 - victim]
    assert survivor[0] == 1, survivor
    assert "another worker is gone, or does not answer" in survivor[2]
    assert "the same command" in survivor[2]
    assert "Traceback" not in survivor[2]
    broken = jobs(store)[-1]
    assert broken.info.run_id != whole.info.run_id
    assert broken.info.status == ("RUNNING" if victim == 0 else "FAILED")
    results = ended(processes, start(processes, projects, chief="chief"))
    assert [code for code, *_ in results] == [0, 0], results
    assert f"of 40 of run {broken.info.run_id}" in results[0][1], "it goes on"
    again = store.client.get_run(broken.info.run_id)
    assert again.info.status == "FINISHED"
    assert again.data.tags["weights_sha256"] == whole.data.tags["weights_sha256"]
    assert [point.step for point in store.client.get_metric_history(broken.info.run_id, "train/loss")] == list(
        range(40)
    )


def test_workers_that_were_not_started_alike_are_refused(
    projects: tuple[Path, Path], store: Store, processes: Processes
) -> None:
    before = len(store.runs())
    (code, _, errors), (other_code, _, other_errors) = ended(processes, start(processes, projects, other=("seed=1",)))
    assert (code, other_code) == (2, 2)
    for said in (errors, other_errors):
        assert "error: the workers were not started alike: they differ in config_sha256" in said
        assert "Traceback" not in said
    assert len(store.runs()) == before


@pytest.mark.parametrize(
    ("overrides", "cluster", "said"),
    [
        ([TOGETHER], None, "trainer.strategy=multi_worker needs TF_CONFIG"),
        (["-m", TOGETHER, "seed=0,1"], ["a:1"], "its workers train one run at a time; leave -m out"),
        ([TOGETHER, "trainer.batch_size=1"], ["a:1", "b:2"], "2 workers cannot share a batch of trainer.batch_size=1"),
    ],
)
def test_a_mistake_exits_2_and_leaves_nothing(
    overrides: list[str], cluster: list[str] | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if cluster:
        monkeypatch.setenv(
            VARIABLE, json.dumps({"cluster": {"worker": cluster}, "task": {"type": "worker", "index": 0}})
        )
    project = copy_project(tmp_path)
    found = train(project, *overrides)
    assert found.returncode == 2, found.stdout
    assert said in found.stderr
    assert "Logged" not in found.stdout
    assert {path.name for path in project.iterdir()} == {"src", "conf"}
