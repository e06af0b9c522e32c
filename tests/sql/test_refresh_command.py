"""`otel-intel refresh` as a process: alone, beside a server that `up` started, and while the server is away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import requests

from otel_intel.server import embedded, refresher
from tests.otlp import event, logs_request, post
from tests.processes import UP, otel_intel, run_otel_intel, running
from tests.servers import ClickHouse, signal_engine
from tests.waiting import poll_until

COUNT = "SELECT count() FROM metrics.admin_views"


def deliver(clickhouse: ClickHouse) -> None:
    """Send an event until it is acknowledged."""
    request = logs_request([event("dashboard.opened")]).SerializeToString()

    def taken() -> bool:
        try:
            return post(clickhouse, request).status_code == 200
        except requests.ConnectionError:
            return False

    assert poll_until(taken)


def counted(clickhouse: ClickHouse) -> int:
    """Return how many events are in the facts, without a refresh by this process."""
    [[count]] = clickhouse.client("reader").query(COUNT).result_rows
    return int(count)


def has(clickhouse: ClickHouse, events: int) -> bool:
    return counted(clickhouse) == events


def command(clickhouse: ClickHouse, *options: str) -> tuple[list[str], dict[str, str]]:
    line = [sys.executable, "-m", "otel_intel", "refresh", *options]
    return line, {**os.environ, "CLICKHOUSE_URL": clickhouse.url("admin")}


def test_once_ends_when_all_is_taken_in(clickhouse: ClickHouse) -> None:
    deliver(clickhouse)
    line, environment = command(clickhouse, "--once")
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("1 events\n", "")
    assert counted(clickhouse) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_goes_on_until_it_is_told_to_end(clickhouse: ClickHouse, number: signal.Signals) -> None:
    line, environment = command(clickhouse)
    with running(line, env=environment) as process:
        for events in (1, 2):
            deliver(clickhouse)
            assert poll_until(partial(has, clickhouse, events))
        process.send_signal(number)
        assert process.communicate(timeout=30) == ("", "")
        assert process.returncode == 0


def test_up_keeps_the_numbers_fresh_also_after_a_crash_and_down_ends_it(data: Path) -> None:
    assert run_otel_intel(data, *UP, "--detach").returncode == 0
    clickhouse = ClickHouse(embedded.load(data))
    deliver(clickhouse)
    assert poll_until(partial(has, clickhouse, 1))
    signal_engine(clickhouse.server, signal.SIGKILL)
    deliver(clickhouse)
    assert poll_until(partial(has, clickhouse, 2))
    clickhouse.close()
    assert not refresher.has_ended(data)
    assert run_otel_intel(data, "down").returncode == 0
    assert refresher.has_ended(data)
    # The server was away, and each new error is told once.
    told = (data / refresher.LOG).read_text().splitlines()
    assert len(told) == len(set(told))


def test_up_in_the_foreground_starts_it_again_and_ends_it(data: Path) -> None:
    with running(otel_intel(data, *UP)) as up:
        assert poll_until(lambda: not refresher.has_ended(data))
        first = int((data / "refresher.pid").read_text())
        os.kill(first, signal.SIGKILL)
        assert poll_until(lambda: not refresher.has_ended(data) and (data / "refresher.pid").read_text() != str(first))
        up.terminate()
        assert up.wait(60) == 0
    assert refresher.has_ended(data)
