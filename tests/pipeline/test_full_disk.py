"""ClickHouse's disk is full: what was acknowledged or waits arrives once there is space, and everybody says why."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from django.contrib.auth.models import User
from django.test import Client, override_settings

from otel_intel import Telemetry, TelemetryUnavailable
from otel_intel.resources import folder
from otel_intel.schema import migrate
from otel_intel.schema.connection import NoSpaceError, read_rows
from otel_intel.schema.refresh import RefreshError
from otel_intel.server import embedded
from otel_intel.server.processes import EmbeddedError
from tests.disks import Disk, mount_disk
from tests.otlp import event, logs_request, post
from tests.processes import otel_intel
from tests.servers import ClickHouse, kill, run_clickhouse
from tests.sink import Sink
from tests.waiting import poll_until

PAGES = ("", "events/", "outcomes/", "activity/")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with mount_disk(tmp_path / "disk", 96) as disk:
        yield disk


@pytest.fixture
def server(disk: Disk) -> Iterator[ClickHouse]:
    """A server on the small disk, with the schema in place."""
    with run_clickhouse(disk.path / "data") as clickhouse:
        yield clickhouse


@pytest.fixture
def sending(server: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> Iterator[Telemetry]:
    """A Telemetry that sends into that server as in production, and reads from it."""
    monkeypatch.delenv("PYTEST_VERSION")
    for name, value in server.variables().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OTEL_BLRP_SCHEDULE_DELAY", "20")
    with override_settings(OTEL_INTEL={"ENGINE_VERSION": "1", "CLICKHOUSE_URL": server.url("reader")}):
        telemetry = Telemetry()
        yield telemetry
        telemetry.shutdown(timeout=0.5)


def signals(server: ClickHouse) -> list[str]:
    rows = read_rows(server.client("reader"), "SELECT risk_signal_id FROM metrics.admin_views")
    return sorted(str(signal) for (signal,) in rows)


def command(server: ClickHouse, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")},
        **server.variables(),
        "CLICKHOUSE_URL": server.url("admin"),
        "OTEL_INTEL_ENGINE_VERSION": "1",
        "OTEL_SERVICE_NAME": "shop",
        **more,
    }
    line = [sys.executable, "-m", "otel_intel", *arguments]
    return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
def test_what_waits_arrives_once_there_is_space(
    first: bool, disk: Disk, server: ClickHouse, sending: Telemetry
) -> None:
    if not first:
        sending.track_signal_detail_open(1, "before")
        assert sending.flush(10)
    disk.fill()
    for number in range(500):
        sending.track_signal_detail_open(1, number)
    assert sending.flush(1) is False
    assert sending.status()["queued"] == 500
    assert set(sending.status()["dropped"].values()) == {0}
    disk.free()
    assert sending.flush(30)
    server.refresh()
    assert signals(server) == sorted([*map(str, range(500)), *([] if first else ["before"])])


def test_what_was_acknowledged_survives_a_merge_and_a_restart(disk: Disk, server: ClickHouse) -> None:
    for number in range(5):
        records = [event("signal.detail_opened", **{"intel.risk_signal.id": f"{number}-{one}"}) for one in range(20)]
        assert post(server, logs_request(records).SerializeToString()).status_code == 200
    server.refresh()
    before = signals(server)
    assert len(before) == 100
    disk.fill()
    with pytest.raises(DatabaseError, match="CANNOT_ASSIGN_OPTIMIZE"):
        server.client("admin").command("OPTIMIZE TABLE intel.admin_views FINAL SETTINGS optimize_throw_if_noop = 1")
    assert signals(server) == before
    server.close()
    embedded.stop(server.server.directory)
    disk.fill()  # merges and the stop have given some space back
    with pytest.raises(EmbeddedError, match="No space left on device"):
        embedded.start(server.server.directory)
    disk.free()
    again, process = embedded.start(server.server.directory)
    clickhouse = ClickHouse(again)
    try:
        assert signals(clickhouse) == before
        assert post(clickhouse, logs_request([event("signal.detail_opened")]).SerializeToString()).status_code == 200
        clickhouse.refresh()
        clickhouse.client("admin").command("OPTIMIZE TABLE intel.admin_views FINAL")
        assert len(signals(clickhouse)) == 101
        clickhouse.close()
    finally:
        kill(again, process)


def test_the_refresh_goes_on_once_there_is_space(disk: Disk, server: ClickHouse) -> None:
    records = [event("signal.detail_opened", **{"intel.risk_signal.id": str(one)}) for one in range(20)]
    assert post(server, logs_request(records).SerializeToString()).status_code == 200
    disk.fill()
    with pytest.raises(RefreshError, match=r"NOT_ENOUGH_SPACE|No space left"):
        server.refresh()
    disk.free()
    server.refresh()
    assert len(signals(server)) == 20


def test_a_cache_that_an_older_version_left_empty_is_written_again(disk: Disk, server: ClickHouse) -> None:
    [cached] = (server.server.directory / "__cache__").glob("*.proto")
    cached.write_bytes(b"")
    request = logs_request([event("signal.detail_opened")]).SerializeToString()
    assert post(server, request).status_code == 400
    server.close()
    embedded.stop(server.server.directory)
    again, process = embedded.start(server.server.directory)
    clickhouse = ClickHouse(again)
    try:
        assert post(clickhouse, request).status_code == 200
        clickhouse.close()
    finally:
        kill(again, process)


def test_the_statement_of_the_runbook_repairs_an_empty_cache(server: ClickHouse) -> None:
    request = logs_request([event("signal.detail_opened")]).SerializeToString()
    [cached] = (server.server.directory / "__cache__").glob("*.proto")
    cached.write_bytes(b"")
    refused = post(server, request)
    assert refused.status_code == 400
    runbook = folder("grafana").joinpath("RUNBOOK.md").read_text("utf-8")
    [said] = re.findall("answered by 400 with `([^`]*)`", runbook)
    assert said in refused.text
    [statement] = re.findall("Run `(SYSTEM [^`]*)` as the admin", runbook)
    server.client("admin").command(statement)
    assert post(server, request).status_code == 200


CHANGES = [("migrate",), ("rebuild",), ("migrate", "--retention-landing", "20 DAY")]


@pytest.mark.parametrize("arguments", CHANGES, ids=" ".join)
def test_what_changes_the_schema_is_refused_and_works_later(
    arguments: tuple[str, ...], disk: Disk, server: ClickHouse
) -> None:
    """The server would leave empty files of tables and views, and could not be started again."""
    records = [event("signal.detail_opened", **{"intel.risk_signal.id": str(one)}) for one in range(100)]
    assert post(server, logs_request(records).SerializeToString()).status_code == 200
    disk.fill()
    refused = command(server, *arguments)
    assert refused.returncode == 1
    assert "disk default has 0 MB free" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert [
        path for path in (server.server.directory / "data" / "store").rglob("*.sql") if not path.stat().st_size
    ] == []
    disk.free()
    server.close()
    embedded.stop(server.server.directory)
    again, process = embedded.start(server.server.directory)
    clickhouse = ClickHouse(again)
    try:
        worked = command(clickhouse, *arguments)
        assert (worked.returncode, worked.stderr) == (0, "")
        clickhouse.refresh()
        assert signals(clickhouse) == sorted(map(str, range(100)))
        clickhouse.close()
    finally:
        kill(again, process)


def test_up_changes_nothing_where_nothing_has_changed(server: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on a disk that is nearly full."""
    monkeypatch.setattr("otel_intel.schema.connection.MIN_FREE", 10**12)
    assert migrate.migrate(server.client("admin"), lambda line: None, again=False) == 0
    with pytest.raises(NoSpaceError, match="Nothing was changed"):
        migrate.migrate(server.client("admin"), lambda line: None)
    server.client("admin").command("DELETE FROM intel.schema_migrations WHERE file = 'views'")
    with pytest.raises(NoSpaceError):
        migrate.migrate(server.client("admin"), lambda line: None, again=False)


