"""Numbers by the days of a time zone: over a year, with days of 23 to 25 hours and offsets of quarters of an hour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from clickhouse_connect.driver.client import Client

from otel_intel.schema import ledger
from otel_intel.schema.connection import connect
from otel_intel.schema.refresh import RefreshError, recompute_all, refresh, set_time_zone
from tests.otlp import Record, deliver, event
from tests.servers import ClickHouse
from tests.sql.reference import STATUSES, Reference, Window
from tests.sql.test_refresh import assert_equal_days, dying_after

# Half an hour and a quarter; a day that begins at 1 o'clock, one that is half an hour longer, and 14 hours before UTC.
ZONES = (
    *("Asia/Kolkata", "Asia/Kathmandu", "America/Los_Angeles", "America/Santiago", "Australia/Lord_Howe"),
    *("Pacific/Kiritimati", "UTC"),
)
YEAR = [date(2025, 1, 1) + timedelta(days=number) for number in range(365)]
KINDS = ("recommendation.viewed", "recommendation.accepted", "signal.outcome_recorded", "dashboard.opened")


def midnight(zone: str, day: date) -> int:
    """Return the moment a day begins, in nanoseconds."""
    return int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).timestamp()) * 10**9


def hours(zone: str, day: date) -> float:
    """Return how long a day is."""
    return (midnight(zone, day + timedelta(days=1)) - midnight(zone, day)) / 3600e9


def around_midnights() -> list[Record]:
    """Return events just before and at the beginning of each day of the year in each zone."""
    records = []
    for zone in ZONES:
        for number, day in enumerate(YEAR):
            for after in (-1, 0):
                name = KINDS[(number + after) % len(KINDS)]
                attributes: dict[str, object] = {"intel.risk_signal.id": f"{zone} {number} {after}"}
                if name == "signal.outcome_recorded":
                    attributes["intel.outcome.status"] = STATUSES[number % len(STATUSES)]
                if name == "recommendation.accepted":
                    attributes["intel.decision.time_ms"] = number
                if name == "dashboard.opened":
                    del attributes["intel.risk_signal.id"]
                records.append(event(name, midnight(zone, day) + after, **attributes))
    return records


@pytest.fixture
def changing(clickhouse: ClickHouse) -> Iterator[ClickHouse]:
    """A server whose time zone is UTC again afterwards."""
    yield clickhouse
    change(clickhouse, "UTC")


def test_a_time_zone_that_is_set_while_all_is_computed_is_not_forgotten(changing: ClickHouse) -> None:
    at = datetime(2026, 11, 27, 2, tzinfo=UTC)
    deliver(changing, event("recommendation.viewed", int(at.timestamp()) * 10**9))
    changing.refresh()
    clients = [changing.client("admin")]
    set_time_zone(clients, "Asia/Kolkata")
    recompute_all(clients, lambda line: set_time_zone(clients, "America/New_York"))
    assert changing.value("SELECT day FROM metrics.recommendations_daily") == date(2026, 11, 26)


def change(clickhouse: ClickHouse, zone: str) -> bool:
    changed = set_time_zone([clickhouse.client("admin")], zone)
    clickhouse.refresh()
    return changed


def test_every_day_of_a_year(changing: ClickHouse) -> None:
    records = around_midnights()
    deliver(changing, *records)
    for zone in ZONES:
        change(changing, zone)
        reference = Reference(records, ZoneInfo(zone))
        assert_equal_days(changing, reference)
        for day in (date(2025, 7, 1), *(day for day in YEAR if hours(zone, day) != 24)):
            assert_equal_day(changing, reference, zone, day)


def assert_equal_day(clickhouse: ClickHouse, reference: Reference, zone: str, day: date) -> None:
    """Compare what is read from the facts, or over a window of days, with slow Python."""
    window = Window(day, day)
    arguments = f"first_day = '{day}', last_day = '{day}', engine_version = ''"
    by_type = f"{arguments}, recommendation_type = '', confidence = '', service_name = ''"
    assert clickhouse.rows(f"SELECT * FROM metrics.acceptance_rate_between({by_type})") == [
        reference.acceptance_rate(window)
    ]
    assert clickhouse.rows(f"SELECT * FROM metrics.decision_time_between({by_type})") == [
        reference.decision_time(window)
    ]
    outcomes = clickhouse.rows(f"SELECT count FROM metrics.resolution_times_between({arguments})")
    assert [row["count"] for row in outcomes] == [row["count"] for row in reference.outcome_distribution(window)]
    by_hour = clickhouse.rows(f"SELECT hour, events FROM metrics.activity_by_hour_between({arguments}, admin_id = '')")
    times = [datetime.fromtimestamp(fact.time_ns // 10**9, ZoneInfo(zone)) for fact in reference.views]
    assert {row["hour"]: row["events"] for row in by_hour} == Counter(at.hour for at in times if at.date() == day)


def test_there_are_days_of_other_lengths() -> None:
    assert {hours(zone, day) for zone in ZONES for day in YEAR} == {23, 23.5, 24, 24.5, 25}


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Pacific/Kiritimati", "America/Los_Angeles"])
def test_the_last_days_end_today(changing: ClickHouse, zone: str) -> None:
    change(changing, zone)
    before = datetime.now(ZoneInfo(zone)).date()
    [window] = changing.rows("SELECT * FROM metrics.last_days(days = 7)")
    assert window["last_day"] in (before, datetime.now(ZoneInfo(zone)).date())
    assert window["last_day"] - window["first_day"] == timedelta(days=6)
    assert changing.value("SELECT time_zone FROM metrics.last_refresh") == zone


def test_a_change_that_died_is_done_by_the_next_run(changing: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [event("dashboard.opened", midnight("UTC", YEAR[0]) + hour * 3600 * 10**9) for hour in range(48)]
    deliver(changing, *records[:24])
    changing.refresh()
    admin = changing.client("admin")
    set_time_zone([admin], "Asia/Kolkata")
    deliver(changing, *records[24:])
    with (
        connect(changing.url("admin")) as client,
        dying_after(client, 2, monkeypatch),
        pytest.raises(KeyboardInterrupt),
    ):
        refresh([client])
    assert changing.client("reader").query("SELECT is_recomputing FROM metrics.freshness").result_rows == [(True,)]
    changing.refresh()
    assert changing.value("SELECT is_recomputing FROM metrics.freshness") is False
    assert_equal_days(changing, Reference(records, ZoneInfo("Asia/Kolkata")))


def test_a_change_during_a_run_is_not_lost(changing: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [event("dashboard.opened", midnight("UTC", YEAR[0]) - 1)]
    deliver(changing, *records)
    admin = changing.client("admin")
    write = ledger.write

    def late(client: Client, last: ledger.LastRun) -> None:
        monkeypatch.setattr(ledger, "write", write)
        set_time_zone([admin], "Asia/Kolkata")
        write(client, last)

    monkeypatch.setattr(ledger, "write", late)
    refresh([admin])
    changing.refresh()
    assert changing.value("SELECT time_zone FROM metrics.last_refresh") == "Asia/Kolkata"
    assert_equal_days(changing, Reference(records, ZoneInfo("Asia/Kolkata")))


def test_the_same_time_zone_changes_nothing(clickhouse: ClickHouse) -> None:
    deliver(clickhouse, event("dashboard.opened", midnight("UTC", YEAR[0])))
    clickhouse.refresh()
    assert not change(clickhouse, "UTC")


def test_an_unknown_time_zone_is_refused(clickhouse: ClickHouse) -> None:
    with pytest.raises(
        RefreshError, match="knows no time zone Asia/Kolkatta: give a name such as Europe/Berlin or UTC"
    ):
        set_time_zone([clickhouse.client("admin")], "Asia/Kolkatta")


def test_numbers_of_before_a_change_stay_exact_with_late_events(changing: ClickHouse) -> None:
    zone = "America/Los_Angeles"
    early, late = (event("dashboard.opened", midnight(zone, YEAR[60]) - n) for n in (1, 2))
    deliver(changing, early)
    changing.refresh()
    change(changing, zone)
    deliver(changing, late)
    changing.refresh()
    assert_equal_days(changing, Reference([early, late], ZoneInfo(zone)))
    assert datetime.fromtimestamp(early.time_ns // 10**9, UTC).date() == YEAR[60]
