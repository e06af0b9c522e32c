"""Staff decisions about recommendations become OpenTelemetry events, and the events become numbers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .exceptions import ConfigurationError, InvalidEventError, OtelIntelError, TelemetryUnavailable
from .telemetry import Telemetry, get_telemetry

if TYPE_CHECKING:
    from .decorators import (
        track_admin_note_create,
        track_dashboard_open,
        track_explanation_expand,
        track_recommendation_view,
        track_signal_detail_open,
    )

__all__ = [
    "ConfigurationError",
    "InvalidEventError",
    "OtelIntelError",
    "Telemetry",
    "TelemetryUnavailable",
    "get_telemetry",
    "track_admin_note_create",
    "track_dashboard_open",
    "track_explanation_expand",
    "track_recommendation_view",
    "track_signal_detail_open",
]


def __getattr__(name: str) -> object:
    # The decorators import Django; helpers and metrics work without it.
    if name in __all__:
        return getattr(import_module(".decorators", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
