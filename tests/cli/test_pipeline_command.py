"""Four doors to one run: src/train.py, dvc repro, dvc exp run and mlflow run.

The tests share the runs of one clone, and run in order.
"""

import functools
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml

import warm
from equipoise.config.model import config_sha256, validate
from equipoise.data.prepare import prepare
from helpers import REPOSITORY, clone_of, read_back, served, train
from pages import a_browser
from processes import LIMIT, ended_after
from servers import free_port

pytestmark = pytest.mark.slow

SMALL = ("dataset=digits_lt", "model=linear", "trainer.epochs=1", "trainer.threads=1", "evaluation.resamples=0")
EFFECTIVE = ("weighting=effective_number", "weighting.beta=0.99")
Clone = Path


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """What git would clone, as one commit; its pipeline has run once, on a small config."""
    folder = clone_of(tmp_path_factory.mktemp("pipeline") / "it's a clone")
    run(folder, "git", "init", "-q")
    commit(folder, "the code")
    found = dvc(folder, "exp", "run", "--name", "first", *small(), "-S", "weighting=balanced", cold=True)
    assert "Running stage 'prepare'" in found
    assert "differs from the default: dataset=digits_lt, model=linear, weighting=balanced" in found
    differing = json.loads(dvc(folder, "metrics", "diff", "--json"))["artifacts/metrics.json"]
    before = json.loads((REPOSITORY / "artifacts" / "metrics.json").read_text())
    for name, value in before["test"].items():
        assert differing[f"test.{name}"]["old"] == value, "of the default config, as git has it in a fresh clone"
        assert differing[f"test.{name}"]["new"] == metrics(folder)["test"][name]
    commit(folder, "the first results")
    return folder


def run(folder: Path, *command: str, code: int = 0, cold: bool = False) -> str:
    """A command's output, in an environment such as an activated .venv makes.

    Parameters
    ----------
    cold : `python`, as DVC and MLflow call it, is an interpreter that imports TensorFlow itself; else a fork
    """
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "CI")}
    programs = [] if cold else [str(warm.programs())]
    environment |= {
        "PATH": ":".join([*programs, str(Path(sys.executable).parent), os.environ["PATH"]]),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "DVC_NO_ANALYTICS": "true",
    }
    found = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT)
    assert found.returncode == code, f"{' '.join(command)}\n{found.stdout}\n{found.stderr}"
    return found.stdout + found.stderr


def dvc(folder: Path, *words: str, code: int = 0, cold: bool = False) -> str:
    return run(folder, "dvc", *words, code=code, cold=cold)


def commit(folder: Path, message: str) -> None:
    run(folder, "git", "add", "-A")
    run(folder, "git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", message)


def small(*more: str) -> list[str]:
    return [word for override in (*SMALL, *more) for word in ("-S", override)]


def store(folder: Path) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")


def runs(folder: Path) -> list[Any]:
    """All runs of the clone's store, newest first."""
    client = store(folder)
    return list(
        client.search_runs(
            [experiment.experiment_id for experiment in client.search_experiments()],
            order_by=["attributes.start_time DESC"],
        )
    )


def params(folder: Path) -> dict[str, Any]:
    return yaml.safe_load((folder / "params.yaml").read_text())


def metrics(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "artifacts" / "evaluation.json").read_text())


def assert_recorded_is_trained(folder: Path, logged: Any) -> None:
    """params.yaml, as DVC wrote it, is what the run says it was trained and judged on."""
    assert logged.info.status == "FINISHED"
    assert logged.data.tags["config_sha256"] == config_sha256(validate(params(folder)))
    written = metrics(folder)
    assert logged.data.metrics["test/accuracy"] == written["test"]["accuracy"]
    assert read_back(logged)["val/decision/tuned/mcc"] == written["val"]["decision"]["tuned"]["mcc"]
    assert logged.data.tags["mlflow.source.git.commit"]
    few = json.loads((folder / "artifacts" / "metrics.json").read_text())
    assert few["test"] == {name: written["test"][name] for name in ("macro_f1", "balanced_accuracy", "mcc")}
    rule = params(folder)["decision"]["name"]
    assert few["val"] == {"macro_f1": written["val"]["decision"][rule]["macro_f1"]}


