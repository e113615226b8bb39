"""How a command prints in the encoding of the terminal or file that it writes to."""

import codecs
import io
import sys

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
