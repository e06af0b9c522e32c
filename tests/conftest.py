"""Fixtures for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_intel import Telemetry, get_telemetry
from tests.sink import Sink, run_sink

pytest_plugins = ["pytester", "tests.leftovers", "tests.servers", "tests.sharing"]


def pytest_configure() -> None:
    """Keep the tests' files in memory where there is room for them: ClickHouse makes and deletes thousands."""
    memory = Path("/dev/shm")  # noqa: S108 (pytest makes a private folder in it)
    if memory.is_dir():
        found = os.statvfs(memory)
        if found.f_bavail * found.f_frsize > 4 * 2**30 and not found.f_flag & os.ST_NOEXEC:
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))


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