def test_a_pipeline_that_has_run_is_up_to_date_and_has_one_run(clone: Clone) -> None:
    assert "Data and pipelines are up to date" in dvc(clone, "repro")
    (only,) = runs(clone)
    assert_recorded_is_trained(clone, only)
    assert only.data.params["weighting.name"] == "balanced"
    assert only.data.tags["dvc_exp"] == "first"
    dvc(clone, "plots", "show")
    page = (clone / "dvc_plots" / "index.html").read_text()
    drawn = dict(re.findall(r'<div id = "(\w+)">.*?var spec = (\{.*?\});\n', page, re.DOTALL))
    rows = {name: json.loads(spec)["data"]["values"] for name, spec in drawn.items()}
    assert {"confusion_matrix", "recall_by_class", "loss", "validation"} <= set(rows)
    agreed = [row["actual"] == row["predicted"] for row in rows["confusion_matrix"]]
    assert np.mean(agreed) == only.data.metrics["test/accuracy"]
    assert {row["class"]: float(row["recall"]) for row in rows["recall_by_class"]} == {
        str(c): only.data.metrics[f"test/recall/{c}"] for c in range(10)
    }
    lines = {row["filename::field"] for row in rows["loss"]}
    assert lines == {"train/loss.tsv::loss", "val/loss.tsv::loss", "val/log_loss.tsv::log_loss"}
    assert "vegaEmbed=" in page or "window.vegaEmbed" in page
    assert not re.findall(r"<(?:script|link)[^>]+(?:src|href)=", page), "it needs no network"


def test_the_plots_are_drawn_without_a_network(clone: Clone) -> None:
    """On the page of the test above."""
    with a_browser() as browser:
        browser.execute_cdp_cmd("Network.enable", {})
        browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["http://*", "https://*"]})
        browser.get((clone / "dvc_plots" / "index.html").as_uri())
        marks = "return [...document.querySelectorAll('svg.marks')].map(one => one.querySelectorAll(MARK).length)"
        marks = marks.replace("MARK", "'.role-mark path'")
        until = time.monotonic() + 30
        while len(browser.execute_script(marks)) < 4 and time.monotonic() < until:
            time.sleep(0.1)
        matrix, recalls, losses, scores = browser.execute_script(marks)
        severe = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert (matrix >= 50, recalls, losses >= 3, scores >= 2) == (True, 10, True, True)
    assert severe == []


def test_training_leaves_its_curves_and_its_model(clone: Clone) -> None:
    """The curves are those in MLflow, and the model that dvc.yaml names gives the logits that were judged."""
    from equipoise.methods.saved_model import load_keras

    (only,) = runs(clone)
    read = functools.partial(pd.read_csv, float_precision="round_trip")
    history = read(clone / "artifacts" / "history.csv")
    curves = clone / "artifacts" / "live" / "plots" / "metrics"
    for name in ("train/loss", "val/macro_f1", "val/log_loss"):
        curve = read(curves / f"{name}.tsv", sep="\t")
        assert curve["step"].tolist() == [0]
        assert curve[name.split("/")[1]].tolist() == history[name].tolist() == [only.data.metrics[name]]
    named = yaml.safe_load((clone / "dvc.yaml").read_text())["artifacts"]["model"]
    assert (named["path"], named["type"]) == ("artifacts/model", "model")
    model = load_keras(clone / named["path"] / "model.keras", "the model")
    cached = prepare(validate(params(clone)).dataset, clone / "cache")
    with np.load(clone / "artifacts" / "trained.npz") as trained:
        logits = model.predict(cached.split("test").features, verbose=0)
        np.testing.assert_allclose(logits, trained["logits"], atol=1e-4)


# What `dvc status` says of an edit of each file, by one process for all.
CHANGED = """
import json, sys
from pathlib import Path
from dvc.repo import Repo

found = {}
for file in sys.argv[1:]:
    text = Path(file).read_text()
    Path(file).write_text(text + "# changed\\n")
    with Repo() as repo:
        found[file] = [*repo.status()]
    Path(file).write_text(text)
print(json.dumps(found))
"""


