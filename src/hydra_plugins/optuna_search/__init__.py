"""Hydra's sweeper for a search: `equipoise.sweeps.search` chooses the trials, and the chosen launcher runs them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


class OptunaSweeper(Sweeper):
    """The sweeper that conf/hydra/sweeper/optuna.yaml names."""

    def __init__(self, params: Mapping[str, str] | None, **settings: Any) -> None:
        self.params, self.settings = params or {}, settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[JobReturn]:
        from equipoise.core.paths import project_root
        from equipoise.sweeps import search

        assert self.config is not None
        assert self.hydra_context is not None
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*(f"{key}={value}" for key, value in self.params.items()), *arguments])
        returned: list[JobReturn] = []
        sweep = self.config.sweep

        def launch(batch: Sequence[Sequence[str]]) -> list[search.Outcome]:
            assert self.launcher is not None
            found = list(self.launcher.launch(batch, initial_job_idx=len(returned)))
            returned.extend(found)
            return [job.return_value if job.status is JobStatus.COMPLETED else None for job in found]

        settings = search.read_settings(OmegaConf.to_container(OmegaConf.create(self.settings)))
        search.run(project_root(), sweep, settings, search.space(overrides), launch)
        for job in returned:
            _ = job.return_value  # raises the error of a failed job, after all jobs have ended
        return returned
