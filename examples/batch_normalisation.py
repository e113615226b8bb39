"""Show that batch normalisation does not see class weights, but sees classes that are drawn evenly.

    python examples/batch_normalisation.py

The one feature is 1 in the rare class (a tenth of the samples) and 0 in the other, so its mean is the share of the rare
class that the layer sees. One batch holds all samples, and the layer keeps only the mean of the last batch.
"""

import numpy as np
from keras import Sequential, layers, losses

LABELS = np.repeat([0, 1], [900, 100])


def mean_seen(labels: np.ndarray, weights: dict[int, float] | None = None) -> float:
    """Return the mean that batch normalisation keeps after one step."""
    normalise = layers.BatchNormalization(momentum=0.0)
    model = Sequential([normalise, layers.Dense(2)])
    model.compile("sgd", losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(labels[:, None].astype("float32"), labels, batch_size=len(labels), class_weight=weights, verbose=0)
    return float(normalise.moving_mean.numpy()[0])


if __name__ == "__main__":
    print(f"no weights           {mean_seen(LABELS):.3f}")
    print(f"class_weight 1 and 9 {mean_seen(LABELS, {0: 1.0, 1: 9.0}):.3f}")
    print(f"drawn evenly         {mean_seen(np.repeat([0, 1], 500)):.3f}")
