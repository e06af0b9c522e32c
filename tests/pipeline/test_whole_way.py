"""From the helpers to the numbers: real threads, OpenTelemetry's own exporter, a real ClickHouse."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import pytest
import requests
from django.test import override_settings
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otel_intel import Telemetry
from otel_intel.server import embedded
from tests.servers import ClickHouse, kill
from tests.sink import Sink, attributes_of
from tests.waiting import poll_until


def send(clickhouse: ClickHouse, request: ExportLogsServiceRequest) -> int:
    """Post a request to ClickHouse's ingest endpoint and return the status."""
    variables = clickhouse.variables()
    headers = dict(pair.split("=", 1) for pair in variables["OTEL_EXPORTER_OTLP_HEADERS"].split(","))
    try:
        return requests.post(
            variables["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"],
            data=request.SerializeToString(),
            headers={**headers, "Content-Type": "application/x-protobuf"},
            timeout=30,
        ).status_code
    except requests.ConnectionError:
        return 503


@pytest.fixture
def reading(clickhouse: ClickHouse) -> Iterator[None]:
    """Let the metrics read from the test's server."""
    with override_settings(OTEL_INTEL={"ENGINE_VERSION": "test-1", "CLICKHOUSE_URL": clickhouse.url("reader")}):
        yield


def metrics(telemetry: Telemetry) -> dict[str, dict[str, object]]:
    """Return all numbers, without the time until when they hold."""
    answers = cast(Mapping[str, Mapping[str, object]], telemetry.get_metrics())
    return {name: {key: value for key, value in found.items() if key != "as_of"} for name, found in answers.items()}


def emit(telemetry: Telemetry, signals: range, admin: int) -> None:
    """Emit four events for each signal, slowly enough that the queue is never full."""
    for number in signals:
        poll_until(lambda: telemetry.status()["queued"] < 4000, 60)
        telemetry.track_signal_detail_open(admin, number)
        telemetry.track_recommendation_view(number, admin, "EXPIRING_SOON", "HIGH")
        decide = (
            telemetry.track_recommendation_accept,
            telemetry.track_recommendation_ignore,
            telemetry.track_recommendation_override,
        )[number % 3]
        decide(number, admin, "EXPIRING_SOON", "HIGH", decision_time_ms=number)
        telemetry.track_signal_outcome(number, ("RESOLVED", "FALSE_POSITIVE")[number % 2], resolution_time_hours=1)


