"""How long the landing, the quarantine, facts and numbers are kept are settings."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result

from otel_intel.commands.main import main
from otel_intel.reading.verify import verify
from otel_intel.schema.rebuild import rebuild
from otel_intel.schema.refresh import RefreshError, recompute_all, set_time_zone
from tests.otlp import deliver, event, send
from tests.servers import ClickHouse
from tests.waiting import poll_until

FOR_EVER = {"OTEL_INTEL_RETENTION_FACTS": "for ever", "OTEL_INTEL_RETENTION_NUMBERS": "for ever"}
DAY = 24 * 3600 * 10**9
TABLES = ("otel_logs", "rejected_events", "quarantine_logs")


@pytest.fixture(autouse=True)
def as_before(clickhouse: ClickHouse) -> Iterator[None]:
    """Restore the default retention on the run's server."""
    yield
    found = run(
        clickhouse, OTEL_INTEL_RETENTION_LANDING="13 MONTH", OTEL_INTEL_RETENTION_QUARANTINE="30 DAY", **FOR_EVER
    )
    assert found.exit_code == 0, found.output
    # The ledger remembers since when facts are kept, for good.
    clickhouse.client("admin").command("TRUNCATE TABLE intel.refreshes")


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


def test_facts_and_numbers_are_kept_for_ever_if_nothing_is_said(clickhouse: ClickHouse) -> None:
    found = run(clickhouse, OTEL_INTEL_RETENTION_FACTS="2 years", OTEL_INTEL_RETENTION_NUMBERS="10 years")
    assert found.output.splitlines() == [
        *(f"intel.{table}: kept for 2 years" for table in ("recommendation_events", "decisions", "admin_views")),
        *(f"intel.{table}: kept for 10 years" for table in ("days", "days_admins", "days_engagement")),
    ]
    kept = {row["what"]: row["kept_since"] for row in clickhouse.rows("SELECT * FROM metrics.retention")}
    today = datetime.now(UTC).date()
    assert [round((today - kept[what]).days / 365) for what in ("landing", "facts", "numbers")] == [1, 2, 10]
    assert len(run(clickhouse, **FOR_EVER).output.splitlines()) == 6
    assert run(clickhouse, **FOR_EVER).output == ""
    rows = clickhouse.rows("SELECT what FROM metrics.retention WHERE isNull(kept_since) ORDER BY what")
    assert [row["what"] for row in rows] == ["facts", "numbers"]


def test_numbers_stay_when_their_facts_are_deleted(clickhouse: ClickHouse) -> None:
    old = time.time_ns() // DAY * DAY - 400 * DAY + DAY // 2  # the same day in Kolkata
    events = ("recommendation.viewed", "recommendation.accepted", "signal.outcome_recorded", "dashboard.opened")
    deliver(clickhouse, *(event(name, old + number) for number, name in enumerate(events)))
    clickhouse.refresh()
    before = numbers(clickhouse)
    run(clickhouse, OTEL_INTEL_RETENTION_FACTS="1 year")
    delete_older(clickhouse, "recommendation_events", "decisions", "admin_views")
    # One more event of that day: counted alone, it would take the place of the day's numbers.
    deliver(clickhouse, *(event(name, old + 10) for name in events))
    clickhouse.refresh()
    assert numbers(clickhouse) == before
    recompute_all([clickhouse.client("admin")], print)
    assert numbers(clickhouse) == before
    [verdict] = verify([clickhouse.client("admin")], [datetime.fromtimestamp(old / 10**9, UTC).date()])
    assert "cannot be verified: events that it follows from are deleted" in str(verdict)
    # A longer period brings nothing back.
    run(clickhouse, OTEL_INTEL_RETENTION_FACTS="for ever")
    deliver(clickhouse, *(event(name, old + 20) for name in events))
    clickhouse.refresh()
    recompute_all([clickhouse.client("admin")], print)
    assert numbers(clickhouse) == before
    with pytest.raises(RefreshError, match="cannot be counted by Asia/Kolkata: events that they follow"):
        set_time_zone([clickhouse.client("admin")], "Asia/Kolkata")
    # A day whose facts are kept is counted as before.
    deliver(clickhouse, event("recommendation.viewed", time.time_ns()))
    clickhouse.refresh()
    assert clickhouse.value("SELECT viewed FROM metrics.acceptance_rate(days = 3650)") == 2


