"""Read OpenTelemetry's own variables: protocol, timeout, resource; and never show the secrets of a URL."""

from __future__ import annotations

import pytest

from otel_intel.delivery.environment import DEFAULT_TIMEOUT, grpc_options, protocol, resource, timeout, without_secrets
from otel_intel.exceptions import ConfigurationError


@pytest.mark.parametrize(
    ("variables", "logs", "traces"),
    [
        ({}, "http/protobuf", "http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "grpc", "grpc"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": " http/protobuf "},
         "http/protobuf", "grpc"),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, "http/protobuf", "grpc"),
    ],
)  # fmt: skip
def test_the_signals_own_protocol_has_priority(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], logs: str, traces: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (protocol(), protocol("TRACES")) == (logs, traces)


def test_a_protocol_that_is_not_supported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json")
    wanted = r"^OTEL_EXPORTER_OTLP_LOGS_PROTOCOL=http/json is not supported: use http/protobuf or grpc\.$"
    with pytest.raises(ConfigurationError, match=wanted):
        protocol()


@pytest.mark.parametrize(
    ("variables", "logs", "traces"),
    [
        ({}, DEFAULT_TIMEOUT, DEFAULT_TIMEOUT),
        ({"OTEL_BLRP_EXPORT_TIMEOUT": "500"}, 0.5, DEFAULT_TIMEOUT),  # in milliseconds, and only for logs
        ({"OTEL_BLRP_EXPORT_TIMEOUT": "0"}, DEFAULT_TIMEOUT, DEFAULT_TIMEOUT),
        ({"OTEL_BLRP_EXPORT_TIMEOUT": "soon"}, DEFAULT_TIMEOUT, DEFAULT_TIMEOUT),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "7", "OTEL_BLRP_EXPORT_TIMEOUT": "500"}, None, None),
        ({"OTEL_EXPORTER_OTLP_LOGS_TIMEOUT": "7"}, None, DEFAULT_TIMEOUT),
        ({"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "7"}, DEFAULT_TIMEOUT, None),
    ],
)
def test_time_limits_are_in_seconds_or_left_to_the_exporter(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], logs: float | None, traces: float | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (timeout(), timeout("TRACES")) == (logs, traces)
    assert DEFAULT_TIMEOUT == 3.0


def test_the_resource_is_the_environments_without_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    assert dict(resource().attributes) == {"service.name": "unknown_service"}
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    monkeypatch.setenv(
        "OTEL_RESOURCE_ATTRIBUTES", "service.version=7,host.name=secret,deployment.environment.name=test"
    )
    assert dict(resource().attributes) == {
        "service.name": "shop",
        "service.version": "7",
        "deployment.environment.name": "test",
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:word@host:1/path", "http://host:1/path"),
        ("see https://host/?a=1&password=word&b=2", "see https://host/?a=1&password=…&b=2"),
        ("TOKEN=word) key='word' Secret=word", "TOKEN=…) key='word' Secret=…"),
        ("http://host/path?x=1", "http://host/path?x=1"),
    ],
)
def test_no_secret_of_a_url_is_shown(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


@pytest.mark.parametrize(
    ("endpoint", "is_direct"),
    [
        ("", True),
        ("http://localhost:4317", True),
        ("127.0.0.1:4317", True),
        ("http://collector.example.com:4317", False),
        ("collector.example.com:4317", False),
    ],
)
def test_no_proxy_is_in_the_way_of_grpc_to_this_machine(
    endpoint: str, is_direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    assert (grpc_options() is not None) is is_direct
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://other.example.com:4317")
    assert grpc_options("TRACES") is None
