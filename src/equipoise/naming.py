"""What a run is called: what sets it apart from its neighbours at a glance."""

import os

from equipoise.config import Config, flat

# Of a sweep's jobs, the environment holds under this name the keys that the sweep varies: `weighting,weighting.beta,seed`.
VARIED = "EQUIPOISE_VARIED"
MOST_CHARACTERS = 30  # of one value


def run_name(config: Config) -> str:
    """Weighting, loss, model and seed; of a sweep's job the weighting, all that the sweep varies, and the seed."""
    varied = [key for key in os.environ.get(VARIED, "").split(",") if key]
    between = [key for key in varied if key not in ("weighting", "seed")] if varied else ["loss", "model"]
    values = flat(config)
    parts = [_part(key, values) for key in ("weighting", *between, "seed") if key in values or f"{key}.name" in values]
    return " · ".join(parts)


def _part(key: str, values: dict[str, object]) -> str:
    if f"{key}.name" in values:
        return str(values[f"{key}.name"])
    value = values[key]
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return f"{key.split('.')[-1]} {text[:MOST_CHARACTERS]}"
