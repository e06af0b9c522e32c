from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from otel_intel.events import DROP_REASONS
from otel_intel.reading.health import Arrived, Day, Disk, Freshness, Health, Rejected, describe

GB = 10**9


@pytest.mark.parametrize(
    ("free", "total", "days", "is_low"),
    [
        (50 * GB, 100 * GB, None, False),
        (15 * GB, 100 * GB, None, False),
        (14 * GB, 100 * GB, None, True),
        (50 * GB, 100 * GB, 14, False),
        (50 * GB, 100 * GB, 13, True),
        (0, 100 * GB, 0, True),
    ],
)
def test_a_disk_is_low_by_its_share_or_by_its_days(free: int, total: int, days: int | None, is_low: bool) -> None:
    assert Disk("default", free, total, days).is_low is is_low


def test_nothing_is_said_of_days_where_nothing_arrives() -> None:
    assert str(Disk("default", 1000, 2000, None)) == "default: 1 KB of 2 KB free"


def test_a_guess_has_an_end() -> None:
    assert str(Disk("default", 1, 2, 6_119_428)).endswith("full in more than 10 years as things arrive now")


@pytest.mark.parametrize(
    ("free", "shown"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 KB"),
        (12_345_678, "12 MB"),
        (95 * GB, "95 GB"),
        (3 * 10**15, "3,000 TB"),
    ],
)
def test_sizes_are_for_people(free: int, shown: str) -> None:
    assert (
        str(Disk("default", free, 96 * GB, 45))
        == f"default: {shown} of 96 GB free, full in 45 days as things arrive now"
    )


def test_the_health_in_words() -> None:
    counters = {"emitted": 1200, "delivered": 1100, "queued": 3, "invalid_optional": 4, "missing": 5}
    dropped = {f"dropped_{reason}": 0 for reason in DROP_REASONS} | {"dropped_queue_full": 97}
    health = Health(
        freshness=Freshness(datetime(2026, 3, 1, 8, 0, 5), 1200, None, "Asia/Kolkata", is_recomputing=False),
        arrived=[Arrived("outcome", 1234, None)],
        days=[Day(date(2026, 3, 1), 1500, 2, 1, 20.4, 1234.5)],
        rejected=[Rejected("unknown_event", 7)],
        pipeline=counters | dropped,
        disks=[Disk("default", 1000, 2000, None)],
    )
    assert list(describe(health)) == [
        "Events",
        "  outcome                1,234",
        "Numbers: as of 2026-03-01 08:00:05 UTC, 1,200 arrived since, days of Asia/Kolkata",
        "Days (by arrival)",
        "  2026-03-01             1,500  2 duplicates, 1 conflicting copies, delay p50 20 ms, p99 1,234 ms",
        "Rejected in 7 days",
        "             7  unknown_event",
        "Processes that reported in 7 days",
        "  emitted 1,200, delivered 1,100, queued 3",
        "  4 events lost an optional value because it was wrong",
        "  5 of the delivered are not here: in the Collector's queue, or lost behind it",
        "  dropped: queue_full 97",
        "Disk of ClickHouse",
        "  default: 1 KB of 2 KB free",
    ]


@pytest.mark.parametrize(("seconds", "late"), [(59, False), (61, True)])
def test_numbers_are_late_when_something_waits_for_a_minute(seconds: int, late: bool) -> None:
    now = datetime.now(UTC)
    since = (now - timedelta(seconds=seconds)).replace(tzinfo=None)
    assert Freshness(None, 1, since, "UTC", is_recomputing=True).is_late(now) == late
    assert (
        str(Freshness(None, 1, since, "UTC", is_recomputing=True))
        == "none yet, 1 arrived since, days of UTC, being computed anew"
    )


def test_numbers_are_not_late_when_nothing_waits() -> None:
    assert not Freshness(None, 0, None, "UTC", is_recomputing=False).is_late(datetime.now(UTC))
