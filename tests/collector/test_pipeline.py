"""The Python pipeline through a real collector: both protocols, a full queue, a wrong token, the doctor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from django.test import override_settings

from otel_intel import Telemetry
from tests.collector.process import Collector
from tests.collector.traffic import IDS
from tests.servers import ClickHouse
from tests.waiting import poll_until

SIGNALS = 2500  # for each of two threads; each signal has four events


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch, clickhouse: ClickHouse) -> Iterator[Callable[[Collector], Telemetry]]:
    """Make a Telemetry that behaves as in production and sends to a collector."""
    made: list[Telemetry] = []

    def make(collector: Collector, protocol: str = "http/protobuf") -> Telemetry:
        monkeypatch.delenv("PYTEST_VERSION", raising=False)
        for name, value in collector.variables(protocol).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("OTEL_BLRP_SCHEDULE_DELAY", "20")
        made.append(Telemetry())
        return made[-1]

    with override_settings(OTEL_INTEL={"ENGINE_VERSION": "test-1", "CLICKHOUSE_URL": clickhouse.url("reader")}):
        yield make
        for telemetry in made:
            telemetry.shutdown(timeout=0.5)


def emit(telemetry: Telemetry, admin: int, signals: range) -> None:
    """Emit four events for each signal, slowly enough that the process's own queue is never full."""
    for number in signals:
        if number % 100 == 0:
            poll_until(lambda: telemetry.status()["queued"] < 4000, 60, 0.005)
        telemetry.track_signal_detail_open(admin, number)
        telemetry.track_recommendation_view(number, admin, "EXPIRING_SOON", "HIGH")
        telemetry.track_recommendation_accept(number, admin, "EXPIRING_SOON", "HIGH", decision_time_ms=number)
        telemetry.track_signal_outcome(number, ("RESOLVED", "FALSE_POSITIVE")[number % 2])


def stored(clickhouse: ClickHouse) -> tuple[int, int]:
    """Return how many facts there are, and how many distinct ids."""
    clickhouse.refresh()
    [row] = clickhouse.client("reader").query(f"SELECT count(), uniqExact(event_id) FROM ({IDS})").result_rows
    return int(row[0]), int(row[1])


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_every_event_of_two_threads_arrives_once(
    protocol: str, application: Callable[..., Telemetry], collector: Collector, clickhouse: ClickHouse
) -> None:
    telemetry = application(collector.start(), protocol)
    threads = [
        threading.Thread(target=emit, args=(telemetry, admin, range(admin * SIGNALS, (admin + 1) * SIGNALS)))
        for admin in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = 2 * SIGNALS * 4
    assert telemetry.flush(60), telemetry.status()
    assert telemetry.status()["delivered"] == expected
    poll_until(lambda: stored(clickhouse)[0] >= expected, 30)
    assert stored(clickhouse) == (expected, expected)
    rate = telemetry.get_recommendation_acceptance_rate(days=2)
    assert (rate["viewed"], rate["accepted"], rate["decisions"]) == (2 * SIGNALS,) * 3
    assert telemetry.get_average_decision_time(days=2)["average_ms"] == (2 * SIGNALS - 1) / 2
    assert telemetry.get_outcome_distribution(days=2)["counts"]["FALSE_POSITIVE"] == SIGNALS


def test_full_queue_does_not_block_the_application_and_is_reported(
    application: Callable[..., Telemetry], collector: Collector, clickhouse: ClickHouse
) -> None:
    right = collector.settings["CLICKHOUSE_PASSWORD"]
    collector.settings |= {"QUEUE_SIZE": "2000", "CLICKHOUSE_PASSWORD": "wrong"}
    telemetry = application(collector.start())
    took = []
    calls = 14_000  # more than fit into both queues
    for number in range(calls):
        before = time.perf_counter()
        telemetry.track_recommendation_accept(number, 1, "EXPIRING_SOON", "HIGH")
        took.append(time.perf_counter() - before)
    # The last third finds a full queue. Single calls may wait for a processor that other tests use, so ignore 10 %.
    assert sorted(took)[calls * 9 // 10] < 0.01
    assert poll_until(lambda: collector.metric("otelcol_exporter_enqueue_failed_log_records") > 0)
    status = telemetry.status()
    assert status["emitted"] == calls
    assert status["dropped"]["queue_full"] > 0
    assert status["emitted"] == status["delivered"] + sum(status["dropped"].values()) + status["queued"]
    assert stored(clickhouse) == (0, 0)

    collector.stop()
    collector.settings["CLICKHOUSE_PASSWORD"] = right
    collector.start()
    assert poll_until(lambda: telemetry.status()["queued"] == 0, 60), telemetry.status()
    kept = calls - telemetry.status()["dropped"]["queue_full"]
    assert telemetry.status()["delivered"] == kept
    poll_until(lambda: stored(clickhouse)[0] >= kept, 30)
    assert stored(clickhouse) == (kept, kept)


def run_doctor(collector: Collector, clickhouse: ClickHouse, protocol: str, **more: str) -> list[dict[str, str]]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTEST_", "DJANGO_"))}
    environment = {
        **kept,
        **collector.variables(protocol),
        "OTEL_INTEL_ENGINE_VERSION": "1",
        "OTEL_INTEL_CLICKHOUSE_URL": clickhouse.url("reader"),
        **more,
    }
    command = [sys.executable, "-m", "otel_intel", "doctor", "--json"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_doctor_follows_its_probe(protocol: str, collector: Collector, clickhouse: ClickHouse) -> None:
    collector.start()
    hops = run_doctor(collector, clickhouse, protocol)
    assert {hop["name"]: hop["state"] for hop in hops} == dict.fromkeys(
        ("environment", "exporter", "endpoint", "landing", "facts", "views"), "ok"
    ), hops


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_doctor_names_a_wrong_token(protocol: str, collector: Collector, clickhouse: ClickHouse) -> None:
    collector.start()
    wrong = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20wrong"}
    *_, last = run_doctor(collector, clickhouse, protocol, **wrong)
    assert (last["name"], last["state"]) == ("endpoint", "failed")
    assert last["detail"].endswith("provided authorization does not match expected scheme or token")
    assert last["detail"].isprintable()
    assert last["fix"] == "Set OTEL_EXPORTER_OTLP_HEADERS to the credentials of that endpoint."
