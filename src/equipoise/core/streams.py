"""What a command prints, in the encoding of the terminal or file that it goes to."""

import codecs
import io
import sys

# What tables and messages hold beside ASCII, where an encoding has none of it.
PLAIN = {"−": "-", "–": "-", "…": "...", "·": "-", "×": "x", "±": "+/-", "●": "*", "→": "->", "⁻": "^-", "\u00a0": " "}
ERRORS = "equipoise.plain"


def never_fail() -> None:
    """Write what the encoding of standard output or error lacks in plain characters, or escaped, rather than raise."""
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
