"""Windows of calendar days in the time zone that the numbers are counted by; the last day is today, not yet over."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from otel_intel.conf import get_settings
from otel_intel.exceptions import TelemetryUnavailable

from .reader import Reader

MAX_DAYS: Final = 3650
"""The longest window."""

REMEMBERED: Final = 60.0
"""Seconds until the database is asked for its time zone again."""


class _Row(NamedTuple):
    time_zone: str


time_zones: Final[dict[str, tuple[float, tzinfo]]] = {}
"""By ClickHouse's URL: when its time zone was asked for, and which it is."""


def time_zone() -> tzinfo:
    """Return the time zone whose days the numbers are counted by (``otel-intel migrate --time-zone``).

    ClickHouse is asked at most once a minute and process.

    Raises:
        TelemetryUnavailable: If ClickHouse cannot answer, or this machine does not know the time zone.
    """
    url = get_settings().CLICKHOUSE_URL
    asked, zone = time_zones.get(url, (-REMEMBERED, UTC))
    if time.monotonic() - asked >= REMEMBERED:
        [row] = Reader().rows(_Row, "SELECT time_zone FROM metrics.time_zone", never_empty=True)
        zone = named_zone(row.time_zone)
        time_zones[url] = time.monotonic(), zone
    return zone


def named_zone(name: str) -> tzinfo:
    """Return a time zone of the database; raise TelemetryUnavailable if this machine does not know it."""
    if name == "UTC":  # also where there is no database of time zones
        return UTC
    try:
        return ZoneInfo(name)
    except ZoneInfoNotFoundError:
        raise TelemetryUnavailable(
            f"The numbers are counted by days of {name}, which this machine does not know: pip install tzdata."
        ) from None


def today() -> date:
    """Return today's calendar day, the last of every window."""
    return datetime.now(time_zone()).date()


def midnight(day: date, zone: tzinfo) -> int:
    """Return when a day begins, in nanoseconds since 1970."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 10**9


def first_day(days: int, last: date) -> date:
    """Return the first of ``days`` calendar days that end with ``last``."""
    return last - timedelta(days=days - 1)
