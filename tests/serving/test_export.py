"""src/export.py: a run is taken away as a script and its arrays, which need nothing of this project."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import warm
from equipoise.reports.run_page import SCRIPT
from equipoise.tracking.artifacts import load_model
from equipoise.tracking.store import open_store
from equipoise.training.plain import script as plain
from helpers import copy_project, jobs, train
from processes import LIMIT

pytestmark = pytest.mark.slow

# The last batch is smaller than the others, and dropout draws.
RUN = ["dataset=digits_lt", "model=mlp", "model.dropout=0.3", "trainer.epochs=2", "evaluation.resamples=0"]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one run of each of two ways to train."""
    project = copy_project(tmp_path_factory.mktemp("to take away"), with_store=True)
    for options in (["trainer.strategy=mirrored", "trainer.replicas=2", "model.dropout=0"], ["weighting=balanced"]):
        found = train(project, *RUN, *options)
        assert found.returncode == 0, found.stderr
    return project


@pytest.fixture(scope="module")
def runs(own: Path) -> list[Any]:
    return jobs(open_store(own, "local"))


def artifact(project: Path, run: Any, path: str) -> Path:
    return next(project.glob(f"mlruns/*/{run.info.run_id}/artifacts/{path}"))


def export(project: Path, folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return train(project, *words, cwd=folder, script="export.py")


def run_alone(script: Path, more: str = "") -> str:
    """What a script prints in its folder, without this project on the path."""
    code = f"exec(compile(open({script.name!r}).read(), {script.name!r}, 'exec')){more}"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    found = warm.run(["-c", code], script.parent, LIMIT, environment)
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_a_script_trains_the_run_s_bits_in_an_empty_folder(own: Path, runs: list[Any], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    found = export(own, tmp_path, "run=latest", "output=mine/train_plain.py")
    assert found.returncode == 0, found.stderr
    assert found.stdout.endswith("cd mine && python train_plain.py\n")
    assert {file.name for file in (tmp_path / "mine").iterdir()} == {"train_plain.py", "train_plain.npz"}
    printed = run_alone(tmp_path / "mine" / "train_plain.py")
    digests = re.findall(r"^(?:weights_sha256|of the run): +(\w{64})$", printed, re.MULTILINE)
    assert digests == [runs[-1].data.tags["weights_sha256"]] * 2
    accuracy = re.findall(r"balanced accuracy on the test split: ([\d.]+)", printed)[0]
    assert float(accuracy) == pytest.approx(runs[-1].data.metrics["test/balanced_accuracy"], abs=1e-12)


@pytest.mark.usefixtures("tensorflow")
def test_replicas_are_met_to_1e_5(own: Path, runs: list[Any], tmp_path: Path) -> None:
    found = export(own, tmp_path, f"run={runs[0].info.run_id}")
    assert found.returncode == 0, found.stderr
    assert "to about 1e-5: the run's replicas shared each batch" in " ".join(
        (tmp_path / "train_plain.py").read_text().split()
    )
    run_alone(tmp_path / "train_plain.py", "; np.savez('weights.npz', *model.get_weights())")
    with np.load(tmp_path / "weights.npz") as weights:
        trained = [weights[name] for name in weights]
    model = load_model(open_store(own, "local"), runs[0].info.run_id)
    for mine, theirs in zip(trained, model.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_every_run_has_its_script_and_shows_it_in_its_report(own: Path, runs: list[Any]) -> None:
    for run in runs:
        text = artifact(own, run, SCRIPT).read_text()
        assert run.data.tags["weights_sha256"] in text
        assert f"python src/export.py run={run.info.run_id} output={SCRIPT}" in text
        page = artifact(own, run, "evaluation/report.html").read_text()
        assert "The same in plain Keras" in page
        assert "keras.utils.set_random_seed(SEED)" in page


def test_a_model_that_is_judged_again_keeps_its_script(own: Path, runs: list[Any]) -> None:
    found = train(own, "run=latest", "decision=argmax", script="evaluate.py")
    assert found.returncode == 0, found.stderr
    judged = open_store(own, "local").runs(kind="evaluation")[-1]
    assert artifact(own, judged, SCRIPT).read_text() == artifact(own, runs[-1], SCRIPT).read_text()
    assert "The same in plain Keras" in artifact(own, judged, "evaluation/report.html").read_text()


def test_what_was_changed_by_hand_is_not_written_over(own: Path, tmp_path: Path) -> None:
    for _ in range(2):
        found = export(own, tmp_path, "output=mine.py", "data=arrays.npz")
        assert found.returncode == 0, found.stderr
    assert 'np.load("arrays.npz")' in (tmp_path / "mine.py").read_text()
    (tmp_path / "mine.py").write_text("print('mine')\n")
    found = export(own, tmp_path, "output=mine.py", "data=arrays.npz")
    assert (found.returncode, found.stderr.count("\n")) == (2, 1)
    assert "output=mine.py: it exists, and says something else" in found.stderr
    np.savez(tmp_path / "arrays.npz", x=1)
    found = export(own, tmp_path, "output=other.py", "data=arrays.npz")
    assert "arrays.npz exists, and holds something else" in found.stderr
    assert not (tmp_path / "other.py").exists()


def test_the_script_alone(own: Path, tmp_path: Path) -> None:
    found = export(own, tmp_path, "data=none")
    assert found.returncode == 0, found.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["train_plain.py"]
    assert "type data=train_plain.npz" in found.stdout


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["output=x.txt"], "output=x.txt: the script's name must end in .py"),
        (["data=x.csv"], "data=x.csv: type data=none, or a name that ends in .npz"),
        (["output=nowhere/x.py"], "output=nowhere/x.py: there is no folder nowhere"),
        (["run=nobody"], "there is no run nobody"),
        (["outptu=x.py"], "there is no option outptu; did you mean 'output'?"),
    ],
)
def test_a_mistake_is_told_in_a_line(words: list[str], why: str, own: Path, tmp_path: Path) -> None:
    found = export(own, tmp_path, *words)
    assert (found.returncode, found.stdout, found.stderr.count("\n")) == (2, "", 1)
    assert why in found.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_has_logged_no_script_gets_the_same_one(own: Path, runs: list[Any], tmp_path: Path) -> None:
    file = artifact(own, runs[-1], SCRIPT)
    expected = file.read_text()
    file.unlink()
    found = export(own, tmp_path, "output=plain_keras.py")
    file.write_text(expected)
    assert found.returncode == 0, found.stderr
    assert (tmp_path / SCRIPT).read_text() == expected
    assert plain.SCRIPT == SCRIPT


def test_images_that_are_decoded_while_training_are_refused_in_a_line(own: Path, tmp_path: Path) -> None:
    from PIL import Image

    for y in range(40):
        (tmp_path / "images" / f"class {y % 2}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 6 * y, np.uint8)).save(tmp_path / "images" / f"class {y % 2}" / f"{y}.png")
    images = ["dataset=image_directory", f"dataset.path='{tmp_path}/images'", "dataset.image_size=[8,8]"]
    found = train(own, *images, "model=linear", "trainer.epochs=1", "evaluation.resamples=0")
    assert found.returncode == 0, found.stderr
    (run,) = jobs(open_store(own, "local"), dataset="image_directory")
    found = export(own, tmp_path, f"run={run.info.run_id}")
    assert (found.returncode, found.stderr.count("\n")) == (2, 1)
    assert "its images are decoded while a model trains" in found.stderr
