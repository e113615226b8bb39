"""Many jobs: the checked plan of a command line, launchers, search, progress, and the run that sums a sweep up.

Knows nothing of how a run trains.
"""
