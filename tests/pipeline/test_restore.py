"""After a restore, ``missing`` counts what a process that still runs had sent since the backup."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from django.test import override_settings

from otel_intel import Telemetry
from otel_intel.schema.connection import read_rows
from otel_intel.server import embedded
from otel_intel.server.processes import stop_child
from tests.servers import ClickHouse, kill, with_schema
from tests.waiting import poll_until


def test_missing_after_a_restore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, backup = tmp_path / "data", tmp_path / "backup"
    server, process = embedded.start(with_schema(data), 0, 0)
    clickhouse = ClickHouse(server)
    monkeypatch.delenv("PYTEST_VERSION")
    for name, value in server.variables().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OTEL_BLRP_SCHEDULE_DELAY", "20")
    try:
        with override_settings(OTEL_INTEL={"ENGINE_VERSION": "1"}):
            survivor, ended = Telemetry(), Telemetry()

            def track(*telemetries: Telemetry) -> None:
                for number, telemetry in enumerate(telemetries):
                    telemetry.track_signal_detail_open(1, number)
                    assert telemetry.flush(10)

            track(survivor)
            clickhouse.close()
            stop_child(process)
            shutil.copytree(data, backup, symlinks=True)
            _, process = embedded.start(data)
            track(survivor, survivor, ended)
            ended.shutdown(10)
            stop_child(process)
            shutil.rmtree(data)
            shutil.copytree(backup, data, symlinks=True)
            _, process = embedded.start(data)
            survivor.shutdown(10)

            def missing() -> list[tuple[int, int]]:
                rows = read_rows(clickhouse.client("reader"), "SELECT delivered, missing FROM metrics.pipeline_health")
                return [(int(delivered), int(lost)) for delivered, lost in rows]

            assert poll_until(lambda: missing() == [(3, 2)]), missing()
        clickhouse.close()
    finally:
        kill(server, process)
