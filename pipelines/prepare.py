"""Stage prepare: split, encode and check the data.

The arrays lie in the cache that all workspaces share; their digest is the stage's output.
"""

import csv
import json
import sys

from equipoise.core.paths import cache_folder
from equipoise.data.prepare import prepare
from equipoise.data.types import Dataset
from equipoise.runs.stage import ARTIFACTS, checked_dataset, run_stage


def step(dataset: Dataset) -> None:
    data = prepare(dataset, cache_folder())
    known = {"data_sha256": data.data_sha256, "shape": data.shape, "notes": data.notes}
    (ARTIFACTS / "data.json").write_text(json.dumps(known, indent=1) + "\n")
    with open(ARTIFACTS / "counts.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["class", "training_samples"])
        writer.writerows((data.classes[index], int(data.counts[index])) for index in data.head_to_tail)


if __name__ == "__main__":
    sys.exit(run_stage(checked_dataset, step))
