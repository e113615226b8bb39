"""Columns of tables as people write them: what is a number, missing, a date or a category, and what is told of it."""

import re
import shlex
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.core.errors import ConfigError
from equipoise.core.typed import as_typed
from equipoise.data import preprocessing
from equipoise.data.prepare import prepare
from equipoise.data.prepared import Prepared
from equipoise.data.tables.columns import CategoricalColumn, Column, DateColumn, NumericColumn, TablePreprocessing
from helpers import composed

GENERATOR = np.random.default_rng(0)
VALUES = np.round(GENERATOR.normal(size=130), 3)


def prepared(
    folder: Path, cells: Sequence[object], *more: str, name: str = "x", kind: str = "csv", **columns: Sequence[object]
) -> Prepared:
    """A table of this column, others, and two classes."""
    frame = pd.DataFrame({name: cells, **columns, "y": ["ab"[i % 2] for i in range(len(cells))]})
    file = folder / f"{len(list(folder.iterdir()))}.{kind}"  # what is known of a file is kept within a process
    frame.to_csv(file, index=False) if kind == "csv" else frame.to_parquet(file)
    return prepare(
        composed("model=linear", "dataset=csv", f"dataset.path='{file}'", "dataset.target=y", *more).dataset,
        folder / "cache",
    )


def column(data: Prepared, name: str = "x") -> Column:
    learned = preprocessing.read(data.folder)
    assert isinstance(learned, TablePreprocessing)
    return next(column for column in learned.columns if column.name == name)


def refused(
    folder: Path, cells: Sequence[object], *more: str, name: str = "x", kind: str = "csv", **columns: Sequence[object]
) -> str:
    with pytest.raises(ConfigError) as caught:
        prepared(folder, cells, *more, name=name, kind=kind, **columns)
    return str(caught.value)


def typed(message: str, key: str) -> str:
    """The override that the message gives for this key, as a shell hands it over."""
    found = re.search(rf"'?dataset\.{key}=.*?(?=; |, or |$)", message)
    assert found, message
    (override,) = shlex.split(found[0])
    return override


@pytest.mark.parametrize(
    "marker",
    [
        "#N/A",
        "n/a",
        "N/A",
        "<NA>",
        "-",
        ".",
        "",
        "   ",
        "missing",
        "NULL",
        "na",
        "none",
        "--",
        "?",
        "NaN",
        "#DIV/0!",
        r"\N",
        "N.A.",
        "\u2013",
        "not available",
    ],
)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_marker_among_numbers_is_a_missing_value(marker: str, kind: str, tmp_path: Path) -> None:
    cells = [str(value) for value in VALUES]
    cells[5] = cells[77] = marker
    data = prepared(tmp_path, cells, kind=kind, z=VALUES)
    found = column(data)
    assert isinstance(found, NumericColumn)
    assert data.shape[0] - 1 == found.width <= 2, "the number, and whether it is missing if a training row misses it"
    told = [note for note in data.notes if "column 'x'" in note]
    if marker.strip():
        silent = kind == "csv" and marker in ("N/A", "NULL", "?", "NaN")
        assert told == ([] if silent else [f"column 'x' is read as numbers: 2 cells ({marker}) as missing"])


FORMS = [
    ("thousands", lambda v: f"{v * 1000:,.1f}", 1000, "."),
    ("decimal comma", lambda v: f"{v:.3f}".replace(".", ","), 1, ","),
    ("thousands and decimal comma", lambda v: f"{v * 1e6:_.2f}".replace(".", ",").replace("_", "."), 1e6, ","),
    ("Swiss thousands", lambda v: f"{v * 1e6:_.2f}".replace("_", "'"), 1e6, "."),
    ("thin spaces", lambda v: f"{v * 1e6:_.2f}".replace("_", "\u202f").replace(".", ","), 1e6, ","),
    ("per cent", lambda v: f"{v * 100:.1f}%", 1, "."),
    ("per cent after a space", lambda v: f"{v * 100:.1f} %".replace(".", ","), 1, ","),
    ("dollars", lambda v: f"{'-' if v < 0 else ''}${abs(v) * 1000:,.1f}", 1000, "."),
    ("dollars before the minus", lambda v: f"${v * 1000:.1f}", 1000, "."),
    ("accountants' dollars", lambda v: f"(${-v * 1000:,.1f})" if v < 0 else f"${v * 1000:,.1f}", 1000, "."),
    ("euros", lambda v: f"{v * 1000:.2f} €".replace(".", ","), 1000, ","),
    ("a currency by its code", lambda v: f"EUR {v * 1000:.1f}", 1000, "."),
    ("white space", lambda v: f"  {v:.3f} ", 1, "."),
    ("a true minus", lambda v: f"{v:.3f}".replace("-", "\u2212"), 1, "."),
    ("a unit", lambda v: f"{v:.3f} kg", 1, "."),
    ("exponents", lambda v: f"{v:.3e}", 1, "."),
]


