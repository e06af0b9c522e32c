"""Rows of a log as a table: on the page with names and links, in a download with everything."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from django.http import QueryDict
from django.urls import reverse

from . import format as pages_format
from .filters import Filters
from .keyset import EVENTS, OUTCOMES, VIEWS, Log, Row
from .people import display_names
from .tables import Cell, Header, Table

TRACE_ID: Final = re.compile(r"(?!0{32})[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    key: str
    kind: str = ""
    sort: str = ""


_TIME: Final = _Column("Time (UTC)", "ns", "time", "time")
_SIGNAL: Final = _Column("Signal", "risk_signal_id", "signal", "signal")
_ADMIN: Final = _Column("Admin", "admin_id", "admin", "admin")
_VERSION: Final = _Column("Engine", "engine_version", "version", "version")
_TRACE: Final = _Column("Request", "trace_id", "trace")

_COLUMNS: Final = {
    EVENTS.name: (
        _TIME,
        _Column("Action", "action", "badge", "action"),
        _SIGNAL,
        _ADMIN,
        _Column("Type", "recommendation_type", "type"),
        _Column("Confidence", "confidence", "badge"),
        _Column("Given time", "decision_time_ms", "ms"),
        _VERSION,
        _TRACE,
    ),
    OUTCOMES.name: (
        _TIME,
        _Column("Outcome", "outcome_status", "badge", "status"),
        _SIGNAL,
        _Column("Counts", "is_first", "first"),
        _Column("Resolved in", "resolution_time_hours", "hours"),
        _ADMIN,
        _VERSION,
        _TRACE,
    ),
    VIEWS.name: (
        _TIME,
        _Column("Activity", "view_kind", "badge", "kind"),
        _ADMIN,
        _SIGNAL,
        _VERSION,
        _TRACE,
    ),
}


def link(query: QueryDict, **changes: str) -> str:
    """Return the page's own address with another query string: '' removes a parameter, pages start anew."""
    changed = query.copy()
    for name, value in {"after": "", "before": "", "csv": "", **changes}.items():
        changed.pop(name, None)
        if value:
            changed[name] = value
    return f"?{changed.urlencode()}"


def log_table(
    log: Log,
    rows: Sequence[Row],
    caption: str,
    query: QueryDict,
    filters: Filters | None = None,
    page: str = "",
    without: Sequence[str] = (),
) -> Table:
    """Return the rows as a page shows them.

    Args:
        log: Whose rows they are.
        rows: As ``Log.page`` gives them.
        caption: What they are.
        query: ``request.GET``; links keep the filters in it.
        filters: How they are sorted; None without links that sort.
        page: Address of the log's own page, for links from other pages.
        without: Columns to leave out.
    """
    names = display_names(row["admin_id"] for row in rows)
    columns = [column for column in _COLUMNS[log.name] if column.key not in without]
    return Table(
        log.name,
        caption,
        [_header(column, log, query, filters) for column in columns],
        [[_cell(column, row, names, log, query, page) for column in columns] for row in rows],
        f"{page}{link(query, csv=log.name)}",
    )


def log_lines(log: Log, slices: Iterable[Sequence[Row]]) -> Iterator[Iterable[Sequence[object]]]:
    """Yield a download's lines slice by slice, with all columns and the admins' names; the first begins with heads."""
    head: list[Sequence[object]] = [("event_id", "timestamp", *log.columns, "admin_name")]
    for rows in slices:
        names = display_names(row["admin_id"] for row in rows)
        yield head + [
            (
                row["event_id"],
                pages_format.iso(int(str(row["ns"]))),
                *(row[column] for column in log.columns),
                names.get(str(row["admin_id"]), ""),
            )
            for row in rows
        ]
        head = []


def _header(column: _Column, log: Log, query: QueryDict, filters: Filters | None) -> Header:
    if filters is None or column.sort not in log.sort_names:
        return Header(column.title, column.kind)
    if column.sort != filters.sort:
        # Time is first wanted newest first, everything else from A to Z.
        first = "-time" if column.sort == "time" else column.sort
        return Header(column.title, column.kind, link(query, sort=first))
    other = column.sort if filters.descending else f"-{column.sort}"
    order = "descending" if filters.descending else "ascending"
    return Header(column.title, column.kind, link(query, sort=other), order)


def _cell(column: _Column, row: Row, names: dict[str, str], log: Log, query: QueryDict, page: str) -> Cell:
    value, kind = row[column.key], column.kind
    if value is None or value == "":
        return Cell(None, kind=kind)
    text = str(value)
    match kind:
        case "time":
            exact = pages_format.iso(int(text))
            return Cell(exact, pages_format.when(int(text)), kind, title=exact)
        case "admin":
            return Cell(text, names.get(text, text), kind, _filter(log, query, page, "admin", text), f"id {text}")
        case "signal" | "version" | "type":
            return Cell(text, text, kind, _filter(log, query, page, kind, text), text)
        case "badge":
            return Cell(text, pages_format.words(text), f"badge {pages_format.tone(text)}")
        case "ms":
            return Cell(value, pages_format.duration(float(text)), "number")
        case "hours":
            return Cell(value, pages_format.hours(float(text)), "number")
        case "first":
            return Cell(value, "yes" if value else "no, later outcome", kind)
        case _:
            if not TRACE_ID.fullmatch(text):
                return Cell(None, kind=kind)
            url = f"{reverse('telemetry-trace', args=[text])}?at={row['ns']}"
            return Cell(text, "Trace", kind, url, f"Trace {text}")


def _filter(log: Log, query: QueryDict, page: str, name: str, value: str) -> str:
    return f"{page}{link(query, **{name: value})}" if name in log.filters else ""
