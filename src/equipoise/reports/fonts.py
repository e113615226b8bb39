"""Fonts for names in any script: the installed ones that have the letters, or else names that a picture can show.

Matplotlib looks through the families of `font.family` for each letter, so the needed ones are put behind its own.
"""

import functools
import unicodedata
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

from equipoise.core.errors import listing

FAMILY = "DejaVu Sans"  # it comes with Matplotlib
BOXES = "Last Resort"  # so does one that has a box for every letter
NOT_DRAWN = ("Cc", "Zl", "Zp")  # Unicode's categories of tabs and line breaks, which no font has
# A font to the scripts that it covers: the first words of their letters' Unicode names, where the two differ.
FONTS = {
    "Noto Sans CJK": {"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "FULLWIDTH", "HALFWIDTH"},
    "Noto Sans": {"LATIN", "GREEK", "CYRILLIC", "COMBINING", "MODIFIER"},
}


@dataclass(frozen=True)
class Lettering:
    """How pictures write names.

    Attributes
    ----------
    names : in their order; letters that no font has are written as in Python, such as `\\u65e5`
    families : to be put behind Matplotlib's own
    note : which names cannot be shown and which fonts would help, in a sentence; None if all can
    """

    names: tuple[str, ...]
    families: tuple[str, ...] = ()
    note: str | None = None


def lettering(names: Sequence[str], files: Sequence[str] | None = None) -> Lettering:
    """Choose the fewest installed fonts that have the letters of the names.

    Parameters
    ----------
    files : of the fonts to choose from; None: all installed ones, searched only if Matplotlib's own is not enough
    """
    missing = {letter for name in names for letter in name} - _own_letters()
    drawable = frozenset(letter for letter in missing if unicodedata.category(letter) not in NOT_DRAWN)
    families = tuple(_covering(drawable, _installed() if files is None else files)) if drawable else ()
    lacking = missing.difference(*(letters for _, letters in families))
    shown = tuple("".join(_escaped(letter) if letter in lacking else letter for letter in name) for name in names)
    return Lettering(shown, tuple(family for family, _ in families), _note(names, shown, lacking & drawable))


def _note(names: Sequence[str], shown: Sequence[str], lacking: Set[str]) -> str | None:
    told = [f"{name} as {text}" for name, text in zip(names, shown, strict=True) if lacking & set(name)]
    if not told:
        return None
    helping = sorted({_font_with(letter) for letter in lacking})
    return (
        f"no installed font has all letters of these class names, so pictures show {listing(told, 3)}; "
        f"fonts that would help: {listing(helping)}"
    )


def _font_with(letter: str) -> str:
    script = unicodedata.name(letter, "an unknown letter").split()[0].partition("-")[0]
    if unicodedata.category(letter) in ("So", "Sk"):
        return "Noto Emoji or Noto Sans Symbols"
    return next((font for font, scripts in FONTS.items() if script in scripts), f"Noto Sans {script.title()}")


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape", "surrogatepass").decode("ascii")


def _covering(letters: Set[str], files: Sequence[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield families and the letters that each has, always the one that adds the most, until none adds any."""
    left, known = set(letters), [(file, found) for file in files if (found := _of_file(file, frozenset(letters)))]
    while left and known:
        file, found = max(known, key=lambda one: len(one[1] & left))
        if not found & left:
            return
        left -= found
        yield _family(file), found


@functools.lru_cache(maxsize=4096)
def _of_file(file: str, letters: frozenset[str]) -> frozenset[str]:
    """Return the letters that a font has; none if it cannot be read or scaled, as fonts of coloured pictures."""
    try:
        font = FT2Font(file)
    except (OSError, RuntimeError, ValueError):
        return frozenset()
    if not font.scalable or font.family_name.startswith(BOXES):
        return frozenset()
    return frozenset(letter for letter in letters if font.get_char_index(ord(letter)))


def _family(file: str) -> str:
    """Return the family of a font file, and make it known to Matplotlib."""
    for entry in font_manager.fontManager.ttflist:
        if entry.fname == file:
            return entry.name
    font_manager.fontManager.addfont(file)
    return font_manager.fontManager.ttflist[-1].name


@functools.cache
def _own_letters() -> frozenset[str]:
    font = font_manager.get_font(font_manager.findfont(FAMILY))
    return frozenset(map(chr, font.get_charmap()))


def _installed() -> list[str]:
    """Return the files of all installed fonts, upright ones first, including those newer than Matplotlib's own list."""
    known = {
        entry.fname: (entry.style != "normal", str(entry.weight) not in ("400", "normal", "regular"))
        for entry in font_manager.fontManager.ttflist
    }
    found = dict.fromkeys([*known, *font_manager.findSystemFonts()])
    return sorted(
        (file for file in found if Path(file).suffix.lower() in (".ttf", ".otf", ".ttc")),
        key=lambda file: known.get(file, (False, False)),
    )
