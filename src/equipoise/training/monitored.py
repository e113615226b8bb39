"""What an epoch is worth by `trainer.monitor`."""

import math
from collections.abc import Mapping

from equipoise.core.errors import ConfigError, listing
from equipoise.metrics.orientation import orientation

JUDGED_BEST = "trainer.judge_after=[best]"  # which watches every epoch


def score(monitor: str, metrics: Mapping[str, float], who: str) -> float:
    """Return what an epoch is worth: higher is better.

    Parameters
    ----------
    metrics : of the epoch
    who : has something to watch

    Raises
    ------
    ConfigError
        If the metric is not defined on these validation samples.
    """
    watched = metrics.get(monitor, math.nan)
    if math.isnan(watched):
        known = listing([name for name, value in metrics.items() if name.startswith("val/") and not math.isnan(value)])
        raise ConfigError(
            f"trainer.monitor={monitor} is not defined on these validation samples, "
            f"so {who} has nothing to watch: use {known}"
        )
    return watched * orientation(monitor)
