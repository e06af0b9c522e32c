"""What the collector accepts and from whom: token, TLS, allow-list, quarantine."""

from __future__ import annotations

import contextlib
import shutil
import ssl
from dataclasses import replace
from functools import partial
from pathlib import Path

import grpc
import pytest
import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Link, Status, StatusCode

from tests.certificates import make_certificates, sign
from tests.collector.process import FOLDER, TLS_CONFIG, TOKEN, Collector
from tests.collector.test_pipeline import run_doctor
from tests.otlp import Record, event, logs_request
from tests.processes import free_port
from tests.servers import ClickHouse
from tests.waiting import poll_until

LANDED = "SELECT (SELECT count() FROM intel.otel_logs) + (SELECT count() FROM intel.quarantine_logs)"
MARKER = "someone@example.org"


def grpc_export(collector: Collector, *records: Record, token: str | None = TOKEN, ca: bytes | None = None) -> None:
    """Export over gRPC; raise grpc.RpcError if it is refused."""
    target = f"localhost:{collector.grpc_port}"
    credentials = grpc.ssl_channel_credentials(ca) if ca else None
    with grpc.secure_channel(target, credentials) if credentials else grpc.insecure_channel(target) as channel:
        export: grpc.UnaryUnaryMultiCallable[ExportLogsServiceRequest, ExportLogsServiceResponse] = channel.unary_unary(
            "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=ExportLogsServiceResponse.FromString,
        )
        export(logs_request(records), metadata=(("authorization", f"Bearer {token}"),) if token else (), timeout=5)


@pytest.mark.parametrize("token", [None, "", "wrong", f"{TOKEN}x", f"{TOKEN} "[:-2]])
def test_without_the_token_nothing_is_accepted(token: str | None, collector: Collector, clickhouse: ClickHouse) -> None:
    collector.start()
    body = logs_request([event("dashboard.opened")]).SerializeToString()
    assert collector.post(body, token=token) == 401
    assert collector.post(body, "/v1/traces", token=token) == 401
    with pytest.raises(grpc.RpcError) as refused:
        grpc_export(collector, event("dashboard.opened"), token=token)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    collector.send([known := event("dashboard.opened")])  # the only event that may arrive
    assert poll_until(lambda: clickhouse.value(LANDED, "admin") == 1)
    assert clickhouse.value("SELECT EventId FROM intel.otel_logs", "admin") == known.attributes["log.record.uid"]


