"""Equipoise: which class weighting helps on imbalanced data, and what it really did."""

import gc

# Python's own 700 has the collector go through all that is alive so often that it takes a third of the time of the imports.
gc.set_threshold(20_000)
