"""What the browser reports: an explanation was unfolded on a page that held it already."""

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

    Answers 204, or 400 with the reason, 403 to anybody else; a login page would be of no use to a script.
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
