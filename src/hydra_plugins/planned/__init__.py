"""Hydra's own sweeper and launcher for jobs that `sweeps.planning` has composed and checked: neither does so once more."""

from collections.abc import Sequence

from hydra._internal.core_plugins import basic_launcher, basic_sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class PlannedSweeper(basic_sweeper.BasicSweeper):
    """Every combination of values."""

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Nothing: Hydra would compose every job to see whether it can be, a minute for 900 of them."""


class PlannedLauncher(basic_launcher.BasicLauncher):
    """One job after another in this process, which share what Hydra composes of the same options."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from equipoise.config.composing import SharedCompositions

        shared = SharedCompositions(hydra_context.config_loader, in_turn=True)
        super().setup(
            hydra_context=HydraContext(shared, hydra_context.callbacks), task_function=task_function, config=config
        )
