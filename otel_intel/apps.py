"""The Django application."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.signals import setting_changed


class OtelIntelConfig(AppConfig):
    """Register the system checks and, on request, the tracing of requests."""

    name = "otel_intel"
    verbose_name = "otel_intel"

    def ready(self) -> None:
        """Register the checks; threads and connections start with the first event, because a fork would break them."""
        from . import checks  # noqa: F401 (registers them)
        from .conf import get_settings, is_under_test
        from .delivery.endings import follow_signals
        from .exceptions import ConfigurationError

        setting_changed.connect(_forget_settings, dispatch_uid="otel_intel")
        try:
            settings = get_settings()
        except ConfigurationError:
            return  # the system checks report it
        if not settings.ENABLED or (is_under_test() and not settings.SEND_IN_TESTS):
            return
        # Here, because the first event may come from a thread, which may not set handlers of signals.
        follow_signals()
        if settings.TRACES:
            from .delivery.spans import instrument_django

            instrument_django()


def _forget_settings(*, setting: str, **kwargs: object) -> None:
    if setting == "OTEL_INTEL":
        from .telemetry import get_telemetry

        get_telemetry().forget_settings()
