"""The script reports clicks and does not disturb what the element does itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Page
from pytest_django.live_server_helper import LiveServer

from otel_intel.testing import CapturedEvents
from tests.browser import site
from tests.browser.conftest import NewPage
from tests.waiting import poll_until

pytestmark = [pytest.mark.urls("tests.browser.site"), pytest.mark.django_db(transaction=True)]


def log_in(name: str) -> str:
    client = Client()
    client.force_login(User.objects.create_user(name, is_staff=True))
    return client.cookies["sessionid"].value


@pytest.fixture
def other_session() -> str:
    return log_in("other")


@pytest.fixture
def session() -> str:
    return log_in("admin")


@pytest.fixture
def page(session: str, live_server: LiveServer, new_page: NewPage) -> Page:
    page = new_page()
    page.context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    page.goto(f"{live_server.url}/page/")
    return page


def reported(page: Page, events: CapturedEvents) -> list[object]:
    """Return the reported signals when the page has no open request any more."""
    page.wait_for_load_state("networkidle")
    return [event.attributes["intel.risk_signal.id"] for event in events]


def click(selector: str) -> Callable[[Page], None]:
    return lambda page: page.click(selector)


@pytest.mark.parametrize(
    ("act", "signals"),
    [
        (click("#htmx b"), ["htmx"]),
        (click("#details summary"), ["details"]),
        (click("#summary"), ["summary"]),
        (click("#link"), ["link"]),
        (click("#collapsible"), []),
        (click("#plain"), []),
    ],
    ids=["htmx", "details", "summary", "link", "collapsible", "plain"],
)
def test_unfolding_is_reported_once(
    act: Callable[[Page], None], signals: list[str], page: Page, otel_intel_events: CapturedEvents
) -> None:
    act(page)
    poll_until(lambda: len(otel_intel_events) == len(signals))
    assert reported(page, otel_intel_events) == signals


def test_htmx_still_loads_and_loaded_elements_report_too(page: Page, otel_intel_events: CapturedEvents) -> None:
    page.click("#htmx")
    page.click("#later")
    assert poll_until(lambda: len(otel_intel_events) == 2)
    assert reported(page, otel_intel_events) == ["htmx", "later"]


@pytest.mark.parametrize("selector", ["#details summary", "#summary"])
def test_folding_again_is_not_reported(selector: str, page: Page, otel_intel_events: CapturedEvents) -> None:
    for _ in range(3):
        page.click(selector)
    assert poll_until(lambda: len(otel_intel_events) == 2)
    assert len(reported(page, otel_intel_events)) == 2


def test_a_button_that_does_not_say_what_it_has_done_counts_once(page: Page, otel_intel_events: CapturedEvents) -> None:
    for _ in range(3):
        page.click("#versioned")
    page.click("#summary")
    assert poll_until(lambda: len(otel_intel_events) == 2)
    assert reported(page, otel_intel_events) == ["versioned", "summary"]


def test_the_keyboard_reports_as_well(page: Page, otel_intel_events: CapturedEvents) -> None:
    page.focus("#details summary")
    page.keyboard.press("Enter")
    assert poll_until(lambda: otel_intel_events)
    assert reported(page, otel_intel_events) == ["details"]


def test_the_version_that_made_the_recommendation_is_reported(page: Page, otel_intel_events: CapturedEvents) -> None:
    page.click("#versioned")
    assert poll_until(lambda: otel_intel_events)
    assert otel_intel_events[0].attributes["intel.engine.version"] == "1.4"


def open_by_code(page: Page) -> None:
    page.evaluate("document.querySelector('#details').open = true")
    page.evaluate("document.querySelector('#versioned').click()")


def arrive_open(page: Page) -> None:
    page.evaluate("document.body.append(document.querySelector('#open').cloneNode(true))")


def find_in_page(page: Page) -> None:
    """Go to a fragment, which opens a <details> as find-in-page does."""
    page.evaluate("location.hash = 'needle'")
    page.wait_for_function("document.querySelector('#found').open || true")


def click_on_a_link_in_a_summary(page: Page) -> None:
    page.click("#inside")


def click_into_what_is_unfolded(page: Page) -> None:
    page.evaluate("document.querySelector('#outer').open = true")
    page.click("#inner")


@pytest.mark.parametrize(
    "act",
    [open_by_code, arrive_open, find_in_page, click_into_what_is_unfolded, click_on_a_link_in_a_summary],
    ids=["code", "open", "found", "inside", "link"],
)
def test_what_nobody_unfolds_is_not_reported(
    act: Callable[[Page], None], page: Page, otel_intel_events: CapturedEvents
) -> None:
    act(page)
    page.click("#summary")  # the clicks before it would have been reported first
    assert poll_until(lambda: otel_intel_events)
    assert reported(page, otel_intel_events) == ["summary"]


def test_a_script_that_runs_again_reports_once(page: Page, otel_intel_events: CapturedEvents) -> None:
    with page.expect_response("**/page/"):
        page.click("#boosted")
    page.evaluate(
        "() => new Promise(done => { const again = document.createElement('script');"
        " again.src = document.querySelector('script').src; again.onload = done; document.body.append(again); })"
    )
    page.click("#summary")
    assert poll_until(lambda: otel_intel_events)
    assert reported(page, otel_intel_events) == ["summary"]


def test_a_page_out_of_the_back_forward_cache_reports_once(page: Page, otel_intel_events: CapturedEvents) -> None:
    page.click("#away")
    page.go_back()
    assert not otel_intel_events
    page.click("#summary")
    assert poll_until(lambda: otel_intel_events)
    assert reported(page, otel_intel_events) == ["summary"]


def test_a_page_in_a_background_tab_reports_nothing(page: Page, otel_intel_events: CapturedEvents) -> None:
    with page.context.expect_page() as opened:
        page.click("#away", modifiers=["Control"])
    opened.value.wait_for_load_state()
    assert reported(page, otel_intel_events) == []


def test_a_page_older_than_the_log_in_still_reports(
    other_session: str, page: Page, live_server: LiveServer, otel_intel_events: CapturedEvents
) -> None:
    page.context.add_cookies([{"name": "sessionid", "value": other_session, "url": live_server.url}])
    page.click("#summary")
    assert poll_until(lambda: otel_intel_events)
    assert reported(page, otel_intel_events) == ["summary"]


def test_what_the_browser_loads_in_advance_is_not_seen(
    page: Page, live_server: LiveServer, otel_intel_events: CapturedEvents
) -> None:
    site.asked.clear()
    page.goto(f"{live_server.url}/speculating/")
    assert poll_until(lambda: "link" in site.asked)
    assert reported(page, otel_intel_events) == []
    page.click("#open")
    page.wait_for_url("**by=click")
    assert poll_until(lambda: "click" in site.asked)
    assert [event.name for event in otel_intel_events] == ["intel.dashboard.opened"]
