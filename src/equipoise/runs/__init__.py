"""One run: `prepare`, `weigh`, `fit`, `evaluate` and `log`, resumed or judged again, and the same as stages of DVC.

Knows nothing of other runs.
"""
