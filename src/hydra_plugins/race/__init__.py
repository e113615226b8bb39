"""Hydra's sweeper for a race: `equipoise.sweeps.race` chooses the next jobs, and the chosen launcher runs them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


class RaceSweeper(Sweeper):
    """The sweeper that conf/hydra/sweeper/race.yaml names; its settings are read before Hydra begins."""

    def __init__(self, **_: Any) -> None: ...

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[JobReturn]:
        from equipoise.sweeps import race

        assert self.config is not None
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        returned: list[JobReturn] = []

        def launch(batch: Sequence[Sequence[str]]) -> None:
            assert self.launcher is not None
            returned.extend(self.launcher.launch(batch, initial_job_idx=len(returned)))

        race.current().run(arguments, launch)
        return returned  # a job that failed was told when it did, and the race went on without its candidate
