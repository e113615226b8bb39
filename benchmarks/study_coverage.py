"""Does the study's analysis hold what it says? From simulated confusion matrices to intervals and verdicts.

python benchmarks/study_coverage.py [worlds]

A world has 29 families of one to three tables, as in docs/study_design.md: τ 0.01, trainings that differ by 0.013,
three seeds, and rows that both sides share. Printed are the share of 95 % intervals of μ that hold the truth, and the
share of worlds in which equivalence within ±0.01 is shown, at a true difference of 0 and of 0.01.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / name) for name in ("src", "pipelines", "pipelines/study", "tests")]

from analysis import contrasts, hierarchy, table

import simulated_study

FAMILIES = {f"f{number}": 1 + number % 3 for number in range(29)}
REGION, SHOWN = 0.01, 0.95


def main(worlds: int) -> int:
    for truth in (0.0, 0.01):
        covered = equivalent = 0
        for seed in range(worlds):
            posterior = one(truth, seed)
            low, high = posterior.interval
            covered += low < truth < high
            equivalent += posterior.probability(-REGION, REGION) > SHOWN
        shares = f"{covered / worlds:.3f} covered, {equivalent / worlds:.3f} equivalent"
        print(f"true difference {truth}, {worlds} worlds: {shares}")
    return 0


def one(truth: float, seed: int) -> hierarchy.Posterior:
    """Return what the analysis makes of one world."""
    world = simulated_study.World(FAMILIES, {("balanced", 300): truth}, methods=("none", "balanced"), lengths=(300,))
    study = table.study(simulated_study.table(world, seed))
    found = contrasts.effects(study, contrasts.difference(table.Cell("balanced"), table.Cell("none")))
    means = contrasts.families(found)
    return hierarchy.infer(means.effects, means.variances)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
