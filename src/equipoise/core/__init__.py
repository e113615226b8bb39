"""What everything else stands on: the schema of options and their errors, types, paths, the clock, locks, signals, the terminal.

Knows nothing of class weights: no data, no model, no run.
"""
