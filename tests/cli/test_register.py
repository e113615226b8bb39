"""`python src/register.py` after a small sweep: what it chooses, and the decision rule that goes with the model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from equipoise.data.prepare import prepare
from equipoise.methods.deciders import from_json
from equipoise.tracking.artifacts import read_json
from equipoise.tracking.located import registered_folder
from equipoise.tracking.store import Store, open_store
from helpers import composed, copy_project, read_back, train

pytestmark = pytest.mark.slow

QUICK = ["dataset=digits_lt", "model=mlp", "trainer.epochs=3", "trainer.threads=1"]
DECISION, PREDICTIONS = "evaluation/decision.json", "evaluation/predictions.parquet"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = copy_project(tmp_path_factory.mktemp("to register"), with_store=True)
    swept = train(found, "-m", "weighting=none,balanced", "seed=0,1,2", "sweep=small", *QUICK)
    assert swept.returncode == 0, swept.stdout + swept.stderr
    return found


@pytest.fixture(scope="module")
def store(project: Path) -> Store:
    return open_store(project)


def version(store: Store, name: str) -> Any:
    return store.client.get_model_version_by_alias(name, "champion")


def parts(project: Path, name: str) -> Path:
    """Return the folder that a registered model answers by."""
    found = registered_folder(project, name, "champion")
    assert found is not None
    return found / "artifacts" / "parts"


def test_the_median_run_of_the_configuration_with_the_best_mean(project: Path, store: Store) -> None:
    found = train(project, "sweep=small", "metric=val/macro_f1", "name=mean", script="register.py")
    assert found.returncode == 0, found.stderr
    values = {
        name: {
            str(run.info.run_id): read_back(run)["val/decision/argmax/macro_f1"]
            for run in store.runs(sweep_id="small", weighting=name)
        }
        for name in ("none", "balanced")
    }
    best = max(values, key=lambda name: float(np.mean([*values[name].values()])))
    made = version(store, "mean")
    assert values[best][made.run_id] == np.median([*values[best].values()])
    assert f"Chosen: {best}, the best of 2 configurations by mean val/macro_f1" in found.stdout
    assert f"run {made.run_id} is its median run" in found.stdout
    assert (made.tags["configuration"], made.tags["metric"], made.tags["decision"]) == (best, "val/macro_f1", "argmax")
    assert float(made.tags["mean"]) == pytest.approx(np.mean([*values[best].values()]))


@pytest.mark.usefixtures("tensorflow")
def test_a_decision_rule_is_taken_without_training(project: Path, store: Store) -> None:
    """The rule is what evaluate.py tunes, and the registered model answers by it."""
    from equipoise.serving.answers import answers_of

    before = len([run for run in store.runs() if "weights_sha256" in run.data.tags and "kind" not in run.data.tags])
    words = ["decision=tuned", "decision.metric=macro_f1", "name=rule"]
    found = train(project, "sweep=small", *words, script="register.py")
    assert found.returncode == 0, found.stderr
    assert "by mean val/balanced_accuracy under decision=tuned" in found.stdout
    assert "what is registered has decision=tuned decision.metric=macro_f1" in " ".join(found.stderr.split())
    made = version(store, "rule")
    judged = store.client.get_run(made.run_id)
    trained = store.client.get_run(judged.data.tags["evaluated_run"])
    assert made.tags["decision"] == "tuned"
    assert made.tags["weights_sha256"] == trained.data.tags["weights_sha256"]
    assert judged.data.tags["keras"] == trained.data.tags["keras"]
    folder = parts(project, "rule")
    decision = json.loads((folder / "decision.json").read_text())
    assert decision == read_json(store, made.run_id, DECISION)
    assert decision != read_json(store, trained.info.run_id, DECISION)
    expected = pd.read_parquet(store.client.download_artifacts(made.run_id, PREDICTIONS))
    rows = prepare(composed("dataset=digits_lt").dataset, project / "cache").split("test").features
    probabilities = expected[[f"p({index})" for index in range(10)]].to_numpy()
    by_hand = from_json(decision)(np.log(probabilities)).astype(str)
    assert expected["predicted"].tolist() == by_hand.tolist()
    answered = answers_of(folder)(np.asarray(rows).reshape(len(rows), -1) * 16)
    assert answered["predicted"].tolist() == expected["predicted"].tolist()
    after = [run for run in store.runs() if "weights_sha256" in run.data.tags and "kind" not in run.data.tags]
    assert len(after) == before, "nothing was trained"


def test_a_run_that_was_judged_again_is_registered_with_its_rule(project: Path, store: Store) -> None:
    run = str(store.runs(sweep_id="small", weighting="none", seed="1")[0].info.run_id)
    assert train(project, f"run={run}", "decision=logit_adjusted", script="evaluate.py").returncode == 0
    judged = str(store.runs(kind="evaluation", evaluated_run=run)[-1].info.run_id)
    found = train(project, f"run={judged}", "name=again", script="register.py")
    assert found.returncode == 0, found.stderr
    assert (version(store, "again").run_id, version(store, "again").tags["decision"]) == (judged, "logit_adjusted")
    assert "Chosen" not in found.stdout
    assert json.loads((parts(project, "again") / "decision.json").read_text()) == read_json(store, judged, DECISION)
    refused = train(project, f"run={judged}", "decision=tuned", script="register.py")
    assert (refused.returncode, f"run={run}" in refused.stderr) == (2, True)


def test_the_latest_is_the_run_that_was_trained_last(project: Path, store: Store) -> None:
    found = train(project, "run=latest", "name=latest", "decision=argmax", script="register.py")
    assert found.returncode == 0, found.stderr
    trained = [run for run in store.runs(sweep_id="small") if "kind" not in run.data.tags]
    assert version(store, "latest").run_id == max(trained, key=lambda run: run.info.start_time).info.run_id
    assert "judged again" not in found.stdout, "argmax is its own rule"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["metric=test/macro_f1"],
            "metric=test/macro_f1: the test split is for judging, not for choosing; choose by metric=val/macro_f1",
        ),
        (["metric=val/macro_f2"], "did you mean 'macro_f1'"),
        (["decision=tuend"], "did you mean 'tuned'"),
        (["run=latest", "decision=tuend"], "did you mean 'tuned'"),
        (["decison=tuned"], "did you mean 'decision'"),
        (["run=latest", "decision=tuned", "decision.metrc=mcc"], "did you mean"),
    ],
)
def test_mistakes_exit_2_and_register_nothing(project: Path, store: Store, words: list[str], said: str) -> None:
    before = len(store.runs())
    found = train(project, *words, "name=never", script="register.py")
    assert (found.returncode, found.stdout) == (2, "")
    assert said in " ".join(found.stderr.split())
    assert len(store.runs()) == before
    assert not [model for model in store.client.search_registered_models() if model.name == "never"]
