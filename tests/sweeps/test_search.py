"""What a search may choose from, how it chooses, and what is refused before it begins."""

from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from equipoise.core.schema import ConfigError
from equipoise.sweeps import search, search_report
from equipoise.sweeps.planning import plan
from equipoise.tracking.store import open_store
from helpers import composed

SEARCH = ["-m", "hydra/sweeper=optuna", "dataset=digits_lt", "model=mlp", "weighting=power"]
SETTINGS = {
    "n_trials": 6,
    "n_jobs": 1,
    "sampler": "tpe",
    "pruner": "auto",
    "startup_trials": 2,
    "startup_epochs": 0,
    "seed": 0,
}


def settings(metric: Any = "val/macro_f1", **changed: Any) -> search.Settings:
    return search.read_settings({**SETTINGS, "metric": metric, **changed})


def space(*lines: str) -> search.Space:
    return search.space(OverridesParser.create().parse_overrides(list(lines)))


def test_hydras_syntax_of_sweeps_is_the_space() -> None:
    found = space(
        "hydra.sweeper.n_trials=3",
        "seed=1",
        "weighting=none,power",
        "model.filters=choice([16,32],[32])",
        "trainer.learning_rate=tag(log,interval(1e-4,1e-1))",
        "trainer.batch_size=int(interval(8,32))",
        "trainer.epochs=range(2,9,3)",
        "weighting.alpha=0.1,0.2",
        "weighting.alpha=interval(0,1)",
    )
    assert found.given == ("seed=1",)
    assert found.searched == {
        "weighting": search.Among(("none", "power")),
        "model.filters": search.Among(("[16,32]", "[32]")),
        "trainer.learning_rate": search.Between(1e-4, 1e-1, None, True),
        "trainer.batch_size": search.Between(8, 32, 1, False),
        "trainer.epochs": search.Between(2, 8, 3, False),
        "weighting.alpha": search.Between(0.0, 1.0, None, False),
    }


def test_every_option_and_both_ends_are_checked() -> None:
    checked = list(search.to_check(space("seed=1", "weighting=none,power,balanced", "weighting.alpha=interval(0,1)")))
    assert checked == [
        ["seed=1", "weighting=none", "weighting.alpha=0.0"],
        ["seed=1", "weighting=power", "weighting.alpha=0.0"],
        ["seed=1", "weighting=balanced", "weighting.alpha=0.0"],
        ["seed=1", "weighting=none", "weighting.alpha=1.0"],
    ]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "there is nothing to search"),
        (["weighting.alpah=interval(0,1)"], "there is no option weighting.alpah; did you mean 'weighting.alpha'?"),
        (["weighting.alpha=interval(-1,1)"], "weighting.alpha=-1.0: must be greater than or equal to 0"),
        (["weighting.alpha=interval(1,0)"], "from a smaller to a larger number"),
        (["weighting.alpha=tag(log,interval(0,1))"], "a logarithmic one starts above 0"),
        (["weighting.alpha=tag(lin,interval(0,1))"], "there is no tag lin"),
        (["model.hidden=[8],[x]"], "model.hidden.0=x: must be a valid integer"),
        (["weighting=none,balnced"], "weighting=balnced: there is no such weighting; did you mean 'balanced'?"),
        (
            ["seed=0,1", "hydra.sweeper.metric=val/macro_f2"],
            "hydra.sweeper.metric=val/macro_f2: must be 'val/balanced_accuracy', 'val/macro_f1'",
        ),
        (["seed=0,1", "hydra.sweeper.metric=[]"], "hydra.sweeper.metric=[]"),
        (
            ["seed=0,1", "hydra.sweeper.sampler=tpee"],
            "hydra.sweeper.sampler=tpee: must be 'tpe', 'random', 'qmc' or 'nsgaii'",
        ),
        (["seed=0,1", "hydra.sweeper.n_trials=0"], "hydra.sweeper.n_trials=0: must be greater than or equal to 1"),
        (["seed=0,1", "+hydra.sweeper.n_trial=9"], "there is no such option; did you mean 'n_trials'?"),
        (
            ["seed=0,1", "hydra.sweeper.metric=[val/macro_f1,val/log_loss]", "hydra.sweeper.pruner=median"],
            "hydra.sweeper.pruner=median needs a single metric",
        ),
        (["seed=0,1", "trainer.second_stage=crt"], "use trainer.second_stage=none"),
    ],
)
def test_mistakes_are_told_before_anything_runs(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan([*SEARCH, *overrides])
    assert message in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_an_interval_needs_a_search() -> None:
    with pytest.raises(ConfigError, match="search it with hydra/sweeper=optuna"):
        plan(["-m", "weighting=power", "weighting.alpha=interval(0,1)"])


def test_a_search_has_an_id_of_its_own() -> None:
    grid, searched, longer = (
        plan(words)
        for words in (
            ["-m", "seed=0,1"],
            [*SEARCH[:2], "seed=0,1"],
            [*SEARCH[:2], "seed=0,1", "hydra.sweeper.n_trials=99"],
        )
    )
    assert grid
    assert searched
    assert longer
    assert grid.sweep.id != searched.sweep.id
    assert searched.sweep.id == longer.sweep.id, "more trials are the same search"
    assert [config.seed for config in searched.jobs] == [0, 1]


def drive(root: Path, chosen: search.Settings, searched: search.Space, outcomes: Any) -> list[list[str]]:
    """A search whose jobs are functions of their overrides; returns the overrides of all jobs."""
    launched: list[list[str]] = []

    def launch(batch: Any) -> list[Any]:
        launched.extend([line for line in job if "env_set" not in line] for job in batch)
        return [outcomes(dict(line.split("=", 1) for line in job)) for job in batch]

    search.run(root, "s", chosen, searched, launch)
    return launched


def parabola(job: dict[str, str]) -> dict[str, float]:
    return {"val/macro_f1": 1 - (float(job["weighting.alpha"]) - 0.3) ** 2}


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "nsgaii"])
def test_the_same_seed_gives_the_same_trials_at_once_or_continued(sampler: str, tmp_path: Path) -> None:
    searched = space("weighting.alpha=interval(0,1)", "trainer.batch_size=int(interval(2,64))", "weighting=none,power")
    whole = drive(tmp_path / "whole", settings(sampler=sampler), searched, parabola)
    first = drive(tmp_path / "parts", settings(sampler=sampler, n_trials=2), searched, parabola)
    rest = drive(tmp_path / "parts", settings(sampler=sampler), searched, parabola)
    assert (len(first), len(rest)) == (2, 4)
    assert first + rest == whole
    assert drive(tmp_path / "parts", settings(sampler=sampler), searched, parabola) == []
    if sampler != "nsgaii":  # whose children may be as their parents
        assert len({tuple(job) for job in whole}) == 6
    if sampler != "qmc":
        assert drive(tmp_path / "other", settings(sampler=sampler, seed=1), searched, parabola) != whole


