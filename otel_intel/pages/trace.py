"""The request behind an event: its events, and its spans if they are still stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from django.http import QueryDict
from django.utils.timezone import get_current_timezone, localdate

from otel_intel.reading.days import first_day
from otel_intel.reading.reader import Reader

from . import keyset
from .context import Context
from .filters import DEFAULT_DAYS, Filters
from .format import duration, iso, when
from .links import page_link
from .log_tables import log_table
from .logs import LOGS, Log
from .tables import Cell, Header, Table

MAX_SPANS: Final = 500
WIDTH: Final = 1000
"""Width of the waterfall, in units of its SVG drawing."""


class Span(NamedTuple):
    """One span as ClickHouse stores it."""

    span_id: str
    parent_span_id: str
    name: str
    kind: str
    service_name: str
    ns: int
    duration_ms: float
    status: str
    route: str
    method: str
    status_code: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A span's bar in the waterfall; x and width are in units of WIDTH."""

    span: Span
    depth: int
    x: int
    width: int
    took: str


@dataclass(frozen=True, slots=True)
class TraceContext(Context):
    """The variables of trace.html.

    Args:
        trace_id: 32 hexadecimal digits.
        bars: The spans as a waterfall.
        spans: The same as a table to download.
        width: The width of the waterfall's drawing.
        filters: The days in which events were searched.
        logs: The events of the trace: a table for each log that has some.
    """

    trace_id: str
    bars: list[Bar]
    spans: Table
    width: int
    filters: Filters
    logs: list[Table]


def trace_context(reader: Reader, trace_id: str, at: int | None) -> TraceContext:
    """Return the spans and events of a trace.

    Args:
        reader: Answers the queries.
        trace_id: 32 hexadecimal digits.
        at: Time of one of its events in nanoseconds since 1970; it limits the search.
    """
    spans = reader.rows(
        Span,
        "SELECT span_id, parent_span_id, name, kind, service_name, toUnixTimestamp64Nano(timestamp) AS ns,"
        " duration_ms, status, ifNull(toString(route), '') AS route, ifNull(toString(method), '') AS method,"
        " ifNull(toString(status_code), '') AS status_code"
        " FROM metrics.spans WHERE trace_id = {trace_id:String} ORDER BY timestamp, span_id LIMIT {limit:UInt32}",
        {"trace_id": trace_id, "limit": MAX_SPANS},
    )
    filters = replace(_around([span.ns for span in spans] or ([at] if at else [])), equal={"trace": trace_id})
    tables = [_events(reader, log, filters) for log in LOGS]
    return TraceContext(
        trace_id=trace_id,
        bars=waterfall(spans),
        spans=_table(spans),
        width=WIDTH,
        filters=filters,
        logs=[table for table in tables if table.rows],
    )


def waterfall(spans: Sequence[Span]) -> list[Bar]:
    """Return the spans in the order in which they began, each one level deeper than its parent."""
    if not spans:
        return []
    start = spans[0].ns
    length = max(max(span.ns - start + span.duration_ms * 1e6 for span in spans), 1.0)
    depths: dict[str, int] = {}
    bars = []
    for span in spans:
        depths[span.span_id] = depth = depths.get(span.parent_span_id, -1) + 1
        x = min(WIDTH - 4, round((span.ns - start) / length * WIDTH))
        width = max(4, min(WIDTH - x, round(span.duration_ms * 1e6 / length * WIDTH)))
        bars.append(Bar(span, min(depth, 8), x, width, duration(span.duration_ms)))
    return bars


def _around(times: Sequence[int]) -> Filters:
    """Return the days to search for events: those of the given times, or the default range."""
    if not times:
        return Filters(first_day(DEFAULT_DAYS, localdate()), localdate())
    return Filters(_day(min(times)) - timedelta(days=1), _day(max(times)) + timedelta(days=1))


def _day(nanoseconds: int) -> date:
    return datetime.fromtimestamp(nanoseconds // 10**9, get_current_timezone()).date()


def _events(reader: Reader, log: Log, filters: Filters) -> Table:
    rows, _ = keyset.page(log, reader, filters)
    table = log_table(log, rows, log.title, QueryDict(), page=page_link(log.url_name), without=("trace_id",))
    return replace(table, csv_url=f"?csv={log.name}&at={filters.start}")


def _table(spans: Sequence[Span]) -> Table:
    heads = ("Name", "Start", "Duration", "Kind", "Service", "Route", "Method", "HTTP status", "Status")
    rows = [
        [
            Cell(span.name),
            Cell(iso(span.ns), when(span.ns), "time", title=iso(span.ns)),
            Cell(span.duration_ms, duration(span.duration_ms), "number"),
            Cell(span.kind),
            Cell(span.service_name),
            Cell(span.route or None),
            Cell(span.method or None),
            Cell(span.status_code or None),
            Cell(span.status),
        ]
        for span in spans
    ]
    columns = [Header(head, "number" if head == "Duration" else "") for head in heads]
    return Table("spans", "Spans", columns, rows, f"?csv=spans&at={spans[0].ns}" if spans else "")
