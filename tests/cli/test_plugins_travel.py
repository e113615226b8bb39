"""The user's own options from plugins/, as a user types them: in every launcher, edited, gone, judged again."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import warm
from clusters import slurm
from equipoise.tracking.store import Store, open_store
from helpers import clone_of, copy_project, jobs, train
from processes import LIMIT

pytestmark = pytest.mark.slow

HINGE = '''
import equipoise
import tensorflow as tf

from ._shared import FAR


@equipoise.loss
def hinge(labels, logits, *, margin: float = 1.0):
    """max(0, margin - z_y + max other z): multi-class hinge."""
    mine = tf.gather(logits, labels, batch_dims=1)
    others = tf.reduce_max(logits - FAR * tf.one_hot(labels, logits.shape[-1]), axis=-1)
    return tf.nn.relu(margin - mine + others)
'''
MORE = '''
import numpy as np

import equipoise as eq


@eq.weighting
def cube_root(counts, *, strength: float = 1.0):
    """(n_max / n_c)^(strength / 3)."""
    return (counts.max() / counts) ** (strength / 3)


@eq.dataset
def moons(*, n: int = 300, noise: float = 0.2):
    """Two moons, one of them rare."""
    from sklearn.datasets import make_moons

    return make_moons((n - n // 5, n // 5), noise=noise, random_state=0)


@eq.decision
def shifted(known, *, tau: float = 0.5):
    """The logits less tau times the log of the validation split's frequencies."""
    return -tau * np.log(np.bincount(known.labels, minlength=known.logits.shape[1]))
