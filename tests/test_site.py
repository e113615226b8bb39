"""The documentation as a site: every page is there, every link leads somewhere, and nothing needs a network."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

import equipoise
from helpers import REPOSITORY

FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
CODE = {"pre", "code", "script", "style"}
BROWSER = "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-background-networking"


class Parts(HTMLParser):
    """What a page links to, what it fetches, the places that can be linked to, its text and its code."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links, self.fetched, self.places = set[str](), set[str](), set[str]()
        self.text, self.code, self._depth = "", "", 0
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        self.places |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.add(found["href"])
        if tag in FETCHED and FETCHED[tag] in found:
            self.fetched.add(found[FETCHED[tag]])
        self._depth += tag in CODE

    def handle_endtag(self, tag: str) -> None:
        self._depth -= tag in CODE

    def handle_data(self, data: str) -> None:
        if self._depth:
            self.code += data
        else:
            self.text += data


def build(project: Path, site: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make docs` builds; a link that leads nowhere fails it."""
    folder = tmp_path_factory.mktemp("site")
    found = build(REPOSITORY, folder)
    assert found.returncode == 0, found.stderr
    assert "Documentation built" in found.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Parts]:
    return {page: Parts(page) for page in site.rglob("*.html") if page.name != "404.html"}


def test_every_page_of_docs_is_one_of_the_site_and_nothing_else_of_docs_is(
    site: Path, pages: dict[Path, Parts]
) -> None:
    written = {file.relative_to(REPOSITORY / "docs").with_suffix("") for file in REPOSITORY.glob("docs/**/*.md")}
    taken_along = {Path(name) for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY")}
    assert {page.relative_to(site).with_suffix("") for page in pages} == written | taken_along
    assert not [*site.rglob("*.py"), *site.rglob("*.md")]


def test_every_link_of_the_built_pages_leads_somewhere(pages: dict[Path, Parts]) -> None:
    """Those that Markdown does not show, too: from a signature to a class, and from the menu to a page."""
    checked = 0
    for page, parts in pages.items():
        for link in parts.links:
            address = urlsplit(link)
            if address.scheme or not (address.path or address.fragment):
                continue
            target = (page.parent / unquote(address.path)).resolve() if address.path else page
            target = target / "index.html" if target.is_dir() else target
            assert target.is_file(), f"{page.name}: {link}"
            if address.fragment and target in pages:
                assert unquote(address.fragment) in pages[target].places, f"{page.name}: {link}"
            checked += 1
    assert checked > 500


@pytest.mark.slow
def test_a_link_that_leads_nowhere_is_named_by_what_builds_the_site(tmp_path: Path) -> None:
    """Into docs/ and out of it, from a page of docs/ and from one beside it."""
    for name in ("mkdocs.yml", "docs", "src", "examples", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"):
        copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy
        copy(REPOSITORY / name, tmp_path / name)
    for name, links in {
        "CONTRIBUTING.md": "[](docs/nowhere.md) [](decide.md) [](docs/decide.md#nowhere)",
        "docs/decide.md": "[](../conf/config.yaml) [](../docs/data.md) [](CHANGELOG.md)",
    }.items():
        with (tmp_path / name).open("a") as page:
            page.write(f"\n{links}\n")
    found = build(tmp_path, tmp_path / "site")
    assert found.returncode == 1
    named = re.findall(r"WARNING - .*'(\S+)' contains a link '(\S+)'", found.stderr)
    assert sorted(named) == sorted(
        [
            ("CONTRIBUTING.md", "nowhere.md"),
            ("CONTRIBUTING.md", "../decide.md"),
            ("CONTRIBUTING.md", "decide.md#nowhere"),
            ("decide.md", "../conf/config.yaml"),
            ("decide.md", "../docs/CHANGELOG.md"),
        ]
    )


def test_no_mark_of_markdown_is_left_in_the_text(pages: dict[Path, Parts]) -> None:
    marks = re.compile(r"\*\*|\]\(|`|\| ---|^ *(?:-|>>>|\.\.\.) ", re.MULTILINE)
    assert {page.name: found[0] for page, parts in pages.items() if (found := marks.search(parts.text))} == {}


def test_code_is_shown_as_it_is_written(site: Path, pages: dict[Path, Parts]) -> None:
    """What looks like a link in it, `](`, is none."""
    checked = 0
    for file in {*REPOSITORY.glob("docs/**/*.md")} - {REPOSITORY / "docs/library.md"}:
        page = site / file.relative_to(REPOSITORY / "docs").with_suffix(".html")
        for block in re.findall(r"^```\w+\n(.*?)^```$", file.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            assert block.strip("\n") in pages[page].code, f"{file.name}: {block}"
            checked += 1
    assert checked > 150


def test_nothing_is_fetched_from_elsewhere(site: Path, pages: dict[Path, Parts]) -> None:
    for page, parts in pages.items():
        assert len(parts.fetched) > 5, page
        for address in parts.fetched:
            assert not urlsplit(address).scheme, f"{page.name}: {address}"
            assert not address.startswith("//"), f"{page.name}: {address}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_every_public_name_is_there_with_types_and_texts(site: Path, pages: dict[Path, Parts]) -> None:
    public = {*equipoise.__all__} - {"ConfigError"}
    assert {f"equipoise.{name}" for name in public} <= pages[site / "library.html"].places
    text = re.sub(r"<[^>]+>", "", (site / "library.html").read_text(encoding="utf-8"))
    assert re.search(r"classes\s*\(Sequence\[Any\] \| None,\s*default:\s*None\s*\)\s*–\s*names in the order", text)
    assert re.search(r"Returns:\s*DataFrame\s*–\s*One row a class: n, weight", text)


def test_the_index_of_the_search_knows_words_of_pages_and_docstrings(site: Path) -> None:
    index = (site / "search/search_index.js").read_text(encoding="utf-8").removeprefix("var __index = ")
    found = {entry["location"]: entry["text"] for entry in json.loads(index)["docs"]}
    assert "cross-fitted" in found["results.html#a-run"]
    assert "collections.Counter" in found["library.html#equipoise.class_weights"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in BROWSER.split():
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(executable_path="/usr/bin/chromedriver"))
    yield driver
    driver.quit()


@pytest.mark.slow
def test_the_search_finds_in_pages_that_are_opened_as_files(site: Path, browser: Any) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.wait import WebDriverWait

    browser.get((site / "study/results.html").as_uri())
    browser.find_element(By.CSS_SELECTOR, ".md-search__input").send_keys("balanced softmax")
    shown = ".md-search-result__item h1, .md-search-result__item h2"
    WebDriverWait(browser, 30).until(lambda driver: driver.find_elements(By.CSS_SELECTOR, shown))
    titles = {title.get_attribute("textContent") for title in browser.find_elements(By.CSS_SELECTOR, shown)}
    assert "BalancedSoftmax" in titles
    assert browser.get_log("browser") == []


@pytest.mark.slow
@pytest.mark.parametrize("page", ["index", "library", "study/results", "performance"])
def test_no_page_is_wider_than_a_phone(site: Path, browser: Any, page: str) -> None:
    size = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get((site / f"{page}.html").as_uri())
    assert browser.execute_script("return [innerWidth, document.documentElement.scrollWidth]") == [400, 400]
