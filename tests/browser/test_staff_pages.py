"""The staff pages in a real Chromium, under the strictest Content-Security-Policy."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from tests.otlp import event, send
from tests.servers import ClickHouse

pytestmark = pytest.mark.django_db(transaction=True)

NewPage = Callable[..., Page]

TRACE = bytes.fromhex("0af7651916cd43dd8448eb211c80319c")
PAGES = {
    "telemetry-dashboard": 4,
    "recommendation-events": 0,
    "outcome-snapshots": 2,
    "view-telemetry": 1,
}
"""The pages, with the number of charts on each."""


@pytest.fixture
def site(clickhouse: ClickHouse, settings: Settings, live_server: LiveServer) -> tuple[str, str]:
    """Return the site's address and the session of a member of staff, with some events to show."""
    settings.OTEL_INTEL = {"CLICKHOUSE_URL": clickhouse.url("reader"), "QUERY_TIMEOUT": 20.0}
    settings.MIDDLEWARE = ["tests.pages.strict_csp", *settings.MIDDLEWARE]
    user = User.objects.create_user("viewer", first_name="Test", last_name="Viewer", is_staff=True)
    events = []
    for days in range(12):
        at = time.time_ns() - days * 86_400 * 10**9 - 60 * 10**9
        admin = {"intel.admin.id": str(user.pk), "intel.risk_signal.id": f"s{days}"}
        events += [
            replace(event("recommendation.viewed", at, **admin), trace_id=TRACE, span_id=b"12345678"),
            event("recommendation.accepted", at + 10**9 * days, **admin),
            event("signal.outcome_recorded", at, **admin, **{"intel.outcome.resolution_time_hours": 5.0 * days}),
            event("explanation.expanded", at, **admin),
        ]
    send(clickhouse, *events)
    client = Client()
    client.force_login(user)
    return live_server.url, client.cookies[django_settings.SESSION_COOKIE_NAME].value


@pytest.fixture
def open_page(site: tuple[str, str], new_page: NewPage) -> NewPage:
    """Open pages as that member of staff."""

    def open_page(**options: Any) -> Page:
        page = new_page(base_url=site[0], **options)
        page.context.add_cookies([{"name": django_settings.SESSION_COOKIE_NAME, "value": site[1], "url": site[0]}])
        return page

    return open_page


def _drawn(page: Page) -> list[bool]:
    """Tell for each canvas whether something is drawn on it."""
    page.wait_for_load_state("networkidle")
    drawn: list[bool] = page.evaluate(
        """() => [...document.querySelectorAll("canvas")].map((canvas) =>
             canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0))"""
    )
    return drawn


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1440), ("dark", 390)], ids=["light on a desk", "dark on a phone"]
)
def test_pages_are_accessible_and_keep_the_policy(open_page: NewPage, scheme: str, width: int) -> None:
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    urls = {reverse(name): charts for name, charts in PAGES.items()}
    urls[reverse("telemetry-trace", args=[TRACE.hex()])] = 0
    for url, charts in urls.items():
        page.goto(url)
        assert _drawn(page) == [True] * charts, url
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), url
        results = Axe().run(page).response
        assert results["passes"], url
        serious = [
            (violation["id"], [node["html"] for node in violation["nodes"]])
            for violation in results["violations"]
            if violation["impact"] in ("serious", "critical")
        ]
        assert serious == [], url


def test_charts_are_drawn_again_when_the_colours_change(open_page: NewPage) -> None:
    page = open_page(color_scheme="light")
    page.goto(reverse("telemetry-dashboard"))
    assert all(_drawn(page))
    light = page.evaluate("document.querySelector('canvas').toDataURL()")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("light => document.querySelector('canvas').toDataURL() !== light", arg=light)
    assert all(_drawn(page))


def test_the_log_is_used_by_keyboard_and_without_scripts(open_page: NewPage) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(reverse("recommendation-events"))
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to content"
    page.get_by_label("Action").select_option("ACCEPTED")
    page.get_by_role("button", name="Apply").press("Enter")
    page.wait_for_url("**action=ACCEPTED**")
    rows = page.locator("#log tbody tr")
    assert rows.count() == 12
    page.get_by_role("link", name="Signal").press("Enter")
    page.wait_for_url("**sort=signal**")
    assert page.locator("#log th[aria-sort=ascending]").inner_text().startswith("Signal")
    assert rows.count() == 12
    assert rows.first.locator("td.signal").inner_text() == "s0"


def test_a_chart_has_its_numbers_beside_it(open_page: NewPage) -> None:
    page = open_page()
    page.goto(reverse("outcome-snapshots"))
    page.get_by_text("Numbers of Time to resolution").click()
    table = page.get_by_role("table", name="Time to resolution")
    assert table.get_by_role("row", name="4 to 24 hours").is_visible()
