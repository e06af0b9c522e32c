"""What otel_intel raises."""

from __future__ import annotations


class OtelIntelError(Exception):
    """Base of every error of otel_intel."""


class InvalidEventError(OtelIntelError, ValueError):
    """An event does not fit the catalogue: raised under pytest, counted as ``invalid`` in production."""


class ConfigurationError(OtelIntelError):
    """A setting cannot work; the message names the setting and the fix."""


class TelemetryUnavailable(OtelIntelError):
    """ClickHouse cannot answer, or not in time; the message says why."""
