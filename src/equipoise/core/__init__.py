"""What every other wing uses: the schema of options and its errors, types, paths, locks, signals, clock and terminal.

Knows nothing of class weights: no data, no model, no run. Keeps what a process has once: its clock (`clock`) and its
terminal (`terminal`).
"""
