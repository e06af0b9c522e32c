from __future__ import annotations

import pytest

from otel_intel import get_telemetry
from otel_intel.testing import capture_events


def test_captured_events_equal_sent_events() -> None:
    with capture_events() as events:
        get_telemetry().track_recommendation_accept(1, 42, "EXPIRING_SOON", "HIGH", decision_time_ms=450)
    assert events.only("intel.recommendation.accepted").attributes == {
        "intel.risk_signal.id": "1",
        "intel.admin.id": "42",
        "intel.recommendation.type": "EXPIRING_SOON",
        "intel.recommendation.confidence": "HIGH",
        "intel.decision.time_ms": 450,
        "intel.engine.version": "test-1",
    }


def test_after_the_block_nothing_is_captured() -> None:
    with capture_events() as events:
        pass
    get_telemetry().track_dashboard_open(1)
    assert not events


def test_only_lists_the_captured_events() -> None:
    with capture_events() as events:
        get_telemetry().track_dashboard_open(1)
        with pytest.raises(AssertionError, match=r"0 events named 'x'; captured: intel\.dashboard\.opened"):
            events.only("x")


def test_the_fixture_works_in_a_project_of_a_user(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("import django.conf; django.conf.settings.configure(OTEL_INTEL={'ENGINE_VERSION': '1'})")
    pytester.makepyfile(
        """
        import pytest
        from otel_intel import InvalidEventError, get_telemetry

        def test_events(otel_intel_events):
            get_telemetry().track_signal_detail_open(42, 1)
            assert otel_intel_events.only("intel.signal.detail_opened").attributes["intel.admin.id"] == "42"

        def test_misuse():
            with pytest.raises(InvalidEventError, match="HIGH, MEDIUM, LOW"):
                get_telemetry().track_recommendation_view(1, 42, "EXPIRING_SOON", "SURE")

        def test_nothing_is_sent():
            get_telemetry().track_dashboard_open(1)
            assert get_telemetry().status()["emitted"] == 0
        """
    )
    pytester.runpytest_subprocess("-p", "no:django", "-p", "no:randomly").assert_outcomes(passed=3)


def test_only_says_that_decisions_come_with_the_commit() -> None:
    said = r"0 events named 'x'; captured: nothing \(decisions are captured at the commit\)$"
    with capture_events() as events, pytest.raises(AssertionError, match=said):
        events.only("x")


def test_only_lists_all_events_in_their_order() -> None:
    with capture_events() as events:
        get_telemetry().track_dashboard_open(1)
        get_telemetry().track_signal_detail_open(1, 2)
        with pytest.raises(AssertionError, match=r"captured: intel\.dashboard\.opened, intel\.signal\.detail_opened$"):
            events.only("x")
