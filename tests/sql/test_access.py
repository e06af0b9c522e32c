"""Grants make the tables append-only: what each user may not do."""

from __future__ import annotations

import re

import pytest
import requests
from clickhouse_connect.driver.exceptions import DatabaseError

from otel_intel.server import embedded
from tests.otlp import deliver, event
from tests.servers import ClickHouse

DESTRUCTIVE = [
    "DELETE FROM intel.otel_logs WHERE 1",
    "ALTER TABLE intel.otel_logs DELETE WHERE 1",
    "ALTER TABLE intel.otel_logs UPDATE Body = 'x' WHERE 1",
    "ALTER TABLE intel.otel_logs DROP COLUMN Body",
    "ALTER TABLE intel.otel_logs MODIFY TTL toDateTime(IngestedAt) + INTERVAL 1 SECOND",
    "ALTER TABLE intel.otel_logs DROP PARTITION 202601",
    "TRUNCATE TABLE intel.otel_logs",
    "DROP TABLE intel.otel_logs",
    "DROP VIEW metrics.decisions",
    "RENAME TABLE intel.otel_logs TO intel.other",
    "DETACH TABLE intel.otel_logs",
    "OPTIMIZE TABLE intel.otel_logs FINAL",
    "CREATE TABLE intel.mine (a UInt8) ENGINE = Memory",
    "CREATE VIEW metrics.mine AS SELECT 1",
    "GRANT SELECT ON intel.* TO intel_reader",
    "INSERT INTO intel.recommendation_events (event_id) VALUES ('x')",
    "INSERT INTO intel.schema_migrations (file) VALUES ('x')",
    "INSERT INTO FUNCTION file('x.csv', 'CSV', 'a UInt8') VALUES (1)",
    "SYSTEM SHUTDOWN",
]
ELSEWHERE = [
    "SELECT * FROM intel.otel_logs",
    "SELECT * FROM intel.recommendation_events",
    "SELECT * FROM system.parts",
    "SELECT * FROM file('/etc/hostname', 'LineAsString')",
    "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
    "SELECT * FROM remote('127.0.0.1', 'intel', 'otel_logs')",
]


@pytest.mark.parametrize("role", ["writer", "reader", "dashboard"])
@pytest.mark.parametrize("statement", DESTRUCTIVE + ELSEWHERE)
def test_refused(clickhouse_server: ClickHouse, role: str, statement: str) -> None:
    with pytest.raises(DatabaseError, match=r"ACCESS_DENIED|READONLY"):
        clickhouse_server.client(role).command(statement)


def test_writer_may_not_read_the_metrics(clickhouse_server: ClickHouse) -> None:
    with pytest.raises(DatabaseError, match="ACCESS_DENIED"):
        clickhouse_server.value("SELECT count() FROM metrics.decisions", role="writer")


def test_writer_cannot_set_the_time_of_arrival(clickhouse: ClickHouse) -> None:
    """The first copy of an event counts, so a writer must not choose its time of arrival."""
    for column in ("IngestedAt", "EventId", "ContentHash"):
        with pytest.raises(DatabaseError, match=r"ACCESS_DENIED|ILLEGAL_COLUMN"):
            clickhouse.client("writer").command(
                f"INSERT INTO intel.otel_logs (Timestamp, EventName, {column}) SELECT now64(9), 'intel.x', '1'"
            )
    assert clickhouse.value("SELECT count() FROM intel.otel_logs", "admin") == 0


@pytest.mark.parametrize("role", ["reader", "dashboard"])
def test_readers_may_not_insert(clickhouse_server: ClickHouse, role: str) -> None:
    with pytest.raises(DatabaseError, match=r"ACCESS_DENIED|READONLY"):
        clickhouse_server.client(role).command("INSERT INTO intel.otel_logs (Body) VALUES ('x')")


def test_of_the_tables_the_reader_reads_numbers_alone(clickhouse: ClickHouse) -> None:
    found = "SELECT name FROM system.tables WHERE database = 'intel' ORDER BY name"
    assert [row["name"] for row in clickhouse.rows(found)] == ["days", "days_admins"]
    assert clickhouse.rows(found, role="dashboard") == []


