"""Train the same model on the same data with a bare Keras script, as a user would write it instead.

python benchmarks/bare_keras.py FOLDER_OF_THE_PREPARED_DATA EPOCHS [STORE]

With the address of an MLflow store, mlflow.tensorflow.autolog() logs the training there; it needs TensorBoard.
"""

import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
from keras import layers

folder, epochs, store = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
if store:
    import mlflow

    mlflow.set_tracking_uri(store[0])
    mlflow.tensorflow.autolog()

features, labels = np.load(f"{folder}/train_features.npy"), np.load(f"{folder}/train_labels.npy")
counts = np.bincount(labels)

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(padding="same"),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(padding="same"),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dropout(0.5),
        layers.Dense(10),
    ]
)
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
weights = {index: len(labels) / (len(counts) * count) for index, count in enumerate(counts)}
model.fit(features, labels, batch_size=32, epochs=epochs, class_weight=weights, verbose=0)
