"""Dates as people write them are the moments that pandas makes of them, and their parts are those of the calendar."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from equipoise.data.dates import PARTS, DateSurvey, moments, parts_of, shown

FORMS = [
    *("%Y-%m-%d %H:%M:%S", "%Y/%m/%d", "%Y%m%d", "%Y%m%d%H%M%S", "%Y%m%dT%H%M%S", "%Y-%m-%dT%H:%M:%S.%f", "%m/%d/%y"),
    *("%d %B %Y", "%B %d, %Y %I:%M %p", "%d-%b-%y", "%Y-%m", "%b %Y", "%a, %d %b %Y %H:%M:%S", "%Y"),
]
DAYS = pd.date_range("1969-12-15 01:10:07.25", periods=60, freq="400h").append(
    pd.to_datetime(["2000-02-29 12:00:00", "2024-12-31 23:59:59"])
)


@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_read_as_pandas_reads_it(form: str) -> None:
    text = DAYS.strftime(form)
    expected = (pd.to_datetime(text, format=form) - pd.Timestamp(0)) / pd.Timedelta(seconds=1)
    found = moments(pa.array(text))
    np.testing.assert_allclose(found.clock, expected, atol=1e-6)
    np.testing.assert_array_equal(found.clock, found.instant)
    assert not found.unreadable.any()


def test_the_day_may_come_first() -> None:
    cells = pa.array(["03/04/2024", "3.4.2024", "31/12/2023"])
    first = [shown(moment) for moment in moments(cells, day_first=True).clock]
    assert first == ["2024-04-03", "2024-04-03", "2023-12-31"]
    assert np.isnan(moments(cells).clock).tolist() == [False, False, True], "there is no month 31"


def test_what_is_no_date_is_missing_and_told() -> None:
    cells = ["2024-02-30", "soon", "14:30", "2024-13-01", "25", "2024-01-01 25:00", "n/a", "", None, "later"]
    found = moments(pa.array(cells), ["later"])
    assert np.isnan(found.clock).all()
    assert found.unreadable.tolist() == [True] * 6 + [False] * 4


def test_unix_times_are_in_seconds_or_parts_of_them() -> None:
    texts = ["1706745600", "1706745600123", "1706745600123456", "1706745600123456789"]
    expected = [1706745600, 1706745600.123, 1706745600.123456, 1706745600.123456789]
    np.testing.assert_allclose(moments(pa.array(texts)).instant, expected, rtol=1e-15)
    np.testing.assert_array_equal(moments(pa.array([1706745600, None])).instant, [1706745600, np.nan])


def test_parts_are_by_the_clock_of_a_cell_and_elapsed_by_utc() -> None:
    text = ["2024-01-31T23:30:00+02:00", "2024-01-31 23:30:00Z", "2024-01-31 23:30", "2024-01-31T23:30-0530"]
    rows = parts_of(moments(pa.array(text)))
    assert (rows[:, PARTS.index("hour")] == 23).all()
    hours = np.round((rows[:, PARTS.index("elapsed")] - rows[2, PARTS.index("elapsed")]) * 24, 6)
    assert hours.tolist() == [-2, 0, 0, 5.5]


def test_a_typed_column_keeps_the_clock_of_its_zone() -> None:
    zone = "Europe/Berlin"  # where clocks go from 2 to 3 on the last Sunday of March
    times = pd.to_datetime(["2024-03-31 00:30", "2024-03-31 01:30", None]).tz_localize("UTC").tz_convert(zone)
    typed = moments(pa.array(times), zone=zone)
    assert [shown(clock) for clock in typed.clock[:2]] == ["2024-03-31 01:30:00", "2024-03-31 03:30:00"]
    assert np.isnan(typed.clock[2])
    for cells in (["2024-03-31 01:30", "2024-03-31 03:30"], ["2024-03-31T00:30Z", "2024-03-31T05:30+04:00"]):
        found = moments(pa.array(cells), zone=zone)
        np.testing.assert_array_equal(found.clock, typed.clock[:2], err_msg=str(cells))
        np.testing.assert_array_equal(found.instant, typed.instant[:2], err_msg=str(cells))


def test_parts_are_those_of_the_calendar() -> None:
    found = dict(zip(PARTS, parts_of(moments(pa.array(DAYS))).T, strict=True))
    for name, values in {"year": DAYS.year, "month": DAYS.month, "weekday": DAYS.weekday, "hour": DAYS.hour}.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    np.testing.assert_allclose(found["elapsed"], (DAYS - pd.Timestamp(0)) / pd.Timedelta(days=1), rtol=1e-12)
    for name, around, first in (("month", 12, 1), ("weekday", 7, 0), ("hour", 24, 0)):
        angle = np.arctan2(found[f"{name}_sin"], found[f"{name}_cos"]) / (2 * np.pi) * around % around
        np.testing.assert_allclose((angle - (found[name] - first) + 1) % around, 1, atol=1e-9, err_msg=name)


def test_a_survey_finds_what_comes_first_and_what_is_no_date() -> None:
    survey = DateSurvey("string")
    survey.add(pa.array(["03/04/2024", "soon", "soon", ""]), [])
    assert (survey.unsure, survey.day_first, survey.month_first) == ("03/04/2024", "", "")
    survey.add(pa.array(["13/04/2024", "2024-01-01 10:00", "2024-01-01 10:00Z", "2024-01-01 10:00+01:00"]), [])
    assert (survey.day_first, survey.month_first, dict(survey.odd)) == ("13/04/2024", "", {"soon": 2})
    assert (survey.filled, survey.zoned, survey.bare) == (7, 2, 1)
