"""trainer.refit=true: the figures are those of the first training, the model is that of one on all rows."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import warm
from equipoise.config.model import Config
from equipoise.core.errors import ConfigError
from equipoise.core.paths import ROOT
from equipoise.data.all_rows import all_rows
from equipoise.data.preprocessing import read
from equipoise.runs.again import Again, as_repeated, kept_epochs, to_repeat_on
from equipoise.runs.dvc import TRAIN_STAGE
from equipoise.runs.reevaluate import evaluate_again
from equipoise.runs.refit import trained_again
from equipoise.runs.run import Finished, train
from equipoise.tracking.store import open_store
from equipoise.training import checkpoints
from equipoise.training.checkpoints import Checkpoints, State
from equipoise.training.trained import Trained
from helpers import composed, program_of, write_small_shards
from processes import LIMIT

QUICK = ["trainer.threads=1", "trainer.device=cpu", "evaluation.resamples=0", "trainer.batch_size=16"]
# With these the best epoch is the second of four.
STOPPING = ["trainer.epochs=6", "trainer.early_stopping=2", "trainer.monitor=val/log_loss", "trainer.learning_rate=0.3"]
N = 120


def table(n: int, seed: int) -> pd.DataFrame:
    """Rows of three classes, which overlap; `x` has another scale than `z`."""
    generator, labels = (
        np.random.default_rng(seed),
        np.repeat([0, 1, 2], [n * 7 // 10, n // 5, n - n * 7 // 10 - n // 5]),
    )
    values = generator.normal(size=(n, 2)) + labels[:, None]
    frame = pd.DataFrame({"x": 100 * values[:, 0], "z": values[:, 1], "y": np.array(["a", "b", "c"])[labels]})
    return frame.iloc[generator.permutation(n)].reset_index(drop=True)


@dataclass(frozen=True)
class Runs:
    """The same run without a second training, with one, and what is at hand of them."""

    root: Path
    once: Finished
    more: Finished
    words: list[str]

    def tags(self, run: Finished) -> dict[str, str]:
        return dict(open_store(self.root).client.get_run(run.run_id).data.tags)

    def json(self, run: Finished, path: str) -> Any:
        return json.loads((run.folder / path).read_text())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, tensorflow: object) -> Iterator[Runs]:
    root = tmp_path_factory.mktemp("root")
    table(N, 0).to_csv(root / "table.csv", index=False)
    table(50, 1).to_csv(root / "other.csv", index=False)
    words = ["dataset=csv", f"dataset.path='{root}/table.csv'", "dataset.target=y", "model=linear"]
    words += ["weighting=balanced", "decision=tuned", *STOPPING, *QUICK]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ROOT, str(root))
        once, more = (train(composed(*words, f"trainer.refit={refit}")) for refit in ("false", "true"))
        yield Runs(root, once, more, words)


def test_epochs_are_those_up_to_the_best_one() -> None:
    history = [{"val/log_loss": value} for value in (0.9, 0.4, 0.6, 0.4, 0.5)]
    trainer = composed("trainer.monitor=val/log_loss").trainer
    assert kept_epochs(trainer, history) == 5
    stopping = trainer.model_copy(update={"early_stopping": 3})
    assert kept_epochs(stopping, history) == 2, "of two equal ones the first was kept"
    rising = [{"val/macro_f1": value} for value in (0.1, 0.7, 0.6)]
    assert kept_epochs(stopping.model_copy(update={"monitor": "val/macro_f1"}), rising) == 2


def test_what_cannot_be_trained_once_more_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"trainer\.refit=true with trainer\.strategy=mirrored: .* leave one"):
        composed("trainer.refit=true", "trainer.strategy=mirrored")
    write_small_shards(tmp_path / "shards")
    words = ["dataset=tfrecord", f"dataset.path='{tmp_path}/shards'", "model=linear"]
    composed(*words)
    with pytest.raises(ConfigError, match=r"dataset=tfrecord: the samples of each split stay in shards"):
        composed(*words, "trainer.refit=true")


def test_rows_that_cannot_be_resampled_are_told_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All rows are resampled otherwise than the training split, and may leave a class empty."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "mine.py").write_text(
        "import equipoise\n\n@equipoise.sampling\ndef kept(features, labels, seed):\n"
        f"    rows = (labels == 0) | (len(labels) < {N})\n    return features[rows], labels[rows]\n"
    )
    monkeypatch.setenv("EQUIPOISE_PLUGINS", str(tmp_path / "plugins"))
    monkeypatch.setenv(ROOT, str(tmp_path))
    table(N, 0).to_csv(tmp_path / "table.csv", index=False)
    words = ["dataset=csv", f"dataset.path='{tmp_path}/table.csv'", "dataset.target=y", "dataset.sampling=kept"]
    config = composed(*words, "model=linear", *QUICK)
    assert to_repeat_on(config, tmp_path / "cache") is None
    with pytest.raises(ConfigError, match=r"dataset\.sampling=kept leaves no training row of class"):
        train(composed(*words, "model=linear", *QUICK, "trainer.refit=true"))
    assert not open_store(tmp_path).runs()


@pytest.mark.slow
class TestARun:
    def test_its_figures_are_those_of_the_first_training_to_the_bit(self, runs: Runs) -> None:
        assert runs.more.metrics == runs.once.metrics
        assert runs.more.evidence.history == runs.once.evidence.history
        store = open_store(runs.root)
        logged = [store.client.get_run(run.run_id).data.metrics for run in (runs.once, runs.more)]
        assert logged[0] == logged[1]
        before, after = (
            pd.read_parquet(run.folder / "evaluation/predictions.parquet") for run in (runs.once, runs.more)
        )
        pd.testing.assert_frame_equal(before, after, check_exact=True)
        assert runs.tags(runs.more)["judged_weights_sha256"] == runs.tags(runs.once)["weights_sha256"]

    def test_its_model_is_that_of_a_plain_run_whose_training_split_is_all_rows(self, runs: Runs) -> None:
        """The plain run reads its splits from a column of a file that holds the other two splits once more."""
        kept, history = int(runs.tags(runs.more)["refit_epochs"]), runs.once.evidence.history
        losses = [metrics["val/log_loss"] for metrics in history]
        assert 1 <= kept == 1 + losses.index(min(losses)) < len(losses)
        rows = table(N, 0)
        frame = pd.concat([rows.assign(s="train"), rows[:30].assign(s="valid"), rows[:30].assign(s="test")])
        frame.to_csv(runs.root / "all.csv", index=False)
        others = [word for word in runs.words if "early" not in word and "epochs" not in word and "path" not in word]
        plain = train(
            composed(*others, f"dataset.path='{runs.root}/all.csv'", "dataset.split_column=s", f"trainer.epochs={kept}")
        )
        tags = runs.tags(runs.more)
        assert runs.tags(plain)["weights_sha256"] == tags["weights_sha256"] != tags["judged_weights_sha256"]
        assert runs.json(plain, "weights.json") == runs.json(runs.more, "weights.json")

    def test_what_goes_with_the_model_is_of_all_rows(self, runs: Runs) -> None:
        frame = table(N, 0)
        counts = frame["y"].value_counts().to_dict()
        weights = runs.json(runs.more, "weights.json")
        assert {name: row["count"] for name, row in weights.items()} == counts
        assert {name: row["weight"] for name, row in weights.items()} == pytest.approx(
            {name: N / (3 * count) for name, count in counts.items()}
        )
        features = read(runs.more.folder).apply(frame[["x", "z"]])
        values = frame[["x", "z"]].to_numpy()
        np.testing.assert_allclose(features, (values - values.mean(axis=0)) / values.std(axis=0), rtol=1e-4, atol=1e-5)
        found = runs.json(runs.more, "evaluation/probabilities.json")
        assert found["effective"] == pytest.approx([1 / 3] * 3)
        assert found["target"] == pytest.approx([counts[name] / N for name in "abc"])
        first = runs.json(runs.once, "evaluation/probabilities.json")["target"]
        assert first != found["target"], "84 training rows have other shares"
        rules = [runs.json(run, "evaluation/decision.json") for run in (runs.once, runs.more)]
        assert rules[0] == rules[1], "the bias stays as it was tuned on rows that the model had not seen"
        assert any(rules[0]["bias"])

    def test_it_says_so(self, runs: Runs) -> None:
        train_rows = int(runs.once.data.counts.sum())
        said = f"odel: trained once more on all {N} rows; figures are of the training on {train_rows}"
        assert runs.more.evidence.model == f"m{said}"
        assert f"M{said}." in (runs.more.folder / "evaluation/report.html").read_text()
        assert runs.once.evidence.model == ""

    def test_it_is_judged_on_another_file_alone(self, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("equipoise.training.runtime.start", lambda *_, **__: "cpu")  # it runs already
        store = open_store(runs.root)
        for overrides in ([], ["decision=argmax"], [f"dataset.path='{runs.root}/table.csv'"]):
            with pytest.raises(
                ConfigError, match=r"trained once more on all rows .*another file, with dataset\.path=…"
            ):
                evaluate_again(store, runs.more.run_id, overrides)
        judged = evaluate_again(store, runs.more.run_id, [f"dataset.path='{runs.root}/other.csv'"])
        found = pd.read_parquet(judged.folder / "evaluation/predictions.parquet")
        frame = table(50, 1)
        assert found["label"].tolist() == frame["y"].tolist()
        bias = runs.json(runs.more, "evaluation/decision.json")["bias"]
        expected = (self.logits(runs, frame) + bias).argmax(axis=1)
        assert found["predicted"].tolist() == [list("abc")[place] for place in expected]
        assert json.loads((judged.folder / "data.json").read_text())["notes"] == []
        assert json.loads((judged.folder / "evaluation/decision.json").read_text())["bias"] == bias

    def test_registered_it_predicts_as_the_model_of_all_rows(self, runs: Runs) -> None:
        import mlflow

        from equipoise.serving.register import register
        from equipoise.tracking.history import chosen_runs

        store, frame = open_store(runs.root), table(50, 1)
        (logged,) = chosen_runs(store, [runs.more.run_id], ["val/log_loss"])
        made = register(store, logged, "mine", "champion", {})
        found = mlflow.pyfunc.load_model(made.uri).predict(frame[["x", "z"]])
        logits = self.logits(runs, frame)
        log_odds = (
            logits - np.log(1 / 3) + np.log(table(N, 0)["y"].value_counts(normalize=True)[list("abc")].to_numpy())
        )
        expected = np.exp(log_odds) / np.exp(log_odds).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found[["p(a)", "p(b)", "p(c)"]], expected, rtol=1e-5)
        version = store.client.get_model_version("mine", made.version)
        assert version.tags["weights_sha256"] == runs.tags(runs.more)["weights_sha256"]

    def test_its_script_ends_with_the_digest_of_the_model(self, runs: Runs, tmp_path: Path) -> None:
        from equipoise.serving.export import export

        exported = export(open_store(runs.root), runs.more.run_id, tmp_path / "plain.py", None)
        text = exported.script.read_text()
        assert f"on all {N} rows, after it was judged" in " ".join(text.split())
        with np.load(tmp_path / "plain.npz") as arrays:
            assert len(arrays["y_train"]) == N
        code = "exec(compile(open('plain.py').read(), 'plain.py', 'exec'))"
        found = warm.run(["-c", code], tmp_path, LIMIT)
        assert found.returncode == 0, found.stderr
        digests = re.findall(r"^(?:weights_sha256|of the run): +(\w{64})$", found.stdout, re.MULTILINE)
        assert digests == [runs.tags(runs.more)["weights_sha256"]] * 2
        assert "test split" not in found.stdout

    def test_interrupted_in_its_second_training_it_ends_with_the_same_bits(
        self, runs: Runs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The disk is full at the end of the first epoch of the second training; the same command goes on."""
        words = [*(word for word in runs.words if "epochs" not in word), "trainer.refit=true", "trainer.epochs=7"]
        saved, folder = Checkpoints.save, f"{checkpoints.FOLDER}/{checkpoints.FOLDER}"

        def full(self: Checkpoints, number: int, state: State) -> None:
            saved(self, number, state)
            if str(self.folder).endswith(folder):
                raise OSError("No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(Checkpoints, "due", lambda *_, **__: True)
            patch.setattr(Checkpoints, "save", full)
            with pytest.raises(OSError, match="No space left"):
                train(composed(*words))
        (broken,) = open_store(runs.root).runs(judged_weights_sha256=runs.tags(runs.once)["weights_sha256"])[-1:]
        assert (broken.info.status, "weights_sha256" in broken.data.tags) == ("FAILED", False)
        finished = train(composed(*words))
        assert finished.run_id == broken.info.run_id
        assert runs.tags(finished)["weights_sha256"] == runs.tags(runs.more)["weights_sha256"]
        assert not checkpoints.saved(finished.folder)
        assert (
            len(
                open_store(runs.root).client.search_logged_models(
                    [finished.experiment_id], f"source_run_id = '{finished.run_id}'"
                )
            )
            == 1
        )

    @staticmethod
    def logits(runs: Runs, frame: pd.DataFrame) -> Any:
        from equipoise.tracking.artifacts import load_model

        model = load_model(open_store(runs.root), runs.more.run_id)
        return model.predict(read(runs.more.folder).apply(frame[["x", "z"]]), verbose=0).astype(np.float64)


@pytest.mark.slow
def test_the_stages_of_the_pipeline_leave_what_a_run_leaves(
    tmp_path: Path, tensorflow: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ROOT, str(tmp_path))
    small = ["dataset=synthetic", "dataset.class_counts=[60,25,8]", "model=linear", "decision=logit_adjusted", *QUICK]
    config = composed(*small, *STOPPING, "trainer.refit=true")
    finished, stages = train(config), [program_of(f"pipelines/{name}.py") for name in ("train", "evaluate")]
    for stage in stages:
        monkeypatch.setattr(stage, "ARTIFACTS", tmp_path)
        stage.step(config)
    store = open_store(tmp_path)
    whole, staged = store.client.get_run(finished.run_id), store.runs(**{"mlflow.source.name": TRAIN_STAGE})[-1]
    for tag in ("weights_sha256", "judged_weights_sha256", "refit_epochs", "refit_data_sha256"):
        assert staged.data.tags[tag] == whole.data.tags[tag]
    names = [name for name in whole.data.metrics if name.startswith("test/")]
    assert {name: staged.data.metrics[name] for name in names} == {name: whole.data.metrics[name] for name in names}
    for path in ("weights.json", "evaluation/decision.json", "evaluation/probabilities.json"):
        assert (Path(staged.data.tags["folder"]) / path).read_text() == (finished.folder / path).read_text()
    counts = np.array([60, 25, 8]) + sum(len(finished.data.split(name).labels) // 3 for name in ("test", "validation"))
    bias = json.loads((finished.folder / "evaluation/decision.json").read_text())["bias"]
    assert bias == pytest.approx(-np.log(counts / counts.sum()))


@pytest.mark.slow
def test_a_schedule_goes_as_far_as_it_went(tmp_path: Path, tensorflow: object) -> None:
    """After early stopping in epoch 3 of 6, weights that would come in later never do."""
    small = ["dataset=synthetic", "dataset.class_counts=[60,25,8]", "model=mlp", "model.hidden=[8]", *QUICK]
    deferred = ["weighting=balanced", "weighting.schedule=deferred", "weighting.start=0.5", "trainer.epochs=6"]
    history = [{"val/balanced_accuracy": value} for value in (0.1, 0.2, 0.3, 0.1)]
    found = {}
    for name, words in {
        "stopped": [*deferred, "trainer.early_stopping=1"],
        "unweighted": ["weighting=balanced", "weighting.schedule=deferred", "weighting.start=0.99", "trainer.epochs=6"],
        "whole": deferred,
    }.items():
        config: Config = composed(*small, *words)
        trained = Trained(np.zeros((1, 3)), np.zeros((1, 3)), history, {}, "")
        again = Again.of(config, trained, all_rows(config.dataset, tmp_path / "cache"))
        (tmp_path / name / checkpoints.FOLDER).mkdir(parents=True)
        again = Again(again.config, again.data, again.weights, {"stopped": 3, "unweighted": 3, "whole": 6}[name])
        found[name] = trained_again(again, Checkpoints(tmp_path / name, {}, first=math.inf)).weights_sha256()
    assert found["stopped"] == found["unweighted"] != found["whole"]
    assert as_repeated(config).trainer.epochs == 6
