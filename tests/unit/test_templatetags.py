from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.template import Context, RequestContext, Template
from django.test import RequestFactory, override_settings


def test_the_token_is_there_in_an_include_with_only() -> None:
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


@override_settings(ROOT_URLCONF="tests.unit.test_templatetags")
def test_without_its_urls_the_tag_renders_nothing() -> None:
    template = Template("{% load otel_intel %}<b {% track_explanation_expand 1 %}>")
    assert template.render(Context()) == "<b >"


@override_settings(ROOT_URLCONF="tests.unit.test_templatetags", DEBUG=True)
def test_without_its_urls_the_tag_says_so_to_a_developer() -> None:
    template = Template("{% load otel_intel %}<b {% track_explanation_expand 1 %}>")
    with pytest.raises(ImproperlyConfigured, match=r"include\('otel_intel.urls'\)"):
        template.render(Context())


urlpatterns: list[object] = []
