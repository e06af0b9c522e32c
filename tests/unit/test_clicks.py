from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from otel_intel.testing import CapturedEvents

pytestmark = pytest.mark.django_db

CLICK = {"event": "intel.explanation.expanded", "signal": "7"}


@pytest.fixture
def admin() -> User:
    return User.objects.create_user("admin", is_staff=True)


def test_a_click_of_staff_is_an_event(client: Client, admin: User, otel_intel_events: CapturedEvents) -> None:
    client.force_login(admin)
    assert client.post(reverse("telemetry-click"), CLICK).status_code == 204
    assert otel_intel_events.only("intel.explanation.expanded").attributes == {
        "intel.admin.id": str(admin.pk),
        "intel.risk_signal.id": "7",
        "intel.engine.version": "test-1",
    }


def test_anonymous_visitors_are_refused(client: Client, otel_intel_events: CapturedEvents) -> None:
    assert client.post(reverse("telemetry-click"), CLICK).status_code == 403
    assert not otel_intel_events


def test_users_who_are_not_staff_are_refused(client: Client, otel_intel_events: CapturedEvents) -> None:
    client.force_login(User.objects.create_user("visitor"))
    assert client.post(reverse("telemetry-click"), CLICK).status_code == 403
    assert not otel_intel_events


def test_a_click_from_another_site_is_refused(admin: User, otel_intel_events: CapturedEvents) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin)
    assert client.post(reverse("telemetry-click"), CLICK).status_code == 403
    assert not otel_intel_events


def test_get_is_not_a_click(client: Client, admin: User) -> None:
    client.force_login(admin)
    assert client.get(reverse("telemetry-click")).status_code == 405


@pytest.mark.parametrize(
    "click",
    [{}, {**CLICK, "event": "intel.recommendation.accepted"}, {**CLICK, "signal": ""}, {**CLICK, "signal": "\n"}],
)
def test_nothing_else_can_be_reported(
    click: dict[str, str], client: Client, admin: User, otel_intel_events: CapturedEvents
) -> None:
    client.force_login(admin)
    assert client.post(reverse("telemetry-click"), click).status_code == 400
    assert not otel_intel_events
