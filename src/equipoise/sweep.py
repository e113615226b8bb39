"""A sweep in the store: what is done already, and its table at the end."""

from collections.abc import Sequence

from equipoise import comparison, logged, views
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


def save_views(store: Store, sweep: str) -> list[tuple[str, str]]:
    """Write the saved views of a sweep into the experiments that its runs lie in.

    Returns
    -------
    Of each experiment its id and the key of the view that is to be opened first.
    """
    runs = logged.sweep_runs(store, sweep, ())
    opened = []
    for experiment in dict.fromkeys(run.experiment_id for run in runs):
        members = [run for run in runs if run.experiment_id == experiment]
        repetition = [key for key in comparison.REPETITION if len({run.params.get(key) for run in members}) > 1]
        of_sweep = views.of_sweep(sweep, comparison.varied_params(members), repetition)
        metrics = store.client.get_run(members[-1].id).data.metrics
        for view in (*of_sweep, views.of_experiment()):
            store.tag_experiment(experiment, *views.tag(view, metrics))
        opened.append((experiment, of_sweep[0].key))
    return opened


def _shown_values(job: Config) -> list[str]:
    return [f"{key.removesuffix('.name')}={value}" for key, value in flat(job).items()]
