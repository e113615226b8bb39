"""Write a CSV with several labels a sample: scikit-learn's 1,797 digits, each even or not, prime or not, and so on.

    python examples/several_labels.py FILE

The columns are 64 pixels and the labels even, prime, a_cube (0, 1 and 8) and nine, which are true for half to a tenth
of the rows.
"""

import sys
from pathlib import Path

import pandas as pd
from sklearn.datasets import load_digits

LABELS = {"even": (0, 2, 4, 6, 8), "prime": (2, 3, 5, 7), "a_cube": (0, 1, 8), "nine": (9,)}


def main(file: Path) -> None:
    """Write the table."""
    digits = load_digits(as_frame=True)
    labels = {name: digits.target.isin(members).astype(int) for name, members in LABELS.items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    pd.concat([digits.data, pd.DataFrame(labels)], axis=1).to_csv(file, index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
