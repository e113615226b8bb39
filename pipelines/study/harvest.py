"""Rows of the table from what the runs of a part have logged."""

import hashlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from judge import FREE, Context, by_rules, context, lengths, majority
from parts import DIGITS, SWEEP, Part, dataset_of, family_of, fold_of, method_of
from table import BEST_EPOCH, NO_EPOCHS, this_machine

from equipoise.config.model import Config
from equipoise.core.schema import BEST, Floats
from equipoise.data.prepare import prepare
from equipoise.data.prepared import Prepared
from equipoise.data.resampling import resampled
from equipoise.tracking import history
from equipoise.tracking.artifacts import read_bytes, read_json
from equipoise.tracking.history import Logged
from equipoise.tracking.store import Store, open_store

LOGGED, EARLIER = "evaluation/earlier.npz", "evaluation/earlier.json"
PREDICTIONS, VALIDATION = "evaluation/predictions.parquet", "evaluation/validation.npz"
DIVERGED = "training diverged"  # how the error of such a run begins, its tag `error`
Row = dict[str, Any]


class Harvest:
    """What the runs of one part have left.

    Parameters
    ----------
    grid : see `grid.read`
    root : the folder whose store has them
    cache : of prepared data
    """

    def __init__(self, grid: Mapping[str, Any], part: Part, root: Path, cache: Path) -> None:
        self._grid, self._part, self._root, self._cache = grid, part, root, cache
        self._data: dict[str, Prepared] = {}

    def rows(self, wanted: Mapping[str, Config]) -> Iterator[Row]:
        """Yield the rows of each of the jobs that is finished, or has diverged.

        Parameters
        ----------
        wanted : jobs by their digests
        """
        if not (self._root / "mlflow.db").exists():
            return
        store = open_store(self._root)
        for run in history.sweep_runs(store, SWEEP, []):
            config = wanted.get(run.tags["config_sha256"][:DIGITS])
            if config is not None:
                yield from self._finished(store, run, config)
        for failed in store.search(f"tags.sweep_id = '{SWEEP}' and attributes.status = 'FAILED'"):
            config = wanted.get(failed.data.tags.get("config_sha256", "")[:DIGITS])
            if config is not None and failed.data.tags.get("error", "").startswith(DIVERGED):
                yield from self._diverged(config, failed.data.tags["config_sha256"])

    def _finished(self, store: Store, run: Logged, config: Config) -> Iterator[Row]:
        of, shared = self._context(config), self._shared(config, run.tags["config_sha256"])
        # A temperature takes a third of a second to fit, and only the centre is tuned.
        how = {"free": shared["method"] in FREE, "calibrated": shared["setting"] == "centre"}
        if not self._part.longest:
            test, validation = _of_learner(store, run.id)
            for found in by_rules(of, test, validation, **how):
                yield shared | _row(found, NO_EPOCHS, 0, float("nan"), test)
            return
        losses = {point["step"] + 1: point["value"] for point in store.points(run.id, ["train/loss"])}
        by_length = lengths(read_bytes(store, run.id, LOGGED))
        best = int(read_json(store, run.id, EARLIER)[BEST]["epochs"])
        for length, (test, validation) in by_length.items():
            if length == BEST and config.trainer.epochs != self._part.longest:
                continue  # of a run for each length, the longest tells the best epoch
            epochs = BEST_EPOCH if length == BEST else int(length)
            at = best if length == BEST else epochs
            loss = losses[min(losses, key=lambda logged: abs(logged - at))]
            for found in by_rules(of, test, validation, **how):
                yield shared | _row(found, epochs, best if length == BEST else 0, loss, test)

    def _diverged(self, config: Config, sha256: str) -> Iterator[Row]:
        """Yield what such a run is judged as, at every length: the most frequent class."""
        of, shared = self._context(config), self._shared(config, sha256)
        asked = [each for each in config.trainer.judge_after if each != BEST]
        epochs = [*asked, config.trainer.epochs]
        if config.trainer.epochs == self._part.longest:
            epochs.append(BEST_EPOCH)
        for each in epochs:
            yield shared | _row(majority(of), int(each), 0, float("nan"), np.empty(0, np.float32)) | {"diverged": True}

    def _context(self, config: Config) -> Context:
        key = config.dataset.model_dump_json()
        if key not in self._data:
            self._data[key] = prepare(config.dataset, self._cache)
        # The prior that SMOTE's rows teach is that of the rows it made.
        return context(config, resampled(config.dataset, self._data[key], config.seed))

    def _shared(self, config: Config, sha256: str) -> Row:
        name = dataset_of(config)
        return {
            "config": sha256[:DIGITS],
            "dataset": name,
            "family": family_of(self._grid, name),
            "method": method_of(config),
            "setting": self._part.setting,
            "division": config.dataset.split_seed,
            "fold": fold_of(config)[1],
            "seed": config.seed,
            "diverged": False,
            "machine": this_machine(),
        }


def _row(found: Any, epochs: int, best: int, loss: float, test: Floats) -> Row:
    return {
        "epochs": epochs,
        "best_epoch": best,
        "rule": found.rule,
        "confusion": found.confusion.tolist(),
        "validation": found.validation.tolist(),
        "log_loss": found.log_loss,
        "train_loss": loss,
        "logits": hashlib.sha256(np.ascontiguousarray(test).tobytes()).hexdigest()[:DIGITS],
    }


def _of_learner(store: Store, run: str) -> tuple[Floats, Floats]:
    """Return the log probabilities that a learner without epochs has logged, float32 (n, classes)."""
    import pandas as pd

    frame = pd.read_parquet(io.BytesIO(read_bytes(store, run, PREDICTIONS)))
    columns = [name for name in frame.columns if name.startswith("p(")]
    with np.errstate(divide="ignore"):
        test = np.log(frame[columns].to_numpy(np.float64)).astype(np.float32)
    with np.load(io.BytesIO(read_bytes(store, run, VALIDATION)), allow_pickle=False) as arrays:
        return test, np.asarray(arrays["logits"], np.float32)
