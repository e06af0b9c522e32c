from __future__ import annotations

from django.template import Context, RequestContext, Template
from django.test import RequestFactory


def test_the_token_survives_an_include_that_shuts_the_context_out() -> None:
    inner = Template("{% load otel_intel %}<b {% track_explanation_expand signal %}>")
    outer = Template("{% include inner with signal=1 only %}")
    html = outer.render(RequestContext(RequestFactory().get("/"), {"inner": inner}))
    assert 'data-otel-intel-csrf=""' not in html


def test_the_tag_renders_escaped_data_attributes() -> None:
    template = Template("{% load otel_intel %}<button {% track_explanation_expand signal %}>Why?</button>")
    html = template.render(Context({"signal": 'a"b', "csrf_token": "token"}))
    assert html == (
        '<button data-otel-intel-csrf="token" data-otel-intel-event="intel.explanation.expanded" '
        'data-otel-intel-signal="a&quot;b" data-otel-intel-url="/telemetry/click/">Why?</button>'
    )
