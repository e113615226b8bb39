"""A model judged after some of its epochs is judged as one whose training ended there, to the bit."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from equipoise.core.errors import ConfigError
from equipoise.core.paths import ROOT
from equipoise.reports.lengths import by_length
from equipoise.runs.follow import following
from equipoise.runs.resume import kept
from equipoise.runs.run import Finished, train
from equipoise.tracking.run import Run
from equipoise.training.checkpoints import Checkpoints, State
from equipoise.training.earlier import Earlier
from equipoise.training.trained import Trained, load, save
from helpers import composed

SMALL = ["dataset=synthetic", "dataset.class_counts=[60,25,8]", "model=mlp", "model.hidden=[8]", "model.dropout=0.3"]
QUICK = ["weighting=balanced", "trainer.threads=1", "trainer.device=cpu", "evaluation.resamples=0"]


def _trained(epochs: int, *words: str) -> Finished:
    return train(composed(*SMALL, *QUICK, f"trainer.epochs={epochs}", *words))


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("engine", ["fit", "resident"])
def test_it_is_judged_as_if_its_training_had_ended_there(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ROOT, str(tmp_path))
    words = [f"trainer.engine={engine}", "trainer.ema=0.9"]
    whole = _trained(4, *words, "trainer.judge_after=[1,2,best]")
    plain, short = _trained(4, *words), _trained(2, *words)
    np.testing.assert_array_equal(plain.evidence.log_probabilities, whole.evidence.log_probabilities)
    assert whole.evidence.earlier[2] == (short.evidence.rules, short.evidence.validation_rules)
    assert whole.evidence.earlier[1] != whole.evidence.earlier[2]
    logged = json.loads((whole.folder / "evaluation" / "earlier.json").read_text())
    scores = [epoch["val/balanced_accuracy"] for epoch in whole.evidence.history]
    best = whole.evidence.best
    assert best == 1 + int(np.argmax(scores)), "the first of equals"
    stopped = _trained(4, *words, "trainer.early_stopping=9")
    assert whole.evidence.earlier["best"] == (stopped.evidence.rules, stopped.evidence.validation_rules)
    assert logged["best"]["epochs"] == best
    points = [json.loads(line) for line in (whole.folder / "metrics.jsonl").read_text().splitlines()]
    assert any("earlier/best/argmax/balanced_accuracy" in json.dumps(point) for point in points)
    assert logged["2"]["test"]["argmax"] == pytest.approx(dict(short.evidence.rules["argmax"]))
    with np.load(whole.folder / "evaluation" / "earlier.npz") as arrays:
        assert [*arrays] == [f"{split}_{epochs}" for split in ("test", "validation") for epochs in (1, 2, "best", 4)]
        for epochs, run in ((2, short), (4, plain)):
            found = np.exp(arrays[f"test_{epochs}"].astype(np.float64))
            expected = np.exp(run.evidence.log_probabilities)
            np.testing.assert_allclose(found / found.sum(axis=1, keepdims=True), expected, rtol=1e-6)
    assert not (whole.folder / "earlier").exists()
    validation, test = by_length(whole.evidence)
    assert [row[0] for row in test.rows] == ["1", "2", f"best ({best})", "4"]
    assert test.rows[1][1] == f"{short.metrics['test/balanced_accuracy']:.3f}"
    assert "choosing" in validation.title
    assert "judging" in test.title


@pytest.mark.parametrize("rule", ["class_balanced", "square_root", "smote"])
def test_what_draws_every_epoch_alike_is_no_obstacle(rule: str) -> None:
    config = composed(*SMALL, "trainer.epochs=4", "trainer.judge_after=[1,3]", f"dataset.sampling={rule}")
    assert config.trainer.judge_after == (1, 3)


def test_a_rule_that_ends_as_it_begins_is_not_taken_for_one_that_never_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(
        "import equipoise\nimport numpy as np\n\n"
        "def _mixed(counts, m):\n    return (1 - m) * counts / counts.sum() + m / len(counts)\n\n"
        "@equipoise.sampling\ndef hill(counts, progress):\n    return _mixed(counts, 1 - abs(2 * progress - 1))\n\n"
        "@equipoise.sampling\ndef level(counts, progress):\n    return _mixed(counts, 0.5)\n"
    )
    monkeypatch.setenv("EQUIPOISE_PLUGINS", str(tmp_path))
    words = [*SMALL, "trainer.epochs=5", "trainer.judge_after=[1,3]"]
    assert composed(*words, "dataset.sampling=level").dataset.sampling == "level"
    with pytest.raises(ConfigError, match=r"with dataset\.sampling=hill: a training of 1 epoch would not be"):
        composed(*words, "dataset.sampling=hill")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trainer.judge_after=[4]"], r"trainer.judge_after=\[4\]: the model is judged after all epochs anyhow"),
        (["trainer.judge_after=[2,1]"], "in rising order"),
        (["trainer.judge_after=[1,1]"], "in rising order"),
        (["trainer.judge_after=[0]"], "greater than or equal to 1"),
        (["trainer.judge_after=[best,1]"], "in rising order, and best after them"),
        (["trainer.judge_after=[best]", "trainer.early_stopping=3"], "which ends with the best epoch anyhow"),
        (["trainer.judge_after=[best]", "trainer.second_stage=crt"], "which begins after all epochs"),
        (
            ["trainer.judge_after=[1]", "trainer.schedule=cosine"],
            "with trainer.schedule=cosine: a training of 1 epoch would not be the beginning of this one",
        ),
        (["trainer.judge_after=[1]", "weighting.schedule=deferred"], "with weighting.schedule=deferred"),
        (["trainer.judge_after=[1]", "trainer.early_stopping=3"], "with trainer.early_stopping=3"),
        (["trainer.judge_after=[1]", "dataset.sampling=progressive"], "with dataset.sampling=progressive"),
        (["trainer.judge_after=[1]", "trainer.second_stage=crt"], "with trainer.second_stage=crt"),
        (["trainer.judge_after=[1]", "model=boosting", "model.min_samples_leaf=5"], "whose fit has no epochs"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_a_shorter_training_would_do_otherwise_is_refused(words: list[str], message: str) -> None:
    typed = [word for word in SMALL if not word.startswith("model") or "model=boosting" not in words]
    length = [] if "model=boosting" in words else ["trainer.epochs=4"]
    with pytest.raises(ConfigError, match=message):
        composed(*typed, "weighting=balanced", *length, *words)


def test_answers_survive_an_interruption_and_a_stage(tmp_path: Path) -> None:
    first, second = (np.full((2, 3), value, np.float32) for value in (1, 2))
    asked, scores = (1, 3, "best"), {1: 0.5, 2: 0.7, 3: 0.7}
    before = Earlier(tmp_path, asked, 0)
    for epochs in (1, 2):
        before.reached(epochs, lambda: (first, second), scores[epochs])
    after = Earlier(tmp_path, asked, 2)  # goes on after the second epoch, of which it is told once more
    for epochs in (1, 2, 3):
        after.reached(epochs, lambda: (second, first), scores[epochs])
    found = after.all()
    assert after.lost() is None
    assert (list(found), after.best) == ([1, 3, "best"], 2)
    np.testing.assert_array_equal(found["best"], (first, second))
    np.testing.assert_array_equal(found[1], (first, second))
    np.testing.assert_array_equal(found[3], (second, first))
    save(
        Trained(first, second, [{"val/loss": 1.0}], {"loss_share": np.ones(3)}, "a", earlier=found, best=2),
        tmp_path,
        {},
    )
    again, _ = load(tmp_path)
    assert (list(again.earlier), again.best) == ([1, 3, "best"], 2)
    assert list(again.shares) == ["loss_share"]
    np.testing.assert_array_equal(again.earlier[3], found[3])


@pytest.mark.parametrize("damage", ["missing", "empty", "half", "a bit"])
def test_answers_that_a_power_loss_has_taken_are_seen_before_anything_is_trained(damage: str, tmp_path: Path) -> None:
    answers = np.zeros((20, 3), np.float32), np.ones((9, 3), np.float32)
    Earlier(tmp_path, (1, 3), 0).reached(1, lambda: answers, 0.5)
    file = tmp_path / "earlier" / "1.npz"
    whole = file.read_bytes()
    place = whole.index(np.ones((9, 3), np.float32).tobytes())
    other = {"empty": b"", "half": whole[: len(whole) // 2], "a bit": whole[:place] + b"\x01" + whole[place + 1 :]}
    file.unlink() if damage == "missing" else file.write_bytes(other[damage])
    assert Earlier(tmp_path, (1, 3), 2).lost() == 1
    assert Earlier(tmp_path, (1, 3), 0).lost() is None, "which is asked anew"
    assert Earlier(tmp_path, ("best",), 2).lost() == "best"
    assert Earlier(tmp_path, ("best",), 0).lost() is None


@pytest.mark.parametrize("whole", [True, False])
def test_a_training_whose_answers_are_lost_is_begun_anew(
    whole: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = composed(*SMALL, *QUICK, "trainer.epochs=4", "trainer.judge_after=[1]")
    checkpoints = Checkpoints(tmp_path, {})
    checkpoints.save(2, State({}, {"history": [{}, {}]}))
    if whole:
        Earlier(tmp_path, (1,), 0).reached(1, lambda: (np.zeros((2, 3)), np.zeros((2, 3))), 0.5)
    log = SimpleNamespace(folder=tmp_path, id="4a1f", flush=lambda: None)
    with following(config, cast("Run", log), checkpoints, None):
        assert (checkpoints.newest() is not None) == whole
    told = capsys.readouterr()
    assert ("Going on after epoch 2 of 4" in told.out) == whole
    assert ("begun anew: the answers after epoch 1 of run 4a1f" in told.err) != whole
    with kept(tmp_path):
        pass
    assert not [*tmp_path.iterdir()], "nothing reads them once the run is finished"
