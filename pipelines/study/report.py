"""Write what the runs of the study say, from results.parquet: docs/study.md, docs/study/ and the numbers of the paper.

PYTHONPATH=src:pipelines python pipelines/study/report.py

It works on a part of the runs, too, and says what is missing. The same table gives the same bytes.

PYTHONPATH=src:pipelines python pipelines/study/report.py quick

prints whether the small part of the study, quick.parquet, has the signs of the whole.
"""

import math
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import grid
from analysis import details, figures, page, paper, progress, quick, quotes, synthetic_words
from analysis.choosing import with_chosen
from analysis.hypotheses import judged
from analysis.table import read
from parts import WORDS, data_of, parts, values

from equipoise.core.paths import project_root

HERE = Path(__file__).parent
RESULTS, QUICK = HERE / "results.parquet", HERE / "quick.parquet"


def main() -> int:
    """Write everything, or print what is asked; return the exit code."""
    if sys.argv[1:] == ["quick"]:
        print(f"{'':32} {'the small part':38} the whole")
        print("\n".join(quick.lines(read(QUICK), read(RESULTS, planned()))))
        return 0
    if sys.argv[1:]:
        print("error: report.py takes nothing, or the word quick", file=sys.stderr)
        return 2
    docs = project_root() / "docs"
    write(RESULTS, docs, planned(), trainings())
    return 0


def planned() -> dict[str, str]:
    """Return the families of all real data sets that the grid names."""
    known = grid.read("study")
    return {name: family for kind in WORDS for name, family in data_of(known, kind).items()}


def trainings() -> dict[str, int]:
    """Return how many trainings of each part the grid asks for."""
    found: Counter[str] = Counter()
    for part in parts(grid.read("study")):
        kind, _, group, _ = part.name.split("/", 3)
        each = {"power": ("power_25", "power_75")}.get(group, (group,))
        for method in each:
            name = progress.part_of(part.setting, method, synthetic=kind == "synthetic", divided=kind == "noise")
            found[name] += math.prod(map(len, values(part.words))) // len(each)
    return dict(found)


def write(results: Path, docs: Path, families: dict[str, str], asked: Mapping[str, int]) -> None:
    """Write pages, figures and the paper's numbers into a folder of docs."""
    study = replace(with_chosen(read(results, families)), asked=asked)
    found = judged(study)
    folder = docs / "study"
    folder.mkdir(exist_ok=True)
    pictures = figures.drawn(study)
    for name in page.PICTURES:
        (folder / name).unlink(missing_ok=True)
    for name, content in pictures.items():
        (folder / name).write_bytes(content)
    seventh = synthetic_words.sentence(study.table)
    page.write(docs / "study.md", study, found, seventh, list(pictures))
    (folder / "results.md").write_text(details.written(study, found))
    paper.write(docs / "paper" / "paper.md", study, found, seventh, list(pictures))
    if page.is_complete(found):
        quotes.write(docs, found)


if __name__ == "__main__":
    sys.exit(main())
