"""What was typed: composed by Hydra, checked, explained, named, and identified by a digest.

Knows nothing of how a run trains or what it logs.
"""
