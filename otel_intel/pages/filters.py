"""The part of a log that a staff page shows: range, filters, order, and the row to continue from."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta, tzinfo
from typing import Final

from django.utils.timezone import get_current_timezone

from otel_intel.reading.days import midnight
from otel_intel.values import MAX_TEXT, has_control_characters

DEFAULT_DAYS: Final = 30
_MAX_NS: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in a sorted log: a row, and the direction to read from it.

    Args:
        key: The row's value in the sorted column; '' when sorted by time.
        nanoseconds: The row's time.
        event_id: The row's id.
        backwards: True reads the rows before it, False the rows after it.
    """

    key: str
    nanoseconds: int
    event_id: str
    backwards: bool = False

    def encode(self) -> str:
        """Return the position as text for a URL."""
        place = json.dumps([self.key, self.nanoseconds, self.event_id], separators=(",", ":"))
        return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str, *, backwards: bool) -> Cursor | None:
        """Return the position that ``encode`` wrote, or None if the text is not one."""
        try:
            place = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except (ValueError, binascii.Error, RecursionError):
            return None
        match place:
            case [str() as key, int() as nanoseconds, str() as event_id] if (
                type(nanoseconds) is int and 0 <= nanoseconds < _MAX_NS and _is_plain(key) and _is_plain(event_id)
            ):
                return cls(key, nanoseconds, event_id, backwards)
        return None


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters, range and order of a page.

    Args:
        first_day: First day.
        last_day: Last day.
        equal: The value to filter for, by the query parameter's name.
        sort: The name of the column that a log is sorted by.
        descending: True for the highest first.
        cursor: Where a log's page starts; None is its beginning.
        notes: Which parameters were ignored, and why.
        time_zone: Whose days they are; a download goes on after its request has ended, so it is kept here.
    """

    first_day: date
    last_day: date
    equal: Mapping[str, str] = field(default_factory=dict)
    sort: str = "time"
    descending: bool = True
    cursor: Cursor | None = None
    notes: tuple[str, ...] = ()
    time_zone: tzinfo = field(default_factory=get_current_timezone)

    @property
    def start(self) -> int:
        """The beginning of the first day, in nanoseconds since 1970."""
        return midnight(self.first_day, self.time_zone)

    @property
    def end(self) -> int:
        """The end of the last day, in nanoseconds since 1970; not included."""
        return midnight(self.last_day + timedelta(days=1), self.time_zone)


def _is_plain(text: str) -> bool:
    return len(text) <= MAX_TEXT and not has_control_characters(text)
