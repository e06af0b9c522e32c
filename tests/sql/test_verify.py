"""`otel-intel verify`: equal where all is right, and each kind of damage is found and named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result
from clickhouse_connect.driver.client import Client

from otel_intel.commands import verify as command
from otel_intel.commands.main import main
from otel_intel.reading import day_rows, verify
from otel_intel.schema.rebuild import rebuild
from otel_intel.schema.refresh import recompute_all, set_time_zone
from tests.otlp import Record, deliver, event, send
from tests.servers import ClickHouse
from tests.sql.streams import DAY, DAYS, FIRST_DAY, HORIZON, make_stream, midnight

REBUILD = "The facts are not what the landing says: run otel-intel rebuild"
RECOMPUTE = "The facts are right, the numbers are not: run otel-intel rebuild --numbers"
UIDS = [f"0190e0f0-0000-7000-8000-00000000000{n}" for n in range(10)]
SECOND = 10**9
DIMENSIONS = "service_name='shop', engine_version='v1'"
RECOMMENDATION = f"{DIMENSIONS}, recommendation_type='EXPIRING_SOON', confidence='HIGH'"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at a day that differs again without a rest."""
    monkeypatch.setattr(verify, "SETTLED", 0.0)


@pytest.fixture
def changing(clickhouse: ClickHouse) -> Iterator[ClickHouse]:
    """A server whose time zone is UTC again afterwards."""
    yield clickhouse
    set_time_zone([clickhouse.client("admin")], "UTC")
    clickhouse.refresh()


def run(clickhouse: ClickHouse, *options: str) -> Result:
    environment = {"CLICKHOUSE_URL": clickhouse.url("admin"), "OTEL_INTEL_CLUSTER": ""}
    return CliRunner().invoke(main, ["verify", *options], env=environment)


def run_days(clickhouse: ClickHouse, days: int = 2) -> Result:
    """Verify the first days of the stream."""
    return run(clickhouse, "--since", str(FIRST_DAY), "--until", str(FIRST_DAY + timedelta(days=days - 1)))


def assert_equal(found: Result, events: int) -> None:
    """Every day is equal, and together the days have so many events."""
    assert found.exit_code == 0, found.output
    counts = [re.fullmatch(r"\d{4}-\d\d-\d\d  ([\d,]+) events: equal", line) for line in found.output.splitlines()]
    assert all(counts), found.output
    assert sum(int(count[1].replace(",", "")) for count in counts if count) == events


def alter(clickhouse: ClickHouse, table: str, what: str) -> None:
    """Damage a table behind the refresh's back."""
    clickhouse.client("admin").command(f"ALTER TABLE intel.{table} {what}", settings={"mutations_sync": 2})


def few() -> list[Record]:
    """Return a few events of each kind around the midnight between the first two days."""
    at = midnight(1)
    return [
        event("recommendation.viewed", at - SECOND, UIDS[0]),
        event("recommendation.accepted", at + SECOND, UIDS[1]),
        event("signal.outcome_recorded", at - SECOND, UIDS[2], **{"intel.outcome.resolution_time_hours": 0.1}),
        event("signal.outcome_recorded", at + SECOND, UIDS[3]),
        event("signal.outcome_recorded", at + SECOND, UIDS[4], **{"intel.risk_signal.id": "s2"}),
        event("dashboard.opened", at + SECOND, UIDS[5]),
    ]


@pytest.mark.parametrize(("seed", "zone"), [(21, "UTC"), (22, "America/Los_Angeles"), (23, "Asia/Kathmandu")])
def test_an_adversarial_stream_is_equal(changing: ClickHouse, seed: int, zone: str) -> None:
    set_time_zone([changing.client("admin")], zone)
    for batch in make_stream(seed).batches:
        deliver(changing, *batch)
    changing.refresh()
    first, last, count = (
        changing.client("reader")
        .query(
            f"SELECT toString(toDate(min(timestamp), '{zone}')), toString(toDate(max(timestamp), '{zone}')), count()"
            " FROM metrics.arrivals"
        )
        .result_rows[0]
    )
    assert_equal(run(changing, "--since", first, "--until", last), count)