@pytest.mark.parametrize(("name", "write", "factor", "decimal"), FORMS, ids=[form[0] for form in FORMS])
def test_numbers_as_people_write_them(name: str, write: "object", factor: float, decimal: str, tmp_path: Path) -> None:
    cells = [write(value) for value in VALUES]  # type: ignore[operator]
    data = prepared(tmp_path, cells)
    found = column(data)
    assert isinstance(found, NumericColumn)
    assert (found.decimal, data.shape) == (decimal, (1,))
    (tmp_path / "plain").mkdir()
    plain = prepared(tmp_path / "plain", [_plain(cell, decimal) for cell in cells])
    np.testing.assert_array_equal(data.split("train").features, plain.split("train").features)
    same = column(plain)
    assert isinstance(same, NumericColumn)
    assert (found.mean, found.deviation, found.low, found.high) == (same.mean, same.deviation, same.low, same.high)
    assert np.isclose(found.high, factor * VALUES, rtol=2e-3).any()
    silent = name in ("white space", "exponents")
    assert (
        [note for note in data.notes if "is read as numbers" in note] == []
        if silent
        else data.notes[0].startswith("column 'x' is read as numbers: ")
    )


def _plain(cell: str, decimal: str) -> str:
    """The same number as Python writes it."""
    negative = "-" if re.search(r"[-\u2212(]", cell.split("e")[0]) else ""
    digits = re.sub(rf"[^\d{decimal}e+-]", "", cell.replace("EUR", "").removeprefix("(")).replace(",", ".")
    digits = digits if "e" in digits else digits.replace("-", "").replace("+", "").rstrip("e")
    digits = digits.lstrip("-")
    number = Decimal(negative + digits)
    return str(number / 100 if "%" in cell else number)


def test_a_space_after_the_comma(tmp_path: Path) -> None:
    rows = "".join(
        f"{value}, {value * 2:.3f}, {'red' if index % 3 else 'blue'}, {'ab'[index % 2]}\n"
        for index, value in enumerate(VALUES)
    )
    (tmp_path / "t.csv").write_text("x, z, colour, y\n" + rows)
    data = prepare(
        composed("model=linear", "dataset=csv", f"dataset.path='{tmp_path}/t.csv'", "dataset.target=y").dataset,
        tmp_path / "cache",
    )
    assert (data.shape, data.classes, column(data, "colour").categories) == ((4,), ("a", "b"), ("blue", "red"))  # type: ignore[union-attr]


class TestAmbiguity:
    def test_thousands_where_small_numbers_have_no_comma(self, tmp_path: Path) -> None:
        found = column(prepared(tmp_path, ["1,234", "999", "12,345", "7"] * 5))
        assert isinstance(found, NumericColumn)
        assert (found.decimal, found.high) == (".", 12345)

    def test_nothing_tells_thousands_from_decimals(self, tmp_path: Path) -> None:
        said = refused(tmp_path, ["1,234", "2,345", "12,345"] * 5)
        assert said == (
            "column 'x' holds 1,234: if its comma marks thousands, dataset.decimal=point; "
            "if it is a decimal comma, dataset.decimal=comma"
        )
        for word, high in (("point", 12345), ("comma", 12.345), ('","', 12.345), ('"."', 12345)):
            found = column(prepared(tmp_path, ["1,234", "2,345", "12,345"] * 5, f"dataset.decimal={word}"))
            assert isinstance(found, NumericColumn)
            assert found.high == high

    def test_the_other_columns_tell(self, tmp_path: Path) -> None:
        doubtful = ["1,234", "2,345", "12,345"] * 5
        grouped = ["1.234", "987", "12.345"] * 5
        commas = [f"{index},5" for index in range(15)]
        data = prepared(tmp_path, doubtful, z=commas, w=grouped)
        assert [column(data, name).high for name in ("x", "w")] == [12.345, 12345]  # type: ignore[union-attr]
        assert "column 'w' is read as numbers: 1.234 as 1234" in data.notes
        assert "if its comma marks thousands" in refused(tmp_path, doubtful, z=commas, v=[0.5] * 15), (
            "they do not agree"
        )

    def test_points_alone_are_decimal_points(self, tmp_path: Path) -> None:
        data = prepared(tmp_path, ["1.234", "987", "12.345"] * 5)
        assert column(data).low == 1.234  # type: ignore[union-attr]

    @pytest.mark.parametrize(
        ("cells", "said"),
        [
            (["1,5", "2.5", "3.25", "4,75"] * 9, "column 'x' mixes decimal points (2.5) and decimal commas (1,5)"),
            (["$12", "€13", "$14", "£15"] * 9, "column 'x' mixes $12, £15, €13: write them in one unit"),
            (["45%", "0.5", "13%", "0.25"] * 9, "column 'x' mixes 45% with numbers that have no %"),
        ],
    )
    def test_a_mixture_is_refused(self, cells: list[str], said: str, tmp_path: Path) -> None:
        message = refused(tmp_path, cells, z=range(36))
        assert said in message
        assert prepared(tmp_path, cells, typed(message, "drop"), z=range(36)).shape == (1,)

    def test_a_cell_that_is_no_number_under_the_typed_decimal_mark_is_told(self, tmp_path: Path) -> None:
        said = refused(tmp_path, [f"{index},5" for index in range(20)], "dataset.decimal=point")
        assert said == "column 'x' holds 0,5, which is no number under dataset.decimal; try dataset.decimal=auto"
        prepared(tmp_path, [f"{index},5" for index in range(20)], typed(said, "decimal"))

    def test_a_per_cent_of_nothing_needs_no_sign(self, tmp_path: Path) -> None:
        assert column(prepared(tmp_path, ["45%", "0", "13%"] * 9)).high == 0.45  # type: ignore[union-attr]


