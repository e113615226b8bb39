"""Equipoise: which class weighting helps on imbalanced data, and what it really did."""
