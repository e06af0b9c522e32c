"""``{% load otel_intel %}``: mark elements whose clicks are reported as events."""

from __future__ import annotations

from django import template
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.forms.utils import flatatt
from django.urls import NoReverseMatch, reverse
from django.utils.safestring import SafeString, mark_safe

from otel_intel.events import EXPLANATION_EXPANDED
from otel_intel.telemetry import get_telemetry
from otel_intel.values import identifier

register = template.Library()


@register.simple_tag
def track_explanation_expand(signal_id: object, engine_version: object = "") -> SafeString:
    """Render the attributes of an element that unfolds a signal's explanation: a button, link or <details>.

    They are the same for every user, so they may be cached. ``engine_version`` is the version that made this
    recommendation. The page also needs ``<script src="{% static 'otel_intel/otel_intel.js' %}" defer></script>``.
    """
    try:
        url = reverse("telemetry-click")
    except NoReverseMatch:
        if settings.DEBUG:
            missing = "path('telemetry/', include('otel_intel.urls'))"
            raise ImproperlyConfigured(f"{{% track_explanation_expand %}} reports to {missing}: add it.") from None
        return mark_safe("")  # a page must never fail because of telemetry
    try:
        signal = identifier(signal_id)
    except Exception as error:
        if settings.DEBUG:
            raise ImproperlyConfigured(f"{{% track_explanation_expand %}}: the signal's id {error}.") from error
        get_telemetry().refuse(EXPLANATION_EXPANDED, "invalid", error)
        return mark_safe("")
    attributes = {
        "data-otel-intel-event": EXPLANATION_EXPANDED.name,
        "data-otel-intel-signal": signal,
        "data-otel-intel-url": url,
        # Of fetch(): no token, which would be one user's and one log-in's. The server asks where the click comes from.
        "data-otel-intel-csrf": "same-origin",
    }
    if engine_version:
        attributes["data-otel-intel-engine-version"] = str(engine_version)
    return mark_safe(flatatt(attributes).strip())  # noqa: S308 (flatatt escapes)
