"""What is logged and kept: the outbox on disk, its upload, MLflow's store and views, runs read back.

Knows nothing of TensorFlow: how a model is saved and loaded is Keras's.
"""
