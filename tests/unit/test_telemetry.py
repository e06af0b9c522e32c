from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from django.test import override_settings
from opentelemetry.sdk.trace import TracerProvider

from otel_intel import ConfigurationError, InvalidEventError, Telemetry, events, get_telemetry
from otel_intel.testing import CapturedEvents
from tests.sink import Sink, attributes_of
from tests.waiting import poll_until


def test_there_is_one_telemetry() -> None:
    assert get_telemetry() is get_telemetry()


def test_nothing_is_sent_under_pytest(monkeypatch: pytest.MonkeyPatch, sink: Sink) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url)
    telemetry = Telemetry()
    telemetry.track_dashboard_open(1)
    assert telemetry.status()["emitted"] == 0


@override_settings(OTEL_INTEL={"ENGINE_VERSION": "1", "SEND_IN_TESTS": True})
def test_send_in_tests_sends(monkeypatch: pytest.MonkeyPatch, sink: Sink) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url)
    telemetry = Telemetry()
    telemetry.track_dashboard_open(1)
    assert telemetry.flush()
    assert [record.event_name for record in sink.events] == ["intel.dashboard.opened"]
    telemetry.shutdown()


def test_settings_that_a_test_overrides_are_in_force_at_once(otel_intel_events: CapturedEvents) -> None:
    get_telemetry().track_dashboard_open(1)
    with override_settings(OTEL_INTEL={"ENABLED": False}):
        get_telemetry().track_dashboard_open(2)
    get_telemetry().track_dashboard_open(3)
    assert [event.attributes["intel.admin.id"] for event in otel_intel_events] == ["1", "3"]


