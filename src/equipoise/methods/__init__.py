"""What competes: weightings, schedules, losses and their implementations, models, decision rules, priors and costs.

Knows the counts of classes, and nothing of data on disk, of training or of runs.
"""
