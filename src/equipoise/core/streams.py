"""How a command prints in the encoding of the terminal or file that it writes to, and what it keeps to itself."""

import codecs
import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Iterator

from equipoise.core.errors import ConfigError

# Characters of tables and messages beyond ASCII, and what replaces them if the encoding lacks them.
PLAIN = {"−": "-", "–": "-", "…": "...", "·": "-", "×": "x", "±": "+/-", "●": "*", "→": "->", "⁻": "^-", "\u00a0": " "}
ERRORS = "equipoise.plain"


def never_fail() -> None:
    """Replace or escape characters that the encoding of standard output or error lacks, rather than raise."""
    codecs.register_error(ERRORS, _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(
        PLAIN.get(char) or char.encode("ascii", "backslashreplace").decode("ascii") for char in lacking
    ), error.end


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Send the process's standard error stream to a file, and show it if the body fails for want of TensorFlow."""
    sys.stderr.flush()
    stream = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except ConfigError:
            raise
        except BaseException:
            kept.seek(0)
            os.write(stream, kept.read())
            raise
        finally:
            os.dup2(stream, 2)
            os.close(stream)