def test_each_change_runs_the_stages_that_depend_on_it(clone: Clone) -> None:
    """Asked of DVC without running anything."""

    edits = {
        "src/equipoise/training/fit.py": {"train"},
        "src/equipoise/methods/losses.py": {"conf", "train", "evaluate"},
        "src/equipoise/methods/models.py": {"conf", "train", "evaluate"},
        "src/equipoise/reports/figures.py": {"evaluate"},
        "src/equipoise/data/splitting.py": {"conf", "prepare", "train", "evaluate"},
        "src/equipoise/reports/page.py": {"evaluate"},
        "src/equipoise/runs/dvc_training.py": {"train"},
        "src/equipoise/runs/dvc_page.py": set(),
        "src/equipoise/core/bars.py": set(),
        "src/equipoise/core/terminal.py": set(),
        "src/equipoise/core/colors.py": {"evaluate"},
        "src/equipoise/metrics/intervals.py": {"evaluate"},
        "src/equipoise/reports/console.py": set(),
        "src/equipoise/tracking/views.py": set(),
        "src/equipoise/comparison/report.py": set(),
        "src/equipoise/sweeps/jobs.py": set(),
        "src/equipoise/serving/register.py": set(),
        "src/compare.py": set(),
        "pipelines/study/grid.yaml": set(),
    }
    found = run(clone, sys.executable, "-c", CHANGED, *edits)
    assert {file: set(stages) for file, stages in json.loads(found.splitlines()[-1]).items()} == edits
    text = (clone / "params.yaml").read_text()
    (clone / "params.yaml").write_text(text.replace("name: balanced", "name: power\n  alpha: 0.5"))
    assert set(json.loads(dvc(clone, "status", "--json"))) == {"conf", "train"}, "evaluate follows by what train leaves"
    (clone / "params.yaml").write_text(text)


def test_what_is_up_to_date_is_said_in_one_line(clone: Clone) -> None:
    """The study, which nobody has run here, and what Python leaves beside its code, are in nobody's way."""
    left = clone / "src" / "equipoise" / "training" / "__pycache__" / "something.pyc"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"compiled")
    assert dvc(clone, "status").strip() == "Data and pipelines are up to date."
    assert set(re.findall(r"\| ([\w/@.:-]+) +\|", dvc(clone, "dag"))) == {"conf", "prepare", "train", "evaluate"}
    assert len(json.loads(dvc(clone, "--cd", "pipelines/study", "status", "--json"))) > 2


def test_a_changed_decision_judges_the_same_run_again(clone: Clone) -> None:
    text, before = (clone / "params.yaml").read_text(), metrics(clone)
    (clone / "params.yaml").write_text(
        text.replace("decision:\n  name: argmax", "decision:\n  name: tuned\n  metric: macro_f1")
    )
    found = dvc(clone, "repro")
    assert "Stage 'train' didn't change" in found
    assert "Stage 'prepare' didn't change" in found
    (only,) = runs(clone)
    assert_recorded_is_trained(clone, only)
    assert metrics(clone) != before
    assert only.data.tags["decision"] == "tuned"
    assert only.data.params["decision.name"] == "argmax", "params cannot be changed"
    judged = json.loads(only.data.tags["judged_under"])
    assert {key: judged[key] for key in judged if key.startswith("decision")} == {
        "decision.name": "tuned",
        "decision.metric": "macro_f1",
    }
    (clone / "params.yaml").write_text(text)


def test_an_experiment_and_train_py_train_the_same(clone: Clone) -> None:
    found = dvc(clone, "exp", "run", "--name", "second", *small(*EFFECTIVE))
    assert "Stage 'prepare' didn't change" in found
    newest = runs(clone)[0]
    assert_recorded_is_trained(clone, newest)
    assert newest.data.params["weighting.beta"] == "0.99"
    done = train(clone, *SMALL, *EFFECTIVE)
    assert done.returncode == 0, done.stderr
    by_hand = runs(clone)[0]
    assert by_hand.info.run_id != newest.info.run_id
    for tag in ("weights_sha256", "config_sha256", "training_sha256", "data_sha256"):
        assert by_hand.data.tags[tag] == newest.data.tags[tag]
    assert "weighting.name" in dvc(clone, "params", "diff")
    assert "test.balanced_accuracy" in dvc(clone, "metrics", "show")
    assert "second" in dvc(clone, "exp", "show", "--csv")
    shown = run(clone, "env", "COLUMNS=120", "make", "--no-print-directory", "-o", "setup", "experiments")
    assert max(map(len, shown.splitlines())) <= 120
    heading = next(line for line in shown.splitlines() if "Experiment" in line).split()
    assert heading[:6] == [
        "Experiment",
        "val.macro_f1",
        "test.macro_f1",
        "test.balanced_accuracy",
        "test.mcc",
        heading[5],
    ]
    assert heading[5].startswith("weighting."), "what differs, and nothing else"


