"""From predictions to numbers: metrics of one label and of several, and their intervals. NumPy, SciPy and scikit-learn.

Knows nothing of where predictions come from, or of where the numbers go.
"""
