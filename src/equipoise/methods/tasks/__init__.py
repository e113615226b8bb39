"""What a run learns: one label a sample, or several; from labels to weights, decisions and metrics."""
