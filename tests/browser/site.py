"""Pages with elements that report clicks, under a strict Content-Security-Policy."""

from __future__ import annotations

from django.contrib.admin.views.decorators import staff_member_required
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import include, path

from otel_intel import track_dashboard_open

PAGE = """{% load otel_intel static %}<!doctype html><html lang="en"><head><title>Signal</title>
<link rel="icon" href="data:,">
<script src="{% static 'otel_intel/otel_intel.js' %}" defer></script>
<script src="{% static 'risk/htmx.min.js' %}" defer></script>
<meta name="htmx-config" content='{"includeIndicatorStyles": false}'></head><body>
<button id="htmx" hx-get="/panel/" hx-target="#panel" {% track_explanation_expand "htmx" %}><b>Why?</b></button>
<div id="panel"></div>
<details id="details" {% track_explanation_expand "details" %}><summary>Why?</summary>Because.</details>
<details><summary id="summary" {% track_explanation_expand "summary" %}>Why?</summary>Because.</details>
<details open id="open" {% track_explanation_expand "open" %}><summary>Why?</summary>Because.</details>
<details id="found" {% track_explanation_expand "found" %}><summary>Why?</summary><p id="needle">Needle</p></details>
<details id="outer" {% track_explanation_expand "outer" %}><summary>Why?</summary>
<details><summary id="inner">More</summary>Because.</details></details>
<button id="versioned" {% track_explanation_expand "versioned" engine_version="1.4" %}>Why?</button>
<a id="boosted" hx-boost="true" href="/page/">Reload</a>
<details id="linked" {% track_explanation_expand "linked" %}>
<summary>Why? <a id="inside" href="#needle">More</a></summary></details>
<a id="away" href="/page/?away">Away</a>
<button id="collapsible" aria-expanded="true" {% track_explanation_expand "collapsible" %}>Less</button>
<a id="link" href="/page/" {% track_explanation_expand "link" %}>Why?</a>
<p id="plain">Nothing to report here.</p>
</body></html>"""


def page(request: HttpRequest) -> HttpResponse:
    """Serve the page."""
    response = HttpResponse(engines["django"].from_string(PAGE).render({}, request))
    response.headers["Content-Security-Policy"] = "default-src 'self'; img-src data:"
    return response


def panel(request: HttpRequest) -> HttpResponse:
    """Serve the element that htmx puts into the page; it also reports its clicks."""
    html = '{% load otel_intel %}<button id="later" {% track_explanation_expand "later" %}>More</button>'
    return HttpResponse(engines["django"].from_string(html).render({}, request))


SPECULATING = """<!doctype html><html lang="en"><head><title>Speculating</title><link rel="icon" href="data:,">
<link rel="prefetch" href="/counted/?by=link">
<script type="speculationrules">{"prerender": [{"urls": ["/counted/?by=rules"], "eagerness": "immediate"}]}</script>
</head><body><a id="open" href="/counted/?by=click">Open</a></body></html>"""
asked: list[str] = []


def speculating(request: HttpRequest) -> HttpResponse:
    """Serve a page that lets the browser load others in advance."""
    return HttpResponse(SPECULATING)


@staff_member_required
@track_dashboard_open
def counted(request: HttpRequest) -> HttpResponse:
    """Serve a page whose openings are counted."""
    asked.append(request.GET["by"])
    return HttpResponse('<!doctype html><html lang="en"><title>Counted</title><link rel="icon" href="data:,"></html>')


urlpatterns = [
    path("speculating/", speculating),
    path("counted/", counted),
    path("page/", page),
    path("panel/", panel),
    path("telemetry/", include("otel_intel.urls")),
]