@pytest.mark.parametrize("body", [b"<html>", b"\x0a\x05"])
def test_invalid_otlp_is_refused_for_good(collector: Collector, body: bytes) -> None:
    collector.start()
    assert collector.post(body) == 400


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two CAs, and a server certificate signed by the first."""
    return make_certificates(tmp_path_factory.mktemp("tls"))


def test_a_renewed_certificate_is_used_without_a_restart(certificates: Path, collector: Collector) -> None:
    live = certificates.parent / "live"
    shutil.copytree(certificates, live)
    collector.configs.append(TLS_CONFIG)
    collector.settings |= {
        "OTLP_TLS_CERT_FILE": str(live / "server.pem"),
        "OTLP_TLS_KEY_FILE": str(live / "server.key"),
        "OTLP_TLS_RELOAD_INTERVAL": "100ms",
    }
    collector.start()

    def shown(port: int) -> str:
        return ssl.get_server_certificate(("127.0.0.1", port)).strip()

    ports = (collector.http_port, collector.grpc_port)
    assert {shown(port) for port in ports} == {(live / "server.pem").read_text().strip()}
    sign(live)
    renewed = (live / "server.pem").read_text().strip()
    assert renewed != (certificates / "server.pem").read_text().strip()
    for port in ports:
        assert poll_until(lambda port=port: shown(port) == renewed)  # type: ignore[misc]


def test_tls(certificates: Path, collector: Collector, clickhouse: ClickHouse) -> None:
    collector.configs.append(TLS_CONFIG)
    collector.settings |= {
        "OTLP_TLS_CERT_FILE": str(certificates / "server.pem"),
        "OTLP_TLS_KEY_FILE": str(certificates / "server.key"),
    }
    collector.start()
    over_http, over_grpc = event("dashboard.opened"), event("dashboard.opened")
    body = logs_request([over_http]).SerializeToString()
    headers = {"Content-Type": "application/x-protobuf", "Authorization": f"Bearer {TOKEN}"}
    address = f"localhost:{collector.http_port}/v1/logs"

    # The server closes the connection without reading the body; the client may see that before the answer.
    with contextlib.suppress(requests.exceptions.ConnectionError):
        plain = requests.post(f"http://{address}", data=body, headers=headers, timeout=5)
        assert (plain.status_code, plain.text) == (400, "Client sent an HTTP request to an HTTPS server.\n")
    with pytest.raises(requests.exceptions.SSLError, match="certificate verify failed"):
        requests.post(
            f"https://{address}", data=body, headers=headers, timeout=5, verify=str(certificates / "other.pem")
        )
    for ca in (None, (certificates / "other.pem").read_bytes()):
        with pytest.raises(grpc.RpcError) as refused:
            grpc_export(collector, over_grpc, ca=ca)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert clickhouse.value(LANDED, "admin") == 0

    right = str(certificates / "ca.pem")
    assert requests.post(f"https://{address}", data=body, headers=headers, timeout=5, verify=right).status_code == 200
    grpc_export(collector, over_grpc, ca=(certificates / "ca.pem").read_bytes())
    assert poll_until(lambda: clickhouse.value("SELECT count() FROM metrics.admin_views") == 2)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_doctor_names_a_certificate_of_an_unknown_ca(
    protocol: str, certificates: Path, collector: Collector, clickhouse: ClickHouse
) -> None:
    collector.configs.append(TLS_CONFIG)
    collector.settings |= {
        "OTLP_TLS_CERT_FILE": str(certificates / "server.pem"),
        "OTLP_TLS_KEY_FILE": str(certificates / "server.key"),
    }
    collector.start()
    port = collector.http_port if protocol == "http/protobuf" else collector.grpc_port
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"https://localhost:{port}"}
    for ca, hop in (("other.pem", "endpoint"), ("ca.pem", "views")):
        certificate = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(certificates / ca)}
        *_, last = run_doctor(collector, clickhouse, protocol, **endpoint, **certificate)
        assert (last["name"], "OTEL_EXPORTER_OTLP_CERTIFICATE" in last["fix"]) == (hop, hop == "endpoint"), last


@pytest.mark.parametrize("name", ["other.event", "", "intel", "Intel.dashboard.opened"])
def test_foreign_record_goes_to_quarantine_only(name: str, collector: Collector, clickhouse: ClickHouse) -> None:
    known = event("dashboard.opened")
    collector.start().send([replace(known, name=name), known])
    assert poll_until(lambda: clickhouse.value(LANDED, "admin") == 2)
    rows = "SELECT EventName FROM intel.{}"
    assert clickhouse.rows(rows.format("quarantine_logs"), role="admin") == [{"EventName": name}]
    assert clickhouse.rows(rows.format("otel_logs"), role="admin") == [{"EventName": known.name}]
    assert clickhouse.value("SELECT count() FROM intel.rejected_events", "admin") == 0


def test_unknown_event_of_ours_is_rejected_with_the_reason(collector: Collector, clickhouse: ClickHouse) -> None:
    collector.start().send([replace(event("dashboard.opened"), name="intel.unknown")])
    assert poll_until(lambda: clickhouse.value("SELECT count() FROM intel.rejected_events", "admin") == 1)
    assert clickhouse.value("SELECT reason FROM metrics.rejected_events") == "unknown event"
    assert clickhouse.value("SELECT count() FROM intel.quarantine_logs", "admin") == 0


def test_only_listed_keys_of_a_record_are_stored(collector: Collector, clickhouse: ClickHouse) -> None:
    known = event(
        "dashboard.opened",
        email=MARKER,
        **{"intel.admin.email": MARKER, "user.tags": [MARKER], "intel.note": {"id": MARKER}},
    )
    record = replace(known, resource={"service.name": "shop", "host.name": MARKER}, body=MARKER)
    listed = replace(event("dashboard.opened", **{"intel.note.id": [MARKER]}), resource={"service.name": {"a": MARKER}})
    request = logs_request([record, replace(record, name="other.event"), replace(record, name="intel.unknown"), listed])
    for resource in request.resource_logs:
        resource.schema_url = MARKER
        [scope] = resource.scope_logs
        scope.scope.attributes.extend(resource.resource.attributes)
        scope.schema_url = MARKER
        scope.log_records[0].severity_text = MARKER
    assert collector.start().post(request.SerializeToString()) == 200
    assert poll_until(lambda: clickhouse.value(LANDED, "admin") == 4)
    assert clickhouse.tables_with(MARKER) == []
    assert clickhouse.tables_with("shop")  # the search works: it finds stored text


def test_only_listed_keys_of_a_span_are_stored(collector: Collector, clickhouse: ClickHouse) -> None:
    collector.start()
    provider = TracerProvider(resource=Resource({"service.name": "shop", "host.name": MARKER}))
    exporter = OTLPSpanExporter(f"{collector.url}/v1/traces", headers={"authorization": f"Bearer {TOKEN}"})
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test", attributes={"email": MARKER})
    with tracer.start_as_current_span("GET signals/<pk>") as parent:
        pass
    link = Link(parent.get_span_context(), {"email": MARKER})
    told = {"client.address": MARKER, "url.full": MARKER, "user_agent.original": MARKER, "db.statement": MARKER}
    with tracer.start_as_current_span(
        "POST signals/<pk>", links=[link], attributes={**told, "http.route": "r"}
    ) as span:
        span.add_event("mail", {"to": MARKER})
        span.record_exception(ValueError(MARKER))
        span.set_status(Status(StatusCode.ERROR, f"no such user {MARKER}"))
    provider.shutdown()
    assert poll_until(lambda: clickhouse.value("SELECT count() FROM metrics.spans") == 2)
    assert clickhouse.tables_with(MARKER) == []
    assert clickhouse.tables_with("POST signals/<pk>") == ["otel_traces"]
    [row] = clickhouse.rows("SELECT route, status, service_name FROM metrics.spans WHERE name = 'POST signals/<pk>'")
    assert row == {"route": "r", "status": "Error", "service_name": "shop"}


def test_two_tokens_while_one_is_replaced(collector: Collector, clickhouse: ClickHouse) -> None:
    collector.configs.append(FOLDER / "two-tokens.yaml")
    collector.settings["OTLP_INGEST_TOKEN_OLD"] = "old-token"
    collector.start()
    body = logs_request([event("dashboard.opened")]).SerializeToString()
    assert [collector.post(body, token=token) for token in (TOKEN, "old-token", "other")] == [200, 200, 401]
    assert poll_until(lambda: clickhouse.value(LANDED, "admin") == 2)


def test_node_that_is_down_is_skipped(collector: Collector, clickhouse: ClickHouse) -> None:
    nodes = f"127.0.0.1:{free_port()},127.0.0.1:{clickhouse.server.native_port}"
    collector.settings["CLICKHOUSE_ENDPOINT"] = f"tcp://{nodes}?connection_open_strategy=round_robin"
    collector.start()

    def landed(count: int) -> bool:
        return bool(clickhouse.value(LANDED, "admin") >= count)

    for count in range(1, 5):
        collector.send([event("dashboard.opened")])
        poll_until(partial(landed, count))
    assert clickhouse.value(LANDED, "admin") == 4


@pytest.mark.parametrize("token", ["0123", "1e5", "true", "-", "a_b-c"])
def test_token_is_used_unchanged(token: str, collector: Collector, clickhouse: ClickHouse) -> None:
    collector.settings["OTLP_INGEST_TOKEN"] = token
    collector.start()
    body = logs_request([event("dashboard.opened")]).SerializeToString()
    assert [collector.post(body, token=sent) for sent in (token, "", "null", "123")] == [200, 401, 401, 401]
