"""Staff pages and the Python API by the days of another time zone than the site's own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from django.test import Client
from django.urls import reverse

from otel_intel import TelemetryUnavailable, get_telemetry
from otel_intel.reading import days
from otel_intel.schema.refresh import set_time_zone
from tests.otlp import event, send
from tests.pages import page_text
from tests.servers import ClickHouse

DAY = {"from": "2026-03-02", "to": "2026-03-02"}


@pytest.fixture
def kolkata(reading: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClickHouse]:
    """A server whose days are those of Kolkata, with an event in the last and in the first minute of 2 March there."""
    monkeypatch.setattr(days, "last_refreshes", {})
    set_time_zone([reading.client("admin")], "Asia/Kolkata")
    for hour, minute, day in ((18, 29, 1), (18, 30, 1), (18, 29, 2), (18, 30, 2)):
        at = datetime(2026, 3, day, hour, minute, tzinfo=UTC)
        send(reading, event("recommendation.accepted", int(at.timestamp()) * 10**9))
    yield reading
    set_time_zone([reading.client("admin")], "UTC")
    reading.refresh()


@pytest.mark.usefixtures("kolkata")
def test_python_counts_its_days() -> None:
    assert days.time_zone() == ZoneInfo("Asia/Kolkata")
    day = date(2026, 3, 2)
    assert get_telemetry().get_override_rate(since=day, until=day)["decisions"] == 2
    before = datetime.now(ZoneInfo("Asia/Kolkata")).date()
    assert get_telemetry().get_override_rate()["until"] in (before, datetime.now(ZoneInfo("Asia/Kolkata")).date())


@pytest.mark.usefixtures("kolkata")
def test_a_log_shows_its_days_and_times(staff: Client) -> None:
    text = page_text(staff, "recommendation-events", **DAY)
    assert "2026-03-02 00:00:00" in text
    assert "2026-03-02 23:59:00" in text
    assert "2026-03-01" not in text.replace("2026-03-01T", "")
    assert "Days and times are Asia/Kolkata." in text


@pytest.mark.usefixtures("kolkata")
def test_a_download_holds_its_days_and_times_of_utc(staff: Client) -> None:
    response = staff.get(reverse("recommendation-events"), {**DAY, "csv": "recommendation-events"})
    lines = b"".join(response.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 3
    assert "2026-03-01T18:30:00.000000000Z" in lines[2]


def test_a_time_zone_that_this_machine_does_not_know_is_named(
    kolkata: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(name: str) -> ZoneInfo:
        raise ZoneInfoNotFoundError(name)

    monkeypatch.setattr(days, "ZoneInfo", unknown)
    with pytest.raises(TelemetryUnavailable, match=r"days of Asia/Kolkata, .* pip install tzdata"):
        days.time_zone()


def test_the_time_zone_is_remembered_for_a_moment(kolkata: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(days, "REMEMBERED", 3600.0)
    days.time_zone()
    set_time_zone([kolkata.client("admin")], "Asia/Kathmandu")
    assert days.time_zone() == ZoneInfo("Asia/Kolkata")
    monkeypatch.setattr(days, "REMEMBERED", 0.0)
    assert days.time_zone() == ZoneInfo("Asia/Kathmandu")
