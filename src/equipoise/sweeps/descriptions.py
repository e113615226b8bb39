"""Verdicts as descriptions in MLflow: of a sweep's summary run, and of the experiment that holds its runs."""

import contextlib
import hashlib

from equipoise.tracking.store import Store, outages

NOTE = "mlflow.note.content"
OURS = "description_sha256"  # tag of an experiment: digest of the description that we wrote
VERDICT = "verdict"  # tag of a summary run
MOST_CHARACTERS = 4500  # of an experiment's tag, a little less than the store's column has


def describe(store: Store, experiment: str, sweep: str, said: str) -> None:
    """Describe an experiment by the verdict of its newest sweep, unless a user has written or edited the description.

    Nothing happens if the store does not allow it: the verdict stands in the summary run as well.
    """
    with contextlib.suppress(*outages()):
        tags = store.client.get_experiment(experiment).tags
        present = tags.get(NOTE, "")
        if present.strip() and _digest(present) != tags.get(OURS):
            return
        text = f"{said[:MOST_CHARACTERS]}\n\nSweep {sweep}, the newest of this experiment that has ended."
        store.tag_experiment(experiment, NOTE, text)
        store.tag_experiment(experiment, OURS, _digest(text))


def open_note(store: Store, sweep: str, said: str) -> None:
    """Let the note of a sweep's summary run begin with a verdict, and describe its experiment by it."""
    summary = store.runs(kind="sweep", sweep_id=sweep)[-1]
    note = summary.data.tags.get(NOTE, "")
    earlier = summary.data.tags.get(VERDICT, "")
    rest = note.removeprefix(earlier).lstrip("\n") if earlier else note
    store.client.set_tag(summary.info.run_id, NOTE, f"{said}\n\n{rest}")
    store.client.set_tag(summary.info.run_id, VERDICT, said)
    describe(store, summary.info.experiment_id, sweep, said)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
