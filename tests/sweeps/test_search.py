"""What a search may choose from, how it chooses, and what is refused before it begins."""

from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from equipoise.core.errors import ConfigError
from equipoise.sweeps import search, search_report
from equipoise.sweeps.planning import plan
from equipoise.tracking.store import open_store
from helpers import composed

SEARCH = ["-m", "hydra/sweeper=optuna", "dataset=digits_lt", "model=mlp", "weighting=power"]
LIST = "weighting.alpha=0.5,1.0"
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
        (["seed=0,1"], "there is nothing to search; type a list or an interval"),
        ([LIST, "seed=interval(0,5)"], "seed=interval(0,5): trials are repeated, so give a list: seed=0,1,2"),
        (["weighting.alpah=interval(0,1)"], "there is no option weighting.alpah; did you mean 'weighting.alpha'?"),
        (["weighting.alpha=interval(-1,1)"], "weighting.alpha=-1.0: must be greater than or equal to 0"),
        (["weighting.alpha=interval(1,0)"], "from a smaller to a larger number"),
        (["weighting.alpha=tag(log,interval(0,1))"], "a logarithmic one starts above 0"),
        (["weighting.alpha=tag(lin,interval(0,1))"], "there is no tag lin"),
        (["model.hidden=[8],[x]"], "model.hidden.0=x: must be a valid integer"),
        (["weighting=none,balnced"], "weighting=balnced: there is no such weighting; did you mean 'balanced'?"),
        (
            [LIST, "hydra.sweeper.metric=val/macro_f2"],
            "hydra.sweeper.metric=val/macro_f2: must be 'val/balanced_accuracy', 'val/macro_f1'",
        ),
        ([LIST, "hydra.sweeper.metric=[]"], "hydra.sweeper.metric=[]"),
        (
            [LIST, "hydra.sweeper.sampler=tpee"],
            "hydra.sweeper.sampler=tpee: must be 'tpe', 'random', 'qmc' or 'nsgaii'",
        ),
        ([LIST, "hydra.sweeper.n_trials=0"], "hydra.sweeper.n_trials=0: must be greater than or equal to 1"),
        ([LIST, "+hydra.sweeper.n_trial=9"], "there is no such option; did you mean 'n_trials'?"),
        (
            [LIST, "hydra.sweeper.metric=[val/macro_f1,val/log_loss]", "hydra.sweeper.pruner=median"],
            "hydra.sweeper.pruner=median needs a single metric",
        ),
        ([LIST, "trainer.second_stage=crt"], "use trainer.second_stage=none"),
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
            ["-m", *SEARCH[2:], LIST],
            [*SEARCH, LIST],
            [*SEARCH, LIST, "hydra.sweeper.n_trials=99"],
        )
    )
    assert grid
    assert searched
    assert longer
    assert grid.sweep.id != searched.sweep.id
    assert searched.sweep.id == longer.sweep.id, "more trials are the same search"
    assert [vars(config.weighting)["alpha"] for config in searched.jobs] == [0.5, 1.0]


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


REPEATED = ("weighting.alpha=interval(0,1)", "seed=0,1", "dataset.split_seed=range(0,3)")


def test_several_seeds_and_splits_repeat_each_trial() -> None:
    found = space(*REPEATED)
    assert set(found.searched) == {"weighting.alpha"}
    assert found.repeated == {"seed": ("0", "1"), "dataset.split_seed": ("0", "1", "2")}
    assert found.repetitions[:4] == [
        ["seed=0", "dataset.split_seed=0"],
        ["seed=0", "dataset.split_seed=1"],
        ["seed=0", "dataset.split_seed=2"],
        ["seed=1", "dataset.split_seed=0"],
    ]
    assert (len(found.repetitions), found.units) == (6, 3)
    checked = list(search.to_check(found))
    assert checked[:6] == [["weighting.alpha=0.0", *one] for one in found.repetitions]
    assert checked[6:] == [["weighting.alpha=1.0", "seed=0", "dataset.split_seed=0"]]
    assert (space("weighting.alpha=0,1", "seed=3").repetitions, space("seed=3").given) == ([[]], ("seed=3",))


def test_a_trial_counts_by_the_mean_over_its_repetitions(tmp_path: Path) -> None:
    """The seed adds 0, 0.1 or 0.5; what is told is the mean, 0.2 above the parabola."""
    searched = space("weighting.alpha=interval(0,1)", "seed=0,1,2")

    def noisy(job: dict[str, str]) -> dict[str, float]:
        level = parabola(job)["val/macro_f1"] + {"0": 0.0, "1": 0.1, "2": 0.5}[job["seed"]]
        return {"val/macro_f1": level, "val/macro_f1_standard_error": 0.03}

    launched = drive(tmp_path, settings(n_trials=2), searched, noisy)
    assert [job[-1] for job in launched] == ["seed=0", "seed=1", "seed=2"] * 2
    for trial in search.load(tmp_path, "s", settings()).trials:
        level = 1 - (trial.params["weighting.alpha"] - 0.3) ** 2
        assert trial.value == pytest.approx(level + 0.2)
        assert trial.user_attrs[search.REPETITIONS] == [pytest.approx([level, level + 0.1, level + 0.5])]
        assert trial.user_attrs[search.STANDARD_ERRORS] == {"val/macro_f1": pytest.approx(0.03)}, "one split"


