"""From a source to arrays that every run shares: sources, labels, splits, `prepare`, `prepared`, `feed`.

Knows nothing of models, losses and weights.
"""
