"""`otel-intel verify`: equal where all is right, and each kind of damage is found and named."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result

from otel_intel.commands import verify as command
from otel_intel.commands.main import main
from otel_intel.reading import day_rows, verify
from otel_intel.schema.connection import connect
from otel_intel.schema.rebuild import FACTS, rebuild
from otel_intel.schema.refresh import recompute_all, refresh, set_time_zone
from tests.otlp import Record, deliver, event, send
from tests.servers import ClickHouse
from tests.sql.streams import FIRST_DAY, make_stream, midnight
from tests.sql.test_refresh import dying_after

REBUILD = "The facts are not what the landing says: run otel-intel rebuild"
RECOMPUTE = "The facts are right, the numbers are not: run otel-intel rebuild --numbers"
UIDS = [f"0190e0f0-0000-7000-8000-00000000000{n}" for n in range(10)]
SECOND = 10**9
DIMENSIONS = "service_name='shop', engine_version='v1'"
OUTCOME = f"{DIMENSIONS}, recommendation_type='', confidence=''"
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


@pytest.mark.parametrize(("seed", "zone"), [(21, "UTC"), (22, "America/Los_Angeles")])
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
        f"2024-02-21  intel.admin_views (event_id='{UIDS[5]}'): no row, by the definition uid='{UIDS[5]}',"
        f" name='dashboard.opened', time_ns={midnight(1) + SECOND}, service='shop', version='v1', admin='a1'\n",
        REBUILD,
    ),
    "another day": (
        "signal_outcomes",
        f"UPDATE timestamp = timestamp - INTERVAL 3 SECOND WHERE event_id = '{UIDS[4]}'",
        f"2024-02-20  intel.signal_outcomes (event_id='{UIDS[4]}'): uid='{UIDS[4]}', name='signal.outcome_recorded'",
        REBUILD,
    ),
    "count": (
        "days",
        "UPDATE counts = map('accepted', 2, 'decisions', 1) WHERE day = '2024-02-21' AND kind = 'recommendations'",
        f"2024-02-21  intel.days (kind='recommendations', {RECOMMENDATION}): accepted=2,"
        " by the definition accepted=1\n",
        RECOMPUTE,
    ),
    "no count": (
        "days",
        "UPDATE counts = map() WHERE day = '2024-02-20' AND kind = 'recommendations'",
        f"2024-02-20  intel.days (kind='recommendations', {RECOMMENDATION}): no row, by the definition viewed=1",
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
        "days",
        "UPDATE sum_ms = 1 WHERE kind = 'decision_times' AND confidence != ''",
        "2024-02-21  intel.days (kind='decision_times', service_name='', engine_version='', recommendation_type='',"
        " confidence='HIGH'): sum_ms=1, by the definition sum_ms=2000\n",
        RECOMPUTE,
    ),
    "list of decision times": (
        "days",
        "UPDATE milliseconds = [2001] WHERE kind = 'decision_times'",
        f"2024-02-21  intel.days (kind='decision_times', {RECOMMENDATION}): p50_ms=2001, p90_ms=2001,"
        " by the definition p50_ms=2000, p90_ms=2000\n",
        RECOMPUTE,
    ),
    "first outcome": (
        "outcomes",
        f"UPDATE is_first = 1 WHERE event_id = '{UIDS[3]}'",
        f"2024-02-21  intel.outcomes (event_id='{UIDS[3]}'): True, by the definition False\n",
        RECOMPUTE,
    ),
    "outcomes": (
        "days",
        "UPDATE counts = map('outcomes', 3, 'resolved', 1, 'hours_samples', 1), sum_hours = 7"
        " WHERE day = '2024-02-20' AND kind = 'outcomes'",
        f"2024-02-20  intel.days (kind='outcomes', {OUTCOME}): outcomes=3, sum_hours=7.0,"
        " by the definition outcomes=1, sum_hours=0.1\n",
        RECOMPUTE,
    ),
    "hours": (
        "days",
        "UPDATE sum_hours = 0.100001 WHERE sum_hours > 0",
        f"2024-02-20  intel.days (kind='outcomes', {OUTCOME}): sum_hours=0.100001, by the definition sum_hours=0.1\n",
        RECOMPUTE,
    ),
    "how often a decision time occurs": (
        "days",
        "UPDATE times = [2] WHERE kind = 'decision_times' AND service_name = ''",
        "2024-02-21  intel.days (kind='decision_times', service_name='', engine_version='', recommendation_type='',"
        " confidence=''): listed=2, by the definition listed=1\n",
        RECOMPUTE,
    ),
    "count of an admin": (
        "days_admins",
        "UPDATE counts = map('accepted', 1) WHERE kind = 'recommendations' AND mapContains(counts, 'accepted')",
        f"2024-02-21  intel.days_admins (kind='recommendations', admin_id='a1', {RECOMMENDATION}): decisions=0,"
        " by the definition decisions=1\n",
        RECOMPUTE,
    ),
    "decision time of an admin": (
        "days_admins",
        "UPDATE milliseconds = [1999], sum_ms = 1999 WHERE kind = 'decision_times'",
        f"2024-02-21  intel.days_admins (kind='decision_times', admin_id='a1', {RECOMMENDATION}): sum_ms=1999,"
        " p50_ms=1999,",
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


def test_at_most_twenty_differences_are_printed(clickhouse: ClickHouse) -> None:
    send(clickhouse, *(event("dashboard.opened", midnight(n % 2) + n) for n in range(25)))
    alter(clickhouse, "admin_views", "DELETE WHERE 1")
    found = run_days(clickhouse)
    lines = found.output.splitlines()
    assert [line for line in lines if "events:" in line] == [
        "2024-02-20  13 events: 13 differences",
        "2024-02-21  12 events: 12 differences",
    ]
    assert sum("intel.admin_views" in line for line in lines) == command.SHOWN
    assert lines[-2:] == ["5 more differences are not shown", REBUILD]


def test_what_waits_is_left_out_and_said(clickhouse: ClickHouse) -> None:
    send(clickhouse, *few())
    # A view that changes a decision time, an outcome before the first one, another copy, and an event that is new.
    late = [
        event("recommendation.viewed", midnight(1) - 2 * SECOND),
        event("signal.outcome_recorded", midnight(0), **{"intel.outcome.status": "ESCALATED"}),
        event("signal.outcome_recorded", midnight(0), UIDS[2]),
        event("note.created", midnight(1)),
    ]
    deliver(clickhouse, *late)
    found = run_days(clickhouse)
    assert found.output.splitlines() == [
        "2024-02-20  2 events: equal; 2 more wait for the refresh",
        "2024-02-21  4 events: equal; 1 more wait for the refresh",
    ]
    assert found.exit_code == 0
    clickhouse.refresh()
    assert_equal(run_days(clickhouse), 9)


def test_what_waits_is_found_also_if_the_arrivals_count_from_the_beginning(clickhouse: ClickHouse) -> None:
    send(clickhouse, *few())
    clickhouse.client("admin").command(
        "INSERT INTO intel.refreshes (cycle, seen, as_of) SELECT max(cycle) + 1, 1000000, now() FROM intel.refreshes"
    )
    clickhouse.client("admin").command("TRUNCATE TABLE intel.arrivals")
    deliver(clickhouse, event("note.created", midnight(1)))
    assert "2024-02-21  4 events: equal; 1 more wait for the refresh" in run_days(clickhouse).output
    clickhouse.refresh()


def test_an_insert_that_is_under_way_is_no_difference(clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in the landing and not yet in the arrivals; when the day is looked at again, it is in both."""
    send(clickhouse, *few())
    alter(clickhouse, "admin_views", "DELETE WHERE 1")
    alter(clickhouse, "days_engagement", "DELETE WHERE 1")
    monkeypatch.setattr(time, "sleep", lambda seconds: rebuild([clickhouse.client("admin")], lambda line: None))
    assert_equal(run_days(clickhouse), 6)