class TestOddCells:
    def test_an_unknown_word_among_numbers_is_named_with_its_cure(self, tmp_path: Path) -> None:
        cells = [str(value) for value in VALUES]
        cells[3] = "unknown"
        said = refused(tmp_path, cells)
        assert said == (
            "column 'x' holds 129 numbers and 1 cell of another kind (unknown): "
            "if these are missing values, dataset.missing=[unknown]; "
            "if all that is no number is missing, dataset.numeric=[x]; "
            "if the column holds categories, dataset.categorical=[x]"
        )
        cells[9], cells[10] = "don't know", 'so "far"'
        data = prepared(tmp_path, cells, typed(refused(tmp_path, cells), "missing"))
        assert isinstance(column(data), NumericColumn)
        assert column(data).missing == ("unknown", "don't know", 'so "far"')  # type: ignore[union-attr]
        assert "more than 50 different values" in refused(
            tmp_path, cells, typed(refused(tmp_path, cells), "categorical"), "dataset.max_categories=50"
        )

    def test_numbers_that_stand_for_nothing(self, tmp_path: Path) -> None:
        for kind, cells in (("csv", [*VALUES[:60], -999, -999.0]), ("parquet", [*VALUES[:60], -999, -999])):
            assert column(prepared(tmp_path, cells, "dataset.missing=[-999]", kind=kind)).low == VALUES[:60].min()  # type: ignore[union-attr]

    def test_categories_of_which_a_few_are_numbers_stay(self, tmp_path: Path) -> None:
        data = prepared(tmp_path, ["A12", "7", "B", "C9", "new"] * 6)
        assert (data.shape, [note for note in data.notes if "'x'" in note]) == ((5,), [])

    def test_categories_of_which_most_are_numbers_are_told(self, tmp_path: Path) -> None:
        for cells in ([*map(str, range(12)), "none of them"] * 3 + ["13+"] * 9, ["0", "1", "2"] * 20 + ["3+"]):
            (note,) = (note for note in prepared(tmp_path, cells).notes if "'x'" in note)
            assert re.match(
                r"column 'x' holds \d+ numbers and \d+ cells? of another kind \(.*\+\): "
                r"all are categories; if these are missing",
                note,
            )
            assert isinstance(column(prepared(tmp_path, cells, typed(note, "missing"))), NumericColumn)

    def test_categories_that_look_like_few_numbers_are_not_worth_a_note(self, tmp_path: Path) -> None:
        assert not [note for note in prepared(tmp_path, ["2", "3", "4", "5more"] * 10).notes if "'x'" in note]

    def test_the_users_markers_of_missing_values_hold_for_categories_too(self, tmp_path: Path) -> None:
        assert prepared(tmp_path, ["red", "blue", "unknown"] * 9, "dataset.missing=[unknown]").shape == (2,)

    def test_numbers_may_be_categories(self, tmp_path: Path) -> None:
        for kind in ("csv", "parquet"):
            found = column(prepared(tmp_path, [3, 1, 2] * 9, "dataset.categorical=x", kind=kind))
            assert found.categories == ("1", "2", "3")  # type: ignore[union-attr]
        assert "dataset.categorical=z: " in refused(tmp_path, [1, 2, 3] * 9, "dataset.categorical=[z]")

    def test_few_measures_are_categories_and_many_are_numbers(self, tmp_path: Path) -> None:
        assert prepared(tmp_path, ["10 ml", "20 ml", "50 ml"] * 9).shape == (3,)
        assert prepared(tmp_path, [f"{index}A" if index % 2 else f"{index}B" for index in range(20)]).shape == (14,)

    def test_binary_columns_are_refused(self, tmp_path: Path) -> None:
        assert "holds binary, neither numbers nor text: leave it out with dataset.drop=[x]" in refused(
            tmp_path, [b"\xff", b"\xfe"] * 9, kind="parquet"
        )


