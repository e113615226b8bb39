"""More classes than anyone reads one by one, from shards: the commands, what they say and what they log."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from equipoise.tracking.store import open_store
from helpers import train

pytestmark = pytest.mark.slow

CLASSES = 1100


def test_many_classes_are_trained_from_shards_and_logged_by_rank(project: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(CLASSES), 6 + (np.arange(CLASSES) < 100))
    means = generator.normal(size=(CLASSES, 16))
    np.savez(tmp_path / "many.npz", x=means[labels] + 0.1 * generator.normal(size=(len(labels), 16)), y=labels)
    source = [
        "dataset=npz",
        f"dataset.path='{tmp_path}/many.npz'",
        "dataset.test_fraction=0.3",
        "dataset.validation_fraction=0.2",
    ]
    written = train(project, *source, "shards=3", f"output={tmp_path}/shards", script="shards.py")
    assert written.returncode == 0, written.stderr
    command = written.stdout.splitlines()[-1].split("src/train.py ")[1].split()
    found = train(
        project,
        *command,
        "model=linear",
        "weighting=balanced",
        "trainer.epochs=2",
        "trainer.batch_size=64",
        "evaluation.resamples=100",
    )
    assert found.returncode == 0, found.stderr
    assert "1,100 classes, more than 20: MLflow's metrics by class are means of 10 groups of ranks" in found.stdout
    (run,) = open_store(project).runs(dataset="tfrecord")
    metrics = run.data.metrics
    assert len(metrics) < 110
    folder = project / "mlruns" / "tfrecord-shards" / run.info.run_id / "artifacts" / "evaluation"
    table = json.loads((folder / "per_class.json").read_text())
    recall = np.array([np.nan if row[1] is None else row[1] for row in table["data"]])
    assert len(recall) == CLASSES
    for rank in range(0, CLASSES, 110):
        assert metrics[f"test/recall/ranks_{rank + 1}-{rank + 110}"] == pytest.approx(
            np.nanmean(recall[rank : rank + 110])
        )
    assert "test/recall/0" not in metrics
    predictions = pd.read_parquet(folder / "predictions.parquet")
    assert list(predictions)[:4] == ["label", "predicted", "p(label)", "top_1"]
    assert (predictions["top_1"] == predictions["predicted"]).all()
    assert (folder / "report.html").stat().st_size < 1_000_000

    refused = train(project, "dataset=multilabel", f"output={tmp_path}/other", "shard=2", script="shards.py")
    assert refused.returncode == 2
    assert "shard=2" in refused.stderr
    assert not (tmp_path / "other").exists()