def test_a_run_that_is_half_done_is_waited_for(clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    send(clickhouse, *few())
    deliver(clickhouse, event("recommendation.viewed", midnight(1) - 2 * SECOND))
    with (
        connect(clickhouse.url("admin")) as client,
        dying_after(client, 1, monkeypatch),
        pytest.raises(KeyboardInterrupt),
    ):
        refresh([client])
    monkeypatch.setattr(day_rows, "PATIENCE", 0.0)
    found = run_days(clickhouse)
    assert (found.exit_code, found.output.splitlines()[-1]) == (
        1,
        "Error: otel-intel refresh is not done with 2024-02-20 after 0 s: see that it runs, and verify again",
    )
    monkeypatch.setattr(day_rows, "PATIENCE", 60.0)
    monkeypatch.setattr(time, "sleep", lambda seconds: clickhouse.refresh())
    assert_equal(run_days(clickhouse), 7)


def test_numbers_that_are_computed_anew_are_waited_for(changing: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    send(changing, *few())
    set_time_zone([changing.client("admin")], "Asia/Kathmandu")
    monkeypatch.setattr(day_rows, "PATIENCE", 0.0)
    assert "Error: otel-intel refresh is not done with 2024-02-20" in run_days(changing).output
    monkeypatch.setattr(day_rows, "PATIENCE", 60.0)
    monkeypatch.setattr(time, "sleep", lambda seconds: changing.refresh())
    assert_equal(run_days(changing), 6)


def test_before_the_first_run_there_is_nothing_to_compare(clickhouse: ClickHouse) -> None:
    clickhouse.client("admin").command("TRUNCATE TABLE intel.refreshes")
    found = run_days(clickhouse)
    assert found.exit_code == 1
    assert found.output == "Error: Nothing is in the numbers yet: run otel-intel refresh first\n"


def test_the_first_copy_counts_also_if_copies_are_of_different_days(clickhouse: ClickHouse) -> None:
    send(clickhouse, event("dashboard.opened", midnight(1) - 1, UIDS[0]))
    send(clickhouse, event("dashboard.opened", midnight(1), UIDS[0]))
    assert run_days(clickhouse).output.splitlines() == ["2024-02-20  1 events: equal", "2024-02-21  0 events: equal"]
    alter(clickhouse, "admin_views", "UPDATE timestamp = timestamp + INTERVAL 1 NANOSECOND WHERE 1")
    found = run_days(clickhouse).output
    assert f"2024-02-20  intel.admin_views (event_id='{UIDS[0]}'): no row" in found
    assert f"2024-02-21  intel.admin_views (event_id='{UIDS[0]}'): uid=" in found


def test_either_of_two_copies_that_arrived_at_the_same_time_is_right(clickhouse: ClickHouse) -> None:
    for uid, statuses in zip(UIDS[:2], (("RESOLVED", "ESCALATED"), ("ESCALATED", "RESOLVED")), strict=True):
        signal = {"intel.risk_signal.id": uid}
        send(clickhouse, event("signal.outcome_recorded", midnight(0), uid, **signal, **status(statuses[0])))
        deliver(clickhouse, event("signal.outcome_recorded", midnight(0), uid, **signal, **status(statuses[1])))
    clickhouse.refresh()
    alter(clickhouse, "otel_logs", "UPDATE IngestedAt = toDateTime64(today(), 9, 'UTC') WHERE 1")
    assert_equal(run_days(clickhouse), 2)
    alter(clickhouse, "signal_outcomes", "UPDATE outcome_status = 'NO_ACTION' WHERE 1")
    assert "status='NO_ACTION', by the definition status=" in run_days(clickhouse).output


def status(value: str) -> dict[str, str]:
    return {"intel.outcome.status": value}


def forget_first_day(clickhouse: ClickHouse, months: int) -> None:
    """Delete the first day's rows of the landing, as if its facts had arrived so many months ago."""
    alter(clickhouse, "otel_logs", "DELETE WHERE toDate(Timestamp) = '2024-02-20'")
    for table in FACTS:
        clickhouse.client("admin").command(
            f"INSERT INTO intel.{table} SELECT * REPLACE(ingested_at - INTERVAL {months} MONTH AS ingested_at)"
            f" FROM intel.{table} FINAL WHERE toDate(timestamp) = '2024-02-20'"
        )


def test_days_beyond_the_retention_are_said_and_count_for_later_ones(clickhouse: ClickHouse) -> None:
    """The decision of the second day is still paired, and its outcome is still not the first of its signal."""
    send(clickhouse, *few())
    forget_first_day(clickhouse, 14)
    found = run_days(clickhouse)
    assert found.output.splitlines() == [
        "2024-02-20  cannot be verified: the landing does not reach back to it",
        "2024-02-21  4 events: equal",
    ]
    assert found.exit_code == 0


def test_the_retention_counts_also_where_older_rows_are_not_deleted_yet(clickhouse: ClickHouse) -> None:
    send(clickhouse, *few())
    admin = clickhouse.client("admin")
    admin.command("SYSTEM STOP TTL MERGES intel.otel_logs")
    try:
        # Of another day, so that it is not deleted with the first one.
        admin.command(
            "INSERT INTO intel.otel_logs (Timestamp, EventName, IngestedAt)"
            " SELECT '2024-02-25', 'intel.unknown', now64(9) - INTERVAL 20 MONTH"
        )
        forget_first_day(clickhouse, 14)
        assert "2024-02-20  cannot be verified: the landing does not reach back to it" in run_days(clickhouse).output
    finally:
        admin.command("SYSTEM START TTL MERGES intel.otel_logs")


def test_a_day_that_was_deleted_from_the_landing_is_said(clickhouse: ClickHouse) -> None:
    send(clickhouse, *few()[:1])
    forget_first_day(clickhouse, 0)
    found = run_days(clickhouse, 1)
    assert found.output == "2024-02-20  cannot be verified: the landing has no event of it any more\n"
    assert found.exit_code == 0


def test_a_person_who_was_erased_is_no_difference(clickhouse: ClickHouse) -> None:
    """As docs/how-to/erase.md says: outcomes stay among the facts, without the person."""
    other = {"intel.admin.id": "a2"}
    send(clickhouse, *(event("dashboard.opened", midnight(day), **other) for day in range(2)))
    send(clickhouse, *few(), event("signal.outcome_recorded", midnight(1), UIDS[6], **other))
    alter(clickhouse, "otel_logs", "DELETE WHERE LogAttributes['intel.admin.id'] = 'a1'")
    for table in ("arrivals", "recommendation_events", "decisions", "admin_views", "days_engagement"):
        alter(clickhouse, table, "DELETE WHERE admin_id = 'a1'")
    for table in ("signal_outcomes", "outcomes"):
        alter(clickhouse, table, "UPDATE admin_id = NULL WHERE admin_id = 'a1'")
    recompute_all([clickhouse.client("admin")], lambda line: None)
    assert_equal(run_days(clickhouse), 6)


def test_quantiles_of_a_large_day_may_be_rounded(clickhouse: ClickHouse) -> None:
    times = [n * n * 7 + 13 for n in range(900)]  # to 94 minutes
    send(
        clickhouse,
        *(
            event("recommendation.accepted", midnight(0) + n, **{"intel.decision.time_ms": times[n]})
            for n in range(900)
        ),
    )
    assert_equal(run_days(clickhouse), 900)
    alter(clickhouse, "days", "UPDATE milliseconds = arrayMap(ms -> ms * 2, milliseconds) WHERE 1")
    assert "p50_ms=" in run_days(clickhouse).output


def test_a_sum_of_hours_may_differ_in_its_last_digit(clickhouse: ClickHouse) -> None:
    send(clickhouse, *few())
    alter(clickhouse, "days", "UPDATE sum_hours = sum_hours + 2e-17 WHERE sum_hours > 0")
    assert clickhouse.value("SELECT max(sum_hours) FROM metrics.outcomes_daily") > 0.1
    assert_equal(run_days(clickhouse), 6)


def test_days_are_equal_while_events_arrive_and_are_taken_in(clickhouse: ClickHouse) -> None:
    ended = threading.Event()

    def work() -> None:
        number = 0
        while not ended.is_set():
            at = midnight(number % 2)
            deliver(clickhouse, event("recommendation.viewed", at), event("recommendation.accepted", at))
            deliver(clickhouse, event("signal.outcome_recorded", at), event("dashboard.opened", at))
            number += 1

    def take_in() -> None:
        with connect(clickhouse.url("admin")) as client:
            while not ended.wait(0.3):
                refresh([client])

    clickhouse.refresh()
    threads = [threading.Thread(target=target) for target in (work, take_in)]
    for thread in threads:
        thread.start()
    try:
        found = [run_days(clickhouse) for _ in range(5)]
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert all(one.exit_code == 0 for one in found), [one.output for one in found]
    assert len({one.output for one in found}) > 1


def test_by_default_the_last_seven_days_that_are_over_and_today(clickhouse: ClickHouse) -> None:
    clickhouse.refresh()
    before = datetime.now(UTC).date()
    days = [line.split()[0] for line in run(clickhouse).output.splitlines()]
    assert days[-1] in (str(before), str(datetime.now(UTC).date()))
    assert len(days) == 8
    assert run(clickhouse, "--days", "1").output in (f"{day}  0 events: equal\n" for day in (before, days[-1]))
    assert run(clickhouse, "--since", days[-2]).output.splitlines()[0] == f"{days[-2]}  0 events: equal"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--until", "2026-03-01"), "--until needs --since"),
        (("--days", "3", "--since", "2026-03-01"), "Give --days, or --since and --until, not both"),
        (("--since", "2026-03-02", "--until", "2026-03-01"), "2026-03-02 to 2026-03-01"),
        (("--since", "2026-03-02", "--until", "2199-01-01"), "2026-03-02 to 2199-01-01"),
        (("--since", "1969-12-31", "--until", "1970-01-03"), "1969-12-31 to 1970-01-03"),
        (("--since", "yesterday"), "'--since'"),
        (("--days", "0"), "'--days'"),
    ],
)
def test_days_that_make_no_sense_are_refused(clickhouse: ClickHouse, options: tuple[str, ...], said: str) -> None:
    found = run(clickhouse, *options)
    assert found.exit_code == 2
    assert said in found.output


def test_what_was_rejected_and_internal_events_do_not_count(clickhouse: ClickHouse) -> None:
    """Also if a rejected copy arrived before the one that counts."""
    wrong = {"intel.recommendation.confidence": "?"}
    send(clickhouse, event("recommendation.viewed", midnight(0), UIDS[0], **wrong), event("unknown", midnight(0)))
    send(clickhouse, event("recommendation.viewed", midnight(0), UIDS[0]), event("pipeline.probed", midnight(0)))
    assert_equal(run_days(clickhouse), 1)


def test_a_reader_is_told_to_come_as_administrator(clickhouse: ClickHouse) -> None:
    clickhouse.refresh()
    found = run(clickhouse, "--url", clickhouse.url("reader"))
    assert found.exit_code == 1
    assert found.output == "Error: intel.otel_logs cannot be seen: give an administrator's --url (CLICKHOUSE_URL)\n"