def test_mlflow_run_is_the_same_run_again(clone: Clone) -> None:
    """A sweep's outer run becomes the summary of its jobs; an evaluation is logged in the run that is open."""
    before = {logged.info.run_id for logged in runs(clone)}
    same = runs(clone)[0].data.tags["weights_sha256"]

    def mlflow_run(*words: str) -> list[Any]:
        run(clone, "python", "-m", "mlflow", "run", ".", "--env-manager", "local", *words)
        new = [logged for logged in runs(clone) if logged.info.run_id not in before]
        before.update(logged.info.run_id for logged in new)
        assert all(logged.info.status == "FINISHED" for logged in new)
        return new

    overrides = ("-P", f"overrides={' '.join(SMALL[2:])}")
    given = ("-P", "dataset=digits_lt", "-P", "model=linear")
    (only,) = mlflow_run(
        *given, "-P", "weighting=effective_number", "-P", f"overrides={' '.join((*SMALL[2:], EFFECTIVE[1]))}"
    )
    assert only.data.tags["weights_sha256"] == same
    assert only.data.metrics["test/accuracy"]
    sweep = mlflow_run("-e", "sweep", *given, "-P", "seeds=0", *overrides)
    assert len(sweep) == 3
    (summary,) = (logged for logged in sweep if logged.data.tags.get("kind") == "sweep")
    assert {logged.data.tags["sweep_id"] for logged in sweep} == {summary.data.tags["sweep_id"]}
    assert not summary.data.metrics
    (evaluation,) = mlflow_run("-e", "evaluate", "-P", f"run={only.info.run_id}", "-P", "overrides=decision=tuned")
    assert evaluation.data.tags["evaluated_run"] == only.info.run_id


def test_a_grid_in_temporary_workspaces_lands_in_the_one_store(clone: Clone) -> None:
    before = len(runs(clone))
    dvc(clone, "exp", "run", "--queue", *small("weighting=inverse,power"))
    dvc(clone, "queue", "start", "-j", "2")
    for task in re.findall(r"^([0-9a-f]{7}) ", dvc(clone, "queue", "status"), re.MULTILINE):
        dvc(clone, "queue", "logs", "-f", task)
    new = runs(clone)[: len(runs(clone)) - before]
    assert {logged.data.params["weighting.name"] for logged in new} == {"inverse", "power"}
    names = dvc(clone, "exp", "list", "--name-only").split()
    for logged in new:
        assert logged.info.status == "FINISHED"
        assert logged.data.tags["dvc_exp"] in names
        shown = json.loads(dvc(clone, "metrics", "diff", "HEAD", logged.data.tags["dvc_exp"], "--json", "--all"))
        assert shown["artifacts/metrics.json"]["test.macro_f1"]["new"] == logged.data.metrics["test/macro_f1"]
        assert Path(logged.data.tags["folder"]).is_dir()


def test_a_conf_that_params_yaml_lacks_stops_the_pipeline(clone: Clone) -> None:
    trainer = clone / "conf" / "trainer" / "default.yaml"
    text = trainer.read_text()
    trainer.write_text(text.replace("epochs: 30", "epochs: 29"))
    assert "make params" in dvc(clone, "repro", code=255)
    trainer.write_text(text)


