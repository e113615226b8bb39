"""A command line becomes checked jobs before anything runs: mistakes, recipes, sweeps and their ids."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from equipoise.config import command_line, shipped
from equipoise.core.errors import ConfigError
from equipoise.core.paths import config_folder
from equipoise.sweeps.planning import Plan, plan, prepare_all
from helpers import REPOSITORY, imported_modules, program_of
from mistakes import MISTAKES

# Those whose data an example writes take seconds.
RECIPES = [
    pytest.param(file, id=file.stem, marks=[pytest.mark.slow] * ("python examples/" in file.read_text()))
    for file in sorted(config_folder().glob("experiment/*.yaml"))
]


@pytest.mark.parametrize("file", RECIPES)
def test_every_recipe_composes_and_is_headed_by_its_command(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = file.read_text().splitlines()
    assert lines[0] == "# @package _global_"
    monkeypatch.chdir(tmp_path)
    for line in lines:
        if "python examples/" in line:
            script, *words = line.split("python ")[1].split()
            if any(word.endswith(".tgz") for word in words):  # is downloaded, and its example has a test of its own
                Path(words[-1]).parent.mkdir()
                rows = "".join(f"a{number},{('spam', 'easy')[number % 2]},{number}\n" for number in range(60))
                Path(words[-1]).write_text(f"body,kind,thread\n{rows}")
                continue
            subprocess.run([sys.executable, str(REPOSITORY / script), *words], check=True)
    command = next(line for line in lines if "python src/train.py" in line).split("python src/train.py")[1].split()
    found = plan(command)
    assert found is not None
    assert found.jobs


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=[" ".join(arguments) for arguments, _ in MISTAKES])
def test_a_mistake_is_named(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan(arguments)
    assert message in str(caught.value)


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        plan(["trainer.batch_size=0", "seed=x", "weighting.normalize=no"])
    assert [line.split("=")[0] for line in str(caught.value).splitlines()] == [
        "weighting.normalize",
        "trainer.batch_size",
        "seed",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "code", "most"),
    [
        (["train.py", "--help"], 0, 30),
        (["train.py", "--shell-completion", "query=bash"], 0, 30),
        (["train.py", "--cfg", "job"], 0, 30),
        (["train.py", "weighting=balancd"], 2, 30),
        (["train.py", "trainer.epoch=3"], 2, 30),
        (["train.py", "dataset=synthetic", "model=cnn"], 2, 160),
        (["weights.py", "dataset=synthetic"], 0, 160),
        (["compare.py", "--help"], 0, 40),
    ],
    ids=str,
)
def test_quick_answers_load_no_heavy_library(command: list[str], code: int, most: int) -> None:
    """Nor more than so many of the project's own modules; with few of them, not even a schema."""
    if command == ["weights.py", "dataset=synthetic"]:
        prepare_all(plan(["dataset=synthetic", "model=linear"]))  # whose data are in the cache then
    found = subprocess.run(
        [sys.executable, "-X", "importtime", *command],
        cwd=config_folder().parent / "src",
        env={**os.environ, "COMP_LINE": "train.py weighting=ba"},  # of a shell that completes
        capture_output=True,
        text=True,
    )
    assert found.returncode == code, found.stderr
    imported = imported_modules(found.stderr)
    heavy = {"tensorflow", "keras", "mlflow", "sklearn", "matplotlib", "pandas", "sqlalchemy", "PIL"}
    needless = {"scipy", "filelock", "psutil", *(["pydantic", "numpy", "rich"] if most <= 30 else [])}
    assert not imported & (heavy | needless)
    own = {module for module in imported if module.split(".")[0] == "equipoise"}
    assert len(own) <= most, sorted(own)


