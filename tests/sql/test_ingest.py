"""OTLP straight into ClickHouse: what is stored, where, and what is dropped."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Link, Status, StatusCode

from otel_intel.events import RESOURCE_KEYS, allowed_keys
from tests.otlp import Record, deliver, event, logs_request, post
from tests.servers import ClickHouse

MARKER = "someone@example.org"


@pytest.mark.parametrize("compression", list(Compression))
def test_stock_exporter_delivers(
    clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch, compression: Compression
) -> None:
    for name, value in clickhouse.variables().items():
        monkeypatch.setenv(name, value)
    provider = LoggerProvider(Resource({"service.name": "shop"}))
    provider.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(compression=compression)))
    record = event("recommendation.accepted", **{"intel.decision.time_ms": 450})
    provider.get_logger("test").emit(
        LogRecord(timestamp=record.time_ns, event_name=record.name, attributes=dict(record.attributes))
    )
    provider.shutdown()
    [row] = clickhouse.rows("SELECT * FROM metrics.recommendation_events")
    assert (row["event_id"], row["action"]) == (record.attributes["log.record.uid"], "ACCEPTED")
    assert (row["decision_time_ms"], row["service_name"]) == (450, "shop")


def test_row_of_a_record(clickhouse: ClickHouse) -> None:
    record = replace(
        event("note.created", 1_700_000_000_123_456_789, **{"intel.note.id": "7"}),
        trace_id=bytes(range(16)),
        span_id=bytes(range(8)),
    )
    deliver(clickhouse, record)
    [row] = clickhouse.rows("SELECT *, toUnixTimestamp64Nano(timestamp) AS ns FROM metrics.admin_views")
    assert row["ns"] == record.time_ns
    assert row["trace_id"] == "000102030405060708090a0b0c0d0e0f"
    assert row["span_id"] == "0001020304050607"
    assert (row["view_kind"], row["note_id"], row["risk_signal_id"], row["admin_id"]) == (
        "note.created",
        "7",
        "s1",
        "a1",
    )


def test_all_fields_of_a_record_are_kept(clickhouse: ClickHouse) -> None:
    record = replace(event("dashboard.opened"), trace_id=b"\xab" * 16, span_id=b"\xcd" * 8)
    request = logs_request([record])
    [scope] = request.resource_logs[0].scope_logs
    scope.scope.name, scope.scope.version = "django", "5.2"
    # What does not fit into a byte is cut off, as nothing here may throw.
    scope.log_records[0].flags = 0xF181
    scope.log_records[0].severity_number = SeverityNumber.ValueType(0x198)
    assert post(clickhouse, request.SerializeToString()).status_code == 200
    [row] = clickhouse.rows(
        "SELECT TraceId, SpanId, TraceFlags, SeverityNumber, ScopeName, ScopeVersion FROM intel.otel_logs", role="admin"
    )
    assert row == {
        "TraceId": "ab" * 16,
        "SpanId": "cd" * 8,
        "TraceFlags": 0x81,
        "SeverityNumber": 0x98,
        "ScopeName": "django",
        "ScopeVersion": "5.2",
    }


def test_ids_of_only_zeros_are_none(clickhouse: ClickHouse) -> None:
    deliver(clickhouse, replace(event("dashboard.opened"), trace_id=bytes(16), span_id=bytes(8)))
    assert clickhouse.rows("SELECT trace_id, span_id FROM metrics.admin_views") == [{"trace_id": "", "span_id": ""}]


def test_every_listed_key_of_a_record_is_stored(clickhouse: ClickHouse) -> None:
    attributes = {key: f"value of {key}" for key in allowed_keys()}
    resource = {key: f"value of {key}" for key in RESOURCE_KEYS}
    deliver(clickhouse, Record("intel.unknown", attributes, time.time_ns(), resource))
    assert clickhouse.rows("SELECT LogAttributes, ResourceAttributes FROM intel.otel_logs", role="admin") == [
        {"LogAttributes": attributes, "ResourceAttributes": resource}
    ]
    assert clickhouse.value("SELECT service_name FROM metrics.rejected_events") == "value of service.name"


def test_values_of_every_type_become_their_text(clickhouse: ClickHouse) -> None:
    sent = {"intel.note.id": True, "intel.admin.id": 7, "intel.engine.version": 2.5, "intel.risk_signal.id": b"s"}
    deliver(clickhouse, event("note.created", **sent))
    [attributes] = [row["attributes"] for row in clickhouse.rows("SELECT attributes FROM metrics.rejected_events")]
    assert {key: attributes[key] for key in sent} == {
        "intel.note.id": "true",
        "intel.admin.id": "7",
        "intel.engine.version": "2.5",
        "intel.risk_signal.id": "",
    }


def test_absent_optionals_are_null(clickhouse: ClickHouse) -> None:
    deliver(
        clickhouse,
        event("recommendation.accepted"),
        event("signal.outcome_recorded", **{"intel.admin.id": None}),
        event("dashboard.opened"),
    )
    assert clickhouse.value("SELECT decision_time_ms FROM metrics.recommendation_events") is None
    [outcome] = clickhouse.rows("SELECT * FROM metrics.signal_outcomes")
    assert (outcome["admin_id"], outcome["resolution_time_hours"], outcome["note_id"]) == (None, None, None)
    assert clickhouse.value("SELECT risk_signal_id FROM metrics.admin_views") is None


def test_zero_is_a_value(clickhouse: ClickHouse) -> None:
    deliver(
        clickhouse,
        event("recommendation.accepted", **{"intel.decision.time_ms": 0}),
        event("signal.outcome_recorded", **{"intel.outcome.resolution_time_hours": 0.0}),
    )
    assert clickhouse.value("SELECT decision_time_ms FROM metrics.recommendation_events") == 0
    assert clickhouse.value("SELECT resolution_time_hours FROM metrics.signal_outcomes") == 0


@pytest.mark.parametrize("hours", [1e-7, 0.1, 24.0, 1e21, 5e-324, 1.7976931348623157e308])
def test_double_arrives_as_it_was_sent(clickhouse: ClickHouse, hours: float) -> None:
    deliver(clickhouse, event("signal.outcome_recorded", **{"intel.outcome.resolution_time_hours": hours}))
    assert clickhouse.value("SELECT resolution_time_hours FROM metrics.signal_outcomes") == hours


def test_event_name_as_an_attribute(clickhouse: ClickHouse) -> None:
    record = event("dashboard.opened", **{"otel.event.name": "intel.dashboard.opened"})
    deliver(clickhouse, replace(record, name=""))
    assert clickhouse.value("SELECT view_kind FROM metrics.admin_views") == "dashboard.opened"


def test_observed_time_stands_in_for_a_missing_time(clickhouse: ClickHouse) -> None:
    observed = 1_700_000_000_000_000_001
    request = logs_request([event("dashboard.opened", 0)])
    request.resource_logs[0].scope_logs[0].log_records[0].observed_time_unix_nano = observed
    assert post(clickhouse, request.SerializeToString()).status_code == 200
    assert (
        clickhouse.value("SELECT toUnixTimestamp64Nano(timestamp) FROM metrics.admin_views")
        == 1_700_000_000_000_000_001
    )


def test_foreign_record_goes_to_quarantine_only(clickhouse: ClickHouse) -> None:
    deliver(clickhouse, Record("other.event", {"intel.admin.id": "a1"}, time.time_ns()))
    assert clickhouse.rows("SELECT EventName, LogAttributes FROM intel.quarantine_logs", role="admin") == [
        {"EventName": "other.event", "LogAttributes": {"intel.admin.id": "a1"}}
    ]
    assert clickhouse.value("SELECT count() FROM intel.otel_logs", role="admin") == 0


def test_quarantine_says_when_a_record_was_made_and_when_it_came(clickhouse: ClickHouse) -> None:
    hour_ago = time.time_ns() - 3600 * 10**9
    deliver(clickhouse, Record("other.event", {}, hour_ago))
    [row] = clickhouse.rows(
        "SELECT service_name, toUnixTimestamp64Nano(timestamp) AS ns,"
        " dateDiff('second', timestamp, ingested_at) AS delay FROM metrics.quarantined_events"
    )
    assert (row["service_name"], row["ns"]) == ("shop", hour_ago)
    assert 3600 <= row["delay"] < 3660


def test_rejected_event_that_is_written_again_is_one(clickhouse: ClickHouse) -> None:
    """A rebuild that runs beside the first writer writes the same row."""
    deliver(clickhouse, event("unknown"))
    admin = clickhouse.client("admin")
    admin.command("SYSTEM STOP MERGES intel.rejected_events")
    try:
        admin.command("INSERT INTO intel.rejected_events SELECT * FROM intel.rejected_events")
        assert clickhouse.value("SELECT count() FROM metrics.rejected_events") == 1
    finally:
        admin.command("SYSTEM START MERGES intel.rejected_events")


def test_only_listed_keys_of_a_record_are_stored(clickhouse: ClickHouse) -> None:
    known = event("dashboard.opened", email=MARKER, **{"intel.admin.email": MARKER, "user.tags": [MARKER]})
    record = replace(known, resource={"service.name": "shop", "host.name": MARKER}, body=MARKER)
    foreign = replace(record, name="other.event")
    rejected = replace(record, name="intel.unknown")
    request = logs_request([record, foreign, rejected])
    for resource in request.resource_logs:
        resource.schema_url = MARKER
        [scope] = resource.scope_logs
        scope.scope.attributes.extend(resource.resource.attributes)
        scope.schema_url = MARKER
        scope.log_records[0].severity_text = MARKER
    assert post(clickhouse, request.SerializeToString()).status_code == 200
    assert clickhouse.tables_with(MARKER) == []
    assert clickhouse.tables_with("shop")  # the search works: it finds stored text


def test_only_listed_keys_of_a_span_are_stored(clickhouse: ClickHouse) -> None:
    variables = clickhouse.variables()
    provider = TracerProvider(resource=Resource({"service.name": "shop", "host.name": MARKER}))
    provider.add_span_processor(
        SimpleSpanProcessor(
            OTLPSpanExporter(
                variables["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"],
                headers=dict(pair.split("=", 1) for pair in variables["OTEL_EXPORTER_OTLP_HEADERS"].split(",")),
            )
        )
    )
    tracer = provider.get_tracer("test", attributes={"email": MARKER})
    with tracer.start_as_current_span("GET signals/<pk>") as parent:
        pass
    link = Link(parent.get_span_context(), {"email": MARKER})
    with tracer.start_as_current_span(
        "POST signals/<pk>", links=[link], attributes={"email": MARKER, "http.url": f"/?q={MARKER}"}
    ) as span:
        span.set_attributes({"http.route": "signals/<pk>", "http.request.method": "POST", "http.status_code": 404})
        span.add_event("mail", {"to": MARKER})
        span.set_status(Status(StatusCode.ERROR, f"no such user {MARKER}"))
    provider.shutdown()
    assert clickhouse.tables_with(MARKER) == []
    [row] = clickhouse.rows("SELECT * FROM metrics.spans WHERE name = 'POST signals/<pk>'")
    assert (row["route"], row["method"], row["status_code"], row["status"]) == ("signals/<pk>", "POST", 404, "Error")
    assert row["trace_id"] == f"{span.get_span_context().trace_id:032x}"
    assert row["service_name"] == "shop"
    assert 0 <= row["duration_ms"] < 10_000
    assert clickhouse.tables_with("signals/<pk>") == ["otel_traces"]


def test_span_that_is_delivered_twice_is_one(clickhouse: ClickHouse) -> None:
    variables = clickhouse.variables()
    exporter = OTLPSpanExporter(
        variables["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"],
        headers=dict(pair.split("=", 1) for pair in variables["OTEL_EXPORTER_OTLP_HEADERS"].split(",")),
    )
    span = TracerProvider().get_tracer("test").start_span("GET /")
    span.end()
    for _ in range(2):
        exporter.export([span])  # type: ignore[list-item]
    exporter.shutdown()  # type: ignore[no-untyped-call]
    assert clickhouse.value("SELECT count() FROM metrics.spans") == 1


def test_one_broken_record_among_a_hundred(clickhouse: ClickHouse) -> None:
    good = [event("recommendation.viewed") for _ in range(99)]
    broken = event("recommendation.viewed", **{"intel.recommendation.confidence": "CERTAIN"})
    deliver(clickhouse, *good[:50], broken, *good[50:])
    assert clickhouse.value("SELECT count() FROM metrics.recommendation_events") == 99
    [rejected] = clickhouse.rows("SELECT * FROM metrics.rejected_events")
    assert rejected["reason"] == "invalid intel.recommendation.confidence"
    assert rejected["event_id"] == broken.attributes["log.record.uid"]
    assert rejected["attributes"] == broken.attributes


@pytest.mark.parametrize("cut", [1, 40])
def test_request_that_is_not_otlp_is_refused_whole(clickhouse: ClickHouse, cut: int) -> None:
    body = logs_request([event("dashboard.opened")]).SerializeToString()[:-cut]
    assert post(clickhouse, body).status_code >= 400
    assert clickhouse.value("SELECT count() FROM intel.otel_logs", role="admin") == 0


def test_history_of_many_months_in_one_request(clickhouse: ClickHouse) -> None:
    month = 31 * 86_400 * 10**9
    deliver(clickhouse, *(event("dashboard.opened", time.time_ns() - n * month) for n in range(150)))
    assert clickhouse.value("SELECT count() FROM metrics.admin_views") == 150


def test_rows_of_one_request_arrive_in_its_order(clickhouse: ClickHouse) -> None:
    records = [event("dashboard.opened") for _ in range(50)]
    deliver(clickhouse, *records)
    rows = clickhouse.rows("SELECT event_id FROM metrics.admin_views ORDER BY ingested_at")
    assert [row["event_id"] for row in rows] == [record.attributes["log.record.uid"] for record in records]
    assert clickhouse.value("SELECT uniqExact(ingested_at) FROM metrics.admin_views") == 50
