"""What a job is known by: which code counts for what, and in which words a change of it is told."""

import functools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from equipoise.config import identity
from equipoise.config.model import Config
from equipoise.core.kept_digests import Kept
from equipoise.core.source_code import HOME, read_anew
from equipoise.methods.decisions import DECISIONS
from equipoise.methods.models import MODELS
from equipoise.methods.weighting import STRATEGIES
from helpers import composed


@functools.cache
def config() -> Config:
    return composed("weighting=balanced", "loss=focal", "decision=tuned", "dataset=digits_lt", "model=mlp")


@functools.cache
def tags() -> Mapping[str, str]:
    """What a run of this config is tagged with."""
    return {**identity.tags(config()), "data_sha256": "it"}


def edited(*parts: str) -> dict[str, str]:
    """The tags of a run whose code was another one in these parts."""
    return {
        **tags(),
        "code": json.dumps(
            {part: "0" if part in parts else digest for part, digest in identity.code(config()).items()}
        ),
    }


def test_the_code_of_each_choice_counts_and_other_code_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(identity.code(config())) == [
        "weighting=balanced",
        "loss=focal",
        "model=mlp",
        "decision=tuned",
        "training",
        "evaluation",
    ]
    assert identity.changed(tags(), config(), "it") == ""
    monkeypatch.setitem(STRATEGIES.shipped, "inverse", STRATEGIES["power"])  # type: ignore[arg-type]
    assert identity.code_sha256(config()) == tags()["code_sha256"]
    monkeypatch.setitem(STRATEGIES.shipped, "balanced", STRATEGIES["power"])  # type: ignore[arg-type]
    monkeypatch.setitem(MODELS.shipped, "mlp", MODELS["linear"])  # type: ignore[arg-type]
    monkeypatch.setitem(DECISIONS.shipped, "tuned", DECISIONS["cost"])  # type: ignore[arg-type]
    assert identity.code_sha256(config()) != tags()["code_sha256"]
    assert identity.changed(tags(), config(), "other") == (
        "the code of weighting=balanced and the code of model=mlp and the code of decision=tuned "
        "and the content of the data have changed"
    )
    assert (
        identity.training_changed(tags(), config())
        == "the code of weighting=balanced and the code of model=mlp have changed"
    )


def test_the_code_of_a_second_training_counts_where_there_is_one() -> None:
    again = config().model_copy(update={"trainer": config().trainer.model_copy(update={"refit": True})})
    assert {**identity.code(again), "refit": ""} == {**identity.code(config()), "refit": ""}
    assert identity.code(again).keys() - identity.code(config()).keys() == {"refit"}
    assert identity.training_changed(tags(), again) == "the code of refit has changed"


def test_the_words_for_one_part() -> None:
    assert identity.changed(edited("training"), config(), "it") == "the code of training has changed"
    assert identity.changed(tags(), config(), "other") == "the content of the data has changed"
    assert identity.changed({}, config(), "it").count("the code of") == 5, (
        "of a run that does not say its code nothing is known"
    )


def test_other_code_of_judging_makes_no_finished_run_stale() -> None:
    assert identity.changed(edited("evaluation"), config(), "it") == ""
    assert identity.evaluation_changed(edited("evaluation"), config())
    assert not identity.evaluation_changed(tags(), config())
    assert identity.training_changed(edited("evaluation", "decision=tuned"), config()) == ""


def test_the_trials_of_a_search_may_have_any_of_its_options() -> None:
    jobs = [config(), composed("weighting=power", "loss=focal", "decision=tuned", "dataset=digits_lt", "model=mlp")]
    assert identity.changed_for_any(tags(), jobs, {"it"}) == ""
    assert (
        identity.changed_for_any(edited("weighting=balanced"), jobs, {"it"})
        == "the code of weighting=balanced has changed"
    )
    assert identity.changed_for_any(edited("evaluation"), jobs, ()) == ""
    assert identity.changed_for_any(tags(), jobs, {"other"}) == "the content of the data has changed"


def test_runs_of_different_code_are_found() -> None:
    assert identity.differing([tags(), tags(), {}]) == []
    assert identity.differing([tags(), edited("training", "loss=focal")]) == ["loss=focal", "training"]


