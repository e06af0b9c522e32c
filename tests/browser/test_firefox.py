"""Clicks, and pages loaded in advance, in Firefox; geckodriver drives it (`cargo install geckodriver`)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.live_server_helper import LiveServer
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.firefox.service import Service
from selenium.webdriver.remote.webdriver import WebDriver

from otel_intel.testing import CapturedEvents
from tests.browser import site
from tests.waiting import poll_until

pytestmark = [pytest.mark.urls("tests.browser.site"), pytest.mark.django_db(transaction=True)]


@pytest.fixture
def session() -> str:
    client = Client()
    client.force_login(User.objects.create_user("admin", is_staff=True))
    return client.cookies["sessionid"].value


@pytest.fixture
def firefox(session: str, live_server: LiveServer) -> Iterator[WebDriver]:
    """A real Firefox on the page with elements that report clicks."""
    browser = shutil.which("firefox-esr") or shutil.which("firefox")
    driver = shutil.which("geckodriver")
    if browser is None or driver is None:
        pytest.skip(f"NOT TESTED in Firefox: firefox is {browser}, geckodriver is {driver}")
    options = webdriver.FirefoxOptions()
    options.add_argument("-headless")
    options.binary_location = browser
    firefox = webdriver.Firefox(options, Service(driver))
    try:
        firefox.get(f"{live_server.url}/page/")
        firefox.add_cookie({"name": "sessionid", "value": session})
        yield firefox
    finally:
        firefox.quit()


def signals(events: CapturedEvents) -> list[object]:
    return [event.attributes["intel.risk_signal.id"] for event in events]


def test_what_a_person_unfolds_is_reported_and_nothing_else(
    firefox: WebDriver, otel_intel_events: CapturedEvents
) -> None:
    firefox.execute_script("document.querySelector('#found').open = true; document.querySelector('#versioned').click()")
    firefox.execute_script("document.body.append(document.querySelector('#open').cloneNode(true))")
    firefox.execute_script(
        "const again = document.createElement('script'); again.src = document.querySelector('script').src;"
        " document.body.append(again)"
    )
    firefox.find_element(By.CSS_SELECTOR, "#details summary").click()
    assert poll_until(lambda: signals(otel_intel_events) == ["details"])
    firefox.find_element(By.ID, "summary").send_keys(Keys.ENTER)
    assert poll_until(lambda: signals(otel_intel_events) == ["details", "summary"])
    firefox.find_element(By.ID, "summary").click()  # folds it again
    firefox.find_element(By.ID, "htmx").click()
    assert poll_until(lambda: len(otel_intel_events) == 3)
    assert signals(otel_intel_events) == ["details", "summary", "htmx"]


def test_what_firefox_loads_in_advance_is_not_seen(
    firefox: WebDriver, live_server: LiveServer, otel_intel_events: CapturedEvents
) -> None:
    site.asked.clear()
    firefox.get(f"{live_server.url}/speculating/")
    assert poll_until(lambda: "link" in site.asked)
    assert not otel_intel_events
    firefox.find_element(By.ID, "open").click()
    assert poll_until(lambda: "click" in site.asked)
    assert [event.name for event in otel_intel_events] == ["intel.dashboard.opened"]
