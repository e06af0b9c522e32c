"""Faults with real processes: each acknowledged event counts once in every metric; all others are reported as lost."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from otel_intel.server import embedded
from tests.collector.process import Collector
from tests.collector.traffic import IDS, Sender, arrived, assert_counted_once, make_events, told_missing
from tests.disks import Disk, mount_disk
from tests.otlp import Record
from tests.servers import ClickHouse, kill, with_schema
from tests.waiting import poll_until


class Database:
    """A ClickHouse that a test may stop, kill and start again on the same ports."""

    def __init__(self, directory: Path, disk: Disk | None = None) -> None:
        self.directory = directory
        self._disk = disk
        self.server, self._process = embedded.start(with_schema(directory), 0, 0)
        self.clickhouse = ClickHouse(self.server)

    @property
    def disk(self) -> Disk:
        """Its own small disk."""
        assert self._disk is not None
        return self._disk

    def kill(self) -> None:
        """Kill it at once, like a power failure."""
        self.clickhouse.close()
        kill(self.server, self._process)

    def start(self) -> None:
        """Start it again."""
        self.server, self._process = embedded.start(self.directory)
        self.clickhouse = ClickHouse(self.server)


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An own server for the test; indirectly parametrized, on a disk of that many MB."""
    with contextlib.ExitStack() as stack:
        directory, disk = tmp_path / "clickhouse", None
        if megabytes := getattr(request, "param", 0):
            disk = stack.enter_context(mount_disk(tmp_path / "clickhouse-disk", megabytes))
            directory = disk.path / "clickhouse"
        database = Database(directory, disk)
        stack.callback(database.kill)
        yield database


on_a_small_disk = pytest.mark.parametrize("database", [128], indirect=True)


@pytest.fixture
def collector(database: Database, tmp_path: Path) -> Iterator[Collector]:
    """A collector in front of it."""
    with Collector(tmp_path / "collector", database.server) as collector:
        yield collector


def deliver(collector: Collector, records: list[Record]) -> None:
    """Send records until all are acknowledged."""
    sender = Sender(collector, records)
    sender.start()
    sender.finish()


def longer(attempts: Sequence[object], than: int) -> bool:
    """Tell whether there are more attempts than before."""
    return len(attempts) > than


def test_clickhouse_is_down_when_the_collector_starts(database: Database, collector: Collector) -> None:
    database.kill()
    collector.start()
    records = make_events(100)
    deliver(collector, records)
    assert "schema detection failed" in collector.logged()
    database.start()
    assert_counted_once(database.clickhouse, records)
    # The exporter did not detect the column EventName; its default takes the name from the attribute.
    assert database.clickhouse.value("SELECT count() FROM intel.otel_logs WHERE EventName = ''", "admin") == 0


