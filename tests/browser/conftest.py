"""A real Chromium. Without it, these tests are skipped on a developer's machine and fail in CI."""

from __future__ import annotations

import asyncio
import os
import shutil
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

NewPage = Callable[..., Page]

# Without these options, Chromium contacts its vendor's servers and logs errors when there is no network.
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="session")
def chromium() -> Iterator[tuple[Browser, AbstractEventLoop]]:
    """The run's browser, and the loop that Playwright runs its calls in: to start both takes longer than most tests."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        message = "Chromium is missing; install it with: sudo apt-get install -y chromium"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        loop = asyncio.get_running_loop()
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        asyncio._set_running_loop(None)
        yield browser, loop
        asyncio._set_running_loop(loop)
        browser.close()


@pytest.fixture
def new_page(chromium: tuple[Browser, AbstractEventLoop]) -> Iterator[NewPage]:
    """Open pages, each in its own context; any error in the console fails the test."""
    complaints: list[str] = []

    def complain(line: ConsoleMessage) -> None:
        if line.type == "error":
            complaints.append(f"{line.text} ({line.location['url']})")

    browser, loop = chromium
    with ExitStack() as stack:
        # Playwright leaves its loop as the running one between its calls, where Django refuses to use the database:
        # https://github.com/microsoft/playwright-pytest/issues/29. So between tests there is none.
        asyncio._set_running_loop(loop)
        stack.callback(asyncio._set_running_loop, None)

        def open_page(**options: object) -> Page:
            context: BrowserContext = browser.new_context(**options)  # type: ignore[arg-type]
            stack.callback(context.close)
            context.set_default_timeout(15_000)
            page = context.new_page()
            page.on("console", complain)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            return page

        yield open_page
    assert not complaints