def emit_from_threads(telemetry: Telemetry, threads: int, signals: int) -> None:
    workers = [
        threading.Thread(target=emit, args=(telemetry, range(number * signals, (number + 1) * signals), number))
        for number in range(threads)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


COUNT = (
    "SELECT toUInt32(count()), toUInt32(uniqExact(event_id)) FROM (SELECT event_id FROM metrics.recommendation_events"
    " UNION ALL SELECT event_id FROM metrics.signal_outcomes UNION ALL SELECT event_id FROM metrics.admin_views)"
)


@pytest.mark.usefixtures("reading")
def test_ten_thousand_events_of_eight_threads_count_once_however_often_they_are_sent(
    production: Telemetry, sink: Sink, clickhouse: ClickHouse
) -> None:
    sink.answer = lambda request: send(clickhouse, request)
    emit_from_threads(production, threads=8, signals=313)
    assert production.flush(60)
    expected = 8 * 313 * 4
    clickhouse.refresh()
    assert clickhouse.client("reader").query(COUNT).result_rows == [(expected, expected)]
    assert production.status()["delivered"] == expected
    before = metrics(production)

    for request in list(sink.requests):
        assert send(clickhouse, request) == 200
    records = sink.events
    random.Random(1).shuffle(records)
    for start in range(0, len(records), 1000):
        other = ExportLogsServiceRequest()
        other.CopyFrom(sink.requests[0])
        del other.resource_logs[0].scope_logs[0].log_records[:]
        other.resource_logs[0].scope_logs[0].log_records.extend(records[start : start + 1000])
        assert send(clickhouse, other) == 200

    clickhouse.refresh()
    assert clickhouse.value("SELECT count() FROM intel.otel_logs", "admin") >= 3 * expected
    assert clickhouse.client("reader").query(COUNT).result_rows == [(expected, expected)]
    assert metrics(production) == before


def test_a_killed_clickhouse_loses_nothing_that_it_acknowledged(
    production: Telemetry, sink: Sink, tmp_path: Path
) -> None:
    from tests.servers import run_clickhouse

    with run_clickhouse(tmp_path / "data") as clickhouse:
        sink.answer = lambda request: send(clickhouse, request)
        emitting = threading.Thread(target=emit_from_threads, args=(production, 4, 200))
        emitting.start()
        assert poll_until(lambda: production.status()["delivered"] > 300)
        os.killpg(int((tmp_path / "data" / "server.pid").read_text()), signal.SIGKILL)
        acknowledged = set()
        emitting.join()
        assert production.flush(0.5) is False
        acknowledged = {attributes_of(record)["log.record.uid"] for record in sink.events}

        poll_until(lambda: embedded_can_start(tmp_path / "data"))
        server, process = embedded.start(tmp_path / "data")
        try:
            restarted = ClickHouse(server)
            assert production.flush(60), production.status()
            assert production.status()["delivered"] == 4 * 200 * 4
            restarted.refresh()
            rows = restarted.client("reader").query(
                "SELECT event_id FROM metrics.recommendation_events UNION ALL SELECT event_id FROM metrics.admin_views"
                " UNION ALL SELECT event_id FROM metrics.signal_outcomes"
            )
            stored = [event_id for (event_id,) in rows.result_rows]
            assert len(stored) == len(set(stored)) == 4 * 200 * 4
            assert acknowledged <= set(stored)
            restarted.close()
        finally:
            kill(server, process)


def embedded_can_start(directory: Path) -> bool:
    """Tell whether the killed server's lock is gone."""
    return embedded.running(directory) is None


def run_cli(clickhouse: ClickHouse, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTEST_", "DJANGO_"))}
    environment = {
        **kept,
        **clickhouse.variables(),
        "OTEL_INTEL_ENGINE_VERSION": "1",
        "OTEL_SERVICE_NAME": "shop",
        **more,
    }
    command = [sys.executable, "-m", "otel_intel", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_doctor_finds_a_healthy_pipeline(clickhouse: ClickHouse) -> None:
    result = run_cli(clickhouse, "doctor", "--json")
    hops = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(hop["name"], hop["state"]) for hop in hops] == [
        (name, "ok") for name in ("environment", "exporter", "endpoint", "landing", "facts", "views")
    ]
    assert result.returncode == 0
    assert hops[0]["detail"].startswith("http/protobuf to http://127.0.0.1:")
    assert all(isinstance(hop["detail"], str) and hop["fix"] == "" for hop in hops)


@pytest.mark.parametrize(
    ("variables", "hop", "fix"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "environment", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_HEADERS": "x-clickhouse-user=intel_writer"}, "endpoint", "OTEL_EXPORTER_OTLP_HEADERS"),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://127.0.0.1:9"}, "endpoint", "otel-intel up"),
        ({"OTEL_INTEL_CLICKHOUSE_URL": "http://127.0.0.1:9"}, "views", "Is ClickHouse running at 127.0.0.1?"),
        ({"OTEL_INTEL_CLICKHOUSE_URL": ""}, "views", "Set OTEL_INTEL['CLICKHOUSE_URL']"),
        ({"DJANGO_SETTINGS_MODULE": "nowhere"}, "environment", "manage.py check"),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "{http}/nothing/here"}, "endpoint", "gets /v1/logs appended"),
        ({"OTEL_INTEL_ENGINE_VERSION": "otel_intel.conf.NOTHING"}, "environment", ""),
    ],
)
def test_the_doctor_names_the_hop_and_the_fix(
    variables: dict[str, str], hop: str, fix: str, clickhouse: ClickHouse
) -> None:
    http = f"http://127.0.0.1:{clickhouse.server.http_port}"
    variables = {name: value.replace("{http}", http) for name, value in variables.items()}
    result = run_cli(clickhouse, "doctor", "--json", "--wait", "2", **variables)
    last = json.loads(result.stdout.splitlines()[-1])
    assert (last["name"], last["state"]) == (hop, "failed")
    assert fix in last["fix"]
    assert result.returncode == 1


def test_the_doctor_uses_a_sites_settings(clickhouse: ClickHouse) -> None:
    site = {"DJANGO_SETTINGS_MODULE": "demo.settings"}  # its engine's module imports models
    result = run_cli(clickhouse, "doctor", "--json", **site)
    hops = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(hop["name"], hop["state"]) for hop in hops][-1] == ("views", "ok"), hops


