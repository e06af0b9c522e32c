"""A request gives the same facts through the collector and straight into ClickHouse, odd records included."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.collector.process import Collector
from tests.otlp import Record, event, key_value, logs_request, post
from tests.servers import ClickHouse
from tests.waiting import poll_until

FACTS = ("recommendation_events", "signal_outcomes", "admin_views", "rejected_events", "pipeline_reports")
NOW = time.time_ns()
ODD = [3, 2.5, 1e-7, 24.0, -0.0, True, "", " x ", "naïve ☃", [1, "a"], [], b"\x00\xff", {"a": 1}, None]


def _odd_requests() -> list[ExportLogsServiceRequest]:
    """Return requests that no helper would send, one for each kind of odd record."""
    records = [event("dashboard.opened", NOW), event("signal.detail_opened", NOW), event("note.created", NOW)]
    records += [event(f"recommendation.{verb}", NOW) for verb in ("viewed", "accepted", "ignored", "overridden")]
    records.append(event("signal.outcome_recorded", NOW, **{"intel.outcome.resolution_time_hours": 24.5}))
    keys = (
        "intel.admin.id", "intel.risk_signal.id", "intel.decision.time_ms", "intel.engine.version",
        "intel.schema.version", "intel.recommendation.confidence", "log.record.uid",
    )  # fmt: skip
    records += [event("recommendation.accepted", NOW, **{key: value}) for key in keys for value in ODD]
    records += [
        event("signal.outcome_recorded", NOW, **{key: value})
        for key in ("intel.outcome.resolution_time_hours", "intel.outcome.status", "intel.note.id", "intel.admin.id")
        for value in ODD
    ]
    # A key that is nested in a map must not count as the attribute.
    records.append(event("recommendation.viewed", NOW, **{"intel.admin.id": None, "intel.admin": {"id": "nested"}}))
    for nanoseconds in (0, 1, NOW + 10**14, NOW - 10**18, 2**63 - 1, 2**63, 2**64 - 1):
        records.append(event("dashboard.opened", nanoseconds))
    for name in (
        "intel.",
        "intel.unknown",
        "intel",
        "INTEL.dashboard.opened",
        "foreign",
        "",
        "intel.x\nintel.y",
        "x\nintel.dashboard.opened",
    ):
        records.append(Record(name, {**event("dashboard.opened").attributes}, NOW))
        records.append(Record("", {**event("dashboard.opened").attributes, "otel.event.name": name}, NOW))
    records.append(
        Record("", {**event("dashboard.opened").attributes, "otel.event.name": ["intel.dashboard.opened"]}, NOW)
    )
    records.append(
        Record("intel.dashboard.opened", {**event("dashboard.opened").attributes, "otel.event.name": "other"}, NOW)
    )
    records.append(
        Record(
            "intel.pipeline.probed", {"log.record.uid": _uid(), "intel.schema.version": "1", "intel.probe.id": "p"}, NOW
        )
    )
    for resource in ({}, {"service.name": 5}, {"service.name": ["shop"]}, {"service.name": "shop", "host.name": "h"}):
        known = event("dashboard.opened", NOW)
        records.append(Record(known.name, known.attributes, NOW, resource))
    for trace_id, span_id in ((b"\1" * 16, b"\2" * 8), (bytes(16), bytes(8)), (b"\1" * 16, b"")):
        known = event("dashboard.opened", NOW)
        records.append(Record(known.name, known.attributes, NOW, known.resource, trace_id, span_id, "a body"))
    request = logs_request(records)
    for log in (scope.log_records[0] for resource in request.resource_logs for scope in resource.scope_logs):
        log.flags, log.severity_number, log.observed_time_unix_nano = 257, 9, NOW + 1
        log.severity_text = "INFO"
    no_time = logs_request([event("dashboard.opened", 0)])
    empty = ExportLogsServiceRequest()
    empty.resource_logs.add()
    return [request, no_time, empty]


def _uid() -> str:
    return str(uuid.uuid4())


def _rows(clickhouse: ClickHouse, table: str) -> list[dict[str, Any]]:
    order = "event_id, event_name" if table in ("rejected_events", "pipeline_reports") else "event_id"
    columns = "* EXCEPT (ingested_at, cycle) REPLACE toString(timestamp) AS timestamp"
    # FINAL, because ClickHouse merges copies of an event in the background at any time.
    sql = f"SELECT {columns} FROM intel.{table} FINAL ORDER BY {order}, timestamp, toString(tuple(*))"
    return clickhouse.rows(sql, role="admin")


def _facts(clickhouse: ClickHouse) -> dict[str, list[dict[str, Any]]]:
    clickhouse.refresh()
    facts = {table: _rows(clickhouse, table) for table in FACTS}
    names = "SELECT EventName, ServiceName, toString(Timestamp), TraceId FROM intel.quarantine_logs ORDER BY ALL"
    return {**facts, "quarantine": clickhouse.rows(names, role="admin")}


@pytest.mark.parametrize("scheme", ["tcp", "http"])
def test_facts_are_the_same_with_and_without_a_collector(
    scheme: str, collector: Collector, clickhouse: ClickHouse
) -> None:
    if scheme == "http":
        collector.settings["CLICKHOUSE_ENDPOINT"] = f"http://127.0.0.1:{clickhouse.server.http_port}"
    bodies = [request.SerializeToString() for request in _odd_requests()]
    for body in bodies:
        assert post(clickhouse, body).status_code == 200
    straight = _facts(clickhouse)
    arrived = {table: len(rows) for table, rows in straight.items()}
    clickhouse.empty()

    collector.start()
    assert [collector.post(body) for body in bodies] == [200] * len(bodies)
    poll_until(lambda: {table: len(rows) for table, rows in _facts(clickhouse).items()} == arrived)
    assert {table: len(rows) for table, rows in _facts(clickhouse).items()} == arrived
    assert all(arrived.values()), arrived
    assert _facts(clickhouse) == straight


def test_copies_with_and_without_a_collector_do_not_conflict(collector: Collector, clickhouse: ClickHouse) -> None:
    body = logs_request([event("recommendation.accepted", **{"intel.decision.time_ms": 5})]).SerializeToString()
    assert post(clickhouse, body).status_code == 200
    assert collector.start().post(body) == 200
    assert poll_until(lambda: clickhouse.value("SELECT count() FROM intel.otel_logs", "admin") == 2)
    [day] = clickhouse.rows("SELECT rows, events, duplicates, conflicting FROM metrics.ingest_health")
    assert day == {"rows": 2, "events": 1, "duplicates": 1, "conflicting": 0}


def test_spans_are_the_same_with_and_without_a_collector(collector: Collector, clickhouse: ClickHouse) -> None:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.append(key_value("service.name", "shop"))
    scope = resource.scope_spans.add()
    scope.scope.name, scope.scope.version = "django", "1"
    for number, (kind, code, end) in enumerate(((2, 0, 5), (3, 1, 0), (0, 2, -5), (9, 7, 5))):
        span = scope.spans.add(
            trace_id=b"\1" * 16, span_id=bytes([number + 1] * 8), parent_span_id=b"\3" * 8 if number else bytes(8),
            name="GET /", kind=Span.SpanKind.ValueType(kind), start_time_unix_nano=NOW, end_time_unix_nano=NOW + end,
            status=Status(code=Status.StatusCode.ValueType(code), message="secret"), trace_state="a=b",
        )  # fmt: skip
        for key in ("http.route", "http.request.method", "http.response.status_code", "url.full"):
            span.attributes.append(key_value(key, ODD[number]))
        span.attributes.append(key_value("http.status_code", ["a"]))
        span.events.add(name="exception", time_unix_nano=NOW)
        span.links.add(trace_id=b"\4" * 16, span_id=b"\5" * 8)
    body = request.SerializeToString()
    rows = "SELECT * REPLACE toString(Timestamp) AS Timestamp FROM intel.otel_traces ORDER BY SpanId"
    assert post(clickhouse, body, "TRACES").status_code == 200
    straight = clickhouse.rows(rows, role="admin")
    clickhouse.empty()
    assert collector.start().post(body, "/v1/traces") == 200
    assert poll_until(lambda: len(clickhouse.rows(rows, role="admin")) == len(straight) == 4)
    assert clickhouse.rows(rows, role="admin") == straight