def test_settings_are_read_once(production: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    production.track_dashboard_open(1)
    monkeypatch.setenv("OTEL_INTEL_ENABLED", "no")
    production.refuse(events.DASHBOARD_OPENED, "no_admin")
    production.forget_settings()
    production.refuse(events.DASHBOARD_OPENED, "no_admin")
    assert production.status()["dropped"]["no_admin"] == 1


def test_an_event_arrives_typed(production: Telemetry, sink: Sink) -> None:
    production.track_recommendation_accept(1, 42, "EXPIRING_SOON", "HIGH", decision_time_ms=450)
    production.track_signal_outcome(1, "RESOLVED", resolution_time_hours=24, admin_note_id=5)
    assert production.flush()
    accepted, outcome = sink.events
    assert accepted.event_name == "intel.recommendation.accepted"
    attributes = attributes_of(accepted)
    assert attributes.pop("log.record.uid")
    assert attributes.pop("intel.pipeline.process.id")
    assert attributes == {
        "intel.schema.version": "1",
        "intel.engine.version": "test-1",
        "intel.risk_signal.id": "1",
        "intel.admin.id": "42",
        "intel.recommendation.type": "EXPIRING_SOON",
        "intel.recommendation.confidence": "HIGH",
        "intel.decision.time_ms": 450,
    }
    assert attributes_of(outcome)["intel.outcome.resolution_time_hours"] == 24.0
    assert "intel.admin.id" not in attributes_of(outcome)


def test_ids_are_uuids_of_the_events_own_time(production: Telemetry, sink: Sink) -> None:
    then = datetime(2024, 2, 29, 12, 0, 0, 123456, tzinfo=UTC)
    production.track_dashboard_open(1, timestamp=then)
    production.track_dashboard_open(1, timestamp=then)
    assert production.flush()
    first, second = (str(attributes_of(record)["log.record.uid"]) for record in sink.events)
    assert first != second
    assert first[14] == "7"
    assert int(first.replace("-", "")[:12], 16) == int(then.timestamp() * 1000)


def test_a_timestamp_keeps_its_microseconds_and_zone(production: Telemetry, sink: Sink) -> None:
    then = datetime(2024, 2, 29, 12, 0, 0, 123457, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    production.track_dashboard_open(1, timestamp=then)
    assert production.flush()
    assert sink.events[0].time_unix_nano == (int(then.timestamp()) * 10**6 + 123457) * 1000


def test_the_span_of_the_call_is_kept(production: Telemetry, sink: Sink) -> None:
    with TracerProvider().get_tracer("test").start_as_current_span("request") as span:
        production.track_dashboard_open(1)
    assert production.flush()
    context = span.get_span_context()
    assert sink.events[0].trace_id == context.trace_id.to_bytes(16)
    assert sink.events[0].span_id == context.span_id.to_bytes(8)


def test_the_resource_is_the_standard_variables_and_nothing_else(
    production: Telemetry, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=staging,host.ip=10.0.0.1")
    production.track_dashboard_open(1)
    assert production.flush()
    resource = sink.requests[0].resource_logs[0].resource
    found = {attribute.key: attribute.value.string_value for attribute in resource.attributes}
    found.pop("service.instance.id", None)
    assert found == {"service.name": "shop", "deployment.environment.name": "staging"}


def test_the_block_wins_over_the_setting_and_the_call_over_the_block(otel_intel_events: CapturedEvents) -> None:
    telemetry = get_telemetry()
    telemetry.track_dashboard_open(1)
    with telemetry.engine_version("block"):
        telemetry.track_dashboard_open(1)
        telemetry.track_dashboard_open(1, engine_version="call")
    assert [event.attributes["intel.engine.version"] for event in otel_intel_events] == ["test-1", "block", "call"]


def test_blocks_end_one_after_the_other(otel_intel_events: CapturedEvents) -> None:
    telemetry = get_telemetry()
    with telemetry.engine_version("outer"):
        with pytest.raises(ZeroDivisionError), telemetry.engine_version("inner"):
            telemetry.track_dashboard_open(1)
            raise ZeroDivisionError
        telemetry.track_dashboard_open(1)
    telemetry.track_dashboard_open(1)
    assert [event.attributes["intel.engine.version"] for event in otel_intel_events] == ["inner", "outer", "test-1"]


@override_settings(OTEL_INTEL={"ENGINE_VERSION": "1", "ADMIN_ID_HASH_KEY": "0123456789abcdef"})
def test_admin_ids_can_leave_as_keyed_hashes(production: Telemetry, sink: Sink) -> None:
    production.track_dashboard_open(42)
    production.track_dashboard_open("42")
    assert production.flush()
    first, second = (attributes_of(record)["intel.admin.id"] for record in sink.events)
    assert first == second
    assert len(str(first)) == 64


@pytest.mark.parametrize("naive", [datetime(2024, 1, 1), "2024-01-01", datetime(1960, 1, 1, tzinfo=UTC)])
def test_misuse_raises_under_pytest(naive: datetime) -> None:
    with pytest.raises(InvalidEventError, match="timestamp must"):
        get_telemetry().track_dashboard_open(1, timestamp=naive)


def test_wrong_arguments_raise_under_pytest() -> None:
    with pytest.raises(TypeError):
        get_telemetry().track_signal_outcome()  # type: ignore[call-arg]


def test_in_production_each_mistake_is_counted_and_logged_once(
    production: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "otel_intel"):
        for _ in range(2):
            production.track_recommendation_view(1, 42, "EXPIRING_SOON", "BOGUS")
        production.track_signal_outcome()  # type: ignore[call-arg]
        production.track_dashboard_open(1, timestamp=datetime(2024, 1, 1))
    assert production.status()["dropped"]["invalid"] == 4
    assert production.status()["emitted"] == 4
    assert ["one of HIGH, MEDIUM, LOW" in message for message in caplog.messages] == [True, False, False]


def test_the_log_of_mistakes_has_an_end(production: Telemetry, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(100):
        production.track_recommendation_view(1, 42, "EXPIRING_SOON", f"BOGUS {number}")
    assert production.status()["dropped"]["invalid"] == 100
    assert len(caplog.messages) == 16


class Hostile:
    """An object none of whose methods works."""

    def __index__(self) -> int:
        raise HostileError

    __float__ = __str__ = __repr__ = __hash__ = __index__  # type: ignore[assignment]


class HostileError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class Reading(logging.Filter):
    """A filter that reads each message, as those do that remove secrets."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.getMessage()
        raise ValueError("a filter with a bug")


def test_no_object_and_no_log_filter_reaches_the_page(production: Telemetry) -> None:
    logger, reading = logging.getLogger("otel_intel"), Reading()
    logger.addFilter(reading)
    try:
        production.track_dashboard_open(Hostile())  # type: ignore[arg-type]
        production.track_signal_outcome(1, Hostile(), Hostile())  # type: ignore[arg-type]
        production.refuse(events.DASHBOARD_OPENED, "invalid", HostileError())
    finally:
        logger.removeFilter(reading)
    assert production.status()["dropped"]["invalid"] == 3


@override_settings(OTEL_INTEL={})
def test_an_event_without_a_version_is_invalid(production: Telemetry) -> None:
    production.track_dashboard_open(1)
    production.track_dashboard_open(1, engine_version="2")
    assert production.flush() is False
    assert production.status()["dropped"]["invalid"] == 1
    assert production.status()["delivered"] == 1


@override_settings(OTEL_INTEL={"QUEUE_SIZE": "many"})
def test_a_broken_setting_costs_events_but_no_page(production: Telemetry) -> None:
    production.track_dashboard_open(1)
    assert production.status()["dropped"]["invalid"] == 1


def test_settings_that_cannot_be_read_cost_events_but_no_page(
    production: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ModuleNotFoundError("No module named 'shop.settings'")

    monkeypatch.setattr("otel_intel.telemetry.get_settings", broken)
    production.track_dashboard_open(1)
    assert production.status()["dropped"]["invalid"] == 1


@override_settings(OTEL_INTEL={"QUEUE_SIZE": "many"})
def test_a_broken_setting_raises_under_pytest() -> None:
    with pytest.raises(ConfigurationError, match="QUEUE_SIZE"):
        get_telemetry().track_dashboard_open(1)


@override_settings(OTEL_INTEL={"ENABLED": False})
def test_disabled_does_nothing(production: Telemetry) -> None:
    production.track_dashboard_open(1)
    assert production.status()["emitted"] == 0


def test_otel_sdk_disabled_does_nothing(production: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    production.track_dashboard_open(1)
    assert production.status()["emitted"] == 0


def test_an_applications_own_logger_provider_is_left_alone(production: Telemetry, sink: Sink) -> None:
    from opentelemetry import _logs

    before = _logs.get_logger_provider()
    production.track_dashboard_open(1)
    assert production.flush()
    assert _logs.get_logger_provider() is before


def test_standard_headers_are_sent(production: Telemetry, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc")
    production.track_dashboard_open(1)
    assert production.flush()
    assert sink.headers[0]["authorization"] == "Bearer abc"


def test_without_flush_events_are_sent_automatically(production: Telemetry, sink: Sink) -> None:
    production.track_dashboard_open(1)
    assert poll_until(lambda: sink.events)


def test_what_is_recorded_for_a_decorator_raises_under_pytest_as_well() -> None:
    with pytest.raises(InvalidEventError, match="admin_user_id is missing"):
        get_telemetry().record(events.DASHBOARD_OPENED, {})


@pytest.mark.parametrize("wrong", [1, "2026-01-01", date(2026, 1, 1)])
def test_a_timestamp_of_another_type_is_named(wrong: object) -> None:
    with pytest.raises(InvalidEventError, match=f"timestamp must be a datetime, not {type(wrong).__name__}"):
        get_telemetry().track_dashboard_open(1, timestamp=wrong)  # type: ignore[arg-type]
