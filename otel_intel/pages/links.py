"""Every link of the staff pages: the page's own with another query string, another page's, a request's."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse

TRACE_ID: Final = re.compile(r"(?!0{32})[0-9a-f]{32}")


def link(query: QueryDict, **changes: str) -> str:
    """Return the page's own address with another query string: '' removes a parameter, pages start anew."""
    changed = query.copy()
    for name, value in {"after": "", "before": "", "csv": "", **changes}.items():
        changed.pop(name, None)
        if value:
            changed[name] = value
    return f"?{changed.urlencode()}"


def page_link(url_name: str, **query: str) -> str:
    """Return the address of a page."""
    return f"{reverse(url_name)}?{urlencode(query)}" if query else reverse(url_name)


def trace_link(trace_id: str, nanoseconds: int) -> str:
    """Return the address of a request's page, '' for what is no trace id; the time bounds the search there."""
    if not TRACE_ID.fullmatch(trace_id):
        return ""
    return f"{reverse('telemetry-trace', args=[trace_id])}?{urlencode({'at': nanoseconds})}"
