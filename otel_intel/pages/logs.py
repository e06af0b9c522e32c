"""Declare each of the three logs once: its page, filters, orders, links and download are derived from that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from otel_intel.events import OUTCOME_STATUSES, of_kind

from .format import duration, hours, iso, tone, when, words
from .links import trace_link
from .tables import Cell

Row: TypeAlias = dict[str, object]
Names: TypeAlias = Mapping[str, str]
FilterLink: TypeAlias = Callable[[str], str]
Renderer: TypeAlias = Callable[[Row, str, Names, FilterLink], Cell]

# Ids are text. Sorted by length first, ids that are numbers come in numerical order.
_BY_ID: Final = "(length({0}), {0})"
_BY_TEXT: Final = "{0}"


@dataclass(frozen=True, slots=True)
class Column:
    """Declare one column of a log.

    Args:
        title: Its text in the table's head.
        key: The view's column.
        render: Makes a cell from the row, the value as text, admins' names by id, and the link that filters by it.
        css: The CSS class of head and cells.
        name: The name of its filter and order in the query string; '' if it has neither.
        is_filter: True for a field in the form.
        order: The sort key as SQL, where {0} is the column; '' if the log cannot be sorted by it.
        choices: The allowed values, if they are a closed set.
    """

    title: str
    key: str
    render: Renderer
    css: str = ""
    name: str = ""
    is_filter: bool = False
    order: str = ""
    choices: tuple[str, ...] = ()

    def cell(self, row: Row, names: Names, filter_link: FilterLink) -> Cell:
        """Return the column's cell of a row; a missing value is an en dash."""
        value = row[self.key]
        if value is None or value == "":
            return Cell(None, kind=self.css)
        return self.render(row, str(value), names, filter_link)


@dataclass(frozen=True, slots=True)
class Log:
    """Declare a log.

    Args:
        name: The name of the log and of its download.
        title: Its title on the page of a request.
        url_name: The URL name of its page.
        view: The view of ``metrics`` that contains its rows.
        daily_view: The view of ``metrics`` with its daily counts: versions and types are suggested from it.
        columns: The columns on its page.
        further: The columns that only a download has.
    """

    name: str
    title: str
    url_name: str
    view: str
    daily_view: str
    columns: tuple[Column, ...]
    further: tuple[str, ...]

    @property
    def named(self) -> dict[str, Column]:
        """The columns that a query string can name, by name."""
        return {column.name: column for column in self.columns if column.name}

    @property
    def filters(self) -> list[Column]:
        """The fields of the form."""
        return [column for column in self.columns if column.is_filter]

    @property
    def orders(self) -> dict[str, Column]:
        """The columns that the log can be sorted by besides time, by name."""
        return {column.name: column for column in self.columns if column.order}

    @property
    def keys(self) -> tuple[str, ...]:
        """The view's columns of a download besides event_id and timestamp."""
        return (*(column.key for column in self.columns if column.key != "ns"), *self.further)


def _time(row: Row, value: str, names: Names, filter_link: FilterLink) -> Cell:
    exact = iso(int(value))
    return Cell(exact, when(int(value)), "time", title=exact)


def _admin(row: Row, value: str, names: Names, filter_link: FilterLink) -> Cell:
    return Cell(value, names.get(value, value), "admin", filter_link(value), f"id {value}")


def _text(css: str) -> Renderer:
    return lambda row, value, names, filter_link: Cell(value, value, css, filter_link(value), value)


def _badge(row: Row, value: str, names: Names, filter_link: FilterLink) -> Cell:
    return Cell(value, words(value), f"badge {tone(value)}")


def _milliseconds(row: Row, value: str, names: Names, filter_link: FilterLink) -> Cell:
    return Cell(row["decision_time_ms"], duration(float(value)), "number")


def _hours(row: Row, value: str, names: Names, filter_link: FilterLink) -> Cell:
    return Cell(row["resolution_time_hours"], hours(float(value)), "number")


def _counts(row: Row, value: str, names: Names, filter_link: FilterLink) -> Cell:
    return Cell(row["is_first"], "yes" if row["is_first"] else "no, later outcome", "first")


def _trace(row: Row, value: str, names: Names, filter_link: FilterLink) -> Cell:
    url = trace_link(value, int(str(row["ns"])))
    return Cell(value, "Trace", "trace", url, f"Trace {value}") if url else Cell(None, kind="trace")


_TIME: Final = Column("Time", "ns", _time, "time", "time")
_SIGNAL: Final = Column("Signal", "risk_signal_id", _text("signal"), "signal", "signal", is_filter=True, order=_BY_ID)
_ADMIN: Final = Column("Admin", "admin_id", _admin, "admin", "admin", is_filter=True, order=_BY_ID)
_VERSION: Final = Column(
    "Engine", "engine_version", _text("version"), "version", "version", is_filter=True, order=_BY_TEXT
)
# For logs where the id may be missing: a cursor cannot compare with NULL, so these cannot be sorted by it.
_SIGNAL_IF_ANY: Final = replace(_SIGNAL, order="")
_ADMIN_IF_ANY: Final = replace(_ADMIN, order="")
_TRACE: Final = Column("Request", "trace_id", _trace, "trace", "trace")


def _set(title: str, key: str, name: str, choices: tuple[str, ...]) -> Column:
    return Column(title, key, _badge, "badge", name, is_filter=True, order=_BY_TEXT, choices=choices)


EVENTS: Final = Log(
    name="recommendation-events",
    title="Recommendation events",
    url_name="recommendation-events",
    view="recommendation_events",
    daily_view="recommendations_daily",
    columns=(
        _TIME,
        _set("Action", "action", "action", tuple(event.value for event in of_kind("recommendation"))),
        _SIGNAL,
        _ADMIN,
        Column("Type", "recommendation_type", _text("type"), "type", "type", is_filter=True),
        Column("Confidence", "confidence", _badge, "badge"),
        Column("Decided in", "decision_time_ms", _milliseconds, "ms"),
        _VERSION,
        _TRACE,
    ),
    further=("service_name",),
)
OUTCOMES: Final = Log(
    name="signal-outcomes",
    title="Outcomes",
    url_name="outcome-snapshots",
    view="signal_outcomes",
    daily_view="outcomes_daily",
    columns=(
        _TIME,
        _set("Outcome", "outcome_status", "status", OUTCOME_STATUSES),
        _SIGNAL,
        Column("Counts", "is_first", _counts, "first"),
        Column("Resolved in", "resolution_time_hours", _hours, "hours"),
        _ADMIN_IF_ANY,
        _VERSION,
        _TRACE,
    ),
    further=("note_id", "service_name"),
)
VIEWS: Final = Log(
    name="admin-activity",
    title="Activity",
    url_name="view-telemetry",
    view="admin_views",
    daily_view="engagement_daily",
    columns=(
        _TIME,
        _set("Activity", "view_kind", "kind", tuple(event.value for event in of_kind("view"))),
        _ADMIN,
        _SIGNAL_IF_ANY,
        _VERSION,
        _TRACE,
    ),
    further=("note_id", "service_name"),
)
LOGS: Final = (EVENTS, OUTCOMES, VIEWS)
