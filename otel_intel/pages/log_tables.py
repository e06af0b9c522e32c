"""Rows of a log as a table: with names and links on the page, with all columns in a download."""

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
        log: The log of the rows.
        rows: As ``keyset.page`` returns them.
        caption: The table's caption.
        query: ``request.GET``; links keep the filters in it.
        filters: Their order; None for a table without links that sort.
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
    """Yield a download's lines slice by slice, heads first, with all columns and the admins' names."""
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
        # The first click sorts time with the newest first, every other column from A to Z.
        first = "-time" if column.name == "time" else column.name
        return Header(column.title, column.css, link(query, sort=first))
    other = column.name if filters.descending else f"-{column.name}"
    order = "descending" if filters.descending else "ascending"
    return Header(column.title, column.css, link(query, sort=other), order)


def _filter_link(column: Column, query: QueryDict, page: str) -> FilterLink:
    return lambda value: f"{page}{link(query, **{column.name: value})}" if column.is_filter else ""
