"""One label a sample: it has one of the classes, and class weights multiply its loss."""

from dataclasses import replace

import numpy as np

from equipoise.core.schema import Floats, Integers, arguments
from equipoise.data.catalogue import positive_class
from equipoise.data.prepared import Prepared
from equipoise.data.types import Dataset
from equipoise.methods.losses import LOSSES, Known, LossOptions
from equipoise.methods.tasks.judge_classes import judge_classes
from equipoise.methods.tasks.task import Judging, Logits, Training, Verdict
from equipoise.methods.weighting import ClassWeights, Weighting, weighed
from equipoise.metrics import classification
from equipoise.metrics.classification import class_logits


class OneLabel:
    """Each sample has exactly one of the classes; implements `Task`."""

    has_class_parts = True

    def weigh(self, weighting: Weighting, loss: LossOptions, data: Prepared) -> ClassWeights:
        """Return the normalised weights of the configured strategy."""
        return weighed(weighting, data)

    def known(self, data: Prepared, costs: Floats | None) -> Known:
        """Return what a loss may know of the training split."""
        return Known.of_classes(data.counted, costs)

    def loss_options(self, weighting: Weighting, loss: LossOptions) -> LossOptions:
        """Return the options as they are: the weights are put in beside the loss."""
        return loss

    def factors(self, weights: ClassWeights) -> Floats:
        """Return the class weights."""
        return weights.weights

    def shown(self, weights: ClassWeights, loss: LossOptions, dataset: Dataset, data: Prepared) -> ClassWeights:
        """Return the weights times what the loss multiplies the positive class by, and that class named."""
        of_positives, factors = LOSSES[loss.name].positives, np.ones(len(data.classes))
        if of_positives is not None:
            factors[1:] = of_positives(Known.of_classes(data.counted), **arguments(loss, of_positives, data.classes))
        return replace(weights, weights=weights.weights * factors, positive=positive(dataset, data))

    def example_labels(self, classes: int, samples: int) -> Integers:
        """Return class indices, int64 (samples,), evenly over the classes."""
        indices: Integers = np.linspace(0, classes, samples, endpoint=False).astype(np.int64)
        return indices

    def epoch_metrics(self, labels: Integers, logits: Floats) -> dict[str, float]:
        """Return accuracy, balanced accuracy, macro F1 and log loss, unweighted."""
        return classification.epoch_metrics(labels, class_logits(logits))

    def epoch_metrics_of_each(self, labels: Integers, logits: Floats) -> list[dict[str, float]]:
        """Return the same of each of several models, whose logits are (models, n, logits)."""
        return classification.epoch_metrics_of_each(labels, logits)

    def judge(self, data: Prepared, logits: Logits, training: Training, judging: Judging) -> Verdict:
        """Judge the predictions on the test split; the decision rule is tuned on the validation split."""
        return judge_classes(data, logits, training, judging)


def positive(dataset: Dataset, data: Prepared) -> str | None:
    """Return the class that a single logit says yes to, or that `dataset.positive` names; None if there is none."""
    if dataset.labels == "binary":
        return data.classes[1]
    return None if dataset.positive is None else positive_class(dataset, data.classes, data.counts)
