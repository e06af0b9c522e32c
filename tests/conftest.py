"""Fixtures for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from otel_intel import Telemetry, get_telemetry
from tests.sink import Sink, run_sink

pytest_plugins = ["pytester", "tests.leftovers", "tests.servers", "tests.sharing"]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the machine's OTEL_* variables out of the tests."""
    for name in list(os.environ):
        if name.startswith("OTEL_") or name == "CLICKHOUSE_URL":
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def fresh_settings() -> Iterator[None]:
    """Forget the settings of other tests."""
    get_telemetry().forget_settings()
    yield
    get_telemetry().forget_settings()


@pytest.fixture
def sink() -> Iterator[Sink]:
    """An OTLP endpoint that the test controls."""
    with run_sink() as sink:
        yield sink


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch, sink: Sink) -> Iterator[Telemetry]:
    """A separate Telemetry that behaves as in production and sends to the sink."""
    monkeypatch.delenv("PYTEST_VERSION")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url)
    monkeypatch.setenv("OTEL_BLRP_SCHEDULE_DELAY", "20")
    telemetry = Telemetry()
    yield telemetry
    sink.done.set()
    telemetry.shutdown(timeout=0.5)
