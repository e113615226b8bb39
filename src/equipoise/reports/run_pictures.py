"""A run's pictures as PNGs, which MLflow shows; the run's page has charts of its own."""

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from equipoise.core.colors import weighting_color
from equipoise.metrics.classification import OWN
from equipoise.reports.evidence import Evidence

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def pictures(evidence: Evidence) -> dict[str, bytes]:
    """Return PNGs by name, without those of the training as far as it is not known."""
    from matplotlib import rc_context

    from equipoise.reports import figures
    from equipoise.reports.fonts import FAMILY, lettering

    letters = lettering(evidence.data.classes)
    with rc_context({**figures.STYLE, "font.family": [FAMILY, *letters.families]}):
        return {name: _as_png(figure) for name, figure in _figures(evidence, letters.names).items()}


def _as_png(figure: "Figure") -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas, file = FigureCanvasAgg(figure), io.BytesIO()
    canvas.draw()  # type: ignore[no-untyped-call]
    opaque = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")  # type: ignore[no-untyped-call]
    opaque.save(file, "png", compress_level=1)  # hardly larger, in a third of the time
    return file.getvalue()


def _figures(evidence: Evidence, names: tuple[str, ...]) -> "dict[str, Figure]":
    """Draw the run's figures with these names for its classes."""
    from equipoise.reports import figures

    data, evaluation = replace(evidence.data, classes=names), evidence.evaluation
    labels, predicted, corrected = evidence.labels, evidence.log_probabilities, evidence.corrected
    by_kind = {OWN: predicted} | ({} if corrected is None else {evidence.correction: corrected})
    color = weighting_color(evidence.weighting)
    shares = {} if labels.ndim == 2 else evidence.shares
    trained = {"training_curves": figures.training_curves(evidence.history, color)} if evidence.history else {}
    if evidence.is_training_known:
        did = figures.what_the_weights_did(data, evidence.weights, evaluation, shares, color)
        trained = {"what_the_weights_did": did, **trained}
    if labels.ndim == 2:
        return {
            "pr_curves": figures.precision_recall_curves(labels == 1, predicted, evaluation, data, color),
            **trained,
        }
    return {
        "confusion_matrix": figures.confusion_matrix(evaluation.confusion, data.classes, data.head_to_tail, color),
        "pr_curves": figures.precision_recall_curves(labels, predicted, evaluation, data, color),
        "reliability": figures.reliability_diagram(labels, by_kind, color),
        **trained,
    }
