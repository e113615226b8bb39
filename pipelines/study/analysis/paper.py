"""docs/paper/paper.md: the part that is written, so that no number of the results is typed."""

from collections.abc import Sequence
from pathlib import Path

from marked import filled, rewrite

from analysis import details, levels, optimizers, progress, words
from analysis.hypotheses import planned
from analysis.page import COMMAND, PICTURES, PRIMARY_SETTING, Found, is_complete, verdicts
from analysis.table import Study

DRAFT = "This is a draft: until all families are in, nothing here is a verdict."


def write(page: Path, study: Study, found: Found, seventh: str, pictures: Sequence[str]) -> None:
    """Put verdicts and figures in place of the last ones."""
    parts = [f"{progress.told(study, planned(study))}."]
    parts += [] if is_complete(found) else [DRAFT]
    parts += ["### Verdicts", PRIMARY_SETTING, verdicts(found, seventh), words.everywhere(found["3"][2])]
    parts += ["### Length of training", levels.written(study)]
    parts += ["### Optimizers", optimizers.written(study)]
    parts += ["### Each method", details.methods(study), "### What validation rows choose", details.chosen(study)]
    parts += ["### Figures"]
    parts += [f"![{PICTURES[name]}](../study/{name})" for name in pictures]
    rewrite(page, COMMAND, "\n\n".join(filled(part) for part in parts if part))