def test_the_default_config_is_shown_unchecked_only_as_it_is_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files are those whose digests the package has, and it is valid."""
    assert plan([]).jobs
    assert program_of("pipelines/compose.py").made_of() == Path(shipped.__file__).read_text()
    for words, is_answered in (
        (["--cfg", "job"], True),
        (["--cfg", "job", "seed=1"], False),
        (["--cfg", "hydra"], False),  # which says where a run would write
        (["--help", "seed=x"], True),
        ([], False),
    ):
        assert command_line.read(words).is_answered is is_answered
    monkeypatch.setitem(shipped.FILES, "trainer/default.yaml", "as it was")
    assert not command_line.read(["--cfg", "job"]).is_answered


def test_what_will_be_done_is_said_first() -> None:
    """Before a heavy library is loaded, and of a sweep before its jobs are composed, as one with a mistake shows."""
    program = """
import sys
from equipoise.sweeps import planning

def say(line):
    print(line, sorted({"tensorflow", "keras", "mlflow", "sklearn", "pandas", "scipy"} & set(sys.modules)))

planning.plan(["-m", "weighting=none,balanced", "seed=0,1", "trainer.epochs=2", "sweep=mine"], say)
planning.plan(["dataset=digits_lt", "weighting=balanced"], say)
planning.plan(["--cfg", "job"], say)
"""
    command, folder = [sys.executable, "-X", "utf8", "-c", program], config_folder().parent / "src"
    found = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8")
    assert found.stdout.splitlines() == [
        "Sweep mine: 4 jobs of weighting=none,balanced × seed=0,1 []",
        "differs from the default: trainer.epochs=2 (30) []",
        "balanced · class_weight · cnn · seed 0: one run of 30 epochs on digits_lt []",
        "differs from the default: dataset=digits_lt, weighting=balanced []",
    ], found.stderr
    said: list[str] = []
    with pytest.raises(ConfigError):
        plan(["-m", "dataset=synthetic", "model=cnn", "seed=0,1", "sweep=mine"], said.append)
    assert said == ["Sweep mine: 2 jobs of seed=0,1"]


def test_the_config_of_a_sweep_is_shown_as_that_of_a_run() -> None:
    found = plan(["--cfg", "job", "hydra.mode=MULTIRUN", "seed=0,1"])
    assert found is not None
    assert (found.shows_config, found.sweep, len(found.jobs)) == (True, None, 2)


def test_a_sweep_is_the_product_of_its_lists() -> None:
    found = plan(["-m", "weighting=none,balanced", "seed=range(3)", "trainer.epochs=2"])
    assert found is not None
    assert [(job.weighting.name, job.seed) for job in found.jobs] == [
        (name, seed) for name in ("none", "balanced") for seed in range(3)
    ]
    assert {job.trainer.epochs for job in found.jobs} == {2}


@pytest.mark.slow
def test_a_large_sweep_is_checked_to_its_last_job() -> None:
    with pytest.raises(ConfigError, match=r"trainer\.batch_size=0: must be greater"):
        plan(["-m", "seed=range(400)", "trainer.batch_size=8,0"])


def test_the_same_sweep_has_the_same_id_whatever_the_order() -> None:
    def identity(*arguments: str) -> str | None:
        found = plan(["-m", *arguments])
        assert found is not None
        assert found.sweep is None or f"sweep={found.sweep.id}" in found.handed_over
        return found.sweep and found.sweep.id

    first = identity("weighting=none,balanced", "seed=0,1")
    assert (
        first
        == identity("seed=0,1", "weighting=none,balanced")
        == identity("seed=0,1", "weighting=none,balanced", "trainer.threads=1")
    )
    assert first != identity("weighting=none,balanced", "seed=0,2")
    assert identity("seed=0,1", "sweep=mine") == "mine"
    assert identity("seed=0,1", "sweep=new") != identity("seed=0,1", "sweep=new")
    single = plan(["seed=3"])
    assert single is not None
    assert single.sweep is None


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder of a user's own configs, with one file that conf/ has as well."""
    focal = "{name: focal, function: focal, implementation: custom, alpha: null, gamma: %s}"
    files = {
        "loss/focal_strong.yaml": focal % 5.0,
        "loss/focal.yaml": focal % 9.0,
        "experiment/strong.yaml": "# @package _global_\ndefaults: [{override /loss: focal_strong}]\nseed: 3\n",
        "first.yaml": "defaults: [config, {override weighting: balanced}, _self_]\nseed: 7\n",
    }
    for name, text in files.items():
        file = tmp_path / "mine" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "mine"