@contextlib.contextmanager
def hanging_up(port: int) -> Iterator[list[None]]:
    """Replace ClickHouse by a server that closes every connection; give the list of attempts."""
    attempts: list[None] = []
    with socket.create_server(("127.0.0.1", port)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return  # closed
                attempts.append(None)
                connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield attempts
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


# By default the exporter deletes a batch after five minutes, at about the fifteenth retry. Here are many more retries.
MANY_ATTEMPTS = 60


def test_long_outage_of_clickhouse(database: Database, collector: Collector) -> None:
    collector.start()
    database.kill()
    records = make_events(250)
    until = time.monotonic() + float(os.environ.get("COLLECTOR_TEST_OUTAGE", "0"))  # seconds, for a longer test
    with hanging_up(database.server.native_port) as attempts:
        deliver(collector, records)
        while len(attempts) < MANY_ATTEMPTS or time.monotonic() < until:
            before = len(attempts)
            assert poll_until(partial(longer, attempts, before), 10), before  # it has not given up
    database.start()
    assert_counted_once(database.clickhouse, records)
    assert collector.metric("otelcol_exporter_send_failed_log_records") == 0


def test_the_same_outage_with_a_limit_of_retries_loses_events(
    database: Database, collector: Collector, tmp_path: Path
) -> None:
    """Prove that the previous test would notice a loss: a limit like the exporter's default, but shorter."""
    limited = tmp_path / "limited.yaml"
    limited.write_text("exporters:\n  clickhouse/intel:\n    retry_on_failure:\n      max_elapsed_time: 1s\n")
    collector.configs.append(limited)
    collector.start()
    database.kill()
    deliver(collector, make_events(250))
    assert poll_until(lambda: collector.metric("otelcol_exporter_send_failed_log_records") > 0, 20)
    database.start()
    collector.stop()  # all that is left has been sent
    assert not arrived(database.clickhouse, 1000)()


def test_collector_is_killed_twice_with_a_full_queue(database: Database, collector: Collector) -> None:
    collector.settings["QUEUE_SIZE"] = "4000"
    collector.start()
    database.kill()
    records = make_events(1500)
    sender = Sender(collector, records)
    sender.start()
    assert poll_until(lambda: sender.refusals > 3, 30)
    assert len(sender.acknowledged) >= 2000
    for _ in range(2):
        collector.stop(signal.SIGKILL)
        collector.start()
    database.start()
    sender.finish()
    assert_counted_once(database.clickhouse, records)


def test_collector_is_killed_while_it_sends(database: Database, collector: Collector) -> None:
    collector.start()
    records = make_events(1500)
    sender = Sender(collector, records)
    sender.start()
    for share in (3, 2):
        assert poll_until(arrived(database.clickhouse, len(records) // share // 2), 30)
        collector.stop(signal.SIGKILL)
        collector.start()
    sender.finish()
    assert_counted_once(database.clickhouse, records)


def test_clickhouse_is_killed_under_load(database: Database, collector: Collector) -> None:
    collector.start()
    records = make_events(1500)
    senders = [Sender(collector, records[start::2], 100) for start in range(2)]
    for sender in senders:
        sender.start()
    assert poll_until(arrived(database.clickhouse, 1000), 30)
    database.kill()
    database.start()
    for sender in senders:
        sender.finish()
    assert_counted_once(database.clickhouse, records)


def test_wrong_grants_and_then_right_ones(
    database: Database, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.kill()
    write_configuration = embedded.write_configuration

    def without_grants(server: embedded.Server) -> None:
        write_configuration(server)
        users = server.directory / "users.d" / "access.xml"
        granted = users.read_text()
        refused = re.sub(r"<query>GRANT INSERT\(.*?\), SHOW COLUMNS ON intel.otel_logs</query>", "", granted)
        assert refused != granted
        users.write_text(refused)

    with monkeypatch.context() as patch:
        patch.setattr(embedded, "write_configuration", without_grants)
        database.start()
    collector.start()
    records = make_events(100)
    deliver(collector, records)
    refused = r"Will retry.*Not enough privileges.*INSERT"
    assert poll_until(lambda: re.search(refused, collector.logged()))
    assert database.clickhouse.value("SELECT count() FROM intel.otel_logs", "admin") == 0
    database.kill()
    database.start()
    assert_counted_once(database.clickhouse, records)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB for the queue."""
    with mount_disk(tmp_path / "disk", 4) as disk:
        yield disk.path


def test_disk_of_the_queue_is_full(database: Database, collector: Collector, small_disk: Path) -> None:
    """Senders are refused, nothing counts twice, and lost events are counted.

    Sometimes the Collector skips batches that it has acknowledged: when it cannot write to disk that it is sending
    them. The runbook says so, and says to keep the disk larger than the queue.
    """
    collector.settings["QUEUE_DIR"] = str(small_disk / "queue")
    collector.start()
    database.kill()
    records = make_events(2500)
    sender = Sender(collector, records)
    sender.start()
    assert poll_until(lambda: sender.refusals > 3, 30)
    assert "no space left on device" in collector.logged()
    assert collector.metric("otelcol_exporter_enqueue_failed_log_records") > 0
    database.start()
    # Usually the queue drains by itself. But items that could not be deleted may keep the disk full, so make it larger.
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    sender.finish(60)
    # It works again: new events arrive.
    more = make_events(25, seed=2)
    deliver(collector, more)
    records += more
    poll_until(arrived(database.clickhouse, len(records)), 10, 0.1)
    told = told_missing(collector, database.clickhouse, records)
    stored = [str(event_id) for (event_id,) in database.clickhouse.client("reader").query(IDS).result_rows]
    assert len(stored) == len(set(stored))
    assert {str(record.attributes["log.record.uid"]) for record in more} <= set(stored)
    assert told == len(records) - len(stored)


def test_a_queue_smaller_than_its_disk_loses_nothing(
    database: Database, collector: Collector, small_disk: Path
) -> None:
    """A queue smaller than its disk refuses events before the disk is full."""
    collector.settings |= {"QUEUE_DIR": str(small_disk / "queue"), "QUEUE_SIZE": "2000"}
    collector.start()
    database.kill()
    records = make_events(1500)
    sender = Sender(collector, records)
    sender.start()
    assert poll_until(lambda: sender.refusals > 3, 30)
    database.start()
    sender.finish()
    assert_counted_once(database.clickhouse, records)
    assert "no space left on device" not in collector.logged()
    assert told_missing(collector, database.clickhouse, records) == 0


def test_everything_stops_and_starts_in_order(database: Database, collector: Collector) -> None:
    database.kill()
    collector.start()
    records = make_events(100)
    deliver(collector, records)
    collector.stop(signal.SIGTERM)
    database.start()
    collector.start()
    assert_counted_once(database.clickhouse, records)


@on_a_small_disk
def test_disk_of_clickhouse_is_full(database: Database, collector: Collector) -> None:
    """The Collector keeps what it has acknowledged until there is space."""
    collector.start()
    records = make_events(250)
    deliver(collector, records[:500])
    assert poll_until(arrived(database.clickhouse, 500))
    database.disk.fill()
    deliver(collector, records[500:])
    assert poll_until(lambda: re.search(r"Will retry.*not enough space", collector.logged()))
    database.disk.free()
    assert_counted_once(database.clickhouse, records)
    assert told_missing(collector, database.clickhouse, records) == 0


@on_a_small_disk
def test_both_disks_are_full(database: Database, collector: Collector, small_disk: Path) -> None:
    """Senders are refused; the queue is smaller than its disk, and what was acknowledged arrives."""
    collector.settings |= {"QUEUE_DIR": str(small_disk / "queue"), "QUEUE_SIZE": "2000"}
    collector.start()
    database.disk.fill()
    records = make_events(1500)
    sender = Sender(collector, records)
    sender.start()
    assert poll_until(lambda: sender.refusals > 3, 30)
    database.disk.free()
    sender.finish(60)
    assert_counted_once(database.clickhouse, records)
    assert told_missing(collector, database.clickhouse, records) == 0
