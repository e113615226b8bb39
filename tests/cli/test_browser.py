"""MLflow's pages of a real sweep, as `make ui` and the command that the sweep prints open them in a real browser."""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from equipoise.tracking.store import open_store
from helpers import REPOSITORY, train
from processes import Processes, ended_after
from servers import answers, free_port

pytestmark = pytest.mark.slow

SWEEP = ["weighting=none,balanced", "seed=0,1", "dataset=digits_lt", "model=linear", "trainer.epochs=2"]
CHARTS = [
    *("difference/balanced_accuracy", "difference/macro_f1", "difference/log_loss"),
    *("test/balanced_accuracy", "test/macro_f1", "test/mcc", "test/worst_class_recall", "test/log_loss"),
    *("profile/recall", "profile/precision", "profile/f1", "profile/weight"),
    *("test/recall_many vs. test/recall_few", "val/balanced_accuracy", "val/log_loss"),
]
OF_EACH_RUN = ["Parallel Coordinates", "confusion_matrix", "Differences to none · seed 0"]
SCREENSHOTS = REPOSITORY / "outputs" / "screenshots"
# Headless, without a look at the network, and with a page so high that all charts are drawn.
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)
SIZE = "--window-size=1900,6800"


def planned(folder: Path, port: int, *more: str) -> str:
    """What `make ui` does in the folder, with this repository's Makefile."""
    command = ["make", "-n", "-f", str(REPOSITORY / "Makefile"), "-o", "setup", "ui", *more, f"PORT={port}"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def page(project: Path) -> Iterator[str]:
    """The link that opens the sweep's view, on a server of its own."""
    found = train(project, "-m", *SWEEP, "trainer.threads=1")
    assert found.returncode == 0, found.stderr
    words = shlex.split(found.stdout.splitlines()[-1])
    assert words[:4] == ["make", "-C", str(project), "ui"]
    port = free_port()
    of_sweep, of_newest = (
        re.search(r"http://127\.0\.0\.1:\S+", planned(folder, port, *more))[0]  # type: ignore[index]
        for folder, more in ((REPOSITORY, words[4:]), (project, []))
    )
    assert of_sweep == of_newest, "`make ui` opens the newest sweep"
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        f"sqlite:///{project}/mlflow.db",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    with ended_after() as processes:
        server = processes.start(
            command,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        processes.until(lambda: answers(f"http://127.0.0.1:{port}/health"), server)
        yield of_sweep


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    if not Path("/usr/bin/chromium").exists():
        pytest.skip("needs chromium and chromium-driver: make system")
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in (*FLAGS.split(), SIZE, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(executable_path="/usr/bin/chromedriver"))
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    try:
        yield driver
    finally:
        driver.quit()


def wait(condition: Callable[[], bool]) -> bool:
    return Processes().until(condition)


def titles(browser: Any) -> list[str]:
    return list(
        browser.execute_script(
            "return [...document.querySelectorAll('h1, h2, h3, h4')].map(title => title.textContent)"
        )
    )


def text(browser: Any) -> str:
    return str(browser.execute_script("return document.body.innerText"))


def drawn(browser: Any) -> int:
    """Charts whose marks are there."""
    return int(
        browser.execute_script(
            "return [...document.querySelectorAll('.js-plotly-plot')]"
            ".filter(chart => chart.querySelector('path')).length"
        )
    )


def colors(browser: Any) -> set[str]:
    """Of the bars of the first chart."""
    bars = "document.querySelector('.js-plotly-plot').querySelectorAll('.bars path')"
    return set(browser.execute_script(f"return [...{bars}].map(bar => bar.style.fill)"))


def follow(browser: Any, link: str) -> None:
    """Click a link that a panel of MLflow's may lie over."""
    browser.execute_script("arguments[0].click()", browser.find_element("xpath", link))


def open_view(browser: Any, link: str) -> None:
    browser.get("about:blank")  # a link that differs in what follows # alone would load nothing
    browser.get(link)
    assert wait(lambda: "Runs" in titles(browser))
    # The panel of MLflow's assistant comes within seconds and takes a third of the page; a user closes it once.
    for _ in range(20):
        if browser.find_elements("css selector", "button[aria-label=Close]"):
            break
        time.sleep(0.5)
    for button in browser.find_elements("css selector", "button[aria-label=Close]"):
        button.click()


def verdict(browser: Any) -> str:
    """The verdict as it can be seen at the top of the page."""
    said = re.search(r"Verdict on digits_lt.*", text(browser))
    return said[0] if said else ""


def test_the_verdict_and_the_means_over_seeds_are_there_without_a_click(page: str, browser: Any) -> None:
    """Which is best, by how much, and whether that is sure; three clicks are what it may take."""
    open_view(browser, page)
    assert wait(lambda: bool(verdict(browser)))
    best, much, sure = (
        r"(balanced|none, the baseline,) is highest by balanced accuracy \(0\.\d+\)",
        r"[+-]0\.\d+ \([+-]0\.\d+ to [+-]0\.\d+\) against none",
        r"noise",
    )
    assert re.search(f"{best}.*{much}.*{sure}", verdict(browser)), verdict(browser)
    assert wait(lambda: set(CHARTS) <= set(titles(browser))), set(CHARTS) - set(titles(browser))
    assert wait(lambda: drawn(browser) >= len(CHARTS)), drawn(browser)
    assert not set(OF_EACH_RUN) & set(titles(browser))
    assert "balanced (profile/recall)" in text(browser), "a line of the mean"
    browser.save_screenshot(str(SCREENSHOTS / "means.png"))
    # From the list of experiments it is one click.
    browser.get("about:blank")
    browser.get(re.sub(r"#.*", "#/experiments?workflowType=machine_learning", page))
    by_name = "//a[text()='digits_lt']"
    assert wait(lambda: bool(browser.find_elements("xpath", by_name)))
    follow(browser, by_name)
    assert wait(lambda: "against none" in verdict(browser)), verdict(browser)


def test_a_run_says_what_it_is_worth_and_links_its_report(project: Path, page: str, browser: Any) -> None:
    sweep = re.search(r"viewStateShareKey=(\w+)", page)[1]  # type: ignore[index]
    run = open_store(project).runs(sweep_id=sweep, weighting="balanced")[0].info
    browser.get("about:blank")
    browser.get(re.sub(r"#.*", f"#/experiments/{run.experiment_id}/runs/{run.run_id}", page))
    assert wait(lambda: "On 500 test samples" in text(browser))
    said = text(browser)
    assert re.search(r"Balanced accuracy 0\.\d{3} \(0\.\d{3} to 0\.\d{3}", said)
    assert "Created by" in said
    order = ["test/balanced_accuracy", "test/balanced_accuracy_low", "test/macro_f1"]
    places = [said.index(f"\n{key}\n") for key in order]
    assert places == sorted(places), "headlines first"
    assert "weight/0\n" not in said[: places[-1]], "what went in comes below them"
    follow(browser, "//a[text()='Report']")
    browser.switch_to.window(browser.window_handles[-1])
    assert wait(lambda: bool(browser.find_elements("css selector", "iframe")))
    browser.switch_to.frame(browser.find_element("css selector", "iframe"))
    assert wait(lambda: "Which classes suffer?" in text(browser))
    browser.switch_to.default_content()
    for _ in browser.window_handles[1:]:
        browser.close()
    browser.switch_to.window(browser.window_handles[0])


def test_a_view_shows_every_run_in_every_chart(page: str, browser: Any) -> None:
    open_view(browser, re.sub(r"(viewStateShareKey=\w+)", r"\1-runs", page))
    assert wait(lambda: set(CHARTS + OF_EACH_RUN) <= set(titles(browser))), set(CHARTS + OF_EACH_RUN) - set(
        titles(browser)
    )
    assert wait(lambda: drawn(browser) >= len(CHARTS)), drawn(browser)
    shown = text(browser)
    for name in ("none · seed 0", "none · seed 1", "balanced · seed 0", "balanced · seed 1"):
        assert name in shown
    assert "4 matching runs" in shown.replace("\n", " ")
    assert shown.count("Group:") == 2, "seeds are grouped"
    assert colors(browser) == {"rgb(127, 127, 127)", "rgb(0, 114, 178)"}, "one colour a strategy"
    compared = shown[shown.index("Compare by") :]
    assert compared.index("none · seed 0") < min(
        compared.index(name) for name in ("none · seed 1", "balanced · seed 0")
    ), "the baseline comes first"
    assert wait(lambda: bool(browser.find_elements("css selector", "img[src*=confusion_matrix]")))
    assert "test/recall" in shown, "what is not in the charts is closed below them"
    assert "error" not in shown.lower()
    browser.save_screenshot(str(SCREENSHOTS / "sweep.png"))
