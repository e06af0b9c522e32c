"""What a staff page's query string asks for. What makes no sense is left out, with a note for the reader."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

from otel_intel.events import MAX_TEXT
from otel_intel.reading.days import first_day, today

DEFAULT_DAYS: Final = 30
_FIRST: Final = date(1970, 1, 1)
_LAST: Final = date(2149, 6, 5)  # the last but one of ClickHouse's Date
_MAX_NS: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Cursor:
    """Mark a place in a sorted log: the row there, and which way to read on.

    Args:
        key: The row's value in the sorted column; '' when sorted by time.
        nanoseconds: The row's time.
        event_id: The row's id.
        backwards: True reads the rows before it.
    """

    key: str
    nanoseconds: int
    event_id: str
    backwards: bool = False

    def encode(self) -> str:
        """Return the place as text for a URL."""
        place = json.dumps([self.key, self.nanoseconds, self.event_id], separators=(",", ":"))
        return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str, *, backwards: bool) -> Cursor | None:
        """Return the place that ``encode`` wrote, or None if it is not one."""
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
    """Hold what a page shows.

    Args:
        first_day: First UTC day.
        last_day: Last UTC day.
        equal: Value asked for, by the query parameter's name.
        sort: What a log is sorted by.
        descending: True for the highest first.
        cursor: Where a log's page starts; None is its beginning.
        notes: What was left out and why.
    """

    first_day: date
    last_day: date
    equal: Mapping[str, str] = field(default_factory=dict)
    sort: str = "time"
    descending: bool = True
    cursor: Cursor | None = None
    notes: tuple[str, ...] = ()

    @property
    def start(self) -> int:
        """The beginning of the first day, in nanoseconds since 1970."""
        return _nanoseconds(self.first_day)

    @property
    def end(self) -> int:
        """The end of the last day, in nanoseconds since 1970; not included."""
        return _nanoseconds(self.last_day + timedelta(days=1))


def read_filters(
    query: Mapping[str, str],
    names: Sequence[str] = (),
    choices: Mapping[str, Sequence[str]] | None = None,
    sorts: Sequence[str] = ("time",),
) -> Filters:
    """Read a query string.

    Args:
        query: ``request.GET``.
        names: The filters that the page has.
        choices: The closed sets among them.
        sorts: What the page's log can be sorted by.
    """
    notes: list[str] = []
    equal: dict[str, str] = {}
    for name in names:
        value = query.get(name, "").strip()
        allowed = (choices or {}).get(name)
        if not value:
            continue
        if allowed is not None and value not in allowed:
            notes.append(f"There is no {name} “{value[:40]}”: the filter was left out.")
        elif not _is_plain(value):
            notes.append(f"No {name} can be that text: the filter was left out.")
        else:
            equal[name] = value
    last = _day(query, "to", today(), notes)
    first = _day(query, "from", max(_FIRST, first_day(DEFAULT_DAYS, last)), notes)
    if first > last:
        first, last = last, first
        notes.append("The first day was after the last: they were swapped.")
    sort = query.get("sort", "") or "-time"
    if sort.lstrip("-") not in sorts or sort.startswith("--"):
        notes.append("The log cannot be sorted by that: it is sorted by time.")
        sort = "-time"
    cursor = None
    for name, backwards in (("after", False), ("before", True)):
        if query.get(name):
            cursor = Cursor.decode(query[name], backwards=backwards)
            if cursor is None:
                notes.append("The link to that page is damaged: this is the first page.")
    return Filters(first, last, equal, sort.lstrip("-"), sort.startswith("-"), cursor, tuple(notes))


def _day(query: Mapping[str, str], name: str, default: date, notes: list[str]) -> date:
    text = query.get(name, "").strip()
    if not text:
        return default
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if _FIRST <= day <= _LAST:
        return day
    notes.append(f"“{text[:40]}” is not a day such as {default}: the filter was left out.")
    return default


def _is_plain(text: str) -> bool:
    return len(text) <= MAX_TEXT and (text.isprintable() or not text)


def _nanoseconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 10**9
