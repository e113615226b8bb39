"""The wheel in an environment of its own: one package with its config, and one command that works in any folder.

The environment holds the wheel alone, and sees the packages of the one that runs the tests.
"""

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from helpers import REPOSITORY, clone_of
from processes import LIMIT

pytestmark = pytest.mark.slow
QUICK = ["dataset=digits_lt", "model=linear", "trainer.epochs=1", "evaluation.resamples=0"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    # A build leaves files beside the code.
    built = subprocess.run([*pip, str(clone_of(folder / "clone"))], capture_output=True, text=True, timeout=LIMIT)
    assert built.returncode == 0, built.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed command."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=LIMIT)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(pip, check=True, timeout=LIMIT)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "equipoise"


def ran(program: Path, folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run the command in a folder, with nothing of this checkout on the path."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "COLUMNS": "120"}
    command = [str(program), *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT)


def test_the_wheel_holds_one_package_the_namespace_of_hydra_and_the_config(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
        (metadata,) = (opened.read(name).decode() for name in names if name.endswith("/METADATA"))
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"equipoise", "hydra_plugins"}
    assert {"equipoise/py.typed", "equipoise/__init__.pyi", "equipoise/commands/train.py"} <= names
    assert "hydra_plugins/__init__.py" not in names, "it is a namespace that others share"
    shipped = {name.removeprefix("equipoise/") for name in names if name.startswith("equipoise/conf/")}
    assert shipped == {file.relative_to(REPOSITORY).as_posix() for file in (REPOSITORY / "conf").rglob("*.yaml")}
    assert not [name for name in names if "test" in name.split("/")]
    needed = [line for line in metadata.splitlines() if line.startswith("Requires-Dist: ") and "extra ==" not in line]
    assert not [line for line in needed if any(name in line for name in ("hydra", "omegaconf", "mlflow", "dvc"))]
    assert 'hydra-core<1.4,>=1.3.2; extra == "pipeline"' in metadata


def test_the_commands_are_listed_and_a_wrong_one_is_told_the_nearest(program: Path, tmp_path: Path) -> None:
    listed = ran(program, tmp_path, "--help")
    assert listed.returncode == 0
    assert "  evaluate  Evaluate a logged model again, without training.\n" in listed.stdout
    assert "python src/" not in listed.stdout
    assert "\n  equipoise compare sweep=" in ran(program, tmp_path, "compare", "--help").stdout
    assert "\n  equipoise train weighting=balanced " in ran(program, tmp_path, "train", "--help").stdout
    wrong = ran(program, tmp_path, "trian")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == "error: trian: there is no such command; did you mean 'train'?\n"
    none = ran(program, tmp_path, "evaluate", "run=latest")
    assert (none.returncode, none.stderr.count("equipoise train")) == (2, 1)
    assert list(tmp_path.iterdir()) == [], "exit 2 promises that nothing is written"


def test_runs_land_in_the_folder_that_the_command_is_typed_in(program: Path, tmp_path: Path) -> None:
    weighed = ran(program, tmp_path, "weights", "dataset=digits_lt", "weighting=none,balanced")
    assert weighed.returncode == 0, weighed.stderr
    assert "balanced" in weighed.stdout
    trained = ran(program, tmp_path, "train", *QUICK)
    assert trained.returncode == 0, trained.stderr
    assert f"mlflow server --backend-store-uri sqlite:///{tmp_path}/mlflow.db" in trained.stdout
    assert {"cache", "mlflow.db", "outputs"} <= {path.name for path in tmp_path.iterdir()}
    swept = ran(program, tmp_path, "train", "-m", *QUICK, "seed=1,2", "hydra/launcher=joblib")
    assert swept.returncode == 0, swept.stderr
    compared = ran(program, tmp_path, "compare")
    assert compared.returncode == 0, compared.stderr
    judged = ran(program, tmp_path, "evaluate", "run=latest", "decision=argmax", "evaluation.resamples=0")
    assert judged.returncode == 0, judged.stderr
    exported = ran(program, tmp_path, "export", "data=none")
    assert exported.returncode == 0, exported.stderr
    assert "    equipoise export run=" in (tmp_path / "train_plain.py").read_text()
    script = "import mlflow, sys; mlflow.set_tracking_uri(sys.argv[1]); "
    script += "print(sorted(set(mlflow.search_runs(search_all_experiments=True)['tags.mlflow.source.name'].dropna())))"
    store = f"sqlite:///{tmp_path}/mlflow.db"
    sources = subprocess.run([sys.executable, "-c", script, store], capture_output=True, text=True, timeout=LIMIT)
    assert "equipoise evaluate" in sources.stdout, sources.stderr
    assert "equipoise train" in sources.stdout
    assert "src/" not in sources.stdout