class TestCodes:
    def test_leading_zeros(self, tmp_path: Path) -> None:
        codes = ["02139", "10001", "94103", "60601"] * 9
        data = prepared(tmp_path, codes, name="zip")
        assert data.shape == (4,)
        assert "column 'zip' holds codes with leading zeros (02139): they are categories, not numbers" in data.notes
        many = [f"{index:05d}" for index in range(9900, 10_100)]
        said = refused(tmp_path, many, name="zip", z=range(200))
        assert (
            "more than 100 different values, most of which occur once "
            "(column 'zip' holds codes with leading zeros (09900, 09901, 09902)" in said
        )
        assert prepared(tmp_path, many, typed(said, "drop"), name="zip", z=range(200)).shape == (1,)

    def test_two_digits_with_a_zero_in_front_are_numbers_and_told(self, tmp_path: Path) -> None:
        (note,) = (note for note in prepared(tmp_path, ["05", "07", "10", "15"] * 9).notes if "'x'" in note)
        assert note == "column 'x' is read as numbers, 05 as 5: if these are codes, dataset.categorical=[x]"
        assert prepared(tmp_path, ["05", "07", "10", "15"] * 9, typed(note, "categorical")).shape == (4,)

    def test_zeros_in_front_that_make_no_code(self, tmp_path: Path) -> None:
        for cells in (["00.5", "01.5", "2"] * 9, ["-01", "02", "3"] * 9, ["0", "10", "100"] * 9):
            assert isinstance(column(prepared(tmp_path, cells)), NumericColumn)


DATES = [
    "%Y/%m/%d",
    "%d-%m-%Y",
    "%b %d %Y",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d %H:%M:%S+01:00",
    "%Y%m%d",
    "%d.%m.%Y",
    "%m/%d/%y",
    "%d %B %Y",
    "%B %d, %Y",
    "%a, %d %b %Y %H:%M:%S GMT",
    "%d-%b-%y",
    "%Y-%m",
    "%Y%m%dT%H%M%S",
    "%Y-%m-%dT%H:%M:%S.%f",
    "%H:%M",
    "%I:%M %p",
]


@pytest.mark.parametrize("form", DATES)
@pytest.mark.parametrize("odd", ["", "unknown"])
def test_dates_are_told_with_a_cure_that_works(form: str, odd: str, tmp_path: Path) -> None:
    days = pd.date_range("2024-01-15 00:10", periods=90, freq="29h").strftime(form).tolist()
    days[7] = odd
    message = refused(tmp_path, days, name="the day", z=range(90))
    assert message.startswith(f"column 'the day' holds dates ({days[0]}): ")
    if ":" in form and "%Y" not in form:
        assert "turn it into numbers that mean something" in message, "the time of no day"
        assert prepared(tmp_path, days, typed(message, "drop"), name="the day", z=range(90)).shape == (1,)
    else:
        assert "turn it" not in message
        data = prepared(tmp_path, days, typed(message, "dates"), name="the day", z=range(90))
        assert isinstance(column(data, "the day"), DateColumn)
        told = [note for note in data.notes if "'the day'" in note]
        assert told == ([f"column 'the day': 1 cell is no date, and missing: {odd} (1)"] if odd else [])
    assert prepared(tmp_path, days, typed(message, "categorical"), name="the day", z=range(90)).shape[0] > 1


def test_compact_dates_of_a_typed_file(tmp_path: Path) -> None:
    days = pd.date_range("2024-01-15", periods=40).strftime("%Y%m%d").astype(int)
    assert "column 'x' holds dates (20240115)" in refused(tmp_path, days, kind="parquet")
    assert "column 'x' holds dates (20240115)" in refused(tmp_path, [*days.astype(float), np.nan], kind="parquet")
    assert isinstance(column(prepared(tmp_path, [*days[:39], 20241399], kind="parquet")), NumericColumn)
    assert isinstance(column(prepared(tmp_path, np.arange(1990, 2024))), NumericColumn), "a year is a number"


@settings(max_examples=60)
@given(
    names=st.lists(
        st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="$"), min_size=1, max_size=8),
        min_size=1,
        max_size=3,
    ),
)
def test_an_override_in_a_message_parses_to_what_it_names(names: list[str]) -> None:
    (override,) = shlex.split(as_typed("dataset.drop", names))
    parsed = OverridesParser.create().parse_override(override)
    assert parsed.value() == names
    (override,) = shlex.split(as_typed("dataset.target", names[0]))
    assert OverridesParser.create().parse_override(override).value() == names[0]


def test_plain_words_are_typed_without_quotes() -> None:
    assert as_typed("dataset.drop", ["id", "row_2"]) == "dataset.drop=[id,row_2]"
    assert as_typed("dataset.drop", ["a b", "true"]) == '\'dataset.drop=["a b","true"]\''


