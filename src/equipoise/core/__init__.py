"""What every other wing uses: the schema of options and its errors, types, paths, locks, signals, clock and terminal.

Knows nothing of class weights: no data, no model, no run. Keeps what a process has once: its clock, terminal, and in
`state` whatever one job of a sweep leaves for the next.
"""
