"""``{% load otel_intel %}``: mark elements whose clicks are reported as events."""

from __future__ import annotations

from django import template
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.forms.utils import flatatt
from django.middleware.csrf import get_token
from django.template import Context
from django.urls import NoReverseMatch, reverse
from django.utils.safestring import SafeString, mark_safe

from otel_intel.events import EXPLANATION_EXPANDED

register = template.Library()


@register.simple_tag(takes_context=True)
def track_explanation_expand(context: Context, signal_id: object) -> SafeString:
    """Render the attributes of an element that unfolds a signal's explanation: a button, link or <details>.

    The page also needs ``<script src="{% static 'otel_intel/otel_intel.js' %}" defer></script>``.
    """
    # Inside {% include … only %} the context has no csrf_token, but it still has the request.
    request = getattr(context, "request", None)
    token = context.get("csrf_token") or (get_token(request) if request else "")
    try:
        url = reverse("telemetry-click")
    except NoReverseMatch:
        if settings.DEBUG:
            missing = "path('telemetry/', include('otel_intel.urls'))"
            raise ImproperlyConfigured(f"{{% track_explanation_expand %}} reports to {missing}: add it.") from None
        return mark_safe("")  # a page must never fail because of telemetry
    attributes = {
        "data-otel-intel-event": EXPLANATION_EXPANDED.name,
        "data-otel-intel-signal": str(signal_id),
        "data-otel-intel-url": url,
        # The token is in the page because the cookie may be HttpOnly or absent (CSRF_USE_SESSIONS).
        "data-otel-intel-csrf": str(token),
    }
    return mark_safe(flatatt(attributes).strip())  # noqa: S308 (flatatt escapes)
