"""Model, loss and weights in TensorFlow: one graph, its engines and replicas, checkpoints, the audit of what weights did.

Knows nothing of MLflow: what is to be logged is handed to a function.
"""
