"""What was typed: composed by Hydra, checked, explained, named, and known by a digest together with the code it chooses.

Knows nothing of how a run trains or what it logs.
"""
