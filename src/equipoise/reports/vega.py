"""The JavaScript that draws Vega-Lite charts in a page, as vl-convert-python ships it."""

import base64
import gzip
import os
from importlib.metadata import version
from pathlib import Path

from equipoise.core.paths import cache_folder


def bundle() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script, 0.9 MB, which sets `window.vegaEmbed`."""
    return gzip.decompress(base64.b64decode(compressed())).decode()


def compressed() -> str:
    """Return the same by gzip in base64, 0.4 MB; browsers unpack it.

    To put it together takes a second, so it is kept in the cache.
    """
    file = cache_folder() / f"vega-{version('vl-convert-python')}.txt"
    if file.is_file():
        return file.read_text(encoding="ascii")
    import vl_convert

    script = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its types lack the default
    text = base64.b64encode(gzip.compress(script.encode(), mtime=0)).decode()
    _keep(text, file)
    return text


def _keep(text: str, file: Path) -> None:
    """Write the file whole or not at all: other processes may write it, too."""
    part = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="ascii")
        part.replace(file)
    except OSError:  # a full or read-only disk: the page is whole without it
        part.unlink(missing_ok=True)
