"""The thresholds of ISLR on Default, by the commands that a user types, as `make published` writes them.

A threshold of 0.2 is a cost: to miss a default costs four times as much as to suspect one wrongly.
"""

import csv
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from marked import rewrite, table

from equipoise.core.paths import project_root

FOLDER = "pipelines/published/files"
TABLE = f"{FOLDER}/Default.csv"
TRAIN = (
    *("dataset=csv", f"dataset.path={TABLE}", "dataset.target=default", "dataset.drop=[income]"),
    *("model=lda", "trainer.refit=true", "evaluation.resamples=0"),
)
Cells = tuple[int, int, int, int]  # true No: said No, said Yes; true Yes: said No, said Yes
# James, Witten, Hastie & Tibshirani, An Introduction to Statistical Learning, tables 4.4 and 4.5.
PUBLISHED: dict[str, tuple[Sequence[str], Cells]] = {
    "0.5 (table 4.4)": ((), (9644, 23, 252, 81)),
    "0.2 (table 4.5)": (("decision=cost", "cost={Yes: {No: 4}}"), (9432, 235, 138, 195)),
}


def main() -> int:
    """Train and predict by each threshold, and write docs/published.md; return the exit code."""
    lines = []
    for threshold, (words, published) in PUBLISHED.items():
        found = measured(words)
        for whose, cells in (("published", published), ("here", found)):
            errors = (cells[1] + cells[2]) / sum(cells)
            lines.append([threshold, whose, *map("{:,}".format, cells), f"{100 * errors:.2f} %"])
    heading = ["threshold", "", "No, said No", "No, said Yes", "Yes, said No", "Yes, said Yes", "errors"]
    rewrite(project_root() / "docs" / "published.md", "make published (thresholds)", table(heading, lines))
    return 0


def measured(words: Sequence[str]) -> Cells:
    """Return the counts of a model that is trained on all rows and predicts them, as the book's does."""
    answers = f"{FOLDER}/answers.csv"
    run("train.py", "--quiet", *TRAIN, *words)
    run("predict.py", f"input={TABLE}", f"output={answers}", "run=latest")
    true, said = ([row[name] for row in rows(file)] for file, name in ((TABLE, "default"), (answers, "predicted")))
    counts = Counter(zip(true, said, strict=True))
    return counts["No", "No"], counts["No", "Yes"], counts["Yes", "No"], counts["Yes", "Yes"]


def run(program: str, *words: str) -> None:
    """Run a command of the project, and stop if it fails."""
    subprocess.run([sys.executable, f"src/{program}", *words], check=True)


def rows(file: str) -> list[dict[str, str]]:
    """Return the rows of a CSV."""
    with Path(file).open(newline="") as stream:
        return list(csv.DictReader(stream))


if __name__ == "__main__":
    sys.exit(main())
