"""The demo in a real browser, started as a new user starts it: a click changes the numbers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from otel_intel.server import embedded
from tests.browser.conftest import NewPage
from tests.processes import free_port, running, with_ignored_signals
from tests.servers import ClickHouse
from tests.waiting import poll_until

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Demo:
    url: str
    clickhouse: ClickHouse


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo with two weeks of history, started by its one command and stopped with Ctrl-C."""
    state = tmp_path_factory.mktemp("demo") / "state"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTEST_", "DJANGO_"))}
    kept["OTEL_INTEL_QUERY_TIMEOUT"] = "20"  # the machine may be busy with other tests
    command = [sys.executable, "-m", "demo", "--state", str(state), "--days", "14", "--port", str(free_port())]
    output: list[str] = []
    with running(with_ignored_signals(command), env=kept, cwd=ROOT, stderr=subprocess.STDOUT) as process:
        reader = threading.Thread(target=lambda: output.extend(process.stdout or ()), daemon=True)
        reader.start()
        welcome = poll_until(lambda: re.search(r"Risk signals +(http://\S+)/", "".join(output)), 90)
        assert welcome, "".join(output)
        clickhouse = ClickHouse(embedded.load(state / "clickhouse"))
        yield Demo(welcome[1], clickhouse)
        clickhouse.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, "".join(output)
        reader.join(10)
    assert embedded.running(state / "clickhouse") is None


def test_only_its_owner_reads_the_files_with_secrets(demo: Demo) -> None:
    state = demo.clickhouse.server.directory.parent
    assert "intel_reader:" in (state / "telemetry.env").read_text(encoding="utf-8")
    assert (state / "telemetry.env").stat().st_mode & 0o077 == 0
    assert "intel_reader:" not in (state / "clickhouse.log").read_text(encoding="utf-8")


def log_in(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.url}/")
    page.get_by_label("Username").fill("demo")
    page.get_by_label("Password").fill("demo")
    page.get_by_role("button", name="Log in").click()


def counts(demo: Demo) -> dict[str, int]:
    [row] = demo.clickhouse.rows("SELECT viewed, accepted FROM metrics.acceptance_rate(days = 7)")
    [outcomes] = demo.clickhouse.rows("SELECT outcomes FROM metrics.false_positive_rate(days = 7)")
    return {**row, **outcomes}


def test_a_decision_in_the_browser_changes_the_numbers(demo: Demo, new_page: NewPage) -> None:
    before = counts(demo)
    page = new_page()
    log_in(page, demo)
    page.locator("tbody a").first.click()
    signal_id = page.url.rstrip("/").rpartition("/")[2]
    page.get_by_role("button", name="Why this recommendation?").click()
    expect(page.locator(".reasons")).to_be_visible()
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_role("status")).to_have_text("Recommendation accepted.")

    select = (
        "SELECT action, trace_id, admin_id, engine_version, decision_time_ms FROM metrics.recommendation_events"
        " WHERE risk_signal_id = {signal:String} AND action = 'ACCEPTED'"
    )
    [row] = poll_until(lambda: demo.clickhouse.rows(select, {"signal": signal_id}), 3)
    spans = "SELECT route, method, status_code FROM metrics.spans WHERE trace_id = {trace:String}"
    [span] = poll_until(lambda: demo.clickhouse.rows(spans, {"trace": row["trace_id"]}), 5)
    assert (span["route"], span["method"], span["status_code"]) == (
        "signals/<int:signal_id>/decide/",
        "POST",
        302,
    )
    paired = "SELECT decision_time_ms FROM metrics.decisions WHERE risk_signal_id = {signal:String}"
    [decision] = demo.clickhouse.rows(paired, {"signal": signal_id})
    assert 0 < decision["decision_time_ms"] < 60_000
    expanded = "SELECT view_kind FROM metrics.admin_views WHERE risk_signal_id = {signal:String} ORDER BY timestamp"
    seen = [view["view_kind"] for view in demo.clickhouse.rows(expanded, {"signal": signal_id})]
    assert "explanation.expanded" in seen

    page.get_by_label("How did it end?").select_option("RESOLVED")
    page.get_by_role("button", name="Close signal").click()
    assert poll_until(lambda: counts(demo)["outcomes"] == before["outcomes"] + 1, 3)
    after = counts(demo)
    assert after["accepted"] == before["accepted"] + 1
    assert after["viewed"] == before["viewed"] + 1

    page.goto(f"{demo.url}/telemetry/")
    shown = page.get_by_text(re.compile(rf"^{after['accepted']} accepted of {after['viewed']} viewed"))
    expect(shown.first).to_be_visible()
    page.goto(f"{demo.url}/telemetry/events/?signal={signal_id}")
    page.locator("tbody tr", has_text="accepted").first.locator("a[href*='/traces/']").click()
    expect(page.get_by_text("signals/<int:signal_id>/decide/").first).to_be_visible()


PAGES = [
    "/",
    "/signals/1/",
    "/telemetry/",
    "/telemetry/events/",
    "/telemetry/outcomes/",
    "/telemetry/activity/",
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(scheme: str, demo: Demo, new_page: NewPage) -> None:
    page = new_page(color_scheme=scheme)
    log_in(page, demo)
    found = []
    for path in PAGES:
        page.goto(f"{demo.url}{path}")
        page.wait_for_load_state("networkidle")
        for violation in Axe().run(page).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                found.append((path, violation["id"], [node["target"] for node in violation["nodes"]]))
    assert not found


@pytest.mark.parametrize("path", PAGES)
def test_pages_fit_on_a_phone(path: str, demo: Demo, new_page: NewPage) -> None:
    page = new_page(viewport={"width": 390, "height": 844})
    log_in(page, demo)
    page.goto(f"{demo.url}{path}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_charts_are_drawn(demo: Demo, new_page: NewPage) -> None:
    page = new_page()
    log_in(page, demo)
    page.goto(f"{demo.url}/telemetry/")
    page.wait_for_load_state("networkidle")
    drawn = page.evaluate(
        """() => [...document.querySelectorAll("canvas")].map((canvas) => canvas.getContext("2d")
            .getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value !== 0))"""
    )
    assert len(drawn) >= 3
    assert all(drawn)
