"""The logs of the staff pages on a real ClickHouse: keyset pagination and downloads."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
from django.contrib.auth.models import User
from django.http import StreamingHttpResponse
from django.test import Client
from django.urls import reverse

from otel_intel.pages import keyset
from otel_intel.pages.filters import Filters
from otel_intel.pages.forms import read_filters
from otel_intel.pages.logs import EVENTS, OUTCOMES, VIEWS, Log, Row
from otel_intel.reading.reader import Reader
from tests.otlp import Record, event, send
from tests.pages import log_cells, page_csv, page_text
from tests.servers import ClickHouse

pytestmark = pytest.mark.django_db

DAY = 86_400 * 10**9


def _insert(reading: ClickHouse, rows: int, seconds_ago: str) -> None:
    """Write many facts at once, numbered in the order of time."""
    reading.client("admin").command(
        "INSERT INTO intel.recommendation_events"
        " (event_id, timestamp, ingested_at, risk_signal_id, admin_id, action, recommendation_type, confidence,"
        " engine_version, trace_id, span_id, service_name)"
        f" SELECT lower(leftPad(hex(number), 36, '0')), now64(9, 'UTC') - toIntervalSecond({seconds_ago}),"
        " now64(9, 'UTC'), toString(number), '1', 'VIEWED', 'T', 'HIGH', 'v1', '', '', 'shop'"
        f" FROM numbers({rows})"
    )


# -- pages of a log -------------------------------------------------------------------------------------------


def _stream(kind: str, count: int) -> list[Record]:
    """Return events with many equal values: in time, in the sorted columns, in both."""
    start = time.time_ns() - 25 * DAY
    return [
        event(
            kind,
            start + (number * number % 17) * DAY + number % 3,
            str(uuid.uuid5(uuid.NAMESPACE_OID, f"{kind}{number}")),
            **{"intel.admin.id": str(number % 11), "intel.engine.version": f"v{number % 2}"}
            | ({} if kind == "dashboard.opened" else {"intel.risk_signal.id": str(8 + number % 5)}),
        )
        for number in range(count)
    ]


def _walk(log: Log, filters: Filters, limit: int) -> list[list[str]]:
    pages = []
    while True:
        rows, more = keyset.page(log, Reader(), filters, limit)
        pages.append([str(row["event_id"]) for row in rows])
        if not more:
            return pages
        filters = replace(filters, cursor=keyset.cursor_at(log, filters, rows[-1]))


@pytest.mark.parametrize(
    ("log", "kind"),
    [(EVENTS, "recommendation.viewed"), (OUTCOMES, "signal.outcome_recorded"), (VIEWS, "dashboard.opened")],
    ids=["events", "outcomes", "views"],
)
def test_pages_follow_each_other_in_every_order(reading: ClickHouse, log: Log, kind: str) -> None:
    send(reading, *_stream(kind, 40))
    rows, _ = keyset.page(log, Reader(), read_filters({}), 1000)
    assert len(rows) == 40
    for sort in ("time", *log.orders):
        for descending in (True, False):
            filters = replace(read_filters({}), sort=sort, descending=descending)
            wanted = _sorted(rows, sort, descending)
            assert [event_id for page in _walk(log, filters, 7) for event_id in page] == wanted, (sort, descending)
            # And backwards: before the eighth row come the seven rows above it.
            eighth = keyset.page(log, Reader(), filters, 1000)[0][7]
            back, more = keyset.page(
                log, Reader(), replace(filters, cursor=keyset.cursor_at(log, filters, eighth, backwards=True)), 7
            )
            assert ([str(row["event_id"]) for row in back], more) == (wanted[:7], False), (sort, descending)


def _sorted(rows: list[Row], sort: str, descending: bool) -> list[str]:
    """Return the ids in the requested order; among equal values the newest comes first."""
    by_time = sorted(
        rows,
        key=lambda row: (int(str(row["ns"])), str(row["event_id"])),
        reverse=descending if sort == "time" else True,
    )
    if sort != "time":
        column = {"signal": "risk_signal_id", "admin": "admin_id", "version": "engine_version", "action": "action",
                  "status": "outcome_status", "kind": "view_kind"}[sort]  # fmt: skip
        is_id = column in ("risk_signal_id", "admin_id")
        by_time.sort(key=lambda row: (is_id * len(str(row[column])), str(row[column])), reverse=descending)
    return [str(row["event_id"]) for row in by_time]


def test_links_lead_through_the_log_and_back(reading: ClickHouse, staff: Client) -> None:
    send(reading, *_stream("recommendation.viewed", 120))

    def follow(text: str, rel: str) -> str:
        [link] = re.findall(rf'rel="{rel}" href="([^"#]+)', text)
        return staff.get(reverse("recommendation-events") + link.replace("&amp;", "&")).content.decode()

    first = page_text(staff, "recommendation-events", sort="admin")
    second = follow(first, "next")
    third = follow(second, "next")
    assert [len(log_cells(page)) for page in (first, second, third)] == [50, 50, 20]
    assert ['rel="next"' in page for page in (first, second, third)] == [True, True, False]
    assert 'rel="prev"' not in first
    assert log_cells(follow(third, "prev")) == log_cells(second)
    back = follow(follow(third, "prev"), "prev")
    assert log_cells(back) == log_cells(first)
    assert 'rel="prev"' not in back
    assert 'rel="next"' in back


def test_a_page_by_time_reads_only_its_own_days(reading: ClickHouse) -> None:
    rows = 400_000
    _insert(reading, rows, "28 * 86400 - number * 6")
    read: list[int] = []

    class Counting(Reader):
        def start(
            self, into: Callable[..., Any], sql: str, parameters: Any = None, *, never_empty: bool = False
        ) -> Callable[[], list[Any]]:
            result = self._client().query(sql, dict(parameters or {}))
            read.append(int(result.summary["read_rows"]))
            return super().start(into, sql, parameters)

    filters = read_filters({})
    page, more = keyset.page(EVENTS, Counting(), filters)
    assert (len(page), more) == (keyset.PAGE, True)
    deep = replace(
        filters, cursor=replace(keyset.cursor_at(EVENTS, filters, page[-1]), nanoseconds=filters.start + 10 * DAY)
    )
    assert len(keyset.page(EVENTS, Counting(), deep)[0]) == keyset.PAGE
    # Soon after midnight (UTC) the newest day is empty, and the next window holds eight of the 28.
    assert max(read) < rows / 2


# -- downloads ------------------------------------------------------------------------------------------------


def test_a_download_holds_every_row_in_slices(reading: ClickHouse, staff: Client) -> None:
    rows = 200_000
    _insert(reading, rows, "intDiv(number, 10)")
    response = staff.get(reverse("recommendation-events"), {"csv": "recommendation-events"})
    ids, largest, slices = set(), 0, 0
    for part in cast(Iterator[bytes], cast(StreamingHttpResponse, response).streaming_content):
        largest, slices = max(largest, len(part)), slices + 1
        ids.update(re.findall(rb"^([0-9a-f]{36}),", part.removeprefix("\ufeff".encode()), re.M))
    assert len(ids) == rows
    assert slices == rows // keyset.SLICE
    assert largest < 3_000_000


def test_a_download_has_all_columns_and_the_names(reading: ClickHouse, staff: Client, user: User) -> None:
    known = {"intel.admin.id": str(user.pk), "intel.decision.time_ms": 450}
    send(reading, event("recommendation.accepted", 1_700_000_000_123_456_789, **known), event("recommendation.viewed"))
    [row] = page_csv(staff, "recommendation-events", csv="recommendation-events", action="ACCEPTED",
                     **{"from": "2023-11-14"})  # fmt: skip
    assert isinstance(uuid.UUID(row.pop("event_id")), uuid.UUID)
    assert row == {
        "timestamp": "2023-11-14T22:13:20.123456789Z",
        "action": "ACCEPTED",
        "recommendation_type": "EXPIRING_SOON",
        "confidence": "HIGH",
        "decision_time_ms": "450",
        "risk_signal_id": "s1",
        "admin_id": str(user.pk),
        "engine_version": "v1",
        "trace_id": "",
        "service_name": "shop",
        "admin_name": "Test Viewer",
    }


def test_ids_from_outside_cannot_become_formulas(reading: ClickHouse, staff: Client) -> None:
    send(reading, event("recommendation.viewed", **{"intel.risk_signal.id": '=HYPERLINK("x")'}))
    [row] = page_csv(staff, "recommendation-events", csv="recommendation-events")
    assert row["risk_signal_id"] == '\'=HYPERLINK("x")'
