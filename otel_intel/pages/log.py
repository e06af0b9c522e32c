"""What the three log pages have in common: a filtered page of the log, the way on, and the form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from django.http import QueryDict

from otel_intel.reading.days import first_day, today
from otel_intel.reading.reader import Reader

from .filters import Filters
from .format import words
from .keyset import EVENTS, OUTCOMES, VIEWS, Log
from .rows import link, log_table

Context: TypeAlias = dict[str, object]

_DAILY: Final = {
    EVENTS.name: "recommendations_daily",
    OUTCOMES.name: "outcomes_daily",
    VIEWS.name: "engagement_daily",
}


class _Options(NamedTuple):
    versions: list[str]
    types: list[str]


class Field(NamedTuple):
    """Hold one field of the form; kind is "select" or an input's type, choices are (value, text)."""

    name: str
    label: str
    kind: str
    value: str
    choices: list[tuple[str, str]]


def log_context(reader: Reader, log: Log, filters: Filters, query: QueryDict) -> Context:
    """Return what the templates show of a log: its page, links to the pages around it, and the form's choices."""
    options = _options(reader, log, filters)
    rows, more = log.page(reader, filters)
    cursor = filters.cursor
    backwards = cursor is not None and cursor.backwards
    previous = following = ""
    if rows and (more if backwards else cursor is not None):
        previous = link(query, before=log.cursor(filters, rows[0]).encode())
    if rows and (backwards or more):
        following = link(query, after=log.cursor(filters, rows[-1]).encode())
    return {
        "log": log_table(log, rows, _caption(filters), query, filters),
        "filters": filters,
        "fields": _fields(log, filters, *options()),
        "presets": _presets(filters, query),
        "previous": previous,
        "following": following,
        "beginning": link(query) if cursor is not None else "",
        "narrowed": bool(filters.equal),
        "cleared": link(query, **dict.fromkeys(log.filters, "")),
    }


def _fields(log: Log, filters: Filters, options: _Options) -> list[Field]:
    suggestions = {"version": options.versions, "type": options.types}
    fields = [
        Field(
            name,
            name.capitalize(),
            "select" if name in log.choices else "text",
            filters.equal.get(name, ""),
            [(value, words(value)) for value in log.choices.get(name, ())]
            or [(value, value) for value in suggestions.get(name, ())],
        )
        for name in log.filters
    ]
    return [
        *fields,
        Field("from", "From (UTC)", "date", str(filters.first_day), []),
        Field("to", "To (UTC)", "date", str(filters.last_day), []),
    ]


def _presets(filters: Filters, query: QueryDict) -> list[tuple[str, str, bool]]:
    last = today()
    presets = []
    for days in (1, 7, 30, 90, 365):
        first = first_day(days, last)
        url = link(query, **{"from": str(first), "to": str(last)})
        text = "today" if days == 1 else f"{days} days"
        presets.append((text, url, (first, last) == (filters.first_day, filters.last_day)))
    return presets


def _caption(filters: Filters) -> str:
    return f"{filters.first_day} to {filters.last_day}, by {filters.sort}"


def _options(reader: Reader, log: Log, filters: Filters) -> Callable[[], list[_Options]]:
    types = "arraySort(groupUniqArray(100)(recommendation_type))" if "type" in log.filters else "[]"
    # They are suggestions: those of the range's last week cost little, however long the range is.
    return reader.start(
        _Options,
        f"SELECT arraySort(groupUniqArray(100)(engine_version)) AS versions, {types} AS types"
        f" FROM metrics.{_DAILY[log.name]} WHERE day BETWEEN {{first:Date}} AND {{last:Date}}",
        {"first": max(filters.first_day, first_day(7, filters.last_day)), "last": filters.last_day},
    )
