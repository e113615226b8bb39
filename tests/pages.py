"""What holds for every page that the project writes, and how a browser shows it."""

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

VOID = {"meta", "br", "link", "img", "input", "path", "use", "rect"}


class Balanced(HTMLParser):
    """Fails on a tag that is closed out of order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        pass


def check_self_contained(page: str) -> None:
    """Assert that a page fetches nothing, closes its tags, and has each id that it refers to exactly once."""
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)""", page)
    assert "@import" not in page
    assert re.findall(r"url\((?!#)", page) == []
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', page)) <= {
        pair for name in ids for pair in ((name, ""), ("", name))
    }


# Pairs of texts of one chart that lie on each other by more than a hair.
OVERLAPS = """
const found = [], SLANTED = /rotate\\((?!-?0\\b|-?90)/;
for (const svg of document.querySelectorAll("figure.chart svg")) {
  const boxes = [...svg.querySelectorAll("text")]
    .filter(text => text.textContent.trim() && +getComputedStyle(text).opacity > 0)
    .map(text => [text.textContent, text.getBoundingClientRect(), SLANTED.test(text.getAttribute("transform"))])
    .filter(([, box]) => box.width > 0);
  boxes.forEach(([one, a, slanted], index) => {
    for (const [other, b, slants] of boxes.slice(index + 1)) {
      const over = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      // The boxes of slanted texts side by side overlap where the letters do not.
      if (over > 2 && down > 3 && !(slanted && slants)) found.push(`${one} | ${other}`);
    }
  });
}
return found;
"""

CHARTS = """
const all = [...document.querySelectorAll("figure.chart")], right = one => one.getBoundingClientRect().right;
const drawn = all.filter(one => one.querySelector("svg .mark-group"));
const cut = drawn.map(one => Math.ceil(right(one.querySelector("svg")) - right(one)));
return [Math.max(0, ...cut), all.length, drawn.length];
"""


@dataclass(frozen=True)
class Look:
    """What a browser shows of a page.

    Attributes
    ----------
    overlaps : pairs of texts of one chart that lie on each other
    beyond : pixels that the page is wider than the window
    cut : pixels by which a chart is wider than its place, at most
    charts, drawn : how many there are, and how many have marks
    messages : of the browser's console
    """

    overlaps: list[str]
    beyond: int
    cut: int
    charts: int
    drawn: int
    messages: list[str]


@contextlib.contextmanager
def a_browser() -> Iterator[Any]:
    """Start Chromium, or skip the test where there is none."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    if not Path("/usr/bin/chromium").exists():
        pytest.skip("needs chromium and chromium-driver: make system")
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    try:
        yield driver
    finally:
        driver.quit()


def look(browser: Any, file: Path, width: int, *, dark: bool = False) -> Look:
    """Open a page in a window of so many pixels and wait until its charts are drawn."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    browser.get(file.resolve().as_uri())
    until = time.monotonic() + 30
    while not browser.execute_script("return document.documentElement.dataset.drawn") and time.monotonic() < until:
        time.sleep(0.05)
    return Look(
        browser.execute_script(OVERLAPS),
        browser.execute_script("return document.documentElement.scrollWidth") - width,
        *browser.execute_script(CHARTS),
        [entry["message"] for entry in browser.get_log("browser")],
    )


# Pixels that A4 leaves between the margins, upright and turned.
UPRIGHT, TURNED = 688, 1031


def wider_than_paper(browser: Any) -> list[str]:
    """Return the captions of the open page's tables that would be cut off on A4."""
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    found = []
    for width, which in ((UPRIGHT, ".scroll:not(.wide)"), (TURNED, ".scroll.wide")):
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
        )
        found += browser.execute_script(
            f"return [...document.querySelectorAll('{which} table')].filter(table => table.offsetWidth > {width})"
            ".map(table => table.closest('.scroll').getAttribute('aria-label'))"
        )
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    return found
