"""Windows of UTC calendar days: the last one is today, although it is not over."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

MAX_DAYS: Final = 3650
"""The longest window."""


def today() -> date:
    """Return today's UTC calendar day, the last of every window."""
    return datetime.now(UTC).date()


def first_day(days: int, last: date) -> date:
    """Return the first of ``days`` calendar days that end with ``last``."""
    return last - timedelta(days=days - 1)
