"""Train `model=mlp` on `dataset=digits_lt` with a bare Keras script, as a user would write it instead.

python benchmarks/bare_mlp.py FOLDER_OF_THE_PREPARED_DATA EPOCHS
"""

import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
from keras import layers

folder, epochs = sys.argv[1], int(sys.argv[2])
features, labels = np.load(f"{folder}/train_features.npy"), np.load(f"{folder}/train_labels.npy")
counts = np.bincount(labels)

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input(features.shape[1:]),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        layers.Dense(64, activation="relu"),
        layers.Dense(10),
    ]
)
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
weights = {index: len(labels) / (len(counts) * count) for index, count in enumerate(counts)}
model.fit(features, labels, batch_size=32, epochs=epochs, class_weight=weights, verbose=0)
