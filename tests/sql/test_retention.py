"""How long the landing and the quarantine are kept is a setting; facts stay for ever."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from otel_intel.commands.main import main
from tests.otlp import deliver, event
from tests.servers import ClickHouse
from tests.waiting import poll_until

TABLES = ("otel_logs", "rejected_events", "quarantine_logs")


@pytest.fixture(autouse=True)
def as_before(clickhouse: ClickHouse) -> Iterator[None]:
    """Restore the default retention on the run's server."""
    yield
    found = run(clickhouse, OTEL_INTEL_RETENTION_LANDING="13 MONTH", OTEL_INTEL_RETENTION_QUARANTINE="30 DAY")
    assert found.exit_code == 0, found.output


def run(clickhouse: ClickHouse, **environment: str) -> Result:
    """Run otel-intel migrate with these variables."""
    return CliRunner().invoke(main, ["migrate"], env={"CLICKHOUSE_URL": clickhouse.url("admin"), **environment})


def periods(clickhouse: ClickHouse) -> list[str]:
    """Return the TTL of TABLES."""
    period = "extract(engine_full, 'toInterval(.*?\\\\))')"
    sql = f"SELECT {period} FROM system.tables WHERE database = 'intel' AND name = "
    return [clickhouse.value(f"{sql}'{table}'", "admin") for table in TABLES]


def test_default_is_13_months_and_30_days(clickhouse: ClickHouse) -> None:
    assert periods(clickhouse) == ["Month(13)", "Month(13)", "Day(30)"]
    assert "kept for" not in run(clickhouse, OTEL_INTEL_RETENTION_LANDING="13 MONTH").output


def test_change_is_applied_and_reported(clickhouse: ClickHouse) -> None:
    found = run(clickhouse, OTEL_INTEL_RETENTION_LANDING="2 years", OTEL_INTEL_RETENTION_QUARANTINE="7 day")
    assert found.output.splitlines() == [
        "intel.otel_logs: kept for 2 years",
        "intel.rejected_events: kept for 2 years",
        "intel.quarantine_logs: kept for 7 days",
    ]
    assert periods(clickhouse) == ["Year(2)", "Year(2)", "Day(7)"]


def test_unset_or_empty_variables_change_nothing(clickhouse: ClickHouse) -> None:
    run(clickhouse, OTEL_INTEL_RETENTION_LANDING="5 MONTH")
    assert run(clickhouse, OTEL_INTEL_RETENTION_LANDING="").output == ""
    assert periods(clickhouse)[0] == "Month(5)"


def test_older_rows_are_deleted_and_their_facts_stay(clickhouse: ClickHouse) -> None:
    deliver(clickhouse, event("recommendation.viewed"))
    clickhouse.client("admin").command(
        "INSERT INTO intel.otel_logs (Timestamp, EventName, LogAttributes, IngestedAt)"
        " SELECT Timestamp - INTERVAL 40 DAY, EventName,"
        " mapUpdate(LogAttributes, map('log.record.uid', toString(generateUUIDv4()))),"
        " now64(9, 'UTC') - INTERVAL 40 DAY FROM intel.otel_logs"
    )
    run(clickhouse, OTEL_INTEL_RETENTION_LANDING="30 DAY")
    assert poll_until(lambda: clickhouse.value("SELECT count() FROM intel.otel_logs", "admin") == 1, 30)
    clickhouse.refresh()
    assert clickhouse.value("SELECT count() FROM intel.recommendation_events FINAL", "admin") == 2


@pytest.mark.parametrize("period", ["0 DAY", "forever", "-1 MONTH", "30", "30 DAY; DROP TABLE x", "1000000 DAY"])
def test_invalid_periods_are_refused_by_name(clickhouse: ClickHouse, period: str) -> None:
    found = run(clickhouse, OTEL_INTEL_RETENTION_QUARANTINE=period)
    assert found.exit_code == 1
    assert "(OTEL_INTEL_RETENTION_QUARANTINE) must be a number of days" in found.output


def test_plan_shows_the_change_and_changes_nothing(clickhouse: ClickHouse) -> None:
    arguments = ["migrate", "--plan", "--retention-quarantine", "7 days", "--url", clickhouse.url("admin")]
    planned = CliRunner().invoke(main, arguments)
    assert planned.exit_code == 0, planned.output
    changed = "ALTER TABLE intel.quarantine_logs MODIFY TTL toDateTime(IngestedAt) + toIntervalDay(7);"
    assert changed in planned.output
    assert changed in CliRunner().invoke(main, arguments).output
