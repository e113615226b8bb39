"""What the stage `train` leaves for DVC besides what the next stage reads: its curves, while it goes on, and the model.

Plain runs leave neither, and do not load DVCLive.
"""

import contextlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from equipoise.core.schema import Floats
from equipoise.runs.follow import Watch
from equipoise.runs.stage import ARTIFACTS

if TYPE_CHECKING:
    import keras

LIVE = ARTIFACTS / "live"
MODEL = ARTIFACTS / "model.keras"
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


def keep_model(model: "keras.Model", _: Floats) -> None:
    """Write the model's inference graph, uncompiled; the same weights give the same bytes, as DVC compares them."""
    import keras

    part = MODEL.with_name(f"part-{MODEL.name}")
    keras.Model(model.input, model.output, name=model.name).save(part)
    _write_undated(part, MODEL)
    part.unlink()


def _write_undated(file: Path, target: Path) -> None:
    with zipfile.ZipFile(file) as dated, zipfile.ZipFile(target, "w") as undated:
        for name in sorted(dated.namelist()):
            content = dated.read(name)
            if name == METADATA:
                content = json.dumps({**json.loads(content), SAVED: ""}).encode()
            undated.writestr(zipfile.ZipInfo(name, EARLIEST), content)
