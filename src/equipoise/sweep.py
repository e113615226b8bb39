"""A sweep in the store: what is done already, and its table at the end."""

from equipoise import comparison, logged
from equipoise.config import Config, config_sha256
from equipoise.terminal import print_comparison
from equipoise.tracking import Store


def finished(store: Store, config: Config) -> str | None:
    """The id of a finished run of this config in its sweep, if there is one."""
    for run in store.runs(sweep_id=config.sweep, config_sha256=config_sha256(config)):
        if run.info.status == "FINISHED":
            return str(run.info.run_id)
    return None


def print_sweep(store: Store, sweep: str) -> None:
    """The comparison of its finished runs, if there are any."""
    runs = logged.sweep_runs(store, sweep, comparison.wanted(None))
    if runs:
        print_comparison(comparison.compare(runs, None), f"Sweep {sweep}")
