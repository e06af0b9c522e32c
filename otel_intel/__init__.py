"""Staff decisions about recommendations become OpenTelemetry events, and the events become numbers."""

from __future__ import annotations

from .decorators import (
    Recommendation,
    track_admin_note_create,
    track_dashboard_open,
    track_explanation_expand,
    track_recommendation_view,
    track_signal_detail_open,
)
from .exceptions import ConfigurationError, InvalidEventError, OtelIntelError, TelemetryUnavailable
from .telemetry import Telemetry, get_telemetry

__all__ = [
    "ConfigurationError",
    "InvalidEventError",
    "OtelIntelError",
    "Recommendation",
    "Telemetry",
    "TelemetryUnavailable",
    "get_telemetry",
    "track_admin_note_create",
    "track_dashboard_open",
    "track_explanation_expand",
    "track_recommendation_view",
    "track_signal_detail_open",
]
