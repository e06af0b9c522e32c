"""Views as files."""

from __future__ import annotations

import csv
import io
import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from otel_intel.commands.main import main
from otel_intel.reading.export import FORMATS, VIEWS
from otel_intel.schema.migrate import migrate
from tests.otlp import event, send
from tests.servers import ClickHouse

DAY = 86_400 * 10**9


def _export(clickhouse: ClickHouse, *arguments: str) -> bytes:
    result = CliRunner().invoke(main, ["export", *arguments, "--url", clickhouse.url("reader")])
    assert result.exit_code == 0, result.output
    return result.stdout_bytes


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_in_every_format(clickhouse: ClickHouse, tmp_path: Path, view: str, file_format: str) -> None:
    send(
        clickhouse,
        event("recommendation.accepted", **{"intel.decision.time_ms": 5}),
        event("signal.outcome_recorded"),
        event("dashboard.opened"),
        event("unknown"),
    )
    file = tmp_path / "file"
    _export(clickhouse, view, "--format", file_format, "--days", "2", "--out", str(file))
    content = file.read_bytes()
    rows = clickhouse.value(f"SELECT count() FROM metrics.{view}")
    match file_format:
        case "csv":
            table = list(csv.DictReader(io.StringIO(content.decode())))
            assert len(table) == rows
            assert not table or table[0].keys() == clickhouse.rows(f"SELECT * FROM metrics.{view}")[0].keys()
        case "jsonl":
            assert len([json.loads(line) for line in content.splitlines()]) == rows
        case "parquet":
            assert content[:4] == content[-4:] == b"PAR1"


@pytest.mark.parametrize(
    ("name", "start"), [("x.parquet", b"PAR1"), ("x.JSONL", b"{"), ("x.csv", b'"event_id"'), ("x", b'"')]
)
def test_the_name_says_the_format(clickhouse: ClickHouse, tmp_path: Path, name: str, start: bytes) -> None:
    send(clickhouse, event("dashboard.opened"))
    _export(clickhouse, "admin_views", "--out", str(tmp_path / name))
    assert (tmp_path / name).read_bytes().startswith(start)


def test_a_name_that_says_another_format_is_refused(clickhouse: ClickHouse, tmp_path: Path) -> None:
    arguments = ["export", "admin_views", "--out", str(tmp_path / "x.xlsx"), "--url", clickhouse.url("reader")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "x.xlsx ends in no format: add --format csv|jsonl|parquet" in result.output.replace("\n", " ")
    assert list(tmp_path.iterdir()) == []


def test_null_in_csv_is_what_the_help_says(clickhouse: ClickHouse) -> None:
    send(clickhouse, event("recommendation.accepted"))
    [row] = csv.DictReader(io.StringIO(_export(clickhouse, "recommendation_events", "--out", "-").decode()))
    assert row["decision_time_ms"] == r"\N"
    assert "NULL is a backslash and an N" in CliRunner().invoke(main, ["export", "--help"]).output


def test_days_are_utc_days_and_oldest_first(clickhouse: ClickHouse) -> None:
    today = time.time_ns() // DAY * DAY
    send(clickhouse, *(event("dashboard.opened", today - age * DAY) for age in (0, 2, 1, 3)))
    content = _export(clickhouse, "admin_views", "--format", "jsonl", "--days", "3")
    times = [json.loads(line)["timestamp"] for line in content.splitlines()]
    assert len(times) in (2, 3)  # midnight may have passed
    assert times == sorted(times)


def test_error_in_the_middle_leaves_no_file(clickhouse: ClickHouse, tmp_path: Path) -> None:
    admin = clickhouse.client("admin")
    admin.command(
        "CREATE OR REPLACE VIEW metrics.spans AS SELECT toDateTime64(number, 9, 'UTC') AS timestamp,"
        " throwIf(number = 3000000, 'too many') FROM numbers(4000000)"
    )
    try:
        result = CliRunner().invoke(
            main, ["export", "spans", "--out", str(tmp_path / "spans.csv"), "--url", clickhouse.url("admin")]
        )
    finally:
        migrate(admin, print)
    assert result.exit_code == 1
    assert "too many" in result.output
    assert list(tmp_path.iterdir()) == []
