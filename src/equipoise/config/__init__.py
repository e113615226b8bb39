"""What was typed: Hydra composes it; it is checked, named and identified by a digest, and mistakes are explained.

Knows nothing of how a run trains or what it logs.
"""
