"""Names in any script are drawn by a font that has their letters, or written out; Matplotlib never warns."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager

from equipoise.reports import fonts, run_pictures
from examples import evidence

ODD = (
    "日本",
    "naïve café",
    "Ünïcödé 😀",
    "עברית",
    "हिन्दी",
    "e\u0301\u0323",
    "👩\u200d🚀",
    "$x_1$",
    "a\tb",
    "a\nb",
    "_under",
    "%s {z} \\d",
)


@pytest.fixture(autouse=True)
def _no_font_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(font_manager.fontManager, "ttflist", list(font_manager.fontManager.ttflist))


def font_of(letters: str, family: str, folder: Path) -> str:
    """A font whose every letter is a square."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for point in ((0, 700), (700, 700), (700, 0)):
        pen.lineTo(point)
    pen.closePath()
    square, names = pen.glyph(), [".notdef", *(f"u{ord(letter):x}" for letter in letters)]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(letter): f"u{ord(letter):x}" for letter in letters})
    builder.setupGlyf(dict.fromkeys(names, square))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (800, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    file = folder / f"{family}.ttf"
    builder.save(file)
    return str(file)


def test_the_fewest_fonts_that_have_the_letters_are_taken(tmp_path: Path) -> None:
    one, both, broken = font_of("日", "One", tmp_path), font_of("日本", "Both", tmp_path), tmp_path / "broken.ttf"
    broken.write_bytes(b"no font")
    found = fonts.lettering(("日本", "plain"), [one, both, str(broken)])
    assert found == fonts.Lettering(("日本", "plain"), ("Both",))
    assert fonts.lettering(("日本語",), [one]).families == ("One",)


def test_letters_that_no_font_has_are_written_out_and_told_once() -> None:
    found = fonts.lettering(("plain", "日本", "हि", "क", "ख"), [])
    assert found.names == ("plain", r"\u65e5\u672c", r"\u0939\u093f", r"\u0915", r"\u0916")
    assert found.note is not None
    assert found.note.count("\n") == 0
    assert r"日本 as \u65e5\u672c" in found.note
    assert "and 1 more" in found.note
    assert found.note.endswith("would help: Noto Sans CJK, Noto Sans Devanagari")
    assert fonts.lettering(("a\tb", "c\nd"), []) == fonts.Lettering((r"a\tb", r"c\nd")), "no font would help"
    assert fonts.lettering(("naïve", "עברית", "€"), []).note is None, "Matplotlib's own font has these"


@pytest.mark.parametrize("names", [ODD[:6], ODD[6:]])
def test_odd_names_are_drawn_without_a_warning(names: tuple[str, ...]) -> None:
    run = evidence(6)
    named = replace(run, data=replace(run.data, classes=names))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = run_pictures.pictures(named)
    assert set(drawn) == set(run_pictures.pictures(run))


def test_a_font_that_is_found_is_drawn_with(tmp_path: Path) -> None:
    """The letters are squares of the font that was found, not boxes of Matplotlib's: ink that fills them."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    found = fonts.lettering(("語語",), [font_of("語", "Squares", tmp_path)])
    with rc_context({"font.family": [fonts.FAMILY, *found.families]}), warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = Figure((1, 1), dpi=100)
        figure.text(0.1, 0.4, found.names[0], fontsize=20)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    assert (np.asarray(canvas.buffer_rgba())[..., 0] < 128).sum() > 2 * 15**2
