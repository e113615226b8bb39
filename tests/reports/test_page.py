"""The frame of all pages: it escapes, is whole without a network, and is small."""

import json
import re

import altair
import pytest

from equipoise.reports import charts, vega
from equipoise.reports.page import Code, Legend, Link, Page, Part, Table, Text


@pytest.fixture(scope="module")
def page() -> Page:
    rows = [{"configuration": "a </script> b", "mean": 0.25}]
    parameter, opacity = charts.isolated()
    drawn = (
        altair.Chart(charts.data(rows))
        .mark_point()
        .encode(x="mean:Q", y="configuration:N", opacity=opacity)
        .properties(width="container")
        .add_params(parameter)
    )
    return Page(
        "Comparison",
        "glass <b>",
        ["balanced & co. is highest"],
        [("Data set", "glass"), ("Runs", [Link("one", "file:///x"), "two"])],
        [Text("Careful.", "warning")],
        [
            Part(
                "Which is best?",
                [
                    Legend([("a", "#0072b2", "square")]),
                    charts.chart(drawn, "Means & more"),
                    Table(["configuration", "mean"], [["<i>a</i>", "0.250"]], "All"),
                ],
            ),
            Part("The code", [Code("x < 1", "plain.py")]),
        ],
    )


def test_text_is_escaped_and_the_chart_is_whole(page: Page) -> None:
    text = page.as_html()
    assert "<i>a</i>" not in text
    assert "&lt;i&gt;a&lt;/i&gt;" in text
    assert "glass &lt;b&gt;" in text
    [spec] = re.findall(r'<script type="application/json">(.*?)</script>', text, re.S)
    found = json.loads(spec)
    assert found["data"]["values"] == [{"configuration": "a </script> b", "mean": 0.25}]
    assert found["params"] == [{"name": "isolated", "value": None}]
    assert '<a href="file:///x">one</a>' in text


def test_nothing_is_fetched_and_the_page_is_small(page: Page) -> None:
    text = page.as_html()
    assert len(text) < 500_000
    assert not re.findall(r'(?:src|href)="https?:', text)
    assert re.search(r'<script type="text/plain" id="vega">[A-Za-z0-9+/=]{300000,}', text)


def test_a_page_without_charts_carries_no_vega(page: Page) -> None:
    bare = Page("Run", "r", ["v"], [], [], [Part("p", [Text("t")])])
    assert len(bare.as_html()) < 20_000


def test_the_bundle_draws_charts() -> None:
    assert "window.vegaEmbed=" in vega.bundle()
    assert vega.bundle() == vega.bundle()


def test_a_table_of_many_columns_turns_its_sheet() -> None:
    assert Table(["x"] * 10, []).is_wide
    assert not Table(["x"] * 9, []).is_wide
