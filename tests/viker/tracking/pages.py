"""MLflow's own pages, as a person sees them."""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import Page
from playwright.sync_api import TimeoutError as NotThere


def runs_page(page: Page, uri: str, experiment: str, names: Sequence[str], picture: Path) -> str:
    """Open the table of an experiment's runs and return its text, once the runs of these names are there."""
    page.goto(f"{uri}/#/experiments/{experiment}/runs")
    page.get_by_text("matching runs").wait_for()
    for name in names:  # while the table loads, it says that there are none
        page.get_by_text(name, exact=True).first.wait_for()
    _close_assistant(page)
    page.screenshot(path=picture)
    return page.inner_text("body")


def compare_page(page: Page, uri: str, experiment: str, runs: Sequence[str], x: str, y: str, picture: Path) -> str:
    """Open the comparison of runs, draw the scatter plot of two metrics, and return the page's text."""
    page.goto(f"{uri}/#/compare-runs?runs={json.dumps(list(runs))}&experiments={json.dumps([experiment])}")
    page.get_by_text("Scatter Plot").click()
    _close_assistant(page)
    for axis, name in (("x", x), ("y", y)):
        page.locator(f"#{axis}-axis-selector").click()
        page.get_by_role("option", name=name, exact=True).click()
    page.locator(f".js-plotly-plot .ytitle >> text={y}").first.wait_for()
    page.screenshot(path=picture)
    return page.inner_text("body")


def points(page: Page) -> list[list[float]]:
    """Return the points that the scatter plot shows, sorted."""
    axes = page.evaluate("(() => { const d = document.querySelector('.js-plotly-plot').data[0]; return [d.x, d.y] })()")
    return sorted([float(x), float(y)] for x, y in zip(*axes, strict=True))


def new_page(browser: Any) -> Page:
    """Return a page that waits long enough for a busy machine."""
    page: Page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.set_default_timeout(90_000)
    return page


def _close_assistant(page: Page) -> None:
    with suppress(NotThere):
        page.get_by_role("button", name="Close").first.click(timeout=5000)


def view_page(page: Page, address: str, column: str, picture: Path) -> str:
    """Open a saved view of an experiment's runs and return its text, once it has this column and runs."""
    page.goto("about:blank")  # from a page of the same server the address alone would change, and its runs stay a while
    page.goto(address)
    page.get_by_role("columnheader", name=column).first.wait_for()
    page.get_by_text(re.compile(r"\b[1-9]\d* matching run")).first.wait_for()  # it counts 0 while it loads
    _close_assistant(page)
    page.screenshot(path=picture)
    return page.inner_text("body")
