"""A sweep read back from the store: what is done already, and one table at its end."""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from equipoise.config import Config, config_sha256, flat
from equipoise.terminal import print_table, warn
from equipoise.tracking import Store

if TYPE_CHECKING:
    from mlflow.entities import Run as LoggedRun

# Runs that differ in these alone are repetitions of one configuration.
REPETITION = ("seed", "dataset.split_seed")
SHOWN = ("test/balanced_accuracy", "test/macro_f1", "test/mcc", "test/log_loss")


def finished(store: Store, config: Config, data_sha256: str) -> str | None:
    """The id of a finished run of this config on these data in its sweep, if there is one."""
    for run in store.runs(sweep_id=config.sweep, config_sha256=config_sha256(config), data_sha256=data_sha256):
        if run.info.status == "FINISHED":
            return str(run.info.run_id)
    return None


def print_sweep(store: Store, sweep: str, jobs: Sequence[Config]) -> None:
    """One row a configuration, best balanced accuracy first, repetitions averaged and differences paired; then what is missing."""
    runs = {run.data.tags["config_sha256"]: run for run in store.runs(sweep_id=sweep) if run.info.status == "FINISHED"}
    if runs:
        _print_finished(sweep, runs)
    missing = [job for job in jobs if config_sha256(job) not in runs]
    if missing:
        shared = set.intersection(*(set(_shown_values(job)) for job in jobs))
        warn(f"{len(missing)} of {len(jobs)} jobs did not finish; the same command again does only these:")
        for job in missing:
            warn("  " + " ".join(value for value in _shown_values(job) if value not in shared))


def _shown_values(job: Config) -> list[str]:
    return [f"{key.removesuffix('.name')}={value}" for key, value in flat(job).items()]


def _print_finished(sweep: str, runs: "dict[str, LoggedRun]") -> None:
    varied = _varied(list(runs.values()))
    groups: dict[tuple[str, ...], dict[tuple[str, ...], LoggedRun]] = {}
    for run in runs.values():
        params = run.data.params
        what = tuple(params.get(key, "") for key in varied)
        groups.setdefault(what, {})[tuple(params[key] for key in REPETITION)] = run
    baseline = _baseline(varied, groups)
    rows = []
    for what, members in sorted(groups.items(), key=lambda item: -_mean(item[1], SHOWN[0])):
        digests = sorted(member.data.tags["weights_sha256"] for member in members.values())
        spread = [_mean_and_deviation([member.data.metrics[key] for member in members.values()]) for key in SHOWN]
        difference = [_paired(members, groups[baseline])] if baseline else []
        rows.append([*what, str(len(members)), *spread, *difference, _common_digest(digests)])
    headings = [*(key.removesuffix(".name") for key in varied), "runs", *(key.removeprefix("test/") for key in SHOWN)]
    headings += [f"balanced_accuracy − {' '.join(baseline)}"] if baseline else []
    headings.append("weights_sha256")
    print_table(f"Sweep {sweep}: test split, mean ± standard deviation; difference in pairs (how many of them are higher)", headings, rows)


def _varied(runs: "Sequence[LoggedRun]") -> list[str]:
    """The params that tell configurations apart: those that differ between runs of the same option of their group.

    That `weighting=power` has an alpha and `weighting=balanced` has none follows from the option itself.
    """
    params = [run.data.params for run in runs]
    varied = []
    for key in sorted({key for values in params for key in values}):
        if key in REPETITION:
            continue
        option = f"{key.split('.')[0]}.name"
        seen: dict[str | None, set[str | None]] = {}
        for values in params:
            seen.setdefault(None if key == option else values.get(option), set()).add(values.get(key))
        if any(len(values) > 1 for values in seen.values()):
            varied.append(key)
    return varied


def _baseline(varied: Sequence[str], groups: "dict[tuple[str, ...], dict[tuple[str, ...], LoggedRun]]") -> tuple[str, ...]:
    """The configuration without weights, if the sweep has exactly one."""
    if "weighting.name" not in varied:
        return ()
    place = list(varied).index("weighting.name")
    plain = [what for what in groups if what[place] == "none"]
    return plain[0] if len(plain) == 1 else ()


def _mean(members: "dict[tuple[str, ...], LoggedRun]", key: str) -> float:
    return float(np.mean([run.data.metrics[key] for run in members.values()]))


def _mean_and_deviation(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f}" if len(values) == 1 else f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


def _paired(members: "dict[tuple[str, ...], LoggedRun]", baseline: "dict[tuple[str, ...], LoggedRun]") -> str:
    """Mean difference over the repetitions that both have, and in how many of them it is positive."""
    shared = sorted(members.keys() & baseline.keys())
    if not shared or members is baseline:
        return ""
    differences = [members[key].data.metrics[SHOWN[0]] - baseline[key].data.metrics[SHOWN[0]] for key in shared]
    return f"{np.mean(differences):+.3f} ({sum(d > 0 for d in differences)}/{len(differences)})"


def _common_digest(digests: Sequence[str]) -> str:
    """Equal text means bitwise equal weights."""
    return (digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest())[:12]
