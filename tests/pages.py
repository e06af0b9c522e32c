"""Get staff pages and downloads as a browser does."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from typing import cast

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import Client
from django.urls import reverse


def page_text(client: Client, name: str, **query: str) -> str:
    """Return a page."""
    response = client.get(reverse(name), query)
    assert response.status_code == 200
    return response.content.decode()


def page_csv(client: Client, name: str, **query: str) -> list[dict[str, str]]:
    """Return a download."""
    response = client.get(reverse(name), query)
    assert response.status_code == 200
    body = b"".join(cast(Iterator[bytes], cast(StreamingHttpResponse, response).streaming_content))
    return list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"), newline="")))


def log_cells(html: str) -> list[list[str]]:
    """Return the texts of the log's rows on a page; none without a table."""
    log = html[html.index('id="log"') :]
    rows = re.findall(r"<tr>(.*?)</tr>", log, re.S)[1:]
    return [
        [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<t[dh].*?</t[dh]>", row, re.S)] for row in rows
    ]


def strict_csp(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware of a site that allows no inline code and no content from other sites."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response["Content-Security-Policy"] = "default-src 'self'"
        return response

    return middleware
