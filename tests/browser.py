"""A real browser for tests that look at pages: Debian's Chromium, headless."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = "chromium"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium; without it a test fails in CI and is skipped elsewhere."""
    path = shutil.which(CHROMIUM)
    if path is None:
        reason = f"no {CHROMIUM} on PATH: 'make chromium' installs it"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()
