"""The common parts of the three log pages: filtered rows of the log, links to more rows, and the form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from django.http import QueryDict
from django.utils.timezone import localdate

from otel_intel.reading.days import first_day, last_refresh
from otel_intel.reading.reader import Reader

from . import keyset
from .context import Context
from .filters import Filters
from .forms import FilterForm
from .links import link
from .log_tables import log_table
from .logs import Log
from .tables import Table


class _Options(NamedTuple):
    versions: list[str]
    types: list[str]


class Preset(NamedTuple):
    """A range to choose with one click."""

    text: str
    url: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class LogContext(Context):
    """The variables of events.html; outcomes.html and activity.html get them besides their own.

    Args:
        log: The rows of this page of the log.
        filters: The filters in use, with notes about ignored parameters.
        form: The same as fields; ``form.suggestions`` has values to choose from, by field.
        presets: Ranges to choose with one click.
        previous: Address of the previous page; '' on the first page.
        following: Address of the next page; '' on the last page.
        beginning: Address of the first page; '' on the first page.
        is_narrowed: True if a filter besides the range is in use.
        cleared: Address without the filters, with the range.
    """

    log: Table
    filters: Filters
    form: FilterForm
    presets: list[Preset]
    previous: str
    following: str
    beginning: str
    is_narrowed: bool
    cleared: str


def log_context(reader: Reader, log: Log, filters: Filters, query: QueryDict) -> LogContext:
    """Return a page of a filtered log, links to the pages around it, and the form."""
    options = _options(reader, log, filters)
    rows, more = keyset.page(log, reader, filters)
    cursor = filters.cursor
    backwards = cursor is not None and cursor.backwards
    previous = following = ""
    if rows and (more if backwards else cursor is not None):
        previous = link(query, before=keyset.cursor_at(log, filters, rows[0]).encode())
    if rows and (backwards or more):
        following = link(query, after=keyset.cursor_at(log, filters, rows[-1]).encode())
    [suggested] = options()
    kept = last_refresh(reader).events_kept_since
    if kept and filters.first_day < kept and log.name != "outcomes":
        filters = replace(filters, notes=(*filters.notes, f"What happened before {kept} is not kept."))
    in_force = {**filters.equal, "from": filters.first_day, "to": filters.last_day}
    return LogContext(
        log=log_table(log, rows, _caption(filters), query, filters),
        filters=filters,
        form=FilterForm(
            log.filters, initial=in_force, suggestions={"version": suggested.versions, "type": suggested.types}
        ),
        presets=_presets(filters, query),
        previous=previous,
        following=following,
        beginning=link(query) if cursor is not None else "",
        is_narrowed=bool(filters.equal),
        cleared=link(query, **{column.name: "" for column in log.filters}),
    )


def _presets(filters: Filters, query: QueryDict) -> list[Preset]:
    last = localdate()
    presets = []
    for days in (1, 7, 30, 90, 365):
        first = first_day(days, last)
        url = link(query, **{"from": str(first), "to": str(last)})
        text = "today" if days == 1 else f"{days} days"
        presets.append(Preset(text, url, (first, last) == (filters.first_day, filters.last_day)))
    return presets


def _caption(filters: Filters) -> str:
    return f"{filters.first_day} to {filters.last_day}, by {filters.sort}"


def _options(reader: Reader, log: Log, filters: Filters) -> Callable[[], list[_Options]]:
    types = "arraySort(groupUniqArray(100)(recommendation_type))" if "type" in log.named else "[]"
    # Only the last week of the range is read: it costs little even in a long range, and is enough for suggestions.
    return reader.start(
        _Options,
        f"SELECT arraySort(groupUniqArray(100)(engine_version)) AS versions, {types} AS types"
        f" FROM metrics.{log.daily_view} WHERE day BETWEEN {{first:Date}} AND {{last:Date}}",
        {"first": max(filters.first_day, first_day(7, filters.last_day)), "last": filters.last_day},
        never_empty=True,
    )