@pytest.mark.parametrize(
    "write",
    [lambda v: f"{v:.3f}×10^3", lambda v: f"{v:.3e}".replace("e", "D"), lambda v: f"{abs(v):.3f}{'kM'[int(v > 0)]}"],
)
def test_text_that_hardly_repeats_is_told(write: "object", tmp_path: Path) -> None:
    cells = [write(value) for value in VALUES]  # type: ignore[operator]
    cells[1] = cells[0]  # else it would be told as a name of the row
    data = prepared(tmp_path, cells, z=VALUES)
    (note,) = [note for note in data.notes if "column 'x'" in note]
    assert "is text of" in note
    assert "dataset.drop=[x]" in note
    told = [
        note for note in prepared(tmp_path, cells, "dataset.categorical=[x]", z=VALUES).notes if "column 'x'" in note
    ]
    assert told == [], "who says that they are categories knows"


def test_per_cent_after_several_blanks(tmp_path: Path) -> None:
    assert isinstance(column(prepared(tmp_path, [f"{value * 100:.1f}  %" for value in VALUES])), NumericColumn)


def test_dates_of_east_asia(tmp_path: Path) -> None:
    assert "holds dates" in refused(tmp_path, [f"2024年{1 + i % 12}月{1 + i % 28}日" for i in range(130)], z=VALUES)
    assert "holds dates" in refused(tmp_path, [f"2024년 {1 + i % 12}월 {1 + i % 28}일" for i in range(130)], z=VALUES)


def test_an_index_that_was_written_twice_is_left_out(tmp_path: Path) -> None:
    data = prepared(tmp_path, VALUES, **{"Unnamed: 0.1": GENERATOR.permutation(130)})
    assert data.shape == (1,)
    assert any("'Unnamed: 0.1' is an index" in note for note in data.notes)


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_the_separator_that_a_file_uses_is_named(mark: str, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text(
        mark.join(["x", "z", "y"]) + "\n" + "".join(f"{i}{mark}{i % 7}{mark}{'ab'[i % 2]}\n" for i in range(60))
    )
    words = ["model=linear", "dataset=csv", f"dataset.path='{file}'", "dataset.target=y"]
    with pytest.raises(ConfigError, match="has one column") as caught:
        prepare(composed(*words).dataset, tmp_path / "cache")
    data = prepare(
        composed(*words, typed(str(caught.value).partition(": try ")[2], "separator")).dataset, tmp_path / "cache"
    )
    assert data.shape == (2,)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_an_infinite_number_is_missing_if_that_is_typed(kind: str, tmp_path: Path) -> None:
    cells = [float("-inf") if i == 7 else value for i, value in enumerate(VALUES)]
    message = refused(tmp_path, cells, "dataset.missing=[-9]", kind=kind)
    assert "infinite number" in message
    found = column(prepared(tmp_path, cells, typed(message, "missing"), kind=kind))
    assert isinstance(found, NumericColumn)
    assert found.missing == ("-9", "inf", "-inf")


def test_a_constant_category_is_told_as_a_constant_number_is(tmp_path: Path) -> None:
    told = "column 'x' is constant in the training rows (same), so that nothing is learned of it"
    assert told in prepared(tmp_path, ["same"] * 130, z=VALUES).notes
    assert told not in prepared(tmp_path, ["same", ""] * 65, z=VALUES).notes, "that one is missing says something"


def test_categories_that_are_nearly_one_are_told(tmp_path: Path) -> None:
    data = prepared(tmp_path, ["Red", "red", "blue", "caf\u00e9", "cafe\u0301"] * 26, z=VALUES)
    (note,) = [note for note in data.notes if "column 'x'" in note]
    assert note.startswith("column 'x': 'Red' and 'red', ")
    assert "are different categories" in note


SENTINELS = {
    "-999 among temperatures": (np.round(20 + 5 * VALUES, 1), -999),
    "9999 among weights": (np.round(70 + 10 * VALUES, 1), 9999),
    "-1 among pressures": (np.round(1010 + 8 * VALUES), -1),
    "99 among marks": (np.arange(130) % 6, 99),
}


@pytest.mark.parametrize("name", SENTINELS)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_sentinel_far_outside_the_rest_is_told_with_a_cure_that_works(name: str, kind: str, tmp_path: Path) -> None:
    values, sentinel = SENTINELS[name]
    cells = np.where(np.arange(130) % 9 == 4, sentinel, values)
    (told,) = [note for note in prepared(tmp_path, cells, kind=kind).notes if "again and again" in note]
    data = prepared(tmp_path, cells, typed(told, "missing"), kind=kind)
    assert not [note for note in data.notes if "again and again" in note]
    found = column(data)
    assert isinstance(found, NumericColumn)
    assert values.min() <= found.low < found.high <= values.max()
    assert found.indicator
    assert told.startswith(
        f"column 'x' holds {sentinel} again and again, far outside the rest ({found.low:.6g} to {found.high:.6g})"
    )


def test_two_sentinels_in_one_column(tmp_path: Path) -> None:
    cells = np.where(np.arange(130) % 9 == 4, -999, np.where(np.arange(130) % 9 == 7, -99, 5 + VALUES))
    (told,) = [note for note in prepared(tmp_path, cells).notes if "again and again" in note]
    assert "holds -99, -999 again" in told
    assert typed(told, "missing") == 'dataset.missing=["-99","-999"]'


@pytest.mark.parametrize(
    "values",
    [
        np.append(np.round(np.exp(2 * GENERATOR.normal(size=997) + 4), 2), [9999] * 3),  # money
        np.append(np.round(np.exp(3 * GENERATOR.normal(size=997) + 6)), [99999] * 3),
        np.where(np.arange(130) % 3 == 0, -1, 1),
        np.where(np.arange(130) % 3 == 0, -1, np.arange(130) % 4),
        np.append(np.arange(129) % 40, -999),  # once
        np.append(np.arange(130) % 100, [99] * 5),
    ],
    ids=["money", "more money", "signs", "small counts", "once", "per cent"],
)
def test_a_plausible_value_is_no_sentinel(values: np.ndarray, tmp_path: Path) -> None:
    assert not [note for note in prepared(tmp_path, values).notes if "again and again" in note]


def test_whole_numbers_that_pandas_has_as_categories_are_categories(tmp_path: Path) -> None:
    """And are so in rows of numbers, of categories and of text."""
    cells = pd.Categorical([None if i % 10 == 9 else (10, 2, 7)[i % 3] for i in range(130)])
    data = prepared(tmp_path, cells, kind="parquet", z=VALUES)
    assert any(note.startswith("column 'x' holds whole numbers that pandas wrote as categories") for note in data.notes)
    found = column(data)
    assert isinstance(found, CategoricalColumn)
    assert found.categories == ("10", "2", "7")
    learned = preprocessing.read(data.folder)
    rows = [
        {"x": x, "z": [0.5] * 4}
        for x in (
            [10, 2, 7, None],
            ["10", "2", "7", ""],
            pd.Categorical([10, 2, 7, None]),
            [10.0, 2.0, 7.0, float("nan")],
        )
    ]
    first, *others = (learned.apply(row) for row in rows)
    assert first[:, :3].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]
    assert all(np.array_equal(first, other) for other in others)


