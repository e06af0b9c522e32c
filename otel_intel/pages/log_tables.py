"""Rows of a log as a table: on the page with names and links, in a download with everything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from django.http import QueryDict

from .filters import Filters
from .format import iso
from .links import link
from .logs import Column, FilterLink, Log, Row
from .people import display_names
from .tables import Header, Table


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
        rows: As ``keyset.page`` gives them.
        caption: What they are.
        query: ``request.GET``; links keep the filters in it.
        filters: How they are sorted; None without links that sort.
        page: Address of the log's own page, for links from other pages.
        without: Columns to leave out, by key.
    """
    names = display_names(row["admin_id"] for row in rows)
    columns = [column for column in log.columns if column.key not in without]
    return Table(
        log.name,
        caption,
        [_header(column, query, filters) for column in columns],
        [[column.cell(row, names, _filter_link(column, query, page)) for column in columns] for row in rows],
        f"{page}{link(query, csv=log.name)}",
    )


def log_lines(log: Log, slices: Iterable[Sequence[Row]]) -> Iterator[Iterable[Sequence[object]]]:
    """Yield a download's lines slice by slice, with all columns and the admins' names; the first begins with heads."""
    head: list[Sequence[object]] = [("event_id", "timestamp", *log.keys, "admin_name")]
    for rows in slices:
        names = display_names(row["admin_id"] for row in rows)
        yield head + [
            (
                row["event_id"],
                iso(int(str(row["ns"]))),
                *(row[key] for key in log.keys),
                names.get(str(row["admin_id"]), ""),
            )
            for row in rows
        ]
        head = []


def _header(column: Column, query: QueryDict, filters: Filters | None) -> Header:
    if filters is None or not (column.order or column.name == "time"):
        return Header(column.title, column.css)
    if column.name != filters.sort:
        # Time is first wanted newest first, everything else from A to Z.
        first = "-time" if column.name == "time" else column.name
        return Header(column.title, column.css, link(query, sort=first))
    other = column.name if filters.descending else f"-{column.name}"
    order = "descending" if filters.descending else "ascending"
    return Header(column.title, column.css, link(query, sort=other), order)


def _filter_link(column: Column, query: QueryDict, page: str) -> FilterLink:
    return lambda value: f"{page}{link(query, **{column.name: value})}" if column.is_filter else ""
