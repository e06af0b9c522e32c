"""Who looks at what, and when."""

from __future__ import annotations

from typing import NamedTuple

from django.http import QueryDict

from otel_intel.reading.reader import Parameter, Reader

from .charts import Chart, Series
from .filters import Filters
from .format import number, tone, words
from .keyset import VIEWS
from .log import Context
from .people import display_names
from .rows import link
from .tables import Cell, Header, Table

TOP = 20

_KINDS = VIEWS.choices["kind"]
_COLUMNS = tuple(kind.replace(".", "_") for kind in _KINDS)


class _Hour(NamedTuple):
    hour: int
    view_kind: str
    events: int


def activity_context(reader: Reader, filters: Filters, query: QueryDict) -> Context:
    """Return the busiest admins and the hours of the day, for the range, the admin and the engine version."""
    return {"admins": _top_admins(reader, filters, query), "hours": _hours(reader, filters, query)}


def _top_admins(reader: Reader, filters: Filters, query: QueryDict) -> Table:
    sums = ", ".join(f"toInt64(sum({column})) AS {column}" for column in _COLUMNS)
    total = " + ".join(_COLUMNS)
    admins = reader.rows(
        lambda **row: row,
        f"SELECT admin_id, {sums}, {total} AS total FROM metrics.engagement_daily"
        " WHERE day BETWEEN {first:Date} AND {last:Date}"
        " AND ({version:String} = '' OR engine_version = {version:String})"
        " AND ({admin:String} = '' OR admin_id = {admin:String})"
        f" GROUP BY admin_id ORDER BY total DESC, admin_id LIMIT {TOP}",
        {"first": filters.first_day, "last": filters.last_day, **_equal(filters)},
    )
    names = display_names(row["admin_id"] for row in admins)
    columns = (*_COLUMNS, "total")
    rows = [
        [
            Cell(
                admin := str(row["admin_id"]), names.get(admin, admin), "admin", link(query, admin=admin), f"id {admin}"
            ),
            *(Cell(row[column], number(int(str(row[column]))), "number") for column in columns),
        ]
        for row in admins
    ]
    heads = [Header(words(column).capitalize(), "number") for column in columns]
    return Table("top-admins", f"The {TOP} busiest", [Header("Admin"), *heads], rows, link(query, csv="top-admins"))


def _hours(reader: Reader, filters: Filters, query: QueryDict) -> Chart:
    hours = reader.rows(
        _Hour,
        "SELECT toHour(timestamp, 'UTC') AS hour, view_kind, count() AS events FROM metrics.admin_views"
        " WHERE timestamp >= fromUnixTimestamp64Nano({start:Int64}, 'UTC')"
        " AND timestamp < fromUnixTimestamp64Nano({end:Int64}, 'UTC')"
        " AND ({version:String} = '' OR engine_version = {version:String})"
        " AND ({admin:String} = '' OR admin_id = {admin:String}) GROUP BY hour, view_kind",
        {"start": filters.start, "end": filters.end, **_equal(filters)},
    )
    counts = {(row.view_kind, row.hour): row.events for row in hours}
    return Chart(
        "activity-by-hour",
        "Activity by hour of the day (UTC)",
        "stacked",
        "count",
        "Hour",
        [f"{hour:02d}" for hour in range(24)],
        [
            Series(words(kind), [counts.get((kind, hour), 0) for hour in range(24)], [tone(kind)])
            for kind in _KINDS
        ],
        link(query, csv="activity-by-hour"),
    )  # fmt: skip


def _equal(filters: Filters) -> dict[str, Parameter]:
    return {key: filters.equal.get(key, "") for key in ("version", "admin")}