@pytest.fixture
def _read_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What earlier processes have kept is not looked at either: on the disk no file is edited."""
    monkeypatch.setattr(Kept, "find", lambda *_: None)
    monkeypatch.setattr(Kept, "keep", lambda *_: None)
    read_anew()
    yield
    read_anew()


@pytest.mark.usefixtures("_read_anew")
def test_code_that_only_shows_or_records_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    read: set[str] = set()
    read_bytes = Path.read_bytes

    def noting(file: Path) -> bytes:
        if file.is_relative_to(HOME / "equipoise"):  # pytest reads what is imported meanwhile
            read.add(file.relative_to(HOME / "equipoise").as_posix())
        return read_bytes(file)

    monkeypatch.setattr(Path, "read_bytes", noting)
    identity.code(config())
    assert {
        "runs/fit.py",
        "training/runtime.py",
        "training/fit.py",
        "training/graph.py",
        "training/engines/resident.py",
        "data/feed.py",
        "methods/implementations.py",
        "metrics/classification.py",
        "methods/schedules.py",
    } <= read
    assert (
        not {
            "data/tables/dataset.py",
            "data/arrays/dataset.py",
            "reports/run_page.py",
            "reports/figures.py",
            "tracking/upload.py",
            "tracking/outbox.py",
            "tracking/views.py",
            "tracking/gpu_usage.py",
            "tracking/run.py",
            "runs/resume.py",
            "sweeps/planning.py",
            "core/terminal.py",
        }
        & read
    )


# By the file's name: what stands there, and what takes its place.
Edits = Mapping[str, tuple[str, str]]
POOLS = "pools.set_intra_op_parallelism_threads(%s)"
DECIDES_BITS: Mapping[str, Edits] = {
    "determinism": {"training/runtime.py": ("tf.config.experimental.enable_op_determinism()", "pass")},
    "threads": {"training/runtime.py": (POOLS % "count", POOLS % "1")},
    "what TensorFlow is told": {"runs/start.py": ("deterministic=trainer.deterministic", "deterministic=False")},
    "a step before training": {"runs/fit.py": ("    learner.fit(", "    learner.second_stage()\n    learner.fit(")},
    "the last step": {"runs/fit.py": ("curves = learner.second_stage()", "curves = {}")},
}
DECIDES_NONE: Edits = {  # the rules, the times, a warning, the bar, the tags, the keys
    "methods/deciders.py": ("expected.min(axis=1) > limit", "expected.min(axis=1) >= limit"),
    "methods/label_shift.py": ("MOST_KEPT = 1_000_000", "MOST_KEPT = 2_000_000"),
    "methods/tasks/task.py": ("    corrected: Floats | None\n", "    corrected: Floats\n"),
    "runs/session.py": ('"Where the time went"', '"Times"'),
    "runs/start.py": ("has one replica here", "has but one replica"),
    "core/bars.py": ("def epochs_bar(", "def _unused() -> None: ...\n\n\ndef epochs_bar("),
    "runs/log.py": ('"weighting": config.weighting.name', '"weights": config.weighting.name'),
    "tracking/keys.py": ('f"{name}/{group}"', 'f"{name}-{group}"'),
}


@pytest.mark.slow
@pytest.mark.usefixtures("_read_anew")
@pytest.mark.parametrize("what", [*DECIDES_BITS, "no bits"])
def test_only_an_edit_that_decides_bits_makes_another_training(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All edits that decide none are made at once."""
    edits = DECIDES_BITS.get(what, DECIDES_NONE)
    before, read, edited = identity.code(config())["training"], Path.read_bytes, {}
    for name, (then, now) in edits.items():
        text = (HOME / "equipoise" / name).read_text(encoding="utf-8")
        assert text.count(then) == 1
        edited[HOME / "equipoise" / name] = text.replace(then, now).encode()
    monkeypatch.setattr(Path, "read_bytes", lambda path: edited.get(path) or read(path))
    read_anew()
    assert (identity.code(config())["training"] != before) == (what in DECIDES_BITS)
