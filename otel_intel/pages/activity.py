"""Who looks at what, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from django.http import QueryDict

from otel_intel.events import of_kind
from otel_intel.reading.reader import Parameter, Reader

from .charts import Chart, Series
from .context import Context
from .filters import Filters
from .format import number, tone, words
from .links import link
from .people import display_names
from .tables import Cell, Header, Table

TOP: Final = 20

_KINDS: Final = [event.value for event in of_kind("view")]
_COLUMNS: Final = [event.column for event in of_kind("view")]


class _Hour(NamedTuple):
    hour: int
    view_kind: str
    events: int


@dataclass(frozen=True, slots=True)
class ActivityContext(Context):
    """What activity.html shows besides the log.

    Args:
        admins: The admins with the most view events.
        hours: View events by hour of the day.
    """

    admins: Table
    hours: Chart


def activity_context(reader: Reader, filters: Filters, query: QueryDict) -> ActivityContext:
    """Return the busiest admins and the hours of the day, for the range, the admin and the engine version."""
    window = (
        "first_day = {first:Date}, last_day = {last:Date}, engine_version = {version:String}, admin_id = {admin:String}"
    )
    parameters: dict[str, Parameter] = {
        "first": filters.first_day,
        "last": filters.last_day,
        "version": filters.equal.get("version", ""),
        "admin": filters.equal.get("admin", ""),
    }
    admins = reader.start(
        dict[str, object], f"SELECT * FROM metrics.top_admins_between({window}) LIMIT {TOP}", parameters
    )
    hours = reader.start(_Hour, f"SELECT * FROM metrics.activity_by_hour_between({window})", parameters)
    return ActivityContext(_top_admins(admins(), query), _hours(hours(), query))


def _top_admins(admins: list[dict[str, object]], query: QueryDict) -> Table:
    names = display_names(row["admin_id"] for row in admins)
    columns = [*_COLUMNS, "total"]
    rows = []
    for row in admins:
        admin = str(row["admin_id"])
        cells = [Cell(row[column], number(int(str(row[column]))), "number") for column in columns]
        rows.append([Cell(admin, names.get(admin, admin), "admin", link(query, admin=admin), f"id {admin}"), *cells])
    heads = [Header(words(column).capitalize(), "number") for column in columns]
    return Table("top-admins", f"The {TOP} busiest", [Header("Admin"), *heads], rows, link(query, csv="top-admins"))


def _hours(hours: list[_Hour], query: QueryDict) -> Chart:
    counts = {(row.view_kind, row.hour): row.events for row in hours}
    return Chart(
        "activity-by-hour",
        "Activity by hour of the day",
        "stacked",
        "count",
        "Hour",
        [f"{hour:02d}" for hour in range(24)],
        [Series(words(kind), [counts.get((kind, hour), 0) for hour in range(24)], [tone(kind)]) for kind in _KINDS],
        link(query, csv="activity-by-hour"),
    )
