"""Receive clicks that the browser reports: a user unfolded an explanation that the page already contained."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST

from . import events
from .exceptions import InvalidEventError
from .telemetry import get_telemetry

CLICKABLE = {event.name: event for event in (events.EXPLANATION_EXPANDED,)}


@require_POST
@csrf_protect
def track_click(request: HttpRequest) -> HttpResponse:
    """Track a click that static/otel_intel/otel_intel.js reports; staff only, protected against CSRF.

    Answers 204, or 400 with the reason. Others than staff get 403: a script cannot use a login page.
    """
    user = request.user
    if not (user.is_authenticated and user.is_staff):
        return HttpResponse("Staff only.", status=403, content_type="text/plain")
    event = CLICKABLE.get(request.POST.get("event", ""))
    values = {"admin_user_id": user.pk, "risk_signal_id": request.POST.get("signal", "")}
    if event is None:
        return HttpResponse("Unknown event.", status=400, content_type="text/plain")
    try:
        event.clean(event.arguments(values))
    except InvalidEventError as error:
        return HttpResponse(str(error), status=400, content_type="text/plain")
    get_telemetry().record(event, values)
    return HttpResponse(status=204)
