"""The page that `dvc plots show` fills, with all that draws its plots inside it: it needs no network.

.dvc/config names it. It is too large to be committed: `make setup` and the stage `evaluate` write it.
"""

import os
from importlib.resources import files
from pathlib import Path

from equipoise.core.paths import code_root
from equipoise.reports import vega

PAGE = Path(".dvc", "tmp", "made_by_make_setup.html")  # DVC ignores this folder, and so does git
TEMPLATE, STYLE = "plots.html", "page.css"
STYLE_MARK, VEGA_MARK = "/* style */", "/* vega */"


def write_page() -> Path:
    """Write the page, and return where it is; its own marks, `{plot_divs}` and the like, are for DVC."""
    folder = files("equipoise.reports") / "templates"
    style, text = ((folder / name).read_text(encoding="utf-8") for name in (STYLE, TEMPLATE))
    page = Path(os.environ.get("DVC_ROOT") or code_root()) / PAGE
    page.parent.mkdir(parents=True, exist_ok=True)
    part = page.with_suffix(".part")
    part.write_text(text.replace(STYLE_MARK, style).replace(VEGA_MARK, vega.bundle()), encoding="utf-8")
    part.replace(page)
    return page
