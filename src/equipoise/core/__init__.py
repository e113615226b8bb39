"""What everything else stands on: the schema of options and their errors, types, paths, locks, signals, clock, terminal.

Knows nothing of class weights: no data, no model, no run. Keeps what a process has once: its clock (`clock`) and its
terminal (`terminal`).
"""