DAMAGES = {
    "missing recommendation": (
        "recommendation_events",
        f"DELETE WHERE event_id = '{UIDS[1]}'",
        f"2024-02-21  intel.recommendation_events (event_id='{UIDS[1]}'): no row, by the definition"
        f" uid='{UIDS[1]}', name='recommendation.accepted'",
        REBUILD,
    ),
    "other confidence": (
        "recommendation_events",
        f"UPDATE confidence = 'LOW' WHERE event_id = '{UIDS[1]}'",
        f"2024-02-21  intel.recommendation_events (event_id='{UIDS[1]}'): confidence='LOW', by the definition"
        " confidence='HIGH'\n",
        REBUILD,
    ),
    "missing view": (
        "admin_views",
        f"DELETE WHERE event_id = '{UIDS[5]}'",
        f"2024-02-21  intel.admin_views (event_id='{UIDS[5]}'): no row, by the definition",
        REBUILD,
    ),
    "another day": (
        "signal_outcomes",
        f"UPDATE timestamp = timestamp - INTERVAL 3 SECOND WHERE event_id = '{UIDS[4]}'",
        f"2024-02-20  intel.signal_outcomes (event_id='{UIDS[4]}'): uid='{UIDS[4]}', name='signal.outcome_recorded'",
        REBUILD,
    ),
    "count": (
        "days_recommendations",
        "UPDATE events = 2 WHERE day = '2024-02-21'",
        f"2024-02-21  intel.days_recommendations ({RECOMMENDATION}, action='ACCEPTED'): 2, by the definition 1\n",
        RECOMPUTE,
    ),
    "no count": (
        "days_recommendations",
        "UPDATE events = 0 WHERE day = '2024-02-20'",
        f"2024-02-20  intel.days_recommendations ({RECOMMENDATION}, action='VIEWED'): no row, by the definition 1\n",
        RECOMPUTE,
    ),
    "decision time": (
        "decisions",
        "UPDATE decision_time_ms = 1999 WHERE 1",
        f"2024-02-21  intel.decisions (event_id='{UIDS[1]}'): 1999, by the definition 2000\n",
        RECOMPUTE,
    ),
    "missing decision": (
        "decisions",
        "DELETE WHERE 1",
        f"2024-02-21  intel.decisions (event_id='{UIDS[1]}'): no row, by the definition 2000\n",
        RECOMPUTE,
    ),
    "sum of decision times": (
        "days_decision_times",
        "UPDATE sum_ms = 1 WHERE slice = 'confidence'",
        "2024-02-21  intel.days_decision_times (slice='confidence', service_name='', engine_version='',"
        " recommendation_type='', confidence='HIGH'): sum_ms=1, by the definition sum_ms=2000\n",
        RECOMPUTE,
    ),
    "list of decision times": (
        "days_decision_times",
        "UPDATE milliseconds = [2001] WHERE slice = '*'",
        f"2024-02-21  intel.days_decision_times (slice='*', {RECOMMENDATION}): p50_ms=2001, p90_ms=2001,"
        " by the definition p50_ms=2000, p90_ms=2000\n",
        RECOMPUTE,
    ),
    "first outcome": (
        "outcomes",
        f"UPDATE is_first = 1 WHERE event_id = '{UIDS[3]}'",
        f"2024-02-21  intel.outcomes (event_id='{UIDS[3]}'): 1, by the definition False\n",
        RECOMPUTE,
    ),
    "outcomes": (
        "days_outcomes",
        "UPDATE outcomes = 3, sum_hours = 7 WHERE day = '2024-02-20'",
        f"2024-02-20  intel.days_outcomes ({DIMENSIONS}, outcome_status='RESOLVED'): outcomes=3, sum_hours=7.0,"
        " by the definition outcomes=1, sum_hours=0.1\n",
        RECOMPUTE,
    ),
    "views": (
        "days_engagement",
        "DELETE WHERE 1",
        f"2024-02-21  intel.days_engagement ({DIMENSIONS}, admin_id='a1', view_kind='dashboard.opened'): no row,"
        " by the definition 1\n",
        RECOMPUTE,
    ),
}


@pytest.mark.parametrize(("table", "what", "said", "fix"), DAMAGES.values(), ids=DAMAGES)
def test_damage_is_named_and_mended_by_what_the_last_line_says(
    clickhouse: ClickHouse, table: str, what: str, said: str, fix: str
) -> None:
    send(clickhouse, *few())
    assert_equal(run_days(clickhouse), 6)
    alter(clickhouse, table, what)
    found = run_days(clickhouse)
    assert found.exit_code == 1
    assert said in found.output
    assert found.output.splitlines()[-1] == fix
    mend = rebuild if fix == REBUILD else recompute_all
    mend([clickhouse.client("admin")], lambda line: None)
    assert_equal(run_days(clickhouse), 6)
