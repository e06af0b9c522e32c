"""Uses of the public API that mypy must accept, with the types that they must have."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import assert_type
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.views import View

from otel_intel import (
    Telemetry,
    get_telemetry,
    track_admin_note_create,
    track_dashboard_open,
    track_recommendation_view,
    track_signal_detail_open,
)
from otel_intel.testing import CapturedEvent, capture_events

telemetry = get_telemetry()
assert_type(telemetry, Telemetry)

telemetry.track_recommendation_view(1, "42", "EXPIRING_SOON", "HIGH", engine_version="2", timestamp=datetime.now(UTC))
telemetry.track_recommendation_accept(UUID(int=1), 42, "EXPIRING_SOON", "HIGH", 450)
telemetry.track_signal_outcome(1, "RESOLVED", 1.5, 5, 42)
telemetry.track_dashboard_open(b"42")  # type: ignore[arg-type]
telemetry.track_signal_outcome("RESOLVED")  # type: ignore[call-arg]

assert_type(telemetry.get_recommendation_acceptance_rate(days=7)["acceptance_rate"], float)
assert_type(telemetry.get_average_decision_time(engine_version="2")["average_ms"], float | None)
assert_type(telemetry.get_outcome_distribution()["counts"], dict[str, int])
assert_type(telemetry.flush(), bool)
assert_type(telemetry.status()["queued"], int)


@track_dashboard_open
def dashboard(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


@track_signal_detail_open(signal="pk")
async def detail(request: HttpRequest, pk: int) -> HttpResponse:
    return HttpResponse()


@track_recommendation_view(recommendation=lambda request, response: ("EXPIRING_SOON", "LOW"))
class Detail(View):
    @track_admin_note_create()
    def post(self, request: HttpRequest, signal_id: int) -> HttpResponse:
        return HttpResponse()


assert_type(dashboard(HttpRequest()), HttpResponse)
Detail.as_view()

with capture_events() as events:
    assert_type(events.only("intel.dashboard.opened"), CapturedEvent)