'''
SHORT = ["dataset=digits_lt", "model=linear", "trainer.epochs=2", "trainer.threads=1", "evaluation.resamples=0"]
SWEEP = ["-m", *SHORT, "weighting=cube_root", "loss=class_weight,hinge"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("own options"), with_store=True)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to call the commands from, whose plugins/ has the loss; what else there is lies beside it."""
    folder = tmp_path_factory.mktemp("elsewhere")
    write(folder / "plugins" / "hinge.py", HINGE)
    write(folder / "plugins" / "_shared.py", "FAR = 1e9\n")
    write(folder / "more" / "more.py", MORE)
    return folder


@pytest.fixture(autouse=True)
def _more(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_PLUGINS", str(here / "more"))


@pytest.fixture(scope="module")
def calm(project: Path, here: Path) -> dict[str, str]:
    """The sweep's digests in one process."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("EQUIPOISE_PLUGINS", str(here / "more"))
        found = train(project, *SWEEP, "sweep=calm", cwd=here)
    assert found.returncode == 0, found.stdout + found.stderr
    assert all(line.startswith("warning: ") for line in found.stderr.splitlines()), found.stderr
    return digests(open_store(project), "calm")


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


def digests(store: Store, sweep: str) -> dict[str, str]:
    """The digest of the trained weights by the loss that trained them."""
    runs = jobs(store, sweep_id=sweep)
    found = {run.data.tags["loss"]: run.data.tags["weights_sha256"] for run in runs if run.info.status == "FINISHED"}
    assert len(found) == len(runs)
    return found


def newest(project: Path, **tags: str) -> Any:
    return jobs(open_store(project), **tags)[-1]


@pytest.mark.parametrize("launcher", ["submitit_slurm", "ray"])  # joblib: test_decide_command.py
def test_every_launcher_trains_them_to_the_same_bits(
    launcher: str, project: Path, here: Path, calm: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slurm's node does not see plugins/ here: the files are in the job, as they were when it was submitted."""
    with slurm(here / "plugins") if launcher == "submitit_slurm" else contextlib.nullcontext({}) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        found = train(project, *SWEEP, f"hydra/launcher={launcher}", f"sweep={launcher}", cwd=here)
    assert found.returncode == 0, found.stdout + found.stderr
    assert digests(open_store(project), launcher) == calm
    assert set(calm) == {"class_weight", "hinge"}
    assert len(set(calm.values())) == 2
    assert all(line.startswith("warning: ") for line in found.stderr.splitlines()), found.stderr


def test_an_edit_of_the_function_repeats_its_jobs_and_nothing_else(project: Path, here: Path, calm: Any) -> None:
    store, file = open_store(project), here / "plugins" / "hinge.py"
    (stale,) = jobs(store, sweep_id="calm", loss="hinge")
    edit(file, "multi-class hinge.", "multi-class hinge, as ever.")
    edit(file, "    mine =", "    # Of the true class.\n    mine =")
    edit(here / "more" / "more.py", "return -tau *", "return -1.0 * tau *")
    same = train(project, *SWEEP, "sweep=calm", cwd=here)
    assert "2 of 2 jobs are finished already" in same.stdout, same.stdout + same.stderr
    edit(here / "plugins" / "_shared.py", "1e9", "1e8")
    again = train(project, *SWEEP, "sweep=calm", cwd=here)
    assert again.returncode == 0, again.stdout + again.stderr
    told = f"trained again: the code of loss=hinge has changed since run {stale.info.run_id}"
    assert told in again.stdout.splitlines()
    assert "1 of 2 jobs are finished already" in again.stdout
    (fresh,) = jobs(store, sweep_id="calm", loss="hinge")
    assert fresh.info.run_id != stale.info.run_id


def test_the_code_of_a_dataset_is_in_the_key_of_the_cache(project: Path, here: Path) -> None:
    command = ["dataset=moons", "model=linear", "trainer.epochs=1", "decision=shifted", "evaluation.resamples=0"]
    before = set((project / "cache").glob("*")) if (project / "cache").exists() else set()
    assert train(project, *command, cwd=here).returncode == 0
    (first,) = set((project / "cache").iterdir()) - before
    assert train(project, *command, cwd=here).returncode == 0
    assert set((project / "cache").iterdir()) == before | {first}
    edit(here / "more" / "more.py", "random_state=0", "random_state=1")
    assert train(project, *command, cwd=here).returncode == 0
    assert len(set((project / "cache").iterdir()) - before - {first}) == 1


def test_a_model_is_judged_again_by_them_and_a_file_that_is_gone_is_named(project: Path, here: Path) -> None:
    trained = train(project, *SHORT, "loss=hinge", "loss.margin=0.5", cwd=here)
    assert trained.returncode == 0, trained.stdout + trained.stderr
    of = newest(project, loss="hinge")
    assert of.data.params["loss.margin"] == "0.5"
    judged = train(
        project, f"run={of.info.run_id}", "decision=shifted", "decision.tau=0.25", cwd=here, script="evaluate.py"
    )
    assert judged.returncode == 0, judged.stdout + judged.stderr
    (again,) = open_store(project).runs(evaluated_run=of.info.run_id)
    assert (again.data.tags["decision"], again.data.params["decision.tau"]) == ("shifted", "0.25")
    file = here / "plugins" / "hinge.py"
    file.rename(here / "hinge.txt")
    try:
        gone = train(project, f"run={of.info.run_id}", cwd=here, script="evaluate.py")
    finally:
        (here / "hinge.txt").rename(file)
    assert gone.returncode == 2, gone.stdout + gone.stderr
    (line,) = gone.stderr.splitlines()
    assert line.startswith("error: loss=hinge, which the run was computed under: its file plugins/hinge.py is not here")


def test_shells_pages_and_messages_know_them(project: Path, here: Path) -> None:
    asked = {**os.environ, "COMP_LINE": "train.py loss=h"}
    completed = subprocess.run(
        [sys.executable, str(project / "src" / "train.py"), "-sc", "query=bash"],
        cwd=here,
        env=asked,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert completed.stdout.split() == ["loss=hinge"], completed.stderr
    shown = train(project, "--help", cwd=here).stdout
    assert {"hinge", "cube_root", "moons", "shifted"} <= set(shown.replace(",", " ").split())
    composed = train(project, "--cfg", "job", "loss=hinge", "loss.margin=3", cwd=here).stdout
    assert "  name: hinge\n  function: hinge\n  margin: 3\n  implementation: custom\n" in composed
    for words, told in {
        "loss=hinga": "did you mean 'hinge'?",
        "loss=hinge loss.margn=1": "did you mean 'loss.margin'?",
        "loss=hinge loss.margin=wide": "loss.margin=wide: must be a valid number",
    }.items():
        wrong = train(project, *words.split(), cwd=here)
        assert wrong.returncode == 2
        assert told in wrong.stderr
    weighed = train(project, "dataset=digits_lt", "weighting=cube_root,none", cwd=here, script="weights.py")
    assert "cube_root" in weighed.stdout, weighed.stderr


def test_dvc_composes_them_and_names_a_file_that_git_does_not_track(tmp_path: Path) -> None:
    """Nothing puts src/ on the path of `dvc`, as nothing does in an activated environment."""
    clone, given = clone_of(tmp_path / "clone"), [word for line in SHORT for word in ("-S", line)]
    hidden = ("PYTHONPATH", "CI", "EQUIPOISE_PLUGINS")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    path = ":".join([str(warm.programs()), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment |= {"PATH": path, "GIT_CONFIG_GLOBAL": "/dev/null", "DVC_NO_ANALYTICS": "true"}

    def run(*command: str) -> str:
        found = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, timeout=LIMIT)
        assert found.returncode == 0, found.stdout + found.stderr
        return found.stdout + found.stderr

    run("git", "init", "-q")
    run("git", "add", "-A")
    run("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "the code")
    write(clone / "plugins" / "hinge.py", HINGE.replace("from ._shared import FAR", "FAR = 1e9"))
    write(clone / "conf" / "loss" / "hinge_wide.yaml", "name: hinge\n")  # which takes the rest from the function
    said = run("dvc", "exp", "run", *given, "-S", "loss=hinge_wide", "-S", "loss.margin=2.0")
    assert "deprecated" not in said
    assert newest(clone, loss="hinge").data.params["loss.margin"] == "2.0"
    run("dvc", "exp", "run", "--queue", *given, "-S", "loss=hinge", "-S", "loss.margin=0.5")
    told = run("dvc", "exp", "run", "--run-all")  # exits with 0 whatever becomes of them
    assert "error: loss=hinge: plugins/hinge.py is not in this temporary workspace, which has what git" in told
    run("git", "add", "plugins")
    run("dvc", "exp", "run", "--queue", *given, "-S", "loss=hinge", "-S", "loss.margin=0.5")
    run("dvc", "exp", "run", "--run-all")
    assert newest(clone, loss="hinge").data.params["loss.margin"] == "0.5"
    edit(clone / "plugins" / "hinge.py", "margin - mine", "1.0 * margin - mine")
    assert set(json.loads(run("dvc", "status", "--json"))) == {"conf", "prepare", "train", "evaluate"}
