"""The three logs in pages by keyset: a page costs the same wherever it is, and ClickHouse can skip the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from otel_intel.events import ADMIN_ID, CATALOGUE, OUTCOME_STATUSES
from otel_intel.reading.reader import Parameter, Reader

from .filters import Cursor, Filters

Row: TypeAlias = dict[str, object]

PAGE: Final = 50
SLICE: Final = 10_000
"""Rows of one query of a download: small enough for the reader's limits and for flat memory."""

_DAY: Final = 24 * 3600 * 10**9
_SPANS: Final = (_DAY, 8 * _DAY, 64 * _DAY)
"""A log by time is read in growing windows: the newest 50 of 10 million rows are those of the last day."""

# Ids are text: by length first, numbers stand in their own order.
_BY_ID: Final = "(length({0}), {0})"


@dataclass(frozen=True, slots=True)
class Log:
    """Describe a log.

    Args:
        name: The log's and its download's name.
        view: The view of ``metrics`` that holds it.
        columns: The view's columns besides event_id and timestamp.
        filters: Column by query parameter.
        sorts: Sort key by name; by time is always there. The expression is over a column, which is named.
        choices: The closed sets among the filters.
    """

    name: str
    view: str
    columns: Sequence[str]
    filters: Mapping[str, str]
    sorts: Mapping[str, tuple[str, str]]
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def sort_names(self) -> tuple[str, ...]:
        """What the log can be sorted by."""
        return ("time", *self.sorts)

    def page(self, reader: Reader, filters: Filters, limit: int = PAGE) -> tuple[list[Row], bool]:
        """Return up to ``limit`` rows from the cursor on, and whether there are more that way.

        Rows hold the columns, event_id and ns (nanoseconds since 1970); they are in the order asked for.
        """
        backwards = filters.cursor is not None and filters.cursor.backwards
        rows: list[Row] = []
        for low, high in self._windows(filters):
            rows += self._query(reader, filters, low, high, limit + 1 - len(rows))
            if len(rows) > limit:
                break
        more = len(rows) > limit
        del rows[limit:]
        return (rows[::-1] if backwards else rows), more

    def slices(self, filters: Filters) -> Iterator[list[Row]]:
        """Yield the whole log as filtered and sorted, in slices; each has a deadline of its own."""
        while True:
            rows, more = self.page(Reader(), filters, SLICE)
            yield rows
            if not more:
                return
            filters = replace(filters, cursor=self.cursor(filters, rows[-1]))

    def cursor(self, filters: Filters, row: Row, *, backwards: bool = False) -> Cursor:
        """Return the place of a row."""
        key = str(row[self.sorts[filters.sort][0]]) if filters.sort in self.sorts else ""
        return Cursor(key, int(str(row["ns"])), str(row["event_id"]), backwards)

    def _windows(self, filters: Filters) -> Iterator[tuple[int, int]]:
        low, high, cursor = filters.start, filters.end, filters.cursor
        if filters.sort in self.sorts:
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

    def _query(self, reader: Reader, filters: Filters, low: int, high: int, limit: int) -> list[Row]:
        cursor = filters.cursor
        flip = cursor is not None and cursor.backwards
        time_descending = (filters.descending if filters.sort == "time" else True) != flip
        parameters: dict[str, Parameter] = {"low": low, "high": high, "limit": limit}
        where = [
            "timestamp >= fromUnixTimestamp64Nano({low:Int64}, 'UTC')",
            "timestamp < fromUnixTimestamp64Nano({high:Int64}, 'UTC')",
        ]
        for name, value in filters.equal.items():
            where.append(f"{self.filters[name]} = {{{name}:String}}")
            parameters[name] = value
        order = f"timestamp {_direction(time_descending)}, event_id {_direction(time_descending)}"
        beyond = (
            f"(timestamp, event_id) {'<' if time_descending else '>'}"
            " (fromUnixTimestamp64Nano({cursor_ns:Int64}, 'UTC'), {cursor_id:String})"
        )
        if filters.sort in self.sorts:
            column, shape = self.sorts[filters.sort]
            descending = filters.descending != flip
            key, place = shape.format(column), shape.format("{cursor_key:String}")
            order = f"{key} {_direction(descending)}, {order}"
            beyond = f"({key} {'<' if descending else '>'} {place} OR {key} = {place} AND {beyond})"
        if cursor is not None:
            where.append(beyond)
            parameters |= {"cursor_ns": cursor.nanoseconds, "cursor_id": cursor.event_id}
            parameters["cursor_key"] = cursor.key
        columns = ", ".join(("event_id", "toUnixTimestamp64Nano(timestamp) AS ns", *self.columns))
        sql = (
            f"SELECT {columns} FROM metrics.{self.view} WHERE {' AND '.join(where)}"
            f" ORDER BY {order} LIMIT {{limit:UInt32}}"
        )
        return reader.rows(_row, sql, parameters)


def _direction(descending: bool) -> str:
    return "DESC" if descending else "ASC"


def _row(**values: object) -> Row:
    return values


_COMMON: Final = ("risk_signal_id", "admin_id", "engine_version", "trace_id", "service_name")

EVENTS: Final = Log(
    name="recommendation-events",
    view="recommendation_events",
    columns=("action", "recommendation_type", "confidence", "decision_time_ms", *_COMMON),
    filters={
        "action": "action",
        "signal": "risk_signal_id",
        "admin": "admin_id",
        "version": "engine_version",
        "type": "recommendation_type",
    },
    sorts={
        "signal": ("risk_signal_id", _BY_ID),
        "admin": ("admin_id", _BY_ID),
        "version": ("engine_version", "{0}"),
        "action": ("action", "{0}"),
    },
    choices={"action": ("VIEWED", "ACCEPTED", "IGNORED", "OVERRIDDEN")},
)
OUTCOMES: Final = Log(
    name="signal-outcomes",
    view="signal_outcomes",
    columns=("outcome_status", "is_first", "resolution_time_hours", "note_id", *_COMMON),
    filters={
        "status": "outcome_status",
        "signal": "risk_signal_id",
        "admin": "admin_id",
        "version": "engine_version",
    },
    sorts={"signal": ("risk_signal_id", _BY_ID), "version": ("engine_version", "{0}"),
           "status": ("outcome_status", "{0}")},
    choices={"status": OUTCOME_STATUSES},
)  # fmt: skip
VIEWS: Final = Log(
    name="admin-activity",
    view="admin_views",
    columns=("view_kind", "note_id", *_COMMON),
    filters={"kind": "view_kind", "signal": "risk_signal_id", "admin": "admin_id", "version": "engine_version"},
    sorts={"admin": ("admin_id", _BY_ID), "kind": ("view_kind", "{0}"), "version": ("engine_version", "{0}")},
    choices={
        "kind": tuple(
            event.name.removeprefix("intel.")
            for event in CATALOGUE.values()
            if event.kind == "view" and ADMIN_ID in event.required
        )
    },
)
