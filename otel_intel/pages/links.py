"""Links of the staff pages: to the same page with another query string, to another page, or to a request."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse

TRACE_ID: Final = re.compile(r"(?!0{32})[0-9a-f]{32}")


def link(query: QueryDict, **changes: str) -> str:
    """Return the page's own address with a changed query string, at its first page; '' removes a parameter."""
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
    """Return the address of a request's page, or '' if the trace id is invalid; the time limits the search there."""
    if not TRACE_ID.fullmatch(trace_id):
        return ""
    return f"{reverse('telemetry-trace', args=[trace_id])}?{urlencode({'at': nanoseconds})}"
