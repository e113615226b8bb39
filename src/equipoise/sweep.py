"""A sweep in the store: what is done already, and its table at the end."""

from collections.abc import Sequence

from equipoise import comparison, logged
from equipoise.config import Config, config_sha256, flat
from equipoise.terminal import print_comparison, warn
from equipoise.tracking import Store


def finished(store: Store, config: Config, data_sha256: str) -> str | None:
    """The id of a finished run of this config on these data in its sweep, if there is one."""
    for run in store.runs(sweep_id=config.sweep, config_sha256=config_sha256(config), data_sha256=data_sha256):
        if run.info.status == "FINISHED":
            return str(run.info.run_id)
    return None


def print_sweep(store: Store, sweep: str, jobs: Sequence[Config]) -> None:
    """The comparison of its finished runs, if there are any, and what is missing."""
    runs = logged.sweep_runs(store, sweep, comparison.wanted(None))
    if runs:
        print_comparison(comparison.compare(runs, None), f"Sweep {sweep}")
    done = {run.data.tags["config_sha256"] for run in store.runs(sweep_id=sweep) if run.info.status == "FINISHED"}
    missing = [job for job in jobs if config_sha256(job) not in done]
    if missing:
        shared = set.intersection(*(set(_shown_values(job)) for job in jobs))
        warn(f"{len(missing)} of {len(jobs)} jobs did not finish; the same command again does only these:")
        for job in missing:
            warn("  " + " ".join(value for value in _shown_values(job) if value not in shared))


def _shown_values(job: Config) -> list[str]:
    return [f"{key.removesuffix('.name')}={value}" for key, value in flat(job).items()]
