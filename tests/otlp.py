"""Send OTLP to ClickHouse's ingest endpoint as a client would, record by record."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import requests
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from otel_intel.events import REPORT_KEYS
from tests.servers import ClickHouse


@dataclass(frozen=True)
class Record:
    """One log record: nanoseconds since 1970, and attributes with OTLP's types."""

    name: str
    attributes: Mapping[str, Any]
    time_ns: int
    resource: Mapping[str, Any] = field(default_factory=lambda: {"service.name": "shop"})
    trace_id: bytes = b""
    span_id: bytes = b""
    body: str = ""


def event(name: str, time_ns: int | None = None, uid: str | None = None, /, **attributes: Any) -> Record:
    """Return a valid event of the catalogue, with additional or changed attributes (None removes one)."""
    values: dict[str, Any] = {
        "log.record.uid": uid or str(uuid.uuid4()),
        "intel.schema.version": "1",
        "intel.engine.version": "v1",
        "intel.risk_signal.id": "s1",
        "intel.admin.id": "a1",
    }
    if name.startswith("recommendation."):
        values |= {"intel.recommendation.type": "EXPIRING_SOON", "intel.recommendation.confidence": "HIGH"}
    if name.startswith("signal.outcome"):
        values["intel.outcome.status"] = "RESOLVED"
    if name == "dashboard.opened":
        del values["intel.risk_signal.id"]
    present = {key: value for key, value in {**values, **attributes}.items() if value is not None}
    return Record(f"intel.{name}", present, time.time_ns() if time_ns is None else time_ns)


def report(process: str, kind: str, time_ns: int | None = None, service: str = "shop", /, **counts: int) -> Record:
    """Return the report of a process that started an hour before; __ in a count's name stands for a dot."""
    at = time.time_ns() if time_ns is None else time_ns
    values = {
        **dict.fromkeys(REPORT_KEYS, 0),
        "intel.pipeline.process.id": process,
        "intel.pipeline.process.pid": 7,
        "intel.pipeline.process.started_at": at - 3600 * 10**9,
        "intel.pipeline.kind": kind,
        **{f"intel.pipeline.{name.replace('__', '.')}": count for name, count in counts.items()},
    }
    made = event("pipeline.reported", at, **values, **dict.fromkeys(("intel.risk_signal.id", "intel.admin.id")))
    return replace(made, resource={"service.name": service})


def key_value(key: str, value: Any) -> KeyValue:
    """Return an OTLP attribute."""
    return KeyValue(key=key, value=_any(value))


def _any(value: Any) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case list():
            result = AnyValue()
            result.array_value.values.extend(_any(item) for item in value)
            return result
        case dict():
            result = AnyValue()
            result.kvlist_value.values.extend(key_value(*item) for item in value.items())
            return result
        case bytes():
            return AnyValue(bytes_value=value)
        case None:
            return AnyValue()
        case _:
            return AnyValue(string_value=value)


def logs_request(records: Iterable[Record]) -> ExportLogsServiceRequest:
    """Return the request that carries the records in their order."""
    request = ExportLogsServiceRequest()
    for record in records:
        resource = request.resource_logs.add()
        resource.resource.attributes.extend(key_value(*item) for item in record.resource.items())
        scope = resource.scope_logs.add()
        scope.scope.name = "otel_intel"
        log = scope.log_records.add(
            time_unix_nano=record.time_ns,
            event_name=record.name,
            trace_id=record.trace_id,
            span_id=record.span_id,
        )
        log.attributes.extend(key_value(*item) for item in record.attributes.items())
        if record.body:
            log.body.string_value = record.body
    return request


def post(clickhouse: ClickHouse, body: bytes, signal: str = "LOGS") -> requests.Response:
    """Post a request's bytes as the exporter would."""
    variables = clickhouse.variables()
    pairs = (pair.split("=", 1) for pair in variables["OTEL_EXPORTER_OTLP_HEADERS"].split(","))
    return requests.post(
        variables[f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"],
        data=body,
        headers={"Content-Type": "application/x-protobuf", **dict(pairs)},
        timeout=30,
    )


def deliver(clickhouse: ClickHouse, *records: Record) -> None:
    """Send records in one request and check that it is acknowledged."""
    response = post(clickhouse, logs_request(records).SerializeToString())
    assert (response.status_code, response.content) == (200, b"")


def send(clickhouse: ClickHouse, *records: Record) -> None:
    """Deliver records and refresh the numbers."""
    deliver(clickhouse, *records)
    clickhouse.refresh()
