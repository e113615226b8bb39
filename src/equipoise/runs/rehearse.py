"""All that a run does with the configured options, once and on little: no training, no run, no folder of a run."""

from collections.abc import Iterator

from equipoise.config.model import Config
from equipoise.core.errors import counted
from equipoise.core.schema import NONE, Floats
from equipoise.data.prepared import Prepared
from equipoise.data.resampling import resampled
from equipoise.data.sampling import Resampling
from equipoise.runs import evaluate, start, weigh


def rehearse(config: Config, data: Prepared) -> Iterator[str]:
    """Yield a line for each option that was tried, and tell what a run would tell.

    Raises
    ------
    ConfigError
        If an option is not what a run takes it for.
    """
    data = resampled(config.dataset, data, config.seed)
    learner = start.start(config, data)
    train = data.split("train")
    samples, classes = counted(len(train.labels), "sample", "samples"), counted(len(data.classes), "class", "classes")
    yield f"dataset={config.dataset.name}: {samples} of shape {data.shape} to train on, {classes}"
    yield from learner.described()
    weights = weigh.weigh(config, data)
    weigh.tell(config, data, weights)
    yield f"weighting={config.weighting.name}: weights {_span(weights.weights)}"
    drawing = weigh.drawing(config, data)
    if isinstance(drawing, Resampling):
        yield f"dataset.sampling={config.dataset.sampling}: {drawing.before.sum()} rows to {drawing.after.sum()}"
    elif config.dataset.sampling != NONE and drawing is not None:
        yield f"dataset.sampling={config.dataset.sampling}: shares {_span(drawing.shares)}"
    verdict = evaluate.rehearsed(config, data, weights)
    yield f"decision={config.decision.name}: decides for {len(verdict.labels)} samples, on made-up logits"


def _span(values: Floats) -> str:
    return f"{values.min():.3g} to {values.max():.3g}"