def test_one_command_at_a_time_searches(tmp_path: Path) -> None:
    searched, chosen = space("weighting.alpha=interval(0,1)"), settings(n_trials=1)

    def meanwhile(job: dict[str, str]) -> dict[str, float]:
        with pytest.raises(ConfigError, match="sweep=s is being searched by another process"):
            drive(tmp_path, chosen, searched, parabola)
        return parabola(job)

    assert len(drive(tmp_path, chosen, searched, meanwhile)) == 1


def test_a_machine_that_does_not_see_the_search_cannot_prune_a_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(search.TRIAL, "0")
    with pytest.raises(ConfigError, match=r"which this machine does not see: hydra\.sweeper\.pruner=none"):
        search.watch(tmp_path, settings(), composed())


def test_a_search_without_a_finished_trial_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drive(tmp_path, settings(n_trials=1), space("weighting.alpha=interval(0,1)"), lambda _: None)
    search_report.show(open_store(tmp_path), "s", settings())
    assert capsys.readouterr().out == "\nSearch s: 0 trials finished, 0 pruned, 1 failed\n"


def test_optuna_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="hydra/sweeper=optuna needs Optuna: make setup EXTRA=sweeps"):
        settings()


def test_interrupted_trials_go_first_and_failed_ones_are_made_up_for(tmp_path: Path) -> None:
    searched = space("weighting.alpha=interval(0,1)")
    jobs: list[dict[str, str]] = []

    def broken(job: dict[str, str]) -> dict[str, float] | None:
        jobs.append(job)
        if len(jobs) == 3:
            raise KeyboardInterrupt
        return None if len(jobs) == 1 else parabola(job)

    with pytest.raises(KeyboardInterrupt):
        drive(tmp_path, settings(n_trials=4), searched, broken)
    again = drive(tmp_path, settings(n_trials=4), searched, parabola)
    assert again[0] == [f"weighting.alpha={jobs[2]['weighting.alpha']}"]
    assert len(again) == 3, "four that finished, of which the first command had one"
    states = [trial.state.name for trial in search.load(tmp_path, "s", settings()).trials]
    assert states == ["FAIL", *["COMPLETE"] * 4]


def test_a_search_for_something_else_is_refused(tmp_path: Path) -> None:
    searched = space("weighting.alpha=interval(0,1)")
    drive(tmp_path, settings(n_trials=1), searched, parabola)
    search.check_known(tmp_path, "s", settings(n_trials=9), searched)
    for other in ((settings("val/log_loss"), searched), (settings(), space("weighting.alpha=interval(0,2)"))):
        with pytest.raises(
            ConfigError, match=r"s is a search for val/macro_f1 over weighting.alpha 0.0 to 1.0: use sweep=new"
        ):
            search.check_known(tmp_path, "s", *other)


def test_a_trial_counts_by_the_weights_that_it_ends_with() -> None:
    values = {"val/balanced_accuracy": [0.2, 0.6, 0.5], "val/log_loss": [2.0, 1.0, 0.9]}
    points = [
        {"key": key, "step": step, "value": value}
        for key, history in values.items()
        for step, value in enumerate(history)
    ]
    both = settings(["val/balanced_accuracy", "val/log_loss"])
    assert search.outcome(points, both, composed()) == {"val/balanced_accuracy": 0.5, "val/log_loss": 0.9}
    assert search.outcome(points, both, composed("trainer.early_stopping=2")) == {
        "val/balanced_accuracy": 0.6,
        "val/log_loss": 1.0,
    }
    by_loss = composed("trainer.early_stopping=2", "trainer.monitor=val/log_loss")
    assert search.outcome(points, both, by_loss) == {"val/balanced_accuracy": 0.5, "val/log_loss": 0.9}