def test_a_rebuild_counts_days_again_that_the_landing_reaches_back_to(clickhouse: ClickHouse) -> None:
    run(clickhouse, OTEL_INTEL_RETENTION_LANDING="3 years")
    old = time.time_ns() - 400 * DAY
    clickhouse.client("admin").command(
        "INSERT INTO intel.otel_logs (Timestamp, IngestedAt, EventName)"
        " SELECT now64(9, 'UTC') - INTERVAL 500 DAY AS at, at, 'intel.unknown'"
    )
    deliver(clickhouse, event("recommendation.viewed", old), event("recommendation.accepted", old + 1))
    clickhouse.refresh()
    before = numbers(clickhouse)
    run(clickhouse, OTEL_INTEL_RETENTION_FACTS="1 year")
    delete_older(clickhouse, "recommendation_events", "decisions")
    run(clickhouse, OTEL_INTEL_RETENTION_FACTS="for ever")
    rebuild([clickhouse.client("admin")], print)
    assert numbers(clickhouse) == before
    assert clickhouse.value("SELECT count() FROM metrics.recommendation_events") == 2
    assert set_time_zone([clickhouse.client("admin")], "Asia/Kolkata")
    clickhouse.refresh()
    assert clickhouse.value("SELECT accepted FROM metrics.acceptance_rate(days = 3650)") == 1


def test_signals_remember_what_is_deleted_of_them(clickhouse: ClickHouse) -> None:
    """The decision on s1 and the first view of s2 are deleted; both are viewed afterwards."""
    now = time.time_ns() - 10**9
    of = [{"intel.risk_signal.id": signal} for signal in ("s1", "s2")]
    send(clickhouse, event("recommendation.accepted", now - 60 * DAY, **of[0]))
    send(clickhouse, event("recommendation.viewed", now - 60 * DAY, **of[1]))
    send(clickhouse, *(event("recommendation.viewed", now - 5 * DAY, **signal) for signal in of))
    funnel = (
        "SELECT signals FROM metrics.funnel_between(first_day = today() - 30, last_day = today(),"
        " engine_version = '', recommendation_type = '')"
    )
    right = [{"signals": 1}, {"signals": 1}, {"signals": 0}]
    assert clickhouse.rows(funnel) == right
    assert run(clickhouse, OTEL_INTEL_RETENTION_FACTS="30 DAY").exit_code == 0
    admin = clickhouse.client("admin")
    admin.command("ALTER TABLE intel.recommendation_events MATERIALIZE TTL SETTINGS mutations_sync = 2")
    assert clickhouse.value("SELECT count() FROM intel.recommendation_events", "admin") == 2
    for _ in range(2):
        recompute_all([admin], print)
        assert clickhouse.rows(funnel) == right
        [row] = clickhouse.rows("SELECT uniqExact(generation) AS n FROM intel.signals", role="admin")
        assert row == {"n": 1}


def numbers(clickhouse: ClickHouse) -> list[list[dict[str, object]]]:
    """Return the numbers of all days, as they are."""
    client = clickhouse.client("reader")
    views = ("recommendations_daily", "decision_times_daily", "outcomes_daily", "engagement_daily")
    return [list(client.query(f"SELECT * FROM metrics.{view} ORDER BY ALL").named_results()) for view in views]


def delete_older(clickhouse: ClickHouse, *tables: str) -> None:
    """Let ClickHouse delete at once what it deletes in the background."""
    for table in tables:
        clickhouse.client("admin").command(f"ALTER TABLE intel.{table} MATERIALIZE TTL SETTINGS mutations_sync = 2")
        assert clickhouse.value(f"SELECT count() FROM intel.{table}", "admin") == 0


@pytest.mark.parametrize(
    ("what", "period"),
    [
        ("FACTS", "29 days"),
        ("FACTS", "4 weeks"),
        ("NUMBERS", "51 years"),
        ("LANDING", "100 years"),
        ("FACTS", "99999 days"),
    ],
)
def test_periods_that_would_delete_too_much_are_refused(clickhouse: ClickHouse, what: str, period: str) -> None:
    """A time in 2106 or later is one in the past to a TTL."""
    found = run(clickhouse, OTEL_INTEL_RETENTION_QUARANTINE="7 DAY", **{f"OTEL_INTEL_RETENTION_{what}": period})
    assert found.exit_code == 1
    assert f"(OTEL_INTEL_RETENTION_{what}) must be" in found.output
    assert f"50 years, or 'for ever', not '{period}'" in found.output
    assert periods(clickhouse)[2] == "Day(30)"  # nothing was changed


def test_the_longest_period_deletes_nothing(clickhouse: ClickHouse) -> None:
    run(clickhouse, OTEL_INTEL_RETENTION_FACTS="50 years", OTEL_INTEL_RETENTION_NUMBERS="600 months")
    deliver(clickhouse, event("dashboard.opened"))
    clickhouse.refresh()
    day = datetime.now(UTC).date()
    run(clickhouse, OTEL_INTEL_RETENTION_NUMBERS="1 day")
    [verdict] = verify([clickhouse.client("admin")], [day - timedelta(days=3)])
    assert "cannot be verified: its numbers are deleted" in str(verdict)
    run(clickhouse, OTEL_INTEL_RETENTION_NUMBERS="600 months")
    for table in ("admin_views", "days_engagement"):
        clickhouse.client("admin").command(f"ALTER TABLE intel.{table} MATERIALIZE TTL SETTINGS mutations_sync = 2")
        assert clickhouse.value(f"SELECT count() FROM intel.{table}", "admin") == 1
