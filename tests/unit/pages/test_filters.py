from __future__ import annotations

import base64
import json
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from django.utils.timezone import localdate
from hypothesis import given
from hypothesis import strategies as st

from otel_intel.pages.filters import Cursor
from otel_intel.pages.forms import read_filters
from otel_intel.pages.logs import EVENTS
from otel_intel.values import has_control_characters


def test_the_default_is_the_last_thirty_days_newest_first() -> None:
    filters = read_filters({}, EVENTS)
    assert (filters.first_day, filters.last_day) == (localdate() - timedelta(days=29), localdate())
    assert (filters.sort, filters.descending, filters.equal, filters.notes) == ("time", True, {}, ())


def test_values_are_taken_and_trimmed() -> None:
    filters = read_filters({"action": "VIEWED", "signal": " 7 ", "status": "1"}, EVENTS)
    assert filters.equal == {"action": "VIEWED", "signal": "7"}


@pytest.mark.parametrize(
    ("query", "note"),
    [
        ({"action": "EXPLODED"}, "There is no action “EXPLODED”"),
        ({"signal": "a\x00b"}, "No signal can be that text"),
        ({"signal": "x" * 201}, "No signal can be that text"),
        ({"from": "yesterday"}, "“yesterday” is not a day"),
        ({"to": "2026-02-30"}, "“2026-02-30” is not a day"),
        ({"from": "9999-12-31"}, "“9999-12-31” is not a day"),
        ({"sort": "shoe size"}, "cannot be sorted by that"),
        ({"sort": "--time"}, "cannot be sorted by that"),
        ({"after": "!"}, "The link to that page is damaged"),
    ],
)
def test_invalid_filters_are_left_out_with_a_note(query: dict[str, str], note: str) -> None:
    filters = read_filters(query, EVENTS)
    assert len(filters.notes) == 1
    assert note in filters.notes[0]
    assert (filters.equal, filters.cursor, filters.sort) == ({}, None, "time")


def test_days_in_the_wrong_order_are_swapped() -> None:
    filters = read_filters({"from": "2026-03-07", "to": "2026-03-01"})
    assert (str(filters.first_day), str(filters.last_day)) == ("2026-03-01", "2026-03-07")
    assert "swapped" in filters.notes[0]


@pytest.mark.parametrize(("day", "hours"), [("2026-03-07", 24), ("2026-03-08", 23), ("2026-11-01", 25)])
def test_days_are_whole_in_the_pages_time_zone(day: str, hours: int) -> None:
    with timezone.override("America/Los_Angeles"):
        filters = read_filters({"from": day, "to": day})
    midnight = datetime.combine(date.fromisoformat(day), datetime.min.time(), ZoneInfo("America/Los_Angeles"))
    assert filters.start == int(midnight.timestamp()) * 10**9
    assert filters.end - filters.start == hours * 3600 * 10**9


@pytest.mark.parametrize("day", ["1970-01-01", "2149-06-05"])
def test_the_first_and_the_last_day_fit_clickhouse(day: str) -> None:
    filters = read_filters({"from": day, "to": day})
    assert filters.notes == ()
    assert 0 <= filters.start < filters.end < 2**63


printable = st.text(max_size=60).filter(lambda text: not has_control_characters(text))


@given(key=printable, nanoseconds=st.integers(0, 2**63 - 2), event_id=printable, backwards=st.booleans())
def test_a_cursor_survives_the_url(key: str, nanoseconds: int, event_id: str, backwards: bool) -> None:
    cursor = Cursor(key, nanoseconds, event_id, backwards)
    assert Cursor.decode(cursor.encode(), backwards=backwards) == cursor


@given(st.text(max_size=80))
def test_any_text_is_a_cursor_or_none(text: str) -> None:
    decoded = Cursor.decode(text, backwards=False)
    assert decoded is None or Cursor.decode(decoded.encode(), backwards=False) == decoded


@pytest.mark.parametrize(
    "place",
    [
        ["", 1],
        ["", "1", "id"],
        ["", -1, "id"],
        ["", 2**63, "id"],
        ["", True, "id"],
        ["", 1.5, "id"],
        ["\ud800", 1, "id"],
        ["", 1, "x" * 201],
        {"a": 1},
        None,
    ],
)
def test_a_forged_cursor_is_none(place: object) -> None:
    text = base64.urlsafe_b64encode(json.dumps(place).encode()).decode()
    assert Cursor.decode(text, backwards=False) is None
