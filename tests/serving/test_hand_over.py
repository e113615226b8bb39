"""src/predict.py, and register.py export=: rows are predicted by a run, by the registry, and by a folder alone."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import warm
from equipoise.serving.model_card import Record, card
from helpers import copy_project, imported_modules, train
from kinds import a_table
from processes import LIMIT

pytestmark = pytest.mark.slow

# A model with a layer of its own, which answers as a dense layer does.
OWN = '''
import keras

import equipoise


class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x


@equipoise.model
def doubling(shape, logits, *, units: int = 8):
    """A dense layer of doubled features."""
    hidden = Doubled()(inputs := keras.Input(shape))
    return keras.Model(inputs, keras.layers.Dense(logits)(keras.layers.Dense(units, "relu")(hidden)))
'''
TYPED = ["dataset=csv", "dataset.path=t.csv", "dataset.target=y", "weighting=balanced", "trainer.epochs=2"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a run whose model has a layer of its own; it is registered, and handed over in `model`."""
    project = copy_project(tmp_path_factory.mktemp("project"), with_store=True)
    a_table(project)
    (project / "plugins").mkdir()
    (project / "plugins" / "doubling.py").write_text(OWN)
    found = train(project, *TYPED, "model=doubling", "evaluation.resamples=50")
    assert found.returncode == 0, found.stderr
    found = train(project, "name=mine", "export=model", script="register.py")
    assert found.returncode == 0, found.stderr
    assert "python model/predict.py rows.csv predictions.csv" in found.stdout
    assert "python src/predict.py model=mine@champion input=rows.csv output=predictions.csv" in found.stdout
    return project


@pytest.fixture(scope="module")
def logged(project: Path) -> pd.DataFrame:
    """What the run has logged of its test split."""
    (file,) = project.glob("mlruns/csv-t/*/artifacts/evaluation/predictions.parquet")
    return pd.read_parquet(file)


