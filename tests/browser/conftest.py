"""A real Chromium. Without it, these tests are skipped on a developer's machine and fail in CI."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, sync_playwright

NewPage = Callable[..., Page]

# Without these options, Chromium contacts its vendor's servers and logs errors when there is no network.
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture
def new_page() -> Iterator[NewPage]:
    """Open pages, each in its own context; any error in the console fails the test."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        message = "Chromium is missing; install it with: sudo apt-get install -y chromium"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    complaints: list[str] = []

    def complain(line: ConsoleMessage) -> None:
        if line.type == "error":
            complaints.append(f"{line.text} ({line.location['url']})")

    with ExitStack() as stack:
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        stack.callback(browser.close)

        def open_page(**options: object) -> Page:
            context: BrowserContext = browser.new_context(**options)  # type: ignore[arg-type]
            context.set_default_timeout(15_000)
            page = context.new_page()
            page.on("console", complain)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            return page

        yield open_page
    assert not complaints
