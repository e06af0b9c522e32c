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

REMEMBERED: Final = 1.0
"""Seconds until the database is asked again how far the numbers have come: a refresh comes once a second."""


class LastRefresh(NamedTuple):
    """How far all numbers have come, and since which days they and single events are kept; None is for ever."""

    time_zone: str
    as_of: datetime | None
    kept_since: date | None
    events_kept_since: date | None


last_refreshes: Final[dict[str, tuple[float, LastRefresh]]] = {}
"""By ClickHouse's URL: when it was asked, and what it said."""


def last_refresh(reader: Reader | None = None) -> LastRefresh:
    """Return how far the numbers have come that are read after this; ClickHouse is asked once a second and process.

    Args:
        reader: Whose deadline counts; one of its own by default.

    Raises:
        TelemetryUnavailable: If ClickHouse cannot answer.
    """
    url = get_settings().CLICKHOUSE_URL
    asked, last = last_refreshes.get(url, (-REMEMBERED, None))
    if last is None or time.monotonic() - asked >= REMEMBERED:
        asked = time.monotonic()
        [last] = (reader or Reader()).rows(
            LastRefresh,
            "SELECT * FROM metrics.last_refresh CROSS JOIN (SELECT maxIf(r.kept_since, what = 'numbers') AS kept_since,"
            " maxIf(r.kept_since, what = 'facts') AS events_kept_since FROM metrics.retention AS r) AS kept",
            never_empty=True,
        )
        # The driver returns UTC times without a time zone.
        last = last._replace(as_of=last.as_of and last.as_of.replace(tzinfo=UTC))
        last_refreshes[url] = asked, last
    return last


def time_zone(reader: Reader | None = None) -> tzinfo:
    """Return the time zone whose days the numbers are counted by (``otel-intel migrate --time-zone``).

    Raises:
        TelemetryUnavailable: If ClickHouse cannot answer, or this machine does not know the time zone.
    """
    return named_zone(last_refresh(reader).time_zone)


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


def today(reader: Reader | None = None) -> date:
    """Return today's calendar day, the last of every window."""
    return datetime.now(time_zone(reader)).date()


def midnight(day: date, zone: tzinfo) -> int:
    """Return when a day begins, in nanoseconds since 1970."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 10**9


def first_day(days: int, last: date) -> date:
    """Return the first of ``days`` calendar days that end with ``last``."""
    return last - timedelta(days=days - 1)
