"""The sentences of other pages that quote the study: they are rewritten once all of its claims are judged.

A passage stands within a paragraph between two comments. No line begins with one: it would be no Markdown.
"""

import textwrap
from collections.abc import Mapping
from pathlib import Path

from marked import WIDTH

from analysis.hypotheses import NOT_SHOWN, SHOWN, Judged, verdict
from analysis.page import Found

BEGIN, END = "<!--study-->", "<!--/study-->"
NO_METHOD = {
    SHOWN: "none of four trained methods has a mean gain of 0.01 over post-hoc adjustment",
    NOT_SHOWN: "it is not shown that no trained method has a mean gain of 0.01 over post-hoc adjustment",
}


def write(docs: Path, found: Found) -> None:
    """Rewrite the passages of the README and of the questions, where these are there."""
    for file, passage in passages(docs, found).items():
        if file.exists() and BEGIN in (text := file.read_text()):
            file.write_text(replaced(text, passage))


def passages(docs: Path, found: Found) -> Mapping[Path, str]:
    """Return what each page says; each begins within a sentence, after `Over` or `In`."""
    _, first, _ = found["1"]
    _, (free,), _ = found["3"]
    gains = {one.claim.title.rpartition(", ")[2]: one for one in found["2"][2]}
    families = f"{len(free.means.names)} families of data sets"
    gained = f"{_told(first[0])} of balanced accuracy in 30 epochs, {_told(gains['300 epochs'])} in 300"
    _, claims, _ = found["4"]
    no_method = NO_METHOD.get(verdict(claims), NO_METHOD[NOT_SHOWN])
    readme = (
        f"[{len(free.means.names)} families](docs/study.md) and small networks, `balanced` gains {gained}; adjusting "
        f"afterwards minus `balanced` is {_both(free)}."
    )
    return {
        docs.parent / "README.md": readme,
        docs / "paper" / "paper.md": f"small networks, weights gain {gained}. The free shift minus weights is "
        f"{_both(free)}, after 300 epochs; {no_method}.",
        docs / "questions.md": f"{families}, in small networks after 300 epochs, {no_method}; that minus `balanced` is "
        f"{_both(free)} ([study](study.md)).",
    }


def _told(one: Judged) -> str:
    assert one.posterior is not None
    low, high = one.posterior.interval
    return f"{one.posterior.mean:+.3f} ({low:.3f} to {high:.3f})".replace("-", "−")


def _both(one: Judged) -> str:
    """Return the mean of the model with its interval, and that of families which count alike."""
    assert one.alike is not None
    return f"{_told(one)}, or {one.alike.mean:+.3f} where families count alike".replace("-", "−")


def replaced(text: str, passage: str) -> str:
    """Return the text with another passage; its paragraph is wrapped anew."""
    paragraphs = text.split("\n\n")
    (place,) = [place for place, paragraph in enumerate(paragraphs) if BEGIN in paragraph]
    before, _, rest = " ".join(paragraphs[place].split("\n")).partition(BEGIN)
    after = rest.partition(END)[2]
    whole = f"{before}{BEGIN} {passage}{END}{after}"
    paragraphs[place] = textwrap.fill(whole, WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n\n".join(paragraphs)
