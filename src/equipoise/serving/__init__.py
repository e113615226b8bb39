"""A model that leaves: the registry, and the answers of a registered model.

Knows nothing of sweeps.
"""
