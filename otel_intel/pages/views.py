"""The staff pages: overview, the three logs with their charts, and the request behind an event."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, TypeVar, cast

from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from otel_intel.conf import get_settings
from otel_intel.exceptions import OtelIntelError
from otel_intel.reading.days import time_zone
from otel_intel.reading.reader import Reader
from otel_intel.site import is_staff, log_in_url

from . import keyset
from .activity import activity_context
from .charts import Chart
from .context import Context
from .filters import Filters
from .forms import read_filters
from .links import TRACE_ID
from .log_page import log_context
from .log_tables import log_lines
from .logs import EVENTS, OUTCOMES, VIEWS, Log
from .outcomes import outcomes_context
from .overview import overview_context
from .tables import Table, csv_response
from .trace import trace_context

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.auth.models import AnonymousUser

logger = logging.getLogger("otel_intel")
View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def staff_page(view: View) -> View:
    """Show a page to staff only (with OTEL_INTEL['VIEW_PERMISSION'] if set); say so when ClickHouse cannot answer."""

    @never_cache
    @require_safe
    @wraps(view)
    def page(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        user = request.user
        if not user.is_authenticated:
            return redirect_to_login(request.get_full_path(), log_in_url())
        try:
            permission = get_settings().VIEW_PERMISSION
            if not _may_see(user, permission):
                return render(request, "otel_intel/forbidden.html", {"permission": permission}, status=403)
            with timezone.override(time_zone()):
                return view(request, *args, **kwargs)
        except OtelIntelError as error:
            logger.warning("No staff page: %s", error)
            return render(request, "otel_intel/unavailable.html", {"reason": str(error)}, status=503)

    return cast(View, page)


def _may_see(user: AbstractBaseUser | AnonymousUser, permission: str) -> bool:
    """Tell whether a user is staff, and has a permission if one is asked for; a user model may have neither."""
    if not user.is_active or not is_staff(user):
        return False
    return not permission or bool(getattr(user, "has_perm", lambda name: False)(permission))


@staff_page
def dashboard(request: HttpRequest) -> HttpResponseBase:
    """Show the five metrics, their trends, the engine versions and the latest events."""
    return _page(request, "overview", overview_context(Reader(), timezone.localdate()))


@staff_page
def recommendation_events(request: HttpRequest) -> HttpResponseBase:
    """Show the log of recommendations viewed, accepted, ignored and overridden."""
    return _log_page(request, "events", EVENTS)


@staff_page
def outcome_snapshots(request: HttpRequest) -> HttpResponseBase:
    """Show how risk signals ended, how long that took, and the log of outcomes."""
    return _log_page(request, "outcomes", OUTCOMES, outcomes_context)


@staff_page
def view_telemetry(request: HttpRequest) -> HttpResponseBase:
    """Show who looks at what and when, and the log of views."""
    return _log_page(request, "activity", VIEWS, activity_context)


@staff_page
def trace(request: HttpRequest, trace_id: str) -> HttpResponseBase:
    """Show the request that an event belongs to: its spans and its events."""
    if not TRACE_ID.fullmatch(trace_id):
        raise Http404("A trace id is 32 hexadecimal digits.")
    at = request.GET.get("at", "")
    is_time = re.fullmatch(r"[1-4]\d{18}", at, re.ASCII)
    return _page(request, "trace", trace_context(Reader(), trace_id, int(at) if is_time else None))


def _log_page(
    request: HttpRequest,
    page: str,
    log: Log,
    summaries: Callable[[Reader, Filters, QueryDict], Context] = lambda *_: Context(),
) -> HttpResponseBase:
    filters = read_filters(request.GET, log)
    if request.GET.get("csv") == log.name:
        slices = keyset.slices(log, replace(filters, cursor=None))
        return csv_response(request, log.name, log_lines(log, slices))
    reader = Reader()
    of_log = log_context(reader, log, filters, request.GET)
    return _page(request, page, of_log, summaries(reader, filters, request.GET))


def _page(request: HttpRequest, page: str, *contexts: Context) -> HttpResponseBase:
    """Answer with a page (named like its template) or with the download of one of its tables."""
    variables = {name: value for context in contexts for name, value in context.variables().items()}
    wanted = request.GET.get("csv")
    if not wanted:
        return render(request, f"otel_intel/{page}.html", {"page": page, **variables})
    for value in variables.values():
        for part in value if isinstance(value, list) else [value]:
            table = part.table if isinstance(part, Chart) else part
            if isinstance(table, Table) and table.name == wanted:
                return csv_response(request, table.name, [table.lines()])
    raise Http404("There is no such table on this page.")
