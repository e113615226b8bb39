"""What the stage `train` leaves for DVC besides what the next stage reads: its curves, while it goes on, and the model.

Plain runs leave neither, and do not load DVCLive.
"""

import contextlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from equipoise.core.schema import Floats
from equipoise.methods.saved_estimator import write_estimator
from equipoise.methods.stored_model import ESTIMATOR, KERAS
from equipoise.runs.follow import Watch
from equipoise.runs.stage import ARTIFACTS
from equipoise.training.answering import is_estimator

LIVE = ARTIFACTS / "live"
MODEL = ARTIFACTS / "model"  # the folder with the model's file
METADATA, SAVED = "metadata.json", "date_saved"  # of a .keras file
EARLIEST = (1980, 1, 1, 0, 0, 0)  # that a ZIP file can name


@contextlib.contextmanager
def live_curves() -> Iterator[Watch]:
    """Yield what writes each epoch's metrics, one file a metric with a line a step, which DVC and VS Code draw."""
    from dvclive.live import Live  # half a second

    with Live(str(LIVE), report=None, save_dvc_exp=False, dvcyaml=False) as live:

        def watch(epoch: int, metrics: Mapping[str, float]) -> None:
            live.step = epoch
            for name, value in metrics.items():
                live.log_metric(name, float(value))
            live.next_step()

        yield watch


def keep_model(model: Any, _: Floats) -> None:
    """Write an estimator, or the inference graph of a Keras model, uncompiled.

    The same weights give the same bytes, as DVC compares them.
    """
    MODEL.mkdir(exist_ok=True)
    for old in (KERAS, ESTIMATOR):
        (MODEL / old).unlink(missing_ok=True)
    if is_estimator(model):
        write_estimator(model, MODEL / ESTIMATOR)
        return
    import keras

    part = MODEL / f"part-{KERAS}"
    keras.Model(model.input, model.output, name=model.name).save(part)
    _write_undated(part, MODEL / KERAS)
    part.unlink()


def _write_undated(file: Path, target: Path) -> None:
    with zipfile.ZipFile(file) as dated, zipfile.ZipFile(target, "w") as undated:
        for name in sorted(dated.namelist()):
            content = dated.read(name)
            if name == METADATA:
                content = json.dumps({**json.loads(content), SAVED: ""}).encode()
            undated.writestr(zipfile.ZipInfo(name, EARLIEST), content)