@pytest.mark.parametrize("mark", [".", ","])
def test_a_minus_behind_a_number_makes_it_negative(mark: str, tmp_path: Path) -> None:
    values = np.round(VALUES * 1000, 2)
    cells = [
        f"{abs(value):,.2f}{'-' if value < 0 else ''}".translate({44: "." if mark == "," else ",", 46: mark})
        for value in values
    ]
    data = prepared(tmp_path, cells)
    found = column(data)
    assert isinstance(found, NumericColumn)
    plain = column(prepared(tmp_path, values))
    assert isinstance(plain, NumericColumn)
    assert (found.mean, found.deviation, found.low, found.high) == (plain.mean, plain.deviation, plain.low, plain.high)
    assert any(re.search(r"read as numbers: .*\d- as -\d", note) for note in data.notes), data.notes


def test_marks_with_a_minus_are_categories(tmp_path: Path) -> None:
    assert isinstance(column(prepared(tmp_path, ["1", "1-", "2", "2-", "3"] * 26, z=VALUES)), CategoricalColumn)


def of_text(folder: Path, text: str, *more: str) -> Prepared:
    file = folder / f"{len(list(folder.iterdir()))}.csv"
    file.write_text(text, encoding="utf-8", newline="")
    return prepare(
        composed("model=linear", "dataset=csv", f"dataset.path='{file}'", "dataset.target=y", *more).dataset,
        folder / "cache",
    )


def test_a_separator_at_the_end_of_every_line_is_no_index(tmp_path: Path) -> None:
    data = of_text(tmp_path, "x,y,\n" + "".join(f"{i % 9},{'ab'[i % 2]},\n" for i in range(60)))
    assert any(note.startswith("column 'Unnamed: 2' is empty") for note in data.notes)
    assert not any("index" in note for note in data.notes)
    data = of_text(tmp_path, "x,y,\n" + "".join(f"{i % 9},{'ab'[i % 2]},{i}\n" for i in range(60)))
    assert any("'Unnamed: 2' is an index" in note for note in data.notes)


@pytest.mark.parametrize("mark", [";", ",", "\t"])
@pytest.mark.parametrize("start", ["sep={}\n", "\ufeffsep={}\r\n", '"sep={}"\n'])
def test_the_line_that_tells_excel_the_separator_is_heard(mark: str, start: str, tmp_path: Path) -> None:
    data = of_text(
        tmp_path,
        start.format(mark)
        + mark.join("xzy")
        + "\n"
        + "".join(f"{i % 9}{mark}{i % 7}{mark}{'ab'[i % 2]}\n" for i in range(60)),
    )
    assert data.shape == (2,)
    assert data.counts.tolist() == [21, 21]  # of 60 rows


