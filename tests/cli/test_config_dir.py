"""A user's own configs outside the repository, as the commands take them."""

import shutil
from pathlib import Path

import pytest

from equipoise.tracking.store import open_store
from helpers import copy_project, jobs, train

pytestmark = pytest.mark.slow

QUICK = ["model=linear", "trainer.epochs=1", "trainer.threads=1", "evaluation.resamples=0"]


def test_a_sweep_over_own_configs_is_done_by_joblib_resumed_and_judged_again(tmp_path: Path) -> None:
    project, mine = copy_project(tmp_path / "project", with_store=True), tmp_path / "mine"
    (mine / "loss").mkdir(parents=True)
    (mine / "loss" / "focal_strong.yaml").write_text(
        "{name: focal, function: focal, implementation: custom, alpha: null, gamma: 5.0}\n"
    )
    (mine / "first.yaml").write_text("defaults: [config, {override dataset: digits_lt}, _self_]\nseed: 7\n")
    flags = ["--config-dir", "mine", "--config-name", "first"]  # from the folder that it is typed in
    words = ["-m", *flags, "loss=focal_strong,focal", *QUICK]
    first = train(project, *words, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", cwd=tmp_path)
    assert first.returncode == 0, first.stdout + first.stderr
    logged = jobs(open_store(project))
    assert {(run.data.params["loss.gamma"], run.data.params["seed"]) for run in logged} == {("5.0", "7"), ("2.0", "7")}
    assert {run.info.run_name for run in logged} == {
        "none · focal · gamma 5 · seed 7",
        "none · focal · gamma 2 · seed 7",
    }
    again = train(project, *words, cwd=tmp_path)
    assert "2 of 2 jobs are finished already" in again.stdout, again.stdout + again.stderr
    assert len(jobs(open_store(project))) == 2
    shutil.rmtree(mine)
    judged = train(project, "run=latest", script="evaluate.py", cwd=tmp_path)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert "judged again" in judged.stdout
    left = sorted(file.name for file in project.iterdir())
    gone = train(project, *words, cwd=tmp_path)
    assert (gone.returncode, gone.stderr) == (2, f"error: --config-dir={mine}: there is no such folder\n")
    assert sorted(file.name for file in project.iterdir()) == left
