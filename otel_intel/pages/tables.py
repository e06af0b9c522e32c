"""Tables, for pages and for downloads."""

from __future__ import annotations

import csv
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.timezone import localdate

from .format import NONE

# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")  # noqa: RUF001 (full-width signs start formulas too)
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Args:
        value: The value in a download.
        text: The text on the page; if empty, the value is shown.
        kind: The CSS class.
        url: The target of the text's link.
        title: A longer form of the text, as a tooltip.
    """

    value: object
    text: str = ""
    kind: str = ""
    url: str = ""
    title: str = ""

    @property
    def shown(self) -> str:
        """The text on the page."""
        return self.text or (NONE if self.value is None else str(self.value))


@dataclass(frozen=True, slots=True)
class Header:
    """The head of a column.

    Args:
        title: Its text.
        kind: The CSS class of the column.
        url: The link that sorts by the column.
        order: "ascending" or "descending" if the table is sorted by the column.
    """

    title: str
    kind: str = ""
    url: str = ""
    order: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    Args:
        name: Its name in ``?csv=`` and in the file name.
        caption: Its caption.
        columns: The heads of its columns.
        rows: Its cells; the first cell of a row is the row's head.
        csv_url: The URL of its download.
        empty: The text to show if there are no rows.
    """

    name: str
    caption: str
    columns: Sequence[Header]
    rows: Sequence[Sequence[Cell]]
    csv_url: str = ""
    empty: str = "Nothing in this range."

    def lines(self) -> Iterator[Sequence[object]]:
        """Yield the lines of the table's download, the heads first."""
        yield [column.title for column in self.columns]
        for row in self.rows:
            yield [cell.value for cell in row]


class _Echo:
    def write(self, line: str) -> str:
        return line


def csv_response(
    request: HttpRequest, name: str, slices: Iterable[Iterable[Sequence[object]]]
) -> StreamingHttpResponse:
    """Stream a download slice by slice; turn cells that a spreadsheet would run as a formula into text.

    The first slice is read at once, so that its errors still become an error page. An error in a later
    slice ends the download, after a line that says so.
    """
    rest = iter(slices)
    first = _text(next(rest, ()))

    def body() -> Iterator[str]:
        # Without this byte order mark, Excel reads the file in its regional encoding.
        yield "\ufeff" + first
        try:
            for lines in rest:
                if part := _text(lines):
                    yield part
        except Exception:
            yield "INCOMPLETE: the download was broken off\r\n"
            raise

    async def async_body() -> AsyncIterator[str]:
        parts = body()
        while part := await sync_to_async(lambda: next(parts, ""))():
            yield part

    response = StreamingHttpResponse(
        # Under ASGI, Django would read a sync iterator to its end before it sends anything.
        async_body() if isinstance(request, ASGIRequest) else body(),
        content_type="text/csv; charset=utf-8",
    )
    response["Content-Disposition"] = f'attachment; filename="{name}-{localdate()}.csv"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _text(lines: Iterable[Sequence[object]]) -> str:
    writer = csv.writer(_Echo())
    return "".join(writer.writerow([_safe(value) for value in line]) for line in lines)


def _safe(value: object) -> object:
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value