def test_splits_measure_a_trial_more_exactly_than_seeds(tmp_path: Path) -> None:
    """Of errors 0.03 and 0.04 on two splits: the root of (0.03^2 + 0.04^2) / 2, over the root of 2."""
    searched = space("weighting.alpha=interval(0,1)", "dataset.split_seed=0,1")

    def exact(job: dict[str, str]) -> dict[str, float]:
        return {"val/macro_f1": 0.5, "val/macro_f1_standard_error": 0.03 + 0.01 * int(job["dataset.split_seed"])}

    drive(tmp_path, settings(n_trials=1), searched, exact)
    (trial,) = search.load(tmp_path, "s", settings()).trials
    assert trial.user_attrs[search.STANDARD_ERRORS]["val/macro_f1"] == pytest.approx(0.025)


@pytest.mark.parametrize(("ending", "state"), [({}, "PRUNED"), (None, "FAIL")])
def test_a_trial_that_ends_in_its_first_repetition_has_no_other(ending: Any, state: str, tmp_path: Path) -> None:
    searched, ended = space("weighting.alpha=interval(0,1)", "seed=0,1"), []

    def first_ends(job: dict[str, str]) -> Any:
        ended.append(job)
        return ending if len(ended) == 1 else parabola(job)

    launched = drive(tmp_path, settings(n_trials=2), searched, first_ends)
    trials = search.load(tmp_path, "s", settings()).trials
    assert [trial.state.name for trial in trials][:2] == [state, "COMPLETE"]
    assert [job[-1] for job in launched][:3] == ["seed=0", "seed=0", "seed=1"]


def test_a_trial_of_which_a_later_repetition_fails_has_failed(tmp_path: Path) -> None:
    searched = space("weighting.alpha=interval(0,1)", "seed=0,1")
    drive(tmp_path, settings(n_trials=1), searched, lambda job: None if job["seed"] == "1" else parabola(job))
    assert search.load(tmp_path, "s", settings()).trials[0].state.name == "FAIL"


def test_only_the_first_repetition_may_be_pruned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(search.TRIAL, "7.1")
    assert search.trial() == "7"
    assert search.watch(tmp_path, settings(), composed()) is None


def test_a_search_with_other_repetitions_is_another(tmp_path: Path) -> None:
    drive(tmp_path, settings(n_trials=1), space("weighting.alpha=interval(0,1)", "seed=0,1"), parabola)
    with pytest.raises(ConfigError, match=r"over weighting.alpha 0.0 to 1.0, each at seed=0,1: use sweep=new"):
        search.check_known(tmp_path, "s", settings(), space("weighting.alpha=interval(0,1)"))


def test_what_validation_cannot_tell_apart_is_said(tmp_path: Path) -> None:
    """Of the values 0.5, 0.6 and 0.65 with an error of 0.06, only the last two are alike; with 0.04 none is."""
    for error, said in ((0.06, ["trial 2 from 1 other trial"]), (0.04, [])):
        values = iter((0.5, 0.6, 0.65))

        def risen(_: dict[str, str], error: float = error, values: Any = values) -> dict[str, float]:
            return {"val/macro_f1": next(values), "val/macro_f1_standard_error": error}

        root = tmp_path / str(error)
        drive(root, settings(n_trials=3), space("weighting.alpha=interval(0,1)"), risen)
        found = search_report.said_of_noise(search.load(root, "s", settings()), settings(), 200)
        assert len(found) == len(said)
        for line, part in zip(found, said, strict=True):
            assert part in line
            assert "one standard error of val/macro_f1 on 200 rows, 0.0600" in line


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
    assert search.outcome(points, {}, both, composed()) == {"val/balanced_accuracy": 0.5, "val/log_loss": 0.9}
    assert search.outcome(points, {}, both, composed("trainer.early_stopping=2")) == {
        "val/balanced_accuracy": 0.6,
        "val/log_loss": 1.0,
    }
    by_loss = composed("trainer.early_stopping=2", "trainer.monitor=val/log_loss")
    assert search.outcome(points, {}, both, by_loss) == {"val/balanced_accuracy": 0.5, "val/log_loss": 0.9}


def test_a_standard_error_is_read_off_the_95_percent_interval() -> None:
    values = {"val/macro_f1": 0.5, "val/balanced_accuracy": 0.5, "val/macro_f1_low": 0.42, "val/macro_f1_high": 0.55}
    points = [{"key": key, "step": 0, "value": value} for key, value in values.items()]
    found = search.outcome(points, {}, settings(), composed())
    expected = {"val/macro_f1": 0.5, "val/macro_f1_standard_error": pytest.approx(0.13 / 2 / 1.96, rel=1e-4)}
    assert found == expected, "of an older run, whose metrics they are"
    ends = {"val/macro_f1_low": 0.42, "val/macro_f1_high": 0.55}
    assert search.outcome(points[:2], ends, settings(), composed()) == expected
    assert search.outcome(points[:2], {}, settings(), composed()) == {"val/macro_f1": 0.5}