def test_comments_before_the_header_are_told(tmp_path: Path) -> None:
    rows = "".join(f"{i % 9},{'ab'[i % 2]}\n" for i in range(60))
    with pytest.raises(ConfigError, match=r"its first line is a comment \(# made today\); delete it"):
        of_text(tmp_path, "# made today\nx,y\n" + rows)
    with pytest.raises(ConfigError, match=r"its first 2 lines are comments .*; delete them"):
        of_text(tmp_path, "# by me, you, and others\n#\n#x,y\n" + rows)
    assert of_text(tmp_path, "#x,y\n" + rows).shape == (1,), "a header may begin with #"


class TestNumericAsTold:
    def test_what_does_not_parse_is_missing_counted_and_said(self, tmp_path: Path) -> None:
        cells = [*(str(value) for value in VALUES), "soon", "never", "never", "n/a"]
        data = prepared(tmp_path, cells, "dataset.numeric=[x]")
        found = column(data)
        assert isinstance(found, NumericColumn)
        assert (found.lenient, found.indicator) == (True, True)
        assert [note for note in data.notes if "are no numbers" in note] == [
            "column 'x': 3 cells are no numbers, and missing: soon, never"
        ]
        learned = preprocessing.read(data.folder)
        assert learned.unknown({"x": ["soon", "0.5"]}) == ["x=soon: no number, read as missing", ""]

    @pytest.mark.parametrize("kind", ["csv", "parquet"])
    def test_codes_with_zeros_and_few_numbers_among_words_are_numbers(self, kind: str, tmp_path: Path) -> None:
        assert isinstance(
            column(prepared(tmp_path, ["007", "010", "1"] * 20, "dataset.numeric=[x]", kind=kind)), NumericColumn
        )
        few = ["1", "2", "a", "b", "c"] * 12
        found = column(prepared(tmp_path, few, "dataset.numeric=[x]", kind=kind))
        assert isinstance(found, NumericColumn)
        assert (found.low, found.high) == (1, 2)

    def test_a_column_of_words_is_refused(self, tmp_path: Path) -> None:
        assert refused(tmp_path, ["a", "b", "c"] * 10, "dataset.numeric=[x]") == (
            "dataset.numeric: column 'x' holds no number (a, b, c): leave it out of dataset.numeric"
        )


@pytest.mark.parametrize("key", ["categorical", "numeric", "dates"])
def test_columns_that_cannot_be_what_they_are_named_are_refused(key: str, tmp_path: Path) -> None:
    cells = ["2024-01-01", "2024-01-02"] * 20
    assert f"dataset.{key}=z: " in (said := refused(tmp_path, cells, f"dataset.{key}=[z]", ze=range(40)))
    assert "did you mean 'ze'?" in said
    assert refused(tmp_path, cells, f"dataset.{key}=[y]") == (
        f"dataset.{key}: column 'y' is dataset.target, and no feature: leave it out of one of the two"
    )
    for other in {"drop", "categorical", "numeric", "dates"} - {key}:
        said = refused(tmp_path, cells, f"dataset.{key}=[x]", f"dataset.{other}=[x]")
        assert f"dataset.{key}" in said
        assert f"dataset.{other}" in said


