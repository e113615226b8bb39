"""What validation rows choose: in each outer fold apart, each run by its own validation rows, among equal choices."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from analysis.hypotheses import OTHERS, RIVALS, TABLES_ALONE
from analysis.pooled import PRIMARY, measure
from analysis.table import BEST, CENTRE, LENGTHS, Cell, Runs, Study

CHOSEN = -2  # in place of epochs
NETWORK, POWER = "network", "power"
EXPONENTS = ("none", "power_25", "power_50", "power_75", "balanced")
PARTS = ("test", "validation", "log_loss", "train_loss")


def with_chosen(study: Study) -> Study:
    """Return the study with cells that validation rows chose: of each method, of power, and of all networks."""
    kinds = {name: facts.kind for name, facts in study.datasets.items()}
    return replace(study, runs={name: {**runs, **_of_one(runs, kinds[name])} for name, runs in study.runs.items()})


def candidates(kind: str) -> tuple[str, ...]:
    """Return the methods among which a network is chosen on a kind of data; of equals, the first in this order."""
    return tuple(name for name in ("none", *RIVALS, *OTHERS) if kind == "table" or name not in TABLES_ALONE)


def _of_one(runs: Mapping[Cell, Runs], kind: str) -> dict[Cell, Runs]:
    lengths = (*LENGTHS, BEST)
    at_centre = {cell: found for cell, found in runs.items() if cell.setting == CENTRE and cell.epochs in lengths}
    pairs = sorted({(cell.method, cell.rule) for cell in at_centre})
    wanted = {Cell(method, rule, CHOSEN): [Cell(method, rule, epochs) for epochs in lengths] for method, rule in pairs}
    wanted[Cell(POWER, epochs=CHOSEN)] = [Cell(name, epochs=epochs) for name in EXPONENTS for epochs in lengths]
    networks = [Cell(name, epochs=epochs) for name in candidates(kind) for epochs in lengths]
    wanted[Cell(NETWORK, epochs=CHOSEN)] = networks
    found = {}
    for cell, among in wanted.items():
        if all(candidate in at_centre for candidate in among):
            chosen = choose([at_centre[candidate] for candidate in among])
            if chosen.seeds:
                found[cell] = chosen
    return found


def choose(among: Sequence[Runs]) -> Runs:
    """Return for each seed and fold the candidate of highest validation balanced accuracy; of equals, the first."""
    seeds = tuple(sorted(set.intersection(*(set(one.seeds) for one in among))))
    if not seeds:
        return among[0].of(())
    sides = [one.of(seeds) for one in among]
    best = np.argmax([measure(PRIMARY, side.validation) for side in sides], axis=0)
    rows, folds = np.indices(best.shape)
    stacked = (np.stack([getattr(side, name) for side in sides]) for name in PARTS)
    return Runs(seeds, *(values[best, rows, folds] for values in stacked))
