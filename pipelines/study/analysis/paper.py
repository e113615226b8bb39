"""docs/paper/paper.md: the part that is written, so that no number of the results is typed."""

from collections.abc import Sequence
from pathlib import Path

from marked import rewrite

from analysis import words
from analysis.hypotheses import planned
from analysis.page import COMMAND, PICTURES, Found, is_complete, verdicts
from analysis.table import Study

DRAFT = "This is a draft: until all families are in, nothing here is a verdict."


def write(page: Path, study: Study, found: Found, seventh: str, pictures: Sequence[str]) -> None:
    """Put verdicts and figures in place of the last ones."""
    parts = [f"{words.progress(study, planned(study))}."]
    parts += [] if is_complete(found) else [DRAFT]
    parts.append(verdicts(found, seventh))
    parts += [f"![{PICTURES[name]}](../study/{name})" for name in pictures]
    rewrite(page, COMMAND, "\n\n".join(parts))
