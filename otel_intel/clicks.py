"""Receive clicks that the browser reports: a user unfolded an explanation that the page already contained."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.http import is_same_domain
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from . import events
from .exceptions import InvalidEventError
from .site import is_staff
from .telemetry import get_telemetry

CLICKABLE: Final = {event.name: event for event in (events.EXPLANATION_EXPANDED,)}


@require_POST
@csrf_exempt  # by is_from_this_site: a token is wrong in a tab that is older than the log-in, and in a cached fragment
def track_click(request: HttpRequest) -> HttpResponse:
    """Track a click that static/otel_intel/otel_intel.js reports; only for staff, and only from pages of this site.

    Answers 204; or 400 or 403 with the reason in plain text, and counts the click as lost.
    """
    event = CLICKABLE.get(request.POST.get("event", ""))
    if not is_from_this_site(request):
        return _refuse(event, "refused_click", 403, "Only from pages of this site.")
    user = request.user
    if not user.is_authenticated:
        return _refuse(event, "no_admin", 403, "Staff only.")
    if not is_staff(user):
        return _refuse(event, "not_staff", 403, "Staff only.")
    if event is None:
        return _refuse(event, "refused_click", 400, "Unknown event.")
    values = {"admin_user_id": user.pk, "risk_signal_id": request.POST.get("signal", "")}
    engine_version = request.POST.get("engine_version") or None
    try:
        event.clean(event.arguments(values))
        if engine_version is not None:
            events.ENGINE_VERSION.clean(engine_version)
    except (InvalidEventError, ValueError) as error:
        return _refuse(event, "refused_click", 400, str(error))
    get_telemetry().record(event, values, engine_version)
    return HttpResponse(status=204)


def is_from_this_site(request: HttpRequest) -> bool:
    """Tell whether a POST comes from a page of this site, or from no browser at all.

    Every browser says it by Sec-Fetch-Site over HTTPS, and by Origin otherwise: https://words.filippo.io/csrf/
    """
    origin = urlsplit(request.headers.get("Origin") or request.headers.get("Referer") or "")
    for trusted in map(urlsplit, settings.CSRF_TRUSTED_ORIGINS):
        if origin.scheme == trusted.scheme and is_same_domain(origin.netloc, trusted.netloc.lstrip("*")):
            return True
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    return origin.geturl() == "" or origin.netloc == request.get_host()


def _refuse(event: events.Event | None, reason: events.Reason, status: int, text: str) -> HttpResponse:
    """Count a click as lost, an unknown one as the only event that can be clicked, and answer why."""
    get_telemetry().refuse(event or events.EXPLANATION_EXPANDED, reason)
    return HttpResponse(text, status=status, content_type="text/plain")
