"""Fit a cost model to the wall time of sweeps on one and more workers, and of replicas; predict clusters with it.

    python benchmarks/scale.py sweep        sweeps on Ray clusters of one and two cores
    python benchmarks/scale.py replicas     one run on one and more logical devices (trainer.strategy=mirrored)

The model, fitted by least squares without negative terms:

    sweep:     time = start-up + jobs × (each + steps × step) / workers + communication × (workers - 1)
    replicas:  time = start-up + steps × step / replicas + communication × steps, the last with more than one replica
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from paired import copy_project, seconds

STEPS = 11  # an epoch: 351 samples of digits_lt in batches of 32
COMMON = ("dataset=digits_lt", "model=mlp", "trainer.threads=1", "evaluation.resamples=0")
Terms = dict[str, float]


def sweep_terms(jobs: int, steps: int, workers: int) -> Terms:
    """Return the factor of each parameter of the model."""
    return {"start-up": 1, "each job": jobs / workers, "step": jobs * steps / workers, "communication": workers - 1}


def replica_terms(steps: int, replicas: int) -> Terms:
    return {"start-up": 1, "step": steps / replicas, "communication": steps if replicas > 1 else 0}


def main() -> None:
    """Measure, fit, and print both."""
    kind = sys.argv[1] if len(sys.argv) > 1 else "sweep"
    with tempfile.TemporaryDirectory() as folder:
        program = copy_project(Path(folder))
        seconds(program, *COMMON, "trainer.epochs=1")  # makes the store and the prepared data
        cases = _sweeps(program) if kind == "sweep" else _replicas(program)
        measured = []
        for label, terms, run in cases:
            measured.append((label, terms, run()))
            print(f"{label}: {measured[-1][2]:.1f} s", flush=True)
    found = fit([terms for _, terms, _ in measured], [taken for *_, taken in measured])
    print(f"\n{'measured':36} {'s':>7} {'model':>7}")
    for label, terms, taken in measured:
        print(f"{label:36} {taken:7.1f} {predict(found, terms):7.1f}")
    print("\n" + ", ".join(f"{name} {value:.4g} s" for name, value in found.items()))
    if kind == "sweep":
        print("\npredicted, and not measured: 120 jobs of 3,000 steps")
        for workers in (2, 8, 32, 120):
            predicted = predict(found, sweep_terms(120, 3000, workers))
            print(f"{workers:4} workers, each a core like one of these {predicted:7.0f} s")
        print("\npredicted efficiency of 16 workers: the time of one worker, of 16 times theirs")
        for jobs, steps in ((24, 220), (24, 9000), (160, 9000), (1600, 220)):
            alone, shared = (predict(found, sweep_terms(jobs, steps, workers)) for workers in (1, 16))
            print(f"{jobs:5} jobs of {steps:5} steps {alone / (16 * shared):6.2f}")


def fit(terms: list[Terms], seconds: list[float]) -> dict[str, float]:
    """Fit the parameters, none negative, by least squares relative to the measured times."""
    names = list(terms[0])
    weights = 1 / np.array(seconds)
    matrix = np.array([[row[name] for name in names] for row in terms])
    return dict(zip(names, map(float, nnls(matrix * weights[:, None], np.ones(len(seconds)))[0]), strict=True))


def predict(found: dict[str, float], terms: Terms) -> float:
    return sum(found[name] * value for name, value in terms.items())


Case = tuple[str, Terms, Callable[[], float]]


def _sweeps(program: Path) -> list[Case]:
    def case(jobs: int, epochs: int, workers: int) -> Case:
        words = (
            "-m",
            *COMMON,
            f"seed=range({jobs})",
            f"trainer.epochs={epochs}",
            "hydra/launcher=ray",
            f"hydra.launcher.cores={workers}",
            "sweep=new",
        )
        return (
            f"{jobs} jobs of {epochs * STEPS} steps on {workers}",
            sweep_terms(jobs, epochs * STEPS, workers),
            lambda: seconds(program, *words),
        )

    return [case(jobs, epochs, workers) for jobs, epochs in ((2, 10), (8, 10), (2, 300)) for workers in (1, 2)]


def _replicas(program: Path) -> list[Case]:
    def case(epochs: int, replicas: int) -> Case:
        words = (*COMMON, f"trainer.epochs={epochs}", "trainer.device=cpu", "trainer.resume=false")
        more = ("trainer.strategy=mirrored", f"trainer.replicas={replicas}") if replicas > 1 else ()
        return (
            f"{epochs * STEPS} steps on {replicas}",
            replica_terms(epochs * STEPS, replicas),
            lambda: seconds(program, *words, *more),
        )

    return [case(epochs, replicas) for epochs in (10, 300) for replicas in (1, 2, 4)]


if __name__ == "__main__":
    main()
