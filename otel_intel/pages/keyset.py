"""Keyset pagination of a log: every page costs the same, first or last, and ClickHouse can skip the other rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from otel_intel.reading.reader import Parameter, Reader

from .filters import Cursor, Filters
from .logs import Log, Row

PAGE: Final = 50
SLICE: Final = 10_000
"""Rows of one query of a download: few enough for the reader's limits and for constant memory."""

_DAY: Final = 24 * 3600 * 10**9
_SPANS: Final = (_DAY, 8 * _DAY, 64 * _DAY)
"""A log sorted by time is read in growing windows: the newest 50 of 10 million rows are from the last day."""


def page(log: Log, reader: Reader, filters: Filters, limit: int = PAGE) -> tuple[list[Row], bool]:
    """Return up to ``limit`` rows from the cursor on, and whether there are more in that direction.

    Rows contain the columns, event_id and ns (nanoseconds since 1970); they are in the order of the filters.
    """
    backwards = filters.cursor is not None and filters.cursor.backwards
    rows: list[Row] = []
    for low, high in _windows(log, filters):
        rows += _query(log, reader, filters, low, high, limit + 1 - len(rows))
        if len(rows) > limit:
            break
    more = len(rows) > limit
    del rows[limit:]
    return (rows[::-1] if backwards else rows), more


def slices(log: Log, filters: Filters) -> Iterator[list[Row]]:
    """Yield the whole filtered and sorted log in slices; each slice has its own deadline."""
    while True:
        rows, more = page(log, Reader(), filters, SLICE)
        yield rows
        if not more:
            return
        filters = replace(filters, cursor=cursor_at(log, filters, rows[-1]))


def cursor_at(log: Log, filters: Filters, row: Row, *, backwards: bool = False) -> Cursor:
    """Return the position of a row."""
    key = str(row[log.orders[filters.sort].key]) if filters.sort in log.orders else ""
    return Cursor(key, int(str(row["ns"])), str(row["event_id"]), backwards)


def _windows(log: Log, filters: Filters) -> Iterator[tuple[int, int]]:
    low, high, cursor = filters.start, filters.end, filters.cursor
    if filters.sort in log.orders:
        yield low, high
        return
    newest_first = filters.descending != (cursor is not None and cursor.backwards)
    if cursor is not None:
        low, high = (low, min(high, cursor.nanoseconds + 1)) if newest_first else (
            max(low, cursor.nanoseconds), high
        )  # fmt: skip
    for span in (*_SPANS, high - low):
        if low >= high:
            return
        if newest_first:
            edge = max(low, high - span)
            yield edge, high
            high = edge
        else:
            edge = min(high, low + span)
            yield low, edge
            low = edge


def _query(log: Log, reader: Reader, filters: Filters, low: int, high: int, limit: int) -> list[Row]:
    cursor = filters.cursor
    flip = cursor is not None and cursor.backwards
    time_descending = (filters.descending if filters.sort == "time" else True) != flip
    parameters: dict[str, Parameter] = {"low": low, "high": high, "limit": limit}
    where = [
        "timestamp >= fromUnixTimestamp64Nano({low:Int64}, 'UTC')",
        "timestamp < fromUnixTimestamp64Nano({high:Int64}, 'UTC')",
    ]
    for name, value in filters.equal.items():
        where.append(f"{log.named[name].key} = {{{name}:String}}")
        parameters[name] = value
    order = f"timestamp {_direction(time_descending)}, event_id {_direction(time_descending)}"
    beyond = (
        f"(timestamp, event_id) {'<' if time_descending else '>'}"
        " (fromUnixTimestamp64Nano({cursor_ns:Int64}, 'UTC'), {cursor_id:String})"
    )
    if filters.sort in log.orders:
        column = log.orders[filters.sort]
        descending = filters.descending != flip
        key, place = column.order.format(column.key), column.order.format("{cursor_key:String}")
        order = f"{key} {_direction(descending)}, {order}"
        beyond = f"({key} {'<' if descending else '>'} {place} OR {key} = {place} AND {beyond})"
    if cursor is not None:
        where.append(beyond)
        parameters |= {"cursor_ns": cursor.nanoseconds, "cursor_id": cursor.event_id}
        parameters["cursor_key"] = cursor.key
    columns = ", ".join(("event_id", "toUnixTimestamp64Nano(timestamp) AS ns", *log.keys))
    sql = (
        f"SELECT {columns} FROM metrics.{log.view} WHERE {' AND '.join(where)} ORDER BY {order} LIMIT {{limit:UInt32}}"
    )
    return reader.rows(Row, sql, parameters)


def _direction(descending: bool) -> str:
    return "DESC" if descending else "ASC"
