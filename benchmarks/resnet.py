"""Time an epoch of model=resnet (ResNet-20 on 32 x 32 x 3) against plain Keras and a loop by hand, in turn.

    python benchmarks/resnet.py [rounds=N]

Prints the table; docs/performance.md quotes it. What else the machine does slows all ways alike: read the ratios.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "src"))

from equipoise.core import key_values
from equipoise.training import runtime

ROUNDS = 5
NAME = "ResNet-20, 1,280 × 32 × 32, batch 64"


def _measure(words: Sequence[str]) -> None:
    options = key_values.read(words, ["rounds"])
    runtime.start("auto", "auto", deterministic=True)
    # Not before TensorFlow is started: it imports it.
    from epochs import Case, measured

    case = Case("resnet", (1_280, 32, 32, 3), 64, 1)
    _, text = measured({NAME: (case, {})}, key_values.whole_number(options, "rounds") or ROUNDS)
    print(text)


if __name__ == "__main__":
    sys.exit(key_values.answer(sys.argv[1:], __doc__, _measure))