@pytest.mark.parametrize("role", ["reader", "dashboard"])
def test_readers_read_every_view(clickhouse: ClickHouse, role: str) -> None:
    deliver(clickhouse, event("recommendation.viewed"))
    assert clickhouse.value("SELECT count() FROM metrics.recommendation_events", role=role) == 1


def test_dashboard_may_set_its_own_time_limit_within_bounds(clickhouse_server: ClickHouse) -> None:
    clickhouse_server.client("dashboard").command("SELECT 1", settings={"max_execution_time": 20})
    with pytest.raises(DatabaseError, match="SETTING_CONSTRAINT_VIOLATION"):
        clickhouse_server.client("dashboard").command("SELECT 1", settings={"max_execution_time": 600})


LIMITS = ["max_memory_usage", "max_untracked_memory", "max_concurrent_queries_for_user"]


@pytest.mark.parametrize("setting", LIMITS)
@pytest.mark.parametrize("role", ["writer", "reader", "dashboard"])
def test_nobody_lifts_a_limit(clickhouse_server: ClickHouse, role: str, setting: str) -> None:
    before = clickhouse_server.value(f"SELECT getSetting('{setting}')", role)
    for statement in (f"SELECT 1 SETTINGS {setting} = 0", f"SET {setting} = 100000000000"):
        with pytest.raises(DatabaseError, match=r"SETTING_CONSTRAINT_VIOLATION|READONLY"):
            clickhouse_server.client(role).command(statement)
    assert clickhouse_server.value(f"SELECT getSetting('{setting}')", role) == before


@pytest.mark.parametrize("profile", ["default", "bootstrap", "intel_writer", "intel_reader", "intel_dashboard"])
@pytest.mark.parametrize("role", ["writer", "reader", "dashboard"])
def test_nobody_lifts_a_limit_by_another_profile(clickhouse_server: ClickHouse, role: str, profile: str) -> None:
    url = f"http://127.0.0.1:{clickhouse_server.server.http_port}/"
    headers = {"X-ClickHouse-User": f"intel_{role}", "X-ClickHouse-Key": clickhouse_server.server.passwords[role]}
    session = {"session_id": f"{role}-{profile}"}

    def ask(statement: str) -> str:
        return requests.post(url, data=statement, params=session, headers=headers, timeout=10).text

    ask(f"SET profile = '{profile}'")
    for setting in LIMITS:
        assert re.search("SETTING_CONSTRAINT_VIOLATION|READONLY", ask(f"SET {setting} = 0"))
    assert re.search("SETTING_CONSTRAINT_VIOLATION|READONLY", ask("SET max_execution_time = 61"))


@pytest.mark.parametrize("seconds", [0, 61])
def test_writer_may_set_its_own_time_limit_within_bounds(clickhouse_server: ClickHouse, seconds: int) -> None:
    """The Collector sets it to five seconds more than its own timeout."""
    clickhouse_server.client("writer").command("SELECT 1", settings={"max_execution_time": 20})
    with pytest.raises(DatabaseError, match="SETTING_CONSTRAINT_VIOLATION"):
        clickhouse_server.client("writer").command("SELECT 1", settings={"max_execution_time": seconds})


@pytest.mark.parametrize("role", embedded.ROLES)
def test_passwords_are_needed(clickhouse_server: ClickHouse, role: str) -> None:
    answer = requests.post(
        f"http://127.0.0.1:{clickhouse_server.server.http_port}/",
        data="SELECT 1",
        headers={"X-ClickHouse-User": f"intel_{role}", "X-ClickHouse-Key": "wrong"},
        timeout=10,
    )
    assert "AUTHENTICATION_FAILED" in answer.text


def test_where_an_outer_join_finds_nothing_analysts_see_null(clickhouse_server: ClickHouse) -> None:
    joined = "SELECT y FROM (SELECT 1 AS x) AS a LEFT JOIN (SELECT 2 AS x, 'b' AS y) AS b USING (x)"
    assert clickhouse_server.value(joined) is None


def test_a_query_that_runs_away_leaves_room_for_others(clickhouse_server: ClickHouse) -> None:
    limits = "SELECT name, value FROM system.settings WHERE name IN ('max_threads', 'max_execution_time')"
    assert {row["name"]: row["value"] for row in clickhouse_server.rows(limits)} == {
        "max_threads": "2",
        "max_execution_time": "60",
    }
