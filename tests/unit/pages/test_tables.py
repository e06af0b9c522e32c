from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterator
from typing import cast

import pytest
from asgiref.sync import async_to_sync
from django.http import StreamingHttpResponse
from django.test import AsyncRequestFactory, RequestFactory

from otel_intel.pages.format import NONE
from otel_intel.pages.tables import Cell, Header, Table, csv_response

BOM = "\ufeff"


def _content(response: StreamingHttpResponse) -> Iterator[bytes]:
    content = response.streaming_content
    assert isinstance(content, Iterator)
    return content


def _download(slices: list[list[list[object]]]) -> list[list[str]]:
    response = csv_response(RequestFactory().get("/"), "name", slices)
    body = b"".join(_content(response)).decode()
    assert body.startswith(BOM)
    return list(csv.reader(io.StringIO(body.removeprefix(BOM), newline="")))


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "-", "=1\n2"])  # noqa: RUF001
def test_no_text_is_a_formula(text: str) -> None:
    assert _download([[[text]]]) == [[f"'{text}"]]


@pytest.mark.parametrize("value", ["-5", "-5.25", "7", "plain", "a=b", -6, 0.5, "", 'quote " and, comma\nand line'])
def test_all_other_values_stay_unchanged(value: object) -> None:
    assert _download([[[value, "end"]]]) == [[str(value), "end"]]


def test_none_is_an_empty_cell() -> None:
    assert _download([[[None, 1]]]) == [["", "1"]]


def test_slices_are_read_only_when_they_are_sent() -> None:
    read = []

    def slices() -> Iterator[list[list[object]]]:
        for number in range(3):
            read.append(number)
            yield [[number]]

    response = csv_response(RequestFactory().get("/"), "name", slices())
    assert read == [0]
    parts = _content(response)
    next(parts)
    assert read == [0]
    next(parts)
    assert read == [0, 1]


def test_the_first_slice_may_fail_before_the_answer_begins() -> None:
    def slices() -> Iterator[list[list[object]]]:
        raise LookupError
        yield []

    with pytest.raises(LookupError):
        csv_response(RequestFactory().get("/"), "name", slices())


def test_a_download_that_breaks_off_says_so() -> None:
    def slices() -> Iterator[list[list[object]]]:
        yield [["a"]]
        raise LookupError

    parts = _content(csv_response(RequestFactory().get("/"), "name", slices()))
    assert next(parts).decode() == f"{BOM}a\r\n"
    assert next(parts).startswith(b"INCOMPLETE")
    with pytest.raises(LookupError):
        next(parts)


def test_under_asgi_the_slices_stream_as_well() -> None:
    response = csv_response(AsyncRequestFactory().get("/"), "name", [[["a"]], [], [["b"]]])

    async def read(response: StreamingHttpResponse) -> list[bytes]:
        return [part async for part in cast(AsyncIterator[bytes], response.streaming_content)]

    assert async_to_sync(read)(response) == [f"{BOM}a\r\n".encode(), b"b\r\n"]


def test_a_download_is_a_file_with_a_name() -> None:
    response = csv_response(RequestFactory().get("/"), "top-admins", [])
    assert response["Content-Disposition"].startswith('attachment; filename="top-admins-20')
    assert response["Content-Type"] == "text/csv; charset=utf-8"


def test_a_table_downloads_values_and_shows_texts() -> None:
    table = Table("name", "caption", [Header("Rate")], [[Cell(0.5, "50.0 %")], [Cell(None)]])
    assert list(table.lines()) == [["Rate"], [0.5], [None]]
    assert [row[0].shown for row in table.rows] == ["50.0 %", NONE]