def predict(project: Path, *words: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    return train(project, *words, cwd=cwd, script="predict.py")


def alone(folder: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run Python in an empty folder, where nothing of this project is on the path."""
    folder.mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "EQUIPOISE"))}
    return warm.run(command, folder, LIMIT, environment)


def assert_as_logged(found: pd.DataFrame, logged: pd.DataFrame) -> None:
    rows = found.loc[logged["row"]]
    assert rows["predicted"].tolist() == logged["predicted"].tolist()
    for name in ("often", "rare"):
        np.testing.assert_array_equal(rows[f"p({name})"], logged[f"p_corrected({name})"])


def test_a_run_a_registered_model_and_a_folder_give_the_logged_bits(
    project: Path, logged: pd.DataFrame, tmp_path: Path
) -> None:
    tables = []
    for number, words in enumerate((["run=latest"], ["model=mine@champion"], ["model=model"])):
        file = tmp_path / f"{number}.parquet"
        found = predict(project, *words, "input=t.csv", f"output={file}", "key=city")
        assert found.returncode == 0, found.stderr
        assert found.stderr == ""
        assert f"{file}: 200 rows; predicted: often" in found.stdout
        tables.append(pd.read_parquet(file))
        assert_as_logged(tables[-1], logged)
        pd.testing.assert_frame_equal(tables[-1], tables[0])
    assert list(tables[0]) == ["row", "city", "predicted", "p(often)", "p(rare)", "notes"]


def test_the_command_reads_the_store_without_mlflow(project: Path, tmp_path: Path) -> None:
    """MLflow takes longer to import than all else but TensorFlow; and nothing in the project is written."""
    before = {path: path.stat().st_mtime_ns for path in project.rglob("*") if "__pycache__" not in path.parts}
    command = [sys.executable, "-X", "importtime", str(project / "src" / "predict.py")]
    command += [f"input={project}/t.csv", f"output={tmp_path}/p.csv"]
    found = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=LIMIT)
    assert found.returncode == 0, found.stdout
    assert {"mlflow", "hydra", "sqlalchemy", "matplotlib.pyplot"} & imported_modules(found.stderr) == set()
    after = {path: path.stat().st_mtime_ns for path in project.rglob("*") if "__pycache__" not in path.parts}
    assert after == before


def test_a_run_that_was_judged_again_predicts_by_its_rule(project: Path, tmp_path: Path) -> None:
    found = train(project, "run=latest", "decision=logit_adjusted", "evaluation.resamples=0", script="evaluate.py")
    assert found.returncode == 0, found.stderr
    run = found.stdout.split("Logged as run ")[1][:32]
    (file,) = project.glob(f"mlruns/csv-t/{run}/artifacts/evaluation/predictions.parquet")
    found = predict(project, f"run={run}", "input=t.csv", f"output={tmp_path}/p.parquet")
    assert found.returncode == 0, found.stderr
    assert_as_logged(pd.read_parquet(tmp_path / "p.parquet"), pd.read_parquet(file))


def test_rows_that_cannot_be_read_are_listed_and_the_code_is_1(project: Path, tmp_path: Path) -> None:
    lines = (project / "t.csv").read_text().splitlines()
    (tmp_path / "rows.csv").write_text("\n".join([*lines[:3], "no row", *lines[3:5], *["1,2"] * 12]))
    found = predict(project, f"input={tmp_path}/rows.csv", f"output={tmp_path}/p.csv")
    assert found.returncode == 1
    listed = found.stderr.splitlines()
    assert listed[:2] == ["13 of 17 rows cannot be read, and have no class:", "row 2: has 1 cell, and the header 8"]
    assert (len(listed), listed[-1]) == (12, "and 3 more: their notes say why")
    assert (
        pd.read_csv(tmp_path / "p.csv")["predicted"].notna().tolist() == [True, True, False, True, True] + [False] * 12
    )


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["run=nobody"], "there is no run nobody"),
        (
            ["model=nobody@champion"],
            "model=nobody@champion: there is no such registered model; did you mean 'mine@champion'?",
        ),
        (
            ["model=nobody"],
            "model=nobody: there is no such folder; of a registered model, type its alias: nobody@champion",
        ),
        (["model=src"], "holds no model that python src/register.py wrote with export="),
        (["model=model", "run=latest"], "run and model contradict each other"),
        (["input="], "expected key=value"),
        (["inptu=t.csv"], "there is no option inptu; did you mean 'input'?"),
    ],
)
def test_a_mistake_is_told_in_a_line(words: list[str], why: str, project: Path, tmp_path: Path) -> None:
    typed = [] if any(word.startswith("inp") for word in words) else ["input=t.csv"]
    found = predict(project, *words, *typed, f"output={tmp_path}/p.csv")
    assert (found.returncode, found.stdout, found.stderr.count("\n")) == (2, "", 1)
    assert why in found.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_predicts_without_this_project(project: Path, logged: pd.DataFrame, tmp_path: Path) -> None:
    """By its own script and by MLflow, moved elsewhere, with no other code of ours than the folder's own."""
    moved = tmp_path / "moved"
    (project / "model").rename(moved)
    try:
        found = alone(
            tmp_path / "a", "-X", "importtime", f"{moved}/predict.py", f"{project}/t.csv", "p.csv", "key=city"
        )
        assert found.returncode == 0, found.stderr
        assert "mlflow" not in imported_modules(found.stderr)
        assert_as_logged(pd.read_csv(tmp_path / "a" / "p.csv", float_precision="round_trip"), logged)
        program = """
import json, sys
import mlflow, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
model.predict(pd.read_csv(sys.argv[2], float_precision="round_trip")).to_parquet("p.parquet")
print(json.dumps([sys.modules["equipoise"].__file__, sys.modules["equipoise_plugins.doubling"].__file__]))
"""
        found = alone(tmp_path / "b", "-c", program, str(moved), f"{project}/t.csv")
        assert found.returncode == 0, found.stderr
        assert_as_logged(pd.read_parquet(tmp_path / "b" / "p.parquet"), logged)
        for file in json.loads(found.stdout.splitlines()[-1]):
            assert Path(file).is_relative_to(moved)
        for words, why in (
            ([], "type what to read and what to write: python predict.py rows.csv predictions.csv"),
            (["nowhere.csv", "p.csv"], "input=nowhere.csv: there is no such file"),
        ):
            found = alone(tmp_path / str(len(words)), f"{moved}/predict.py", *words)
            assert (found.returncode, found.stdout, found.stderr) == (2, "", f"error: {why}\n")
        texts = [
            file.read_text()
            for file in moved.rglob("*")
            if file.suffix in ("", ".md", ".yaml", ".json") and file.is_file()
        ]
        assert not any(str(project) in text or "/tmp" in text for text in texts), "it names no folder of its author"
        assert len((moved / "predict.py").read_text().splitlines()) <= 40
    finally:
        moved.rename(project / "model")


def test_a_folder_of_somebody_else_runs_no_code_here(project: Path, logged: pd.DataFrame, tmp_path: Path) -> None:
    """What lies beside the parts is not run; nor is a file of layers that the folder carries."""
    import shutil

    folder = tmp_path / "theirs"
    shutil.copytree(project / "model", folder)
    for file in (folder / "code" / "equipoise" / "__init__.py", folder / "served.py", folder / "predict.py"):
        file.write_text("raise SystemExit('run')\n")
    found = predict(project, f"model={folder}", "input=t.csv", f"output={tmp_path}/p.parquet")
    assert found.returncode == 0, found.stderr
    assert_as_logged(pd.read_parquet(tmp_path / "p.parquet"), logged)
    (project / "plugins" / "doubling.py").rename(project / "doubling.py")
    try:
        found = predict(project, f"model={folder}", "input=t.csv", f"output={tmp_path}/q.parquet")
    finally:
        (project / "doubling.py").rename(project / "plugins" / "doubling.py")
    assert found.returncode == 2
    assert "needs the code of equipoise_plugins.doubling.Doubled, and is not loaded" in found.stderr
    assert not (tmp_path / "q.parquet").exists()


def test_the_card_tells_what_the_records_say(project: Path, logged: pd.DataFrame) -> None:
    text = (project / "model" / "README.md").read_text()
    front = yaml.safe_load(text.split("---")[1])
    assert front["pipeline_tag"] == "tabular-classification"
    headings = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert headings == [
        "Model details",
        "Uses",
        "Bias, risks and limitations",
        "How to get started",
        "Training data",
        "Evaluation",
        "Technical specifications",
    ]
    assert len(text.split()) < 700, "a page"
    weights = next(project.glob("mlruns/csv-t/*/artifacts/weights.json"))
    counts = {name: row["count"] for name, row in json.loads(weights.read_text()).items()}
    for name in ("often", "rare"):
        of_class = logged[logged["label"] == name]
        recall = (of_class["predicted"] == name).mean()
        assert f"| {name} | {counts[name]:,} | {len(of_class)} | {recall:.3f} | " in text
    assert f"On {len(logged)} test rows" in text
    shares = {name: f"{count / sum(counts.values()):.4g}" for name, count in counts.items()}
    prior = f"often {shares['often']}, rare {shares['rare']}"
    assert f"Prior in training, of p(class): {prior}; learned: often 0.5, rare 0.5." in text
    assert f"python src/train.py {' '.join(TYPED)} model=doubling evaluation.resamples=50" in text
    assert "chosen by val/balanced_accuracy" in text


def record(**changed: Any) -> Record:
    """The record of a model of three classes."""
    rows: list[dict[str, Any]] = [
        {"class": name, "recall": recall, "recall_low": recall - 0.2, "recall_high": recall + 0.1, "precision": 0.5}
        | {"f1": 0.5, "prevalence": share, "count": count}
        for name, recall, share, count in (
            ("a|b", 0.9, 0.8, 800),
            ("*c*", 0.6, 0.19, 190),
            ("none\nat all", 0.3, 0.01, 10),
        )
    ]
    values: dict[str, Any] = {
        "name": "mine",
        "version": "3",
        "run": "r" * 32,
        "trained_on": "2026-01-01",
        "params": {"decision.name": "argmax", "dataset.name": "csv", "dataset.path": "/home/me/secret/t.csv"},
        "tags": {"mlflow.source.git.commit": "c" * 40, "git_dirty": "true"},
        "metrics": {"samples/test": 1000.0, "samples/train": 1000.0, "test/macro_f1": 0.5},
        "why": {},
        "kind": "table",
        "rows": "the table's own columns",
        "probabilities": "p(class) is the model's own and not corrected, since loss=focal",
        "columns": ["x"],
        "several": False,
        "per_class": rows,
        "priors": {},
        "notes": ["one | two"],
        "overrides": [],
        "versions": {"python": "3.11"},
    }
    return Record(**{**values, **changed})


def test_the_card_warns_of_what_is_weak_and_shows_names_as_they_are() -> None:
    text = card(record())
    assert "to be relied on to find the classes \\*c\\*, none at all: see the recall below" in text
    assert "none at all: fewer than 30 test rows, so that little is known of it" in text
    assert "80 to 1 between its classes" in text
    assert "Prior in training: a\\|b 0.8, \\*c\\* 0.19, none at all 0.01." in text
    assert "where p(class) must be a probability: it is the model's own" in text
    assert "| a\\|b | 800 | 800 | 0.900 | 0.700 to 1.000 | 0.500 | 0.500 |" in text
    assert "with uncommitted changes" in text
    assert "secret" not in text, "folders of who trained it are nobody's business"
    text = card(record(why={"metric": "test/macro_f1", "value": "0.5"}))
    assert "It was chosen by test/macro_f1, of the very rows that judge it" in text
    rows = {"samples/train": 80.0, "samples/validation": 5.0, "samples/test": 15.0}
    text = card(record(tags={"refit": "true", "slices": "country, age"}, metrics=rows))
    assert "was trained once more, on all 100 rows (`trainer.refit=true`)" in text
    assert "its recall by country, age stands in the run's evaluation/slices" in text
    again = {"judged_by": "run=r decision=cost", "target_prior": "estimated by EM from 9 rows of t.csv, without labels"}
    text = card(record(tags=again, probabilities="", params={"dataset.target_prior": "[0.5, 0.5]"}))
    assert (
        "judged again, without training, and is as this command left it:\n\n```sh\npython src/evaluate.py run=r" in text
    )
    assert "than dataset.target_prior=[0.5, 0.5] (estimated by EM from 9 rows of t.csv, without labels; that" in text
    many = [{"class": f"class {number}", "recall": number / 100, "recall_low": 0.9} for number in range(100)]
    text = card(record(per_class=many))
    assert "| class 19 |" in text
    assert "| class 20 |" not in text
    assert "and 80 classes of higher recall" in text


def test_a_folder_that_is_not_empty_is_left_as_it_is(project: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    for folder, why in (
        ("full", "holds something already"),
        ("no/where", "there is no folder"),
        ("full/mine.txt", "a file"),
    ):
        found = train(project, f"export={tmp_path}/{folder}", script="register.py")
        assert (found.returncode, found.stdout, found.stderr.count("\n")) == (2, "", 1)
        assert why in found.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "mine.txt"]
