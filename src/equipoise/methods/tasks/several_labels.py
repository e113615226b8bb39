"""Several labels a sample, or none: each is a question of its own, and weights multiply the loss of its positives."""

import numpy as np

from equipoise.core.schema import Floats, Integers, arguments
from equipoise.data.prepared import Prepared
from equipoise.data.types import Dataset
from equipoise.methods.losses import LOSSES, Known, LossOptions
from equipoise.methods.tasks.judge_labels import judge_labels
from equipoise.methods.tasks.task import Judging, Logits, Training, Verdict
from equipoise.methods.weighting import POS_WEIGHTS, ClassWeights, Weighting
from equipoise.metrics import multilabel


class SeveralLabels:
    """Each sample has any number of labels; implements `Task`."""

    has_class_parts = False

    def weigh(self, weighting: Weighting, loss: LossOptions, data: Prepared) -> ClassWeights:
        """Return the factor of each label's positives."""
        of_positives = LOSSES[loss.name].positives
        if of_positives is None:  # a loss of the user's own
            return self._weights(data, np.ones(len(data.classes)))
        options = arguments(self.loss_options(weighting, loss), of_positives, data.classes)
        weights = np.broadcast_to(of_positives(self.known(data, None), **options), data.counts.shape)
        return self._weights(data, np.array(weights))

    def _weights(self, data: Prepared, weights: Floats) -> ClassWeights:
        return ClassWeights(data.classes, data.counts, weights, masses=data.masses, count=data.count)

    def known(self, data: Prepared, costs: Floats | None) -> Known:
        """Return what a loss may know of the training split: counts are those of positives."""
        by_weight = data.masses is not None and data.count == "weight"
        samples = data.masses.total if data.masses is not None and by_weight else len(data.split("train").labels)
        return Known(data.counted.astype(np.float64), samples, costs, several_labels=True)

    def loss_options(self, weighting: Weighting, loss: LossOptions) -> LossOptions:
        """Return the options with what the weighting is where no sample has one class: a `pos_weight`."""
        pos_weight = POS_WEIGHTS[weighting.name]
        return loss if pos_weight is None else loss.model_copy(update={"pos_weight": pos_weight})

    def factors(self, weights: ClassWeights) -> Floats:
        """Return ones: the weights are in the loss, label by label."""
        return np.ones(len(weights.classes))

    def shown(self, weights: ClassWeights, loss: LossOptions, dataset: Dataset, data: Prepared) -> ClassWeights:
        """Return the weights as they are."""
        return weights

    def example_labels(self, classes: int, samples: int) -> Integers:
        """Return 0 and 1, int64 (samples, classes), at random."""
        return np.random.default_rng(0).integers(2, size=(samples, classes))

    def epoch_metrics(self, labels: Integers, logits: Floats) -> dict[str, float]:
        """Return accuracy, balanced accuracy and macro F1 over labels, and log loss, unweighted."""
        return multilabel.epoch_metrics(labels, np.asarray(logits, np.float64))

    def epoch_metrics_of_each(self, labels: Integers, logits: Floats) -> list[dict[str, float]]:
        """Return the same of each of several models, whose logits are (models, n, logits)."""
        return [self.epoch_metrics(labels, each) for each in logits]

    def judge(self, data: Prepared, logits: Logits, training: Training, judging: Judging) -> Verdict:
        """Judge the predictions on the test split; thresholds are tuned on the validation split."""
        return judge_labels(data, logits, training, judging)
