"""A user's mistake, and the words in which it is told. Knows no schema, so that a message costs no import of one."""

import signal
import sys
import unicodedata
from collections.abc import Sequence
from difflib import get_close_matches

from equipoise.core.typed import as_typed, number_in

MOST_CHARACTERS = 1000  # of a line of a message


class ConfigError(ValueError):
    """A user's mistake. The message names the option that was typed, what is wrong, and a way out.

    It may quote what was typed or read: control characters are escaped, and long lines are cut.
    """

    def __str__(self) -> str:
        return "\n".join(printable(line) for line in super().__str__().split("\n"))


def complain(error: ConfigError) -> int:
    """Print one line for each mistake, and return the exit code of a mistake on the command line."""
    for line in str(error).splitlines():
        print(line if line.startswith(" ") else f"error: {line}", file=sys.stderr)
    return 2


def interrupted(interrupt: KeyboardInterrupt, becomes: str = "") -> int:
    """Print one line, and return the exit code of a command that a signal has ended.

    Parameters
    ----------
    interrupt : with the signal's name; Python's own, of Ctrl-C, has none
    becomes : what becomes of what was begun
    """
    print(": ".join(filter(None, ("interrupted", becomes))), file=sys.stderr)
    return 128 + (signal.Signals[interrupt.args[0]] if interrupt.args else signal.SIGINT)


def printable(line: str) -> str:
    """Return a line that a terminal may show: its control characters escaped, and cut if it is long."""
    line = "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode("ascii") for char in line
    )
    if len(line) > MOST_CHARACTERS:
        line = f"{line[: MOST_CHARACTERS // 2]} … ({len(line)} characters) … {line[-MOST_CHARACTERS // 4 :]}"
    return line


def control_characters(text: str) -> list[str]:
    """Return the characters that cannot be shown or written: control characters except tabs, and surrogates."""
    return [char for char in text if unicodedata.category(char) in ("Cc", "Cs") and char != "\t"]


def suggestion(word: str, valid: Sequence[str], option: str | None = None) -> str:
    """Return `; did you mean 'x'?` if a valid word is similar, otherwise the valid words.

    Parameters
    ----------
    option : for which the word was typed, so that a name that needs quotes is shown with them
    """
    number = number_in(word)  # YAML has read 1e5 as 100000.0
    near = [other for other in valid if number is not None and number_in(other) == number] or get_close_matches(
        word, valid, n=1
    )
    if near:
        quoted = (
            ""
            if option is None or as_typed(option, near[0]) == f"{option}={near[0]}"
            else f" Type {as_typed(option, near[0])}"
        )
        return f"; did you mean '{listing(near)}'?{quoted}"
    return f"; choose from {listing(valid)}" if valid else ""


def counted(count: int, one: str, many: str) -> str:
    """Return `1 file is …` or `2 files are …`."""
    return f"{count} {one if count == 1 else many}"


def listing(words: Sequence[str], most: int = 12) -> str:
    """Return the words with commas in one line, cut after `most` of them."""
    cut = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]).replace("\n", "\\n") + cut
