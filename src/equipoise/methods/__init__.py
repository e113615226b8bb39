"""What competes: weightings, schedules, losses, implementations, models, decision rules, priors, costs and tasks.

Knows prepared data, and nothing of files on disk, of training or of runs.
"""
