"""Compositions that jobs share are those that Hydra makes of each job alone."""

from collections.abc import Iterator

import pytest
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf

from equipoise.config import composing
from equipoise.core.paths import config_folder
from equipoise.sweeps import planning

MASTER = ["hydra.sweep.dir=somewhere"]
JOBS = [
    ["weighting=balanced", "seed=0", "trainer.epochs=3", "sweep=s"],
    ["weighting=balanced", "seed=1", "trainer.epochs=4", "sweep=s"],
    ["weighting=balanced", "seed=1", "trainer.epochs=${seed}", "sweep=s"],
    ["seed=2", "weighting=power", "weighting.alpha=0.25", "sweep=s"],
    ["weighting.alpha=0.75", "weighting=power", "seed=2", "sweep=s"],
    ["dataset=synthetic", "dataset.class_counts=[9,8,7]", "++hydra.job.env_set.A=b", "seed=3"],
    ["dataset=synthetic", "dataset.class_counts=[6,5]", "++hydra.job.env_set.A=b", "seed=3"],
    ["cost={a: {b: 5}}"],
    ["cost={b: {a: 2}}"],
    ["cost=null"],
    ["experiment=pairwise_cost", "cost=costs.csv"],
    ["experiment=pairwise_cost", "cost={}"],
    ["cost=[[0,1],[2,0]]", "trainer.learning_rate=1e-4", "trainer.learning_rate=0.5"],
]


@pytest.fixture(scope="module")
def plan() -> planning.Plan:
    found = planning.plan(["-m", "dataset=synthetic", "model=linear", "seed=0,1"])
    assert found
    return found


@pytest.fixture
def loader() -> Iterator[ConfigLoader]:
    """Hydra's own."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        yield GlobalHydra.instance().config_loader()


@pytest.fixture(scope="module")
def alone() -> list[object]:
    """What Hydra composes of each job."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        hydras = GlobalHydra.instance().config_loader()
        master = hydras.load_configuration("config", MASTER, RunMode.MULTIRUN)
        return [OmegaConf.to_container(hydras.load_sweep_config(master, lines)) for lines in JOBS]


@pytest.mark.parametrize("in_turn", [False, True])
def test_a_shared_composition_is_hydras_own(
    loader: ConfigLoader, alone: list[object], in_turn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    master = loader.load_configuration("config", MASTER, RunMode.MULTIRUN)
    shared, composed = composing.SharedCompositions(loader, in_turn=in_turn), []
    compose = type(loader).load_sweep_config

    def counted(own: ConfigLoader, of: DictConfig, lines: list[str]) -> DictConfig:
        composed.extend([lines] * (own is shared))
        return compose(own, of, lines)

    monkeypatch.setattr(type(loader), "load_sweep_config", counted)
    for lines, expected in [*zip(JOBS, alone, strict=True), *zip(JOBS[::-1], alone[::-1], strict=True)]:
        found = shared.load_sweep_config(master, lines)
        assert OmegaConf.to_container(found) == expected, lines
        HydraConfig.instance().set_config(found)  # as of a job that is run
    synthetic, recipe = JOBS[5][::2], JOBS[-2][:1]
    assert composed == [["weighting=balanced"], JOBS[2], ["weighting=power"], synthetic, [], [], recipe, recipe, []]


def test_a_sweep_validates_no_job_again_and_shares_compositions(
    plan: planning.Plan, loader: ConfigLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = loader.load_configuration("config", [*plan.handed_over], RunMode.MULTIRUN)
    context = HydraContext(loader, None)  # type: ignore[arg-type]
    sweeper = Plugins.instance().instantiate_sweeper(hydra_context=context, task_function=lambda _: None, config=config)
    assert [type(sweeper).__name__, type(sweeper.launcher).__name__] == ["PlannedSweeper", "PlannedLauncher"]  # type: ignore[attr-defined]
    composed = []
    compose = type(loader).load_sweep_config
    monkeypatch.setattr(
        type(loader), "load_sweep_config", lambda own, of, lines: composed.append(lines) or compose(own, of, lines)
    )  # type: ignore[func-returns-value]
    jobs = [["dataset=synthetic", f"seed={seed}"] for seed in range(3)]
    sweeper.validate_batch_is_legal(jobs)
    assert composed == []
    shared = sweeper.launcher.hydra_context.config_loader  # type: ignore[attr-defined]
    assert [shared.load_sweep_config(config, lines).seed for lines in jobs] == [0, 1, 2]
    assert composed == [["dataset=synthetic"]]
