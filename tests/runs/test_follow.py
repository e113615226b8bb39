"""Which epochs of a training are logged."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from equipoise.runs.follow import Watch, following
from equipoise.tracking.run import Run
from equipoise.training.checkpoints import Checkpoints
from helpers import composed


@pytest.mark.parametrize(
    ("epochs", "watch", "expected"),
    [
        (9, None, [2, 3, 7, 8]),
        (7, None, [2, 3, 6]),  # which stopped early
        (8, None, [2, 3, 7]),
        (2, None, [1]),
        (6, lambda *_: None, [0, 1, 2, 3, 4, 5]),  # a search goes by all
    ],
)
def test_every_fourth_epoch_those_that_are_judged_and_the_last(
    tmp_path: Path, epochs: int, watch: Watch | None, expected: list[int]
) -> None:
    config = composed("trainer.epochs=9", "trainer.judge_after=[3,best]", "tracking.every=4")
    logged: dict[int, dict[str, float]] = {}
    log = SimpleNamespace(
        folder=tmp_path, id="4a1f", flush=lambda: None, log_metrics=lambda metrics, step: logged.update({step: metrics})
    )
    with following(config, cast("Run", log), Checkpoints(tmp_path, {}), watch) as follow:
        for epoch in range(epochs):
            follow.epoch(epoch, {"train/loss": 1.0 / (1 + epoch)})
    assert [*logged] == expected
    assert all(metrics == {"train/loss": 1.0 / (1 + step)} for step, metrics in logged.items())
