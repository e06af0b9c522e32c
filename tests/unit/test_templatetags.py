from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.template import Context, Template
from django.test import override_settings

from otel_intel import Telemetry


def test_the_tag_renders_escaped_data_attributes() -> None:
    template = Template(
        "{% load otel_intel %}<button {% track_explanation_expand signal engine_version=v %}>Why?</button>"
    )
    html = template.render(Context({"signal": 'a"b', "v": "<1.4>"}))
    assert html == (
        '<button data-otel-intel-csrf="same-origin" data-otel-intel-engine-version="&lt;1.4&gt;" '
        'data-otel-intel-event="intel.explanation.expanded" '
        'data-otel-intel-signal="a&quot;b" data-otel-intel-url="/telemetry/click/">Why?</button>'
    )


def test_without_a_version_it_is_the_engines_of_now() -> None:
    html = Template("{% load otel_intel %}<b {% track_explanation_expand 1 %}>").render(Context())
    assert "version" not in html


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


class Signal:
    def __str__(self) -> str:
        return "a customer's name"


@pytest.mark.parametrize("signal", [Signal(), "", None, Exception])
def test_what_is_no_id_does_not_leave_the_page(signal: object, monkeypatch: pytest.MonkeyPatch) -> None:
    lost: list[object] = []
    monkeypatch.setattr(Telemetry, "refuse", lambda self, event, reason, error: lost.append(reason))
    template = Template("{% load otel_intel %}<b {% track_explanation_expand signal %}>")
    assert template.render(Context({"signal": signal})) == "<b >"
    assert lost == ["invalid"]
    with override_settings(DEBUG=True), pytest.raises(ImproperlyConfigured, match="the signal's id must"):
        template.render(Context({"signal": signal}))
