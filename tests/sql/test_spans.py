"""Spans that are sent as OTLP: how each of their fields is stored, and how it is read."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_intel.events import RESOURCE_KEYS, SPAN_KEYS
from tests.otlp import key_value, post
from tests.servers import ClickHouse

# Spans are kept for 30 days.
START = time.time_ns() // 10**9 * 10**9 - 3600 * 10**9 + 123_456_789


def span(identifier: int = 1, attributes: Iterable[tuple[str, Any]] = (), **fields: Any) -> Span:
    """Return a span of two and a half milliseconds, with other fields instead where they are given."""
    values = {
        "trace_id": bytes(range(16)),
        "span_id": identifier.to_bytes(8, "big"),
        "start_time_unix_nano": START,
        "end_time_unix_nano": START + 2_500_000,
        **fields,
    }
    return Span(attributes=[key_value(*item) for item in attributes], **values)


def land(clickhouse: ClickHouse, *spans: Span, resource: Iterable[tuple[str, Any]] = ()) -> None:
    """Send spans in one request."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(key_value(*item) for item in (("service.name", "shop"), *resource))
    scope = group.scope_spans.add()
    scope.scope.name, scope.scope.version = "django", "5.2"
    scope.spans.extend(spans)
    assert post(clickhouse, request.SerializeToString(), "TRACES").status_code == 200


def test_row_of_a_span(clickhouse: ClickHouse) -> None:
    parent = bytes.fromhex("0a0b0c0d0e0f0001")
    land(clickhouse, span(0xAB, [("http.route", "signals/<pk>")], name="GET", parent_span_id=parent))
    [row] = clickhouse.rows("SELECT * FROM metrics.spans")
    assert row == {
        "trace_id": "000102030405060708090a0b0c0d0e0f",
        "span_id": "00000000000000ab",
        "parent_span_id": "0a0b0c0d0e0f0001",
        "name": "GET",
        "kind": "Unspecified",
        "service_name": "shop",
        "timestamp": datetime.fromtimestamp(START // 10**9, UTC).replace(microsecond=123456, tzinfo=None),
        "duration_ms": 2.5,
        "status": "Unset",
        "route": "signals/<pk>",
        "method": None,
        "status_code": None,
    }


def test_span_keeps_its_nanoseconds_and_its_scope(clickhouse: ClickHouse) -> None:
    land(clickhouse, span())
    [row] = clickhouse.rows(
        "SELECT toUnixTimestamp64Nano(Timestamp) AS ns, ScopeName, ScopeVersion FROM intel.otel_traces", role="admin"
    )
    assert row == {"ns": START, "ScopeName": "django", "ScopeVersion": "5.2"}


def test_names_of_kinds_and_statuses(clickhouse: ClickHouse) -> None:
    kinds = [Span.SpanKind.ValueType(number) for number in range(7)]
    statuses = [Status(code=Status.StatusCode.ValueType(number)) for number in range(4)]
    land(clickhouse, *(span(1 + kind, kind=kind) for kind in kinds))
    land(clickhouse, *(span(11 + status.code, status=status) for status in statuses))
    rows = clickhouse.rows("SELECT kind, status FROM metrics.spans ORDER BY span_id")
    assert [row["kind"] for row in rows[:7]] == [
        "Unspecified", "Internal", "Server", "Client", "Producer", "Consumer", ""
    ]  # fmt: skip
    assert [row["status"] for row in rows[7:]] == ["Unset", "Ok", "Error", ""]


@pytest.mark.parametrize(("lasted", "stored"), [(1, 1), (0, 0), (-1, 0)])
def test_span_that_ends_before_it_starts_takes_no_time(clickhouse: ClickHouse, lasted: int, stored: int) -> None:
    land(clickhouse, span(end_time_unix_nano=START + lasted))
    assert clickhouse.value("SELECT Duration FROM intel.otel_traces", role="admin") == stored


def test_span_of_the_far_future_is_not_of_the_past(clickhouse: ClickHouse) -> None:
    admin = clickhouse.client("admin")
    # A merge would delete it: the end of its TTL is beyond the last DateTime, and so in the past.
    admin.command("SYSTEM STOP MERGES intel.otel_traces")
    try:
        land(clickhouse, span(start_time_unix_nano=2**64 - 1))
        stored = clickhouse.value("SELECT toUnixTimestamp64Nano(Timestamp) FROM intel.otel_traces", role="admin")
    finally:
        admin.command("SYSTEM START MERGES intel.otel_traces")
    assert stored == 2**63 - 1


def test_ids_of_only_zeros_are_none(clickhouse: ClickHouse) -> None:
    land(clickhouse, span(0, trace_id=bytes(16), parent_span_id=bytes(8)))
    assert clickhouse.rows("SELECT trace_id, span_id, parent_span_id FROM metrics.spans") == [
        {"trace_id": "", "span_id": "", "parent_span_id": ""}
    ]


def test_every_listed_key_is_stored_with_the_text_of_its_value(clickhouse: ClickHouse) -> None:
    values = ["a", 1, 0.5, True, [1]]
    texts = ["a", "1", "0.5", "true", ""]
    resource = [(key, f"r{number}") for number, key in enumerate(RESOURCE_KEYS) if key != "service.name"]
    land(clickhouse, span(1, zip(SPAN_KEYS, values, strict=True)), resource=resource)
    [row] = clickhouse.rows("SELECT SpanAttributes, ResourceAttributes FROM intel.otel_traces", role="admin")
    assert row["SpanAttributes"] == dict(zip(SPAN_KEYS, texts, strict=True))
    assert row["ResourceAttributes"] == {"service.name": "shop", **dict(resource)}


@pytest.mark.parametrize(
    ("attributes", "method", "status_code"),
    [
        ({"http.request.method": "POST", "http.response.status_code": 201}, "POST", 201),
        ({"http.method": "GET", "http.status_code": 404}, "GET", 404),
        (
            {
                "http.method": "GET",
                "http.status_code": 404,
                "http.request.method": "PUT",
                "http.response.status_code": 200,
            },
            "PUT",
            200,
        ),
        ({}, None, None),
    ],
)
def test_method_and_status_by_their_new_or_old_names(
    clickhouse: ClickHouse, attributes: dict[str, Any], method: str | None, status_code: int | None
) -> None:
    land(clickhouse, span(1, attributes.items()))
    assert clickhouse.rows("SELECT method, status_code, route FROM metrics.spans") == [
        {"method": method, "status_code": status_code, "route": None}
    ]