def test_the_doctor_names_a_user_who_may_not_read(clickhouse: ClickHouse) -> None:
    result = run_cli(clickhouse, "doctor", "--json", OTEL_INTEL_CLICKHOUSE_URL=clickhouse.url("writer"))
    last = json.loads(result.stdout.splitlines()[-1])
    assert (last["name"], last["fix"]) == (
        "views",
        "Set OTEL_INTEL['CLICKHOUSE_URL'] to the reader's URL of that server.",
    )


def test_the_doctor_notices_another_clickhouse(sink: Sink, clickhouse: ClickHouse) -> None:
    result = run_cli(clickhouse, "doctor", "--wait", "0.5", OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=sink.url)
    assert "✗ landing" in result.stdout
    assert "Does the endpoint write into the ClickHouse of OTEL_INTEL['CLICKHOUSE_URL']?" in result.stdout


def test_the_doctor_waits_for_the_probe(sink: Sink, clickhouse: ClickHouse) -> None:
    result = run_cli(clickhouse, "doctor", "--json", "--wait", "0.5", OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=sink.url)
    last = json.loads(result.stdout.splitlines()[-1])
    assert (last["name"], last["state"]) == ("landing", "failed")
    assert last["milliseconds"] >= 500


@pytest.mark.parametrize("view", ["pipeline_probes", "outcome_distribution_between"])
def test_the_doctor_asks_for_a_migration(view: str, clickhouse: ClickHouse) -> None:
    admin = clickhouse.client("admin")
    admin.command(f"RENAME TABLE metrics.{view} TO metrics.aside")
    try:
        last = json.loads(run_cli(clickhouse, "doctor", "--json", "--wait", "1").stdout.splitlines()[-1])
    finally:
        admin.command(f"RENAME TABLE metrics.aside TO metrics.{view}")
    assert (last["name"], last["state"], last["fix"]) == ("views", "failed", "Run `otel-intel migrate`.")


def test_the_doctor_times_each_hop_by_itself(clickhouse: ClickHouse) -> None:
    before = time.monotonic()
    hops = [json.loads(line) for line in run_cli(clickhouse, "doctor", "--json").stdout.splitlines()]
    took_ms = (time.monotonic() - before) * 1000
    times = {hop["name"]: hop["milliseconds"] for hop in hops}
    assert all(0 < milliseconds < took_ms for milliseconds in times.values()), times
    # The landing's time counts from the creation of the probe, by ClickHouse's clock; the others come one by one.
    assert sum(milliseconds for name, milliseconds in times.items() if name != "landing") < took_ms


@pytest.mark.usefixtures("reading")
def test_status_shows_arrived_and_lost_events(production: Telemetry, sink: Sink, clickhouse: ClickHouse) -> None:
    sink.answer = lambda request: send(clickhouse, request)
    emit(production, range(3), 1)
    production.track_recommendation_view(1, 1, "EXPIRING_SOON", "BOGUS")
    production.shutdown()
    clickhouse.refresh()
    status = json.loads(run_cli(clickhouse, "status", "--json").stdout)
    assert {kind["kind"]: kind["events"] for kind in status["arrived"]} == {
        "outcome": 3,
        "recommendation": 6,
        "view": 3,
    }
    assert status["pipeline"]["emitted"] == 13
    assert status["pipeline"]["dropped_invalid"] == 1
    assert status["pipeline"]["missing"] == 0
    text = run_cli(clickhouse, "status").stdout
    assert "dropped: invalid 1" in text


@pytest.mark.usefixtures("reading")
def test_status_shows_acknowledged_events_that_never_arrived(
    production: Telemetry, sink: Sink, clickhouse: ClickHouse
) -> None:
    sink.answer = lambda request: send(clickhouse, request)
    production.track_dashboard_open(1)
    assert production.flush()
    sink.answer = lambda request: 200  # acknowledged, but never stored
    production.track_dashboard_open(1)
    production.track_dashboard_open(1)
    assert production.flush()
    sink.answer = lambda request: send(clickhouse, request)
    production.shutdown()
    assert "2 of the delivered are not here" in run_cli(clickhouse, "status").stdout


def test_an_event_is_readable_within_three_seconds(production: Telemetry, sink: Sink, clickhouse: ClickHouse) -> None:
    sink.answer = lambda request: send(clickhouse, request)
    before = time.monotonic()
    production.track_dashboard_open(1)
    assert poll_until(lambda: clickhouse.value("SELECT count() FROM metrics.admin_views"), 3)
    assert time.monotonic() - before < 3
