from __future__ import annotations

from django.template import Context, Template


def test_the_tag_renders_escaped_data_attributes() -> None:
    template = Template("{% load otel_intel %}<button {% track_explanation_expand signal %}>Why?</button>")
    html = template.render(Context({"signal": 'a"b', "csrf_token": "token"}))
    assert html == (
        '<button data-otel-intel-csrf="token" data-otel-intel-event="intel.explanation.expanded" '
        'data-otel-intel-signal="a&quot;b" data-otel-intel-url="/telemetry/click/">Why?</button>'
    )