@pytest.mark.django_db
def test_everybody_who_reads_gets_the_numbers(
    disk: Disk, server: ClickHouse, sending: Telemetry, client: Client
) -> None:
    sending.track_recommendation_view(1, 2, "EXPIRING_SOON", "HIGH")
    sending.track_signal_outcome(1, "RESOLVED", 1.5)
    assert sending.flush(10)
    server.refresh()
    client.force_login(User.objects.create_user("viewer", is_staff=True))
    disk.fill()
    for page in PAGES:
        answer = client.get(f"/telemetry/{page}")
        assert answer.status_code == 200
        assert "Track something" not in answer.text
        assert ("disk is nearly full" in answer.text) == (page == "")
    assert sending.get_recommendation_acceptance_rate(days=7)["viewed"] == 1
    status = command(server, "status")
    assert (status.returncode, status.stderr) == (0, "")
    assert "default: 0 bytes of 101 MB free" in status.stdout
    doctor = command(server, "doctor")
    assert doctor.returncode == 1
    assert "NOT_ENOUGH_SPACE" in doctor.stdout
    assert "→ The server is there: free space on its disk, then it goes on by itself." in doctor.stdout


def test_a_probe_that_waits_for_space_is_explained(disk: Disk, server: ClickHouse, sink: Sink) -> None:
    disk.fill()
    taken = command(server, "doctor", "--wait", "0.1", OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=sink.url)
    assert re.search(
        r"→ ClickHouse's disk is full \(default: 0 bytes of .*\): free space, then it goes on by itself;"
        r" see clickhouse-disk in the runbook\.",
        taken.stdout,
    )


def test_up_on_a_full_disk_says_so_and_works_later(disk: Disk) -> None:
    directory = disk.path / "data"
    disk.fill()
    up = otel_intel(directory, "up", "--http-port", "0", "--native-port", "0", "--detach")
    failed = subprocess.run(up, capture_output=True, text=True, timeout=90, check=False)
    assert failed.returncode == 1
    assert "No space left on device" in failed.stderr
    disk.free()
    worked = subprocess.run(up, capture_output=True, text=True, timeout=90, check=False)
    try:
        assert worked.returncode == 0, worked.stderr
    finally:
        subprocess.run(otel_intel(directory, "down"), check=True, timeout=90)
    assert poll_until(lambda: embedded.running(directory) is None)


def test_an_answer_without_a_row_is_an_error_where_there_must_be_one(
    server: ClickHouse, sending: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from a server that keeps its answers on the full disk: 200 and nothing."""
    monkeypatch.setattr("otel_intel.schema.connection.AT_ONCE", {})
    monkeypatch.setattr("clickhouse_connect.driver.query.QueryResult.named_results", lambda self: iter(()))
    with pytest.raises(TelemetryUnavailable, match="sent an empty answer: is its disk full"):
        sending.get_override_rate()