def test_data_under_dvc_on_another_clone(clone: Clone, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    labels = generator.choice(["cat", "dog", "eel"], 300, p=[0.6, 0.25, 0.15])
    size = generator.normal(size=300) + np.select([labels == "dog", labels == "eel"], [2, -2], 0)
    colour = np.where(generator.random(300) < 0.1, None, generator.choice(["red", "blue"], 300))
    pd.DataFrame({"size": size, "colour": colour, "species": labels}).to_csv(
        clone / "data" / "raw" / "pets.csv", index=False
    )
    dvc(clone, "add", "data/raw/pets.csv")
    dvc(clone, "remote", "add", "-d", "store", str(tmp_path / "remote"))
    of_table = (
        "dataset=csv",
        "dataset.path=data/raw/pets.csv",
        "dataset.target=species",
        "model=mlp",
        "decision=tuned",
    )
    dvc(clone, "exp", "run", *small(*of_table), "-S", "weighting=balanced")
    here = runs(clone)[0]
    recorded = {
        dependency["path"]: dependency
        for dependency in yaml.safe_load((clone / "dvc.lock").read_text())["stages"]["prepare"]["deps"]
    }
    assert here.data.tags["dvc_md5"] == recorded["data/raw"]["md5"]
    commit(clone, "a table")
    dvc(clone, "push")

    other = tmp_path / "other"
    run(tmp_path, "git", "clone", "-q", str(clone), str(other))
    dvc(other, "pull")
    assert "Data and pipelines are up to date" in dvc(other, "repro"), "the results came with the data"
    assert "HTML template has to contain '{plot_divs}'" in dvc(other, "plots", "show", code=255)
    run(other, "env", "PYTHONPATH=src", "python", "pipelines/plots_page.py")  # as make setup does
    dvc(other, "plots", "show")
    text = (other / "params.yaml").read_text()
    (other / "params.yaml").write_text(text.replace("metric: balanced_accuracy", "metric: macro_f1"))
    assert "was trained in another store" in dvc(other, "repro").replace("\n", " ")
    (there,) = runs(other)
    assert_recorded_is_trained(other, there)
    for tag in ("weights_sha256", "data_sha256", "dvc_md5"):
        assert there.data.tags[tag] == here.data.tags[tag]
    assert there.data.metrics["val/log_loss"] == here.data.metrics["val/log_loss"]


def test_the_best_is_served_as_it_was_judged(clone: Clone) -> None:
    """After the table above: raw rows give the classes and probabilities that evaluate.py computes."""
    name = runs(clone)[0].info.run_id
    registered = train(clone, f"run={name}", "name=pets", script="register.py")
    assert registered.returncode == 0, registered.stderr
    assert (
        "Probabilities: p(class) is moved to dataset.target_prior=training, from the prior that the model learned under"
        in registered.stdout
    )
    version = store(clone).get_model_version_by_alias("pets", "champion")
    assert version.run_id == name
    judged = train(clone, f"run={name}", script="evaluate.py")
    assert judged.returncode == 0, judged.stderr
    evaluation = runs(clone)[0]
    assert evaluation.data.tags["evaluated_run"] == name
    expected = pd.read_parquet(Path(evaluation.data.tags["folder"]) / "evaluation" / "predictions.parquet")

    raw = pd.read_csv(clone / "data" / "raw" / "pets.csv")
    found = served(clone, "pets", clone / "data" / "raw" / "pets.csv").assign(label=raw["species"])
    columns = [column for column in expected if column.startswith("p(")]
    assert list(found.columns[1:4]) == columns
    for logged, answered in (("p(", "p_raw("), ("p_corrected(", "p(")):
        here, there = ([column.replace("p(", prefix) for column in columns] for prefix in (logged, answered))
        assert np.abs(expected[here].to_numpy() - found[there].to_numpy()[expected["row"]]).max() < 1e-6
    assert (found["predicted"].to_numpy()[expected["row"]] == expected["predicted"].to_numpy()).all()
    assert len(set(found["predicted"])) > 1


def test_it_is_served_over_http_as_csv_and_json(clone: Clone) -> None:
    """One server on loopback gives the answers of the test above; the model's example is a row that nobody has."""
    table = clone / "data" / "raw" / "pets.csv"
    expected = served(clone, "pets", table)
    raw = pd.read_csv(table)
    address = f"http://127.0.0.1:{free_port()}"
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        "models:/pets@champion",
        "--env-manager",
        "local",
        "--port",
        address.split(":")[-1],
    ]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{clone / 'mlflow.db'}", "PYTHONPATH": ""}
    environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # where MLflow looks for its server

    def answer(kind: str, content: bytes) -> pd.DataFrame:
        request = urllib.request.Request(f"{address}/invocations", content, {"Content-Type": kind})
        with urllib.request.urlopen(request, timeout=60) as response:
            return pd.DataFrame(json.load(response)["predictions"])

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"{address}/ping", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    with ended_after() as processes:
        started = processes.start(
            command, cwd=clone.parent, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        processes.until(answers, started)
        pd.testing.assert_frame_equal(answer("text/csv", table.read_bytes()), expected)
        rows = json.dumps({"dataframe_split": json.loads(raw.to_json(orient="split"))}).encode()
        pd.testing.assert_frame_equal(answer("application/json", rows), expected)
        unknown = answer("text/csv", b"size,colour\n1.5,green\n,red\n")
        assert unknown["notes"].tolist() == ["colour=green: not seen in training", "size: missing"]
        mlflow.set_tracking_uri(f"sqlite:///{clone / 'mlflow.db'}")
        model = mlflow.pyfunc.load_model(store(clone).get_model_version_by_alias("pets", "champion").source)
        example = model.metadata.load_input_example()
        assert not (example["size"].iloc[0] == raw["size"]).any()
        assert answer("application/json", json.dumps({"dataframe_split": example.to_dict("split")}).encode())[
            "notes"
        ].tolist() == [""]


def test_mistakes_in_registering(clone: Clone) -> None:
    for words, told in {
        ("metrc=val/log_loss",): "did you mean 'metric'",
        ("run=a", "sweep=b"): "contradict each other",
        ("metric=val/nonsense",): "no finished run with a model has it",
        ("metric=test/macro_f1",): "the test split is for judging, not for choosing",
        ("run=nonsense",): "there is no run nonsense",
    }.items():
        found = train(clone, *words, script="register.py")
        assert (found.returncode, told in found.stderr) == (2, True), found.stderr
