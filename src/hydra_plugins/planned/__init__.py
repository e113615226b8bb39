"""Hydra's own sweeper and launcher, without the checks that `sweeps.planning` has made already."""

from collections.abc import Sequence

from hydra._internal.core_plugins import basic_launcher, basic_sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class PlannedSweeper(basic_sweeper.BasicSweeper):
    """A sweeper over every combination of values."""

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Do nothing: Hydra would compose every job to check it, which takes a minute for 900 jobs."""


class PlannedLauncher(basic_launcher.BasicLauncher):
    """A launcher that runs one job after another in this process; jobs with the same options share a composition."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from equipoise.config.composing import SharedCompositions

        shared = SharedCompositions(hydra_context.config_loader, in_turn=True)
        super().setup(
            hydra_context=HydraContext(shared, hydra_context.callbacks), task_function=task_function, config=config
        )
