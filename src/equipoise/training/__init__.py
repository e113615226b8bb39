"""Model, loss and weights in TensorFlow: the learner, its graph, engines and replicas, checkpoints, and the audit.

Knows nothing of MLflow: what is to be logged is handed to a function.
"""
