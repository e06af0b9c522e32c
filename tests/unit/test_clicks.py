from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings
from django.urls import reverse

from otel_intel import Telemetry
from otel_intel.testing import CapturedEvents

pytestmark = pytest.mark.django_db

CLICK = {"event": "intel.explanation.expanded", "signal": "7"}


@pytest.fixture
def admin() -> User:
    return User.objects.create_user("admin", is_staff=True)


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The reasons for which clicks were counted as lost."""
    reasons: list[str] = []
    monkeypatch.setattr(Telemetry, "refuse", lambda self, event, reason, error=None: reasons.append(reason))
    return reasons


def test_a_click_of_staff_is_an_event(client: Client, admin: User, otel_intel_events: CapturedEvents) -> None:
    client.force_login(admin)
    assert client.post(reverse("telemetry-click"), CLICK).status_code == 204
    assert otel_intel_events.only("intel.explanation.expanded").attributes == {
        "intel.admin.id": str(admin.pk),
        "intel.risk_signal.id": "7",
        "intel.engine.version": "test-1",
    }


def test_anonymous_visitors_are_refused(client: Client, otel_intel_events: CapturedEvents, lost: list[str]) -> None:
    assert client.post(reverse("telemetry-click"), CLICK).status_code == 403
    assert not otel_intel_events
    assert lost == ["no_admin"]


def test_users_who_are_not_staff_are_refused(
    client: Client, otel_intel_events: CapturedEvents, lost: list[str]
) -> None:
    client.force_login(User.objects.create_user("visitor"))
    assert client.post(reverse("telemetry-click"), CLICK).status_code == 403
    assert not otel_intel_events
    assert lost == ["not_staff"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Referer": "https://evil.example/testserver"},
        {"Origin": "http://trusted.example"},
        {"Origin": "https://evilwild.example"},
    ],
    ids=str,
)
@override_settings(CSRF_TRUSTED_ORIGINS=["https://trusted.example", "https://*.wild.example"])
def test_a_click_from_another_site_is_refused_and_counted(
    headers: dict[str, str], client: Client, admin: User, otel_intel_events: CapturedEvents, lost: list[str]
) -> None:
    client.force_login(admin)
    assert client.post(reverse("telemetry-click"), CLICK, headers=headers).status_code == 403
    assert not otel_intel_events
    assert lost == ["refused_click"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://behind-a-proxy"},
        {"Origin": "http://testserver"},
        {"Referer": "http://testserver/page/"},
        {"Sec-Fetch-Site": "same-site", "Origin": "https://trusted.example"},
        {"Sec-Fetch-Site": "same-site", "Origin": "https://a.b.wild.example"},
        {"Referer": "https://trusted.example/page/"},
    ],
    ids=str,
)
@override_settings(CSRF_TRUSTED_ORIGINS=["https://trusted.example", "https://*.wild.example"])
def test_a_click_from_this_site_needs_no_token(
    headers: dict[str, str], admin: User, otel_intel_events: CapturedEvents
) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin)
    assert client.post(reverse("telemetry-click"), CLICK, headers=headers).status_code == 204
    assert len(otel_intel_events) == 1


def test_a_click_names_the_version_that_made_the_recommendation(
    client: Client, admin: User, otel_intel_events: CapturedEvents
) -> None:
    client.force_login(admin)
    client.post(reverse("telemetry-click"), {**CLICK, "engine_version": "1.4"})
    assert otel_intel_events.only("intel.explanation.expanded").attributes["intel.engine.version"] == "1.4"


def test_get_is_not_a_click(client: Client, admin: User) -> None:
    client.force_login(admin)
    assert client.get(reverse("telemetry-click")).status_code == 405


@pytest.mark.parametrize(
    "click",
    [
        {},
        {**CLICK, "event": "intel.recommendation.accepted"},
        {**CLICK, "signal": ""},
        {**CLICK, "signal": "\n"},
        {**CLICK, "engine_version": "x" * 201},
    ],
)
def test_nothing_else_can_be_reported(
    click: dict[str, str], client: Client, admin: User, otel_intel_events: CapturedEvents, lost: list[str]
) -> None:
    client.force_login(admin)
    assert client.post(reverse("telemetry-click"), click).status_code == 400
    assert not otel_intel_events
    assert lost == ["refused_click"]
