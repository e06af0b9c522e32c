"""otel-intel up --collector: both processes start and stop together; and what it refuses."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import stat
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from otel_intel.commands.main import main
from otel_intel.server import collector, embedded
from tests.collector.process import binary
from tests.otlp import event, logs_request
from tests.processes import UP, otel_intel, run_otel_intel, running
from tests.servers import ClickHouse
from tests.waiting import poll_until

WITH_COLLECTOR = (*UP, "--collector")


def _variables(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in shlex.split(text))


def _post(variables: dict[str, str]) -> int:
    headers = {"Content-Type": "application/x-protobuf"}
    name, _, value = variables["OTEL_EXPORTER_OTLP_HEADERS"].partition("=")
    headers[name] = value.replace("%20", " ")
    body = logs_request([event("dashboard.opened")]).SerializeToString()
    url = f"{variables['OTEL_EXPORTER_OTLP_ENDPOINT']}/v1/logs"
    return requests.post(url, data=body, headers=headers, timeout=5).status_code


def _views(data: Path) -> int:
    clickhouse = ClickHouse(embedded.load(data))
    try:
        return int(clickhouse.value("SELECT count() FROM metrics.admin_views"))
    finally:
        clickhouse.close()


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    """Build the collector before the tests."""
    binary()


def test_detached_server_and_collector_start_and_stop_together(new_data: Path) -> None:
    up = run_otel_intel(new_data, *WITH_COLLECTOR, "--detach")
    assert up.returncode == 0, up.stderr
    assert "used with --collector" not in up.stderr
    variables = _variables(up.stdout)
    assert set(variables) == {
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_INTEL_CLICKHOUSE_URL",
    }
    assert _post(variables) == 200
    assert poll_until(lambda: _views(new_data) == 1)
    assert run_otel_intel(new_data, "env").stdout == up.stdout
    assert stat.S_IMODE((new_data / "collector.json").stat().st_mode) == 0o600

    assert run_otel_intel(new_data, "down").returncode == 0
    assert collector.running(new_data) is None

    # The token and the ports stay; without --collector the application sends to ClickHouse itself.
    without = run_otel_intel(new_data, "up", "--detach")
    assert without.stdout.startswith("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=")
    assert f"still send to port {variables['OTEL_EXPORTER_OTLP_ENDPOINT'].rpartition(':')[2]}" in without.stderr
    assert run_otel_intel(new_data, "down").returncode == 0
    again = run_otel_intel(new_data, "up", "--collector", "--detach")
    assert _variables(again.stdout)["OTEL_EXPORTER_OTLP_HEADERS"] == variables["OTEL_EXPORTER_OTLP_HEADERS"]


def test_ports_that_are_taken_are_left_alone(data: Path) -> None:
    with contextlib.ExitStack() as taken:
        for port in (4317, 4318, 8888, 13133):
            with contextlib.suppress(OSError):  # it is taken already
                taken.enter_context(socket.create_server(("127.0.0.1", port)))
        up = run_otel_intel(data, *WITH_COLLECTOR, "--detach")
        assert up.returncode == 0, up.stderr
        ports = json.loads((data / "collector.json").read_text())["ports"]
        assert set(ports) == {"http", "grpc", "metrics", "health"}
        for port in ports.values():
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        assert not set(ports.values()) & {4317, 4318, 8888, 13133}


def test_detached_collector_that_was_killed_is_told_and_started_again(data: Path) -> None:
    first = _variables(run_otel_intel(data, *WITH_COLLECTOR, "--detach").stdout)
    assert json.loads(run_otel_intel(data, "status", "--json").stdout)["collector_has_ended"] is False
    os.kill(int((data / "collector.pid").read_text()), signal.SIGKILL)
    assert poll_until(lambda: collector.running(data) is None)
    status = run_otel_intel(data, "status")
    assert "The Collector has ended: `otel-intel up --collector --detach` starts it again" in status.stdout
    told = json.loads(run_otel_intel(data, "status", "--json").stdout)
    assert told["collector_has_ended"] is True
    assert told["now"].endswith("+00:00")
    assert {disk["is_low"] for disk in told["disks"]} <= {True, False}
    again = run_otel_intel(data, "up", "--collector", "--detach")
    assert (again.returncode, "The Collector runs again" in again.stderr) == (0, True)
    assert _post(first) == 200
    assert (data / "collector.log.1").exists()


def test_new_passwords_give_the_collector_a_new_token_and_keep_its_queue(data: Path) -> None:
    first = _variables(run_otel_intel(data, *WITH_COLLECTOR, "--detach").stdout)
    embedded.stop(data)  # the Collector goes on without ClickHouse
    assert _post(first) == 200
    collector.stop(data)
    second = _variables(run_otel_intel(data, "up", "--collector", "--detach", "--new-passwords").stdout)
    assert poll_until(lambda: _views(data) == 1)
    assert _post(first) == 401
    assert _post(second) == 200
    assert poll_until(lambda: _views(data) == 2)


@pytest.mark.parametrize("received", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_both_end_with_the_command(data: Path, received: signal.Signals) -> None:
    with running(otel_intel(data, *WITH_COLLECTOR)) as up:
        assert up.stderr
        assert any("a Collector in front; Ctrl-C stops it." in line for line in up.stderr)
        assert collector.running(data)
        up.send_signal(received)
        assert up.wait(30) == (-received if received is signal.SIGKILL else 0), up.stderr.read()
    assert poll_until(lambda: collector.running(data) is None)
    assert poll_until(lambda: embedded.running(data) is None)


def test_collector_that_dies_is_reported(data: Path) -> None:
    with running(otel_intel(data, *WITH_COLLECTOR)) as up:
        assert up.stderr
        assert any("Ctrl-C stops it." in line for line in up.stderr)
        os.kill(int((data / "collector.pid").read_text()), signal.SIGKILL)
        assert up.wait(30) == 1
        assert "The Collector ended with exit code -9: see" in up.stderr.read()


def test_missing_binary_names_the_command_that_builds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    result = CliRunner().invoke(main, ["up", "--collector", "--data", str(tmp_path / "data")])
    assert result.exit_code == 1
    assert "make collector" in result.output
    assert "--collector-binary" in result.output
    assert not (tmp_path / "data").exists()


def test_binary_that_is_not_a_program(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("not a program")
    options = ["--collector-binary", str(tmp_path / "notes"), "--data", str(tmp_path / "data")]
    result = CliRunner().invoke(main, ["up", *options])
    assert result.exit_code == 1
    assert "notes is not a program" in result.output
    assert not (tmp_path / "data").exists()


def test_server_stops_if_the_collector_does_not_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    broken = tmp_path / "collector"
    broken.write_text("#!/bin/sh\necho 'error decoding config' >&2\nexit 1\n")
    broken.chmod(0o755)
    up = run_otel_intel(data, *UP, f"--collector-binary={broken}", "--detach")
    assert (up.returncode, up.stdout) == (1, "")
    assert "The collector did not start: error decoding config" in up.stderr
    assert embedded.running(data) is None