def planned(*arguments: object) -> Plan:
    found = plan([str(argument) for argument in arguments])
    assert found is not None
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["loss=focal_strong"], {"gamma": 5.0, "seed": 0, "weighting": "none"}),
        (["loss=focal"], {"gamma": 2.0, "seed": 0, "weighting": "none"}),  # that of conf/
        (["experiment=strong"], {"gamma": 5.0, "seed": 3, "weighting": "none"}),
        (["--config-name", "first", "loss=focal_strong"], {"gamma": 5.0, "seed": 7, "weighting": "balanced"}),
        (["--config-name=first", "loss=focal"], {"gamma": 2.0, "seed": 7, "weighting": "balanced"}),
    ],
)
def test_configs_of_another_folder_are_planned_as_hydra_composes_them(
    mine: Path, words: list[str], expected: dict[str, object]
) -> None:
    (job,) = planned("--config-dir", mine, *words).jobs
    assert {"gamma": job.loss.gamma, "seed": job.seed, "weighting": job.weighting.name} == expected  # type: ignore[attr-defined]
    shown = subprocess.run(
        [sys.executable, "train.py", "--config-dir", mine, *words, "--cfg", "job"],
        cwd=config_folder().parent / "src",
        capture_output=True,
        text=True,
    )
    composed = yaml.safe_load(shown.stdout)
    by_hydra = {section: composed[section] for section in ("loss", "seed", "weighting")}
    assert by_hydra == {section: job.model_dump(mode="json")[section] for section in by_hydra}


def test_a_changed_file_of_another_folder_is_read_again_in_the_same_process(mine: Path) -> None:
    words = ("--config-dir", mine, "loss=focal_strong")
    file = mine / "loss" / "focal_strong.yaml"
    assert planned(*words).jobs[0].loss.gamma == 5  # type: ignore[attr-defined]
    file.write_text(file.read_text().replace("5.0", "6.0"))
    assert planned(*words).jobs[0].loss.gamma == 6  # type: ignore[attr-defined]


def test_a_sweep_over_another_folders_configs_is_one_of_its_own(mine: Path) -> None:
    words = ("-m", "loss=focal_strong,focal")
    found = planned("--config-dir", mine, *words)
    assert [job.loss.gamma for job in found.jobs] == [5, 2]  # type: ignore[attr-defined]
    assert found.sweep is not None
    assert found.sweep.command == f"python src/train.py -m --config-dir {mine} loss=focal_strong,focal"
    ids = {
        planned(*flags, "-m", "seed=0,1").sweep.id  # type: ignore[union-attr]
        for flags in ((), ("--config-dir", mine), ("--config-dir", mine, "--config-name", "first"))
    }
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--config-dir=MINE", "loss=focal_stron"],
            "loss=focal_stron: there is no such loss; did you mean 'focal_stro",
        ),
        (["--config-dir=MINE/no"], "MINE/no: there is no such folder"),
        (["--config-dir=MINE/no", "--help"], "MINE/no: there is no such folder"),
        (["--config-dir=MINE", "--config-name=frist"], "--config-name=frist: there is no frist.yaml in "),
        (["--config-dir=MINE", "--config-name=frist"], "did you mean 'first'"),
        (["--config-name=first"], "--config-dir=FOLDER says where yours is"),
        (["--config-path=MINE"], "to add to it: --config-dir=MINE"),
    ],
)
def test_a_mistake_with_another_folder_is_named(mine: Path, words: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan([word.replace("MINE", str(mine)) for word in words])
    assert message.replace("MINE", str(mine)) in str(caught.value)
