"""`hydra/sweeper=optuna` as a user runs it: pruned trials, a search that is killed and goes on, several metrics."""

import shlex
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests

from equipoise.tracking.artifacts import read_json
from equipoise.tracking.store import Store, open_store
from helpers import jobs, read_back, train
from processes import Processes
from servers import answers, free_port

pytestmark = pytest.mark.slow

QUICK = ["dataset=digits_lt", "model=mlp", "trainer.epochs=3", "trainer.threads=1"]
SPACE = [
    "weighting=power",
    "weighting.alpha=interval(0,1)",
    "trainer.learning_rate=tag(log,interval(1e-5,1e-1))",
    "model.hidden=[16],[64]",
]
# With this seed the sampler comes upon a learning rate far too low once it has seen two trials.
SEARCH = [
    "-m",
    "hydra/sweeper=optuna",
    *SPACE,
    *QUICK,
    "hydra.sweeper.startup_trials=2",
    "hydra.sweeper.startup_epochs=1",
]
FIVE = "hydra.sweeper.n_trials=5"


def search(project: Path, *overrides: str) -> str:
    found = train(project, *SEARCH, *overrides)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


@pytest.fixture(scope="module")
def whole(project: Path) -> str:
    """Three trials, and then two more."""
    assert "Search whole: 3 trials finished, 0 pruned, 0 failed" in search(
        project, "hydra.sweeper.n_trials=3", "sweep=whole"
    )
    return search(project, FIVE, "sweep=whole")


@pytest.fixture(scope="module")
def store(project: Path, whole: str) -> Store:
    return open_store(project)


def trials(project: Path, store: Store, sweep: str) -> Any:
    (summary,) = store.runs(kind="sweep", sweep_id=sweep)
    folder = project / "mlruns/digits_lt" / summary.info.run_id / "artifacts/search"
    return folder, pd.read_csv(folder / "trials.csv", float_precision="round_trip")


def test_more_trials_go_on_where_the_search_was_left(project: Path, store: Store, whole: str) -> None:
    assert whole.count("epochs on cpu") == 1, "one new trial that finished"
    assert whole.count("pruned after epoch 2") == 1
    assert "Search whole: 4 trials finished, 1 pruned, 0 failed" in whole
    folder, table = trials(project, store, "whole")
    assert table["state"].tolist() == ["complete"] * 4 + ["pruned"]
    assert {file.name for file in folder.iterdir()} == {
        "trials.csv",
        "search.html",
    }


def test_the_values_are_those_of_the_runs(project: Path, store: Store, whole: str) -> None:
    _, table = trials(project, store, "whole")
    finished = [run for run in jobs(store, sweep_id="whole") if run.info.status == "FINISHED"]
    complete = table[table["state"] == "complete"]
    assert [run.data.metrics["val/balanced_accuracy"] for run in finished] == complete["val/balanced_accuracy"].tolist()
    assert [float(run.data.params["weighting.alpha"]) for run in finished] == complete["weighting.alpha"].tolist()
    (pruned,) = [run for run in store.runs(sweep_id="whole") if run.info.status == "KILLED"]
    assert pruned.data.tags["pruned"] == "after epoch 2"
    assert "test/balanced_accuracy" not in pruned.data.metrics
    assert pruned.info.run_name.startswith("power · alpha 0.1578 · learning_rate 1.129e-05 · hidden [16]")


def test_the_best_trial_can_be_run_by_itself(project: Path, store: Store, whole: str) -> None:
    command = next(line for line in whole.splitlines() if line.startswith("  python src/train.py "))
    found = train(project, *shlex.split(command)[2:])
    assert found.returncode == 0, found.stderr
    _, table = trials(project, store, "whole")
    run = store.runs(weighting="power")[-1]
    assert "sweep_id" not in run.data.tags
    assert run.data.metrics["val/balanced_accuracy"] == table["val/balanced_accuracy"].max()


def test_the_dashboard_shows_the_trials(whole: str, processes: Processes) -> None:
    command = shlex.split(next(line for line in whole.splitlines() if line.startswith("  optuna-dashboard ")))
    address = f"http://127.0.0.1:{free_port()}"
    program = str(Path(sys.executable).with_name(command[0]))
    process = processes.start([program, *command[1:], "--port", address.rpartition(":")[2], "--server", "wsgiref"])
    processes.until(lambda: answers(f"{address}/dashboard"), process)
    (study,) = requests.get(f"{address}/api/studies", timeout=30).json()["study_summaries"]
    assert study["study_name"] == "whole"
    shown = requests.get(f"{address}/api/studies/{study['study_id']}", timeout=30).json()
    assert shown["objective_names"] == ["val/balanced_accuracy"]
    assert [trial["state"] for trial in shown["trials"]] == ["Complete"] * 4 + ["Pruned"]