class TestDates:
    def test_parts_are_standardised_by_the_training_rows(self, tmp_path: Path) -> None:
        days = pd.date_range("2023-11-01 06:00", periods=120, freq="31h")
        cells = [*days.strftime("%d.%m.%Y %H:%M"), "soon", ""]
        data = prepared(tmp_path, cells, "dataset.dates=[x]", "dataset.missing=[soon]")
        found, train = column(data), data.split("train")
        assert isinstance(found, DateColumn)
        assert found.day_first
        places = [place for place in train.rows if place < 120]
        chosen = days[places]
        elapsed = (chosen - chosen.min()) / pd.Timedelta(days=1)
        for name, values in {"year": chosen.year, "hour": chosen.hour, "elapsed": elapsed}.items():
            place = [part.name for part in found.parts].index(name)
            expected = (values - values.to_numpy().mean()) / values.to_numpy().std()
            features = train.features[:, place][train.rows < 120]
            np.testing.assert_allclose(features, expected, atol=1e-5, err_msg=name)
        lacking = np.flatnonzero(train.rows >= 120)
        assert found.indicator is (len(lacking) > 0)
        learned = preprocessing.read(data.folder)
        whole = learned.apply({"x": cells})
        np.testing.assert_array_equal(whole[train.rows], train.features)
        one_by_one = np.concatenate([learned.apply({"x": [cell]}) for cell in cells[:40]])
        np.testing.assert_array_equal(one_by_one, whole[:40])
        assert learned.unknown({"x": ["later", "", "01.01.1950"]}) == [
            "x=later: no date, read as missing", "x: missing", "x=01.01.1950: far outside the training rows"
        ]  # fmt: skip

    def test_csv_and_parquet_and_a_frame_have_the_same_bits(self, tmp_path: Path) -> None:
        days = pd.date_range("2023-11-01", periods=120, freq="31h")
        digests = {
            prepared(tmp_path, cells, "dataset.dates=[x]", kind=kind).data_sha256
            for cells, kind in ((days, "csv"), (days, "parquet"), (days.astype(str), "parquet"))
        }
        assert len(digests) == 1
        learned = preprocessing.read(prepared(tmp_path, days, "dataset.dates=[x]", kind="parquet").folder)
        assert learned.pandas["x"] == "datetime"
        np.testing.assert_array_equal(
            learned.apply(pd.DataFrame({"x": days})), learned.apply({"x": days.strftime("%Y-%m-%d %H:%M").tolist()})
        )

    def test_a_column_without_dates_is_refused(self, tmp_path: Path) -> None:
        assert "dataset.dates: column 'x' holds no date (a (20), b (20))" in refused(
            tmp_path, ["a", "b"] * 20, "dataset.dates=[x]"
        )
        assert "mixes 13/04/2024 and 04/13/2024" in refused(
            tmp_path, ["13/04/2024", "04/13/2024"] * 20, "dataset.dates=[x]"
        )
        (note,) = (
            note
            for note in prepared(tmp_path, ["03/04/2024", "05/06/2024"] * 20, "dataset.dates=[x]").notes
            if "'x'" in note
        )
        assert note.startswith("column 'x': 03/04/2024 is read with the month first")

    @pytest.mark.parametrize("kind", ["csv", "parquet"])
    def test_time_divides_and_is_a_feature_on_request(self, kind: str, tmp_path: Path) -> None:
        days = pd.date_range("2023-11-01", periods=100, freq="31h").to_numpy()[
            np.random.default_rng(0).permutation(100)
        ]
        data = prepared(tmp_path, days, "dataset.time=x", kind=kind, z=VALUES[:100])
        assert data.shape == (1,)
        test = days[data.split("test").rows]
        assert test.min() > days[data.split("validation").rows].max()
        assert len(test) == 20
        (note,) = (note for note in data.notes if note.startswith("dataset.time=x"))
        assert f"test {str(test.min())[:10]} " in note
        more = prepared(tmp_path, days, "dataset.time=x", "dataset.dates=[x]", kind=kind, z=VALUES[:100])
        assert more.shape[0] > 5
        assert np.array_equal(more.split("test").rows, data.split("test").rows)

    @pytest.mark.parametrize(("form", "first"), [("%d.%m.%Y", "day"), ("%m/%d/%Y", "month")])
    def test_time_is_read_as_dates_are_where_nothing_says_what_comes_first(
        self, form: str, first: str, tmp_path: Path
    ) -> None:
        days = pd.to_datetime([f"2024-{month:02}-{day:02}" for month in range(1, 11) for day in range(1, 11)])
        days = days[np.random.default_rng(0).permutation(100)]
        data = prepared(tmp_path, days.strftime(form), "dataset.time=x", "dataset.dates=[x]", z=VALUES[:100])
        told = f"is read with the {first} first; year-month-day leaves no doubt"
        assert [note.split(": ")[0] for note in data.notes if note.endswith(told)] == ["dataset.time=x", "column 'x'"]
        train, validation, test = (days[data.split(name).rows] for name in ("train", "validation", "test"))
        assert train.max() < validation.min()
        assert validation.max() < test.min()

    def test_times_of_two_orders_are_refused(self, tmp_path: Path) -> None:
        assert refused(tmp_path, ["13/04/2024", "04/13/2024"] * 20, "dataset.time=x", z=VALUES[:40]).startswith(
            "dataset.time=x mixes 13/04/2024 and 04/13/2024, so that nothing says whether the day or the month"
        )

    def test_rows_without_a_time_are_refused(self, tmp_path: Path) -> None:
        cells = [*map(str, pd.date_range("2023-11-01", periods=40)), "soon", "soon", ""]
        assert refused(tmp_path, cells, "dataset.time=x", z=range(43)) == (
            "dataset.time=x: 3 rows have no date and no number there ('soon' (2), '' (1)): remove them first"
        )
        assert refused(tmp_path, ["soon", "late"] * 20, "dataset.time=x", z=range(40)).startswith(
            "dataset.time=x: no row has a date or a number there, but 'soon' (20), 'late' (20): name the column"
        )
        assert "both say which rows are whose split" in refused(
            tmp_path, range(40), "dataset.time=x", "dataset.split_column=z", z=["train"] * 40
        )
