"""Verdicts as descriptions in MLflow, and what a user wrote there."""

import pytest

from equipoise.sweeps.descriptions import NOTE, describe, open_note
from equipoise.tracking.store import Store

pytestmark = pytest.mark.slow


def description(store: Store, experiment: str) -> str:
    return str(store.client.get_experiment(experiment).tags.get(NOTE))


def test_the_newest_verdict_replaces_the_one_before(store: Store) -> None:
    experiment = store.experiment("described")
    describe(store, experiment, "a", "Verdict one.")
    describe(store, experiment, "b", "Verdict two.")
    assert description(store, experiment) == "Verdict two.\n\nSweep b, the newest of this experiment that has ended."


@pytest.mark.parametrize("typed", ["Mine.", "Verdict one.\n\nSweep a, the newest of this experiment. And my words."])
def test_what_a_user_wrote_stays(store: Store, typed: str) -> None:
    """Also what a user has added to our words."""
    experiment = store.experiment(f"a user's {len(typed)}")
    describe(store, experiment, "a", "Verdict one.")
    store.tag_experiment(experiment, NOTE, typed)
    describe(store, experiment, "b", "Verdict two.")
    assert description(store, experiment) == typed


def test_a_long_verdict_fits(store: Store) -> None:
    experiment = store.experiment("long")
    describe(store, experiment, "a", "Verdict. " * 2000)
    assert len(description(store, experiment)) < 5000


def test_a_note_begins_with_the_newest_verdict_alone(store: Store) -> None:
    experiment = store.experiment("noted")
    tags = {"kind": "sweep", "sweep_id": "noted", NOTE: "**Sweep noted**: 3 jobs"}
    run = store.client.create_run(experiment, tags=tags).info.run_id
    for said in ("Verdict one.", "Verdict two."):
        open_note(store, "noted", said)
    tags = store.client.get_run(run).data.tags
    assert (tags[NOTE], tags["verdict"]) == ("Verdict two.\n\n**Sweep noted**: 3 jobs", "Verdict two.")
    assert description(store, experiment).startswith("Verdict two.")