def test_a_search_that_was_killed_goes_on_to_the_same_trials(
    project: Path, store: Store, whole: str, processes: Processes
) -> None:
    command = [sys.executable, str(project / "src/train.py"), *SEARCH, FIVE, "sweep=killed-search"]
    process = processes.start(command)
    processes.until(lambda: len(jobs(store, sweep_id="killed-search")) == 3, process)
    process.kill()
    process.wait()
    assert [run.info.status != "RUNNING" for run in jobs(store, sweep_id="killed-search")].count(True) >= 2
    search(project, FIVE, "sweep=killed-search")
    assert trials(project, store, "killed-search")[1].equals(trials(project, store, "whole")[1])
    statuses = sorted(run.info.status for run in jobs(store, sweep_id="killed-search"))
    assert statuses == ["FINISHED"] * 4 + ["KILLED"], "KILLED is the trial that was pruned"
    again = search(project, FIVE, "sweep=killed-search")
    assert "epochs on cpu" not in again


def test_a_trial_that_was_pruned_before_the_search_heard_of_it_is_not_done_again(
    project: Path, store: Store, whole: str
) -> None:
    journal = project / "outputs/searches/whole.journal"
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    told = [number for number, line in enumerate(lines) if '"state": 2' in line or '"state":2' in line]
    journal.write_text("".join(lines[: told[-1]]), encoding="utf-8")
    before = trials(project, store, "whole")[1]
    again = search(project, FIVE, "sweep=whole")
    assert "was pruned after epoch 2 already" in again
    assert "epochs on cpu" not in again
    assert trials(project, store, "whole")[1].equals(before)
    assert sorted(run.info.status for run in jobs(store, sweep_id="whole")) == ["FINISHED"] * 4 + ["KILLED"]


def test_two_metrics_and_two_trials_at_once(project: Path, store: Store) -> None:
    at_once = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweeper.n_jobs=2", "trainer.epochs=1"]
    printed = search(
        project,
        *at_once,
        "hydra.sweeper.metric=[val/macro_f1,val/log_loss]",
        "hydra.sweeper.n_trials=4",
        "sweep=two_metrics",
    )
    assert "Trials that no other beats in all metrics" in printed
    (verdict,) = [line for line in printed.splitlines() if line.startswith("Verdict (validation split, for choosing)")]
    (summary,) = store.runs(kind="sweep", sweep_id="two_metrics")
    assert summary.data.tags["mlflow.note.content"].startswith(f"{verdict}\n\n**Sweep two_metrics**")
    folder, table = trials(project, store, "two_metrics")
    assert "are beaten by none in both" in (folder / "search.html").read_text()
    assert table["val/log_loss"].notna().all()
    hydras = {run.data.tags["pid"] for run in jobs(store, sweep_id="two_metrics")}
    assert len(hydras) == 2, "in processes of their own"


def test_each_trial_is_the_mean_over_the_seeds_that_are_named(project: Path, store: Store) -> None:
    """Nothing of the test split is printed, and nothing of it guides the search."""
    printed = search(project, "hydra.sweeper.n_trials=3", "seed=0,1", "hydra.sweeper.pruner=none", "sweep=repeated")
    assert "Search repeated: 3 trials finished" in printed
    assert "mean ± SD of 2 repetitions" in " ".join(printed.split())
    assert "register.py sweep=repeated metric=val/balanced_accuracy" in printed
    runs = jobs(store, sweep_id="repeated")
    assert len(runs) == 6
    _, table = trials(project, store, "repeated")
    for number, value in zip(table["trial"], table["val/balanced_accuracy"], strict=True):
        of_trial = [run for run in runs if run.data.tags["trial"] == str(number)]
        assert sorted(run.data.tags["seed"] for run in of_trial) == ["0", "1"]
        each = [read_back(run)["val/decision/argmax/balanced_accuracy"] for run in of_trial]
        assert value == pytest.approx(sum(each) / 2)
    assert "val/balanced_accuracy 0." in printed
    assert not [word for word in ("macro_f1", "mcc", "test split") if word in printed], "what a run of a sweep prints"
    (summary,) = store.runs(kind="sweep", sweep_id="repeated")
    logged = read_json(store, summary.info.run_id, "jobs.json")
    found = {dict(zip(logged["columns"], row, strict=True))["run"]: row for row in logged["data"]}
    of_metric = logged["columns"].index("balanced_accuracy")
    for run in runs:
        logged_for_run = read_back(run)["val/decision/argmax/balanced_accuracy"]
        assert found[run.info.run_id][of_metric] == pytest.approx(logged_for_run)
