"""Pages that quote commands and what they print."""

import re

import pytest

FLOAT = r"[-+]?\d+\.\d+"


def blocks(answer: str, language: str) -> list[str]:
    """Return the lines of the blocks in this language."""
    return [line for block in re.findall(rf"```{language}\n(.*?)```", answer, re.DOTALL) for line in block.splitlines()]


def stands_in(quoted: str, output: str, tolerance: float) -> bool:
    """Whether the words stand in one line of the output, with the same numbers or nearly; `…` is anything."""
    words = re.split(FLOAT, " ".join(quoted.split()))
    pattern = f"({FLOAT})".join(re.escape(part).replace("…", ".*") for part in words)
    expected = [float(number) for number in re.findall(FLOAT, quoted)]
    lines = (" ".join(line.split()) for line in output.splitlines())
    found = ([float(number) for number in match.groups()] for line in lines for match in re.finditer(pattern, line))
    return any(numbers == pytest.approx(expected, abs=tolerance, rel=0) for numbers in found)
