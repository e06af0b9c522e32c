"""The refresh: each event once, a run that died again, everything from the facts alone."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from otel_intel.schema import ledger, stages
from otel_intel.schema import refresh as module
from otel_intel.schema.connection import connect, read_rows
from otel_intel.schema.refresh import AnotherRefreshError, RefreshError, Run, recompute_all, refresh
from tests.otlp import deliver, event
from tests.servers import ClickHouse
from tests.sql.reference import Reference, Window, assert_rounded
from tests.sql.streams import DAYS, FIRST_DAY, make_stream, midnight
from tests.waiting import poll_until

WINDOW = Window(FIRST_DAY - timedelta(days=40), FIRST_DAY + timedelta(days=DAYS + 40))
LAST_CYCLE = "SELECT max(cycle) FROM intel.refreshes"
DERIVED = ("decisions", "outcomes", "signals", "days", "days_admins", "days_engagement")


def run(clickhouse: ClickHouse) -> Run | None:
    return refresh([clickhouse.client("admin")])


def numbers(clickhouse: ClickHouse) -> dict[str, Any]:
    """Return every number of the whole time, without a refresh."""
    window = f"first_day = '{WINDOW.first_day}', last_day = '{WINDOW.last_day}', engine_version = '', service_name = ''"
    by_type = f"{window}, recommendation_type = '', confidence = ''"
    views = {
        "acceptance_rate": by_type,
        "override_rate": by_type,
        "decision_time": by_type,
        "false_positive_rate": window,
        "outcome_distribution": window,
    }
    client = clickhouse.client("reader")
    found: dict[str, Any] = {
        name: list(client.query(f"SELECT * FROM metrics.{name}_between({arguments})").named_results())
        for name, arguments in views.items()
    }
    for name in ("recommendations_daily", "decision_times_daily", "outcomes_daily", "engagement_daily"):
        found[name] = sorted(map(str, client.query(f"SELECT * FROM metrics.{name}").result_rows))
    return found


def assert_equal(clickhouse: ClickHouse, reference: Reference) -> None:
    """Compare the numbers with slow Python."""
    found = numbers(clickhouse)
    assert found["acceptance_rate"] == [reference.acceptance_rate(WINDOW)]
    assert found["override_rate"] == [reference.override_rate(WINDOW)]
    assert found["decision_time"] == [reference.decision_time(WINDOW)]
    assert found["false_positive_rate"] == [reference.false_positive_rate(WINDOW)]
    assert found["outcome_distribution"] == reference.outcome_distribution(WINDOW)
    assert_equal_days(clickhouse, reference)
    dimensions = "day, service_name, engine_version, recommendation_type, confidence"
    kept = clickhouse.client("reader").query(
        f"SELECT {dimensions}, counts FROM intel.days FINAL WHERE kind = 'signals' AND notEmpty(counts)"
        " AND service_name != '' AND engine_version != '' AND recommendation_type != '' AND confidence != ''"
    )
    assert {tuple(row): +Counter(counts) for *row, counts in kept.result_rows} == reference.signals_daily()
    views = reference.engagement_daily()
    assert len(found["engagement_daily"]) == len(views)
    [total] = clickhouse.client("reader").query("SELECT sum(total) FROM metrics.engagement_daily").result_rows
    assert total[0] == sum(map(sum, views.values()))


def assert_equal_days(clickhouse: ClickHouse, reference: Reference) -> None:
    """Compare the counts of every day with slow Python."""
    dimensions = "day, service_name, engine_version"
    views: dict[str, tuple[str, int, Mapping[tuple[Any, ...], tuple[float, ...]]]] = {
        "recommendations_daily": (
            f"{dimensions}, recommendation_type, confidence, viewed, accepted, ignored, overridden",
            5,
            reference.recommendations_daily(),
        ),
        "outcomes_daily": (
            f"{dimensions}, resolved, escalated, no_action, false_positive, hours_samples, sum_hours",
            3,
            reference.outcomes_daily(),
        ),
        "engagement_daily": (
            f"{dimensions}, admin_id, dashboard_opened, signal_detail_opened, explanation_expanded, note_created",
            4,
            reference.engagement_daily(),
        ),
    }
    for view, (columns, keys, expected) in views.items():
        rows = clickhouse.client("reader").query(f"SELECT {columns} FROM metrics.{view}").result_rows
        assert {tuple(row[:keys]): tuple(row[keys:]) for row in rows} == expected, view


@contextmanager
def dying_after(client: Client, statements: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the connection fail after a number of statements that write, as if the process were killed there."""
    left = iter(range(statements))
    command = client.command

    def dying(sql: str, *args: Any, **kwargs: Any) -> Any:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return command(sql, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(client, "command", dying)
        yield


def test_an_empty_server_is_refreshed_once(clickhouse: ClickHouse) -> None:
    clickhouse.client("admin").command("TRUNCATE TABLE intel.refreshes")
    first = run(clickhouse)
    assert first is not None
    assert first.events == 0
    assert run(clickhouse) is None


def test_what_has_arrived_is_in_the_numbers_after_one_run(clickhouse: ClickHouse) -> None:
    deliver(clickhouse, event("recommendation.viewed"), event("recommendation.accepted"))
    done = run(clickhouse)
    assert done is not None
    assert (done.events, done.is_complete) == (2, True)
    assert run(clickhouse) is None
    assert clickhouse.client("reader").command("SELECT accepted FROM metrics.acceptance_rate(days = 7)") == 1


def test_kinds_that_clickhouse_lists_in_another_order_are_not_computed_again(
    clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = itertools.count()

    def shuffled(client: Client, sql: str, parameters: Mapping[str, object] | None = None) -> Sequence[Sequence[Any]]:
        rows = read_rows(client, sql, parameters)
        return rows[:: (-1) ** next(asked)] if "UNION ALL" in sql else rows

    monkeypatch.setattr(stages, "read_rows", shuffled)
    deliver(clickhouse, event("recommendation.viewed"), event("signal.outcome_recorded"), event("dashboard.opened"))
    assert run(clickhouse) is not None
    assert run(clickhouse) is None
    assert next(asked) >= 2


def test_copies_are_taken_in_once_also_by_a_later_run(clickhouse: ClickHouse) -> None:
    viewed = event("recommendation.viewed")
    for _ in range(3):
        deliver(clickhouse, viewed, viewed)
        run(clickhouse)
    assert clickhouse.value("SELECT count() FROM intel.recommendation_events", "admin") == 1


@pytest.mark.parametrize("apart", [True, False], ids=["two-runs", "one-run"])
def test_an_id_that_two_kinds_share_counts_as_the_first(clickhouse: ClickHouse, apart: bool) -> None:
    first = event("dashboard.opened")
    second = event("recommendation.accepted", None, first.attributes["log.record.uid"])
    deliver(clickhouse, first)
    if apart:
        run(clickhouse)
    deliver(clickhouse, second)
    run(clickhouse)
    assert clickhouse.value("SELECT count() FROM metrics.admin_views") == 1
    assert clickhouse.value("SELECT count() FROM metrics.recommendation_events") == 0


@pytest.mark.parametrize("statements", range(11))
def test_a_run_that_dies_is_done_again(
    clickhouse: ClickHouse, statements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = make_stream(7, 30)
    half = len(stream.batches) // 2
    for batch in stream.batches[:half]:
        deliver(clickhouse, *batch)
    clickhouse.refresh()
    before = clickhouse.value(LAST_CYCLE, "admin")
    for batch in stream.batches[half:]:
        deliver(clickhouse, *batch)
    with connect(clickhouse.url("admin")) as client, dying_after(client, statements, monkeypatch):
        try:
            refresh([client])
        except KeyboardInterrupt:
            assert clickhouse.value(LAST_CYCLE, "admin") == before
    clickhouse.refresh()
    assert_equal(clickhouse, Reference(stream.deliveries))


@pytest.mark.parametrize("patience", [0.0, 30.0])
def test_a_second_process_waits_for_its_turn(
    clickhouse: ClickHouse, patience: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "PATIENCE", patience)
    deliver(clickhouse, event("recommendation.viewed"))

    def other() -> None:
        with connect(clickhouse.url("admin")) as client:
            client.command("SELECT sleep(1)", settings={"query_id": "otel-intel-refresh"})

    thread = threading.Thread(target=other)
    thread.start()
    running = "SELECT count() FROM system.processes WHERE query_id = 'otel-intel-refresh'"
    assert poll_until(lambda: clickhouse.value(running, "admin"))
    if not patience:
        with pytest.raises(AnotherRefreshError, match="try again later"):
            run(clickhouse)
        thread.join()
    assert run(clickhouse) is not None
    thread.join()


def test_commands_beside_a_refresh_fail_in_nothing_and_lose_nothing(clickhouse: ClickHouse) -> None:
    stream = make_stream(9, 40)
    stop, failed = threading.Event(), list[Exception]()

    def refreshing() -> None:
        with connect(clickhouse.url("admin")) as client:
            while not stop.is_set():
                try:
                    refresh([client])
                except RefreshError as error:
                    failed.append(error)

    threads = [threading.Thread(target=refreshing) for _ in range(2)]
    for thread in threads:
        thread.start()
    with connect(clickhouse.url("admin")) as client:
        for number, batch in enumerate(stream.batches):
            deliver(clickhouse, *batch)
            if number % 3 == 0:
                recompute_all([client], print)
    stop.set()
    for thread in threads:
        thread.join()
    clickhouse.refresh()
    assert not failed
    assert_equal(clickhouse, Reference(stream.deliveries))


def test_what_a_process_took_in_that_died_is_computed_by_the_next_run(
    clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It died after its take-in, while another run was at its end, with the same number."""
    first, second = (event("recommendation.viewed", midnight(0) + n) for n in range(2))
    deliver(clickhouse, first)
    compute = stages.compute

    def late(*arguments: object) -> None:
        monkeypatch.setattr(module, "compute", compute)
        compute(*arguments)  # type: ignore[arg-type]
        deliver(clickhouse, second)
        with (
            connect(clickhouse.url("admin")) as client,
            dying_after(client, 1, monkeypatch),
            pytest.raises(KeyboardInterrupt),
        ):
            refresh([client])

    run(clickhouse)
    deliver(clickhouse, event("recommendation.viewed", midnight(0) + 2))
    monkeypatch.setattr(module, "compute", late)
    run(clickhouse)
    run(clickhouse)
    assert clickhouse.value("SELECT sum(viewed) FROM metrics.recommendations_daily") == 3


def test_what_arrives_during_a_run_does_not_keep_as_of_back(
    clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = module._newest_block

    def before_the_last_insert(client: Client, cluster: None) -> int:
        found = newest(client, cluster)
        deliver(clickhouse, event("dashboard.opened"))
        return found

    clickhouse.client("admin").command("TRUNCATE TABLE intel.refreshes")
    deliver(clickhouse, event("dashboard.opened"))
    monkeypatch.setattr(module, "_newest_block", before_the_last_insert)
    assert run(clickhouse) == Run(2, is_complete=True)
    [row] = clickhouse.client("reader").query("SELECT as_of FROM metrics.last_refresh").result_rows
    assert row[0] is not None


def test_as_of_stays_while_events_wait(clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    as_of = "SELECT as_of FROM metrics.last_refresh"
    deliver(clickhouse, event("dashboard.opened"))
    run(clickhouse)
    before = clickhouse.rows(as_of)
    for _ in range(2):
        deliver(clickhouse, event("dashboard.opened"))
    reader = clickhouse.client("reader")
    recompute_all([clickhouse.client("admin")], print)
    assert list(reader.query(as_of).named_results()) == before
    monkeypatch.setattr(module, "MAX_EVENTS", 1)
    run(clickhouse)
    assert list(reader.query(as_of).named_results()) == before
    run(clickhouse)
    assert list(reader.query(as_of).named_results()) != before


def test_a_failed_statement_is_told_in_one_line(clickhouse: ClickHouse) -> None:
    admin = clickhouse.client("admin")
    deliver(clickhouse, event("recommendation.viewed"))
    admin.command("RENAME TABLE intel.days TO intel.aside")
    try:
        with pytest.raises(RefreshError, match="days") as caught:
            run(clickhouse)
    finally:
        admin.command("RENAME TABLE intel.aside TO intel.days")
    assert "\n" not in str(caught.value)
    assert clickhouse.value("SELECT viewed FROM metrics.acceptance_rate(days = 7)") == 1


def test_many_events_take_several_runs(clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_EVENTS", 5)
    for _ in range(4):
        deliver(clickhouse, *(event("dashboard.opened") for _ in range(3)))
    runs = [run(clickhouse) for _ in range(5)]
    assert [done and (done.events, done.is_complete) for done in runs] == [
        *[(3, False)] * 3,
        (3, True),
        None,
    ]
    assert clickhouse.value("SELECT count() FROM metrics.admin_views") == 12


def test_facts_of_an_earlier_version_are_counted_by_the_first_run(clickhouse: ClickHouse) -> None:
    stream = make_stream(8, 40)
    for batch in stream.batches:
        deliver(clickhouse, *batch)
    clickhouse.refresh()
    before = numbers(clickhouse)
    admin = clickhouse.client("admin")
    for table in (*DERIVED, "arrivals", "refreshes"):
        admin.command(f"TRUNCATE TABLE intel.{table}")
    for table in ("recommendation_events", "signal_outcomes", "admin_views"):
        admin.command(f"ALTER TABLE intel.{table} UPDATE cycle = 0 WHERE 1", settings={"mutations_sync": 2})
    run(clickhouse)
    assert numbers(clickhouse) == before
    assert_equal(clickhouse, Reference(stream.deliveries))


@pytest.mark.parametrize("emptied", [("refreshes",), ("refreshes", "arrivals")])
def test_a_ledger_that_somebody_emptied_is_begun_above_all_rows(
    clickhouse: ClickHouse, emptied: tuple[str, ...]
) -> None:
    viewed, later = event("recommendation.viewed", midnight(0)), event("recommendation.viewed", midnight(0) + 1)
    for number in range(3):
        deliver(clickhouse, event("dashboard.opened", midnight(number)))
        run(clickhouse)
    deliver(clickhouse, viewed)
    run(clickhouse)
    for table in emptied:
        clickhouse.client("admin").command(f"TRUNCATE TABLE intel.{table}")
    deliver(clickhouse, later)
    run(clickhouse)
    assert clickhouse.rows("SELECT viewed FROM metrics.recommendations_daily") == [{"viewed": 2}]


def test_writers_at_the_same_time_lose_nothing(clickhouse: ClickHouse) -> None:
    """A block's number must not become visible after a larger one was seen."""
    requests = [
        [event("dashboard.opened", midnight(0) + number) for number in range(3)] for _ in range(4) for _ in range(15)
    ]

    def write(number: int) -> None:
        for records in requests[number::4]:
            deliver(clickhouse, *records)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    runs = 0
    while any(writer.is_alive() for writer in writers):
        runs += run(clickhouse) is not None
    for writer in writers:
        writer.join()
    run(clickhouse)
    assert runs > 1
    assert clickhouse.value("SELECT sum(total) FROM metrics.engagement_daily") == 180


def test_recomputing_forgets_what_no_fact_supports(clickhouse: ClickHouse) -> None:
    deliver(clickhouse, event("recommendation.viewed", midnight(0)), event("recommendation.accepted", midnight(40)))
    deliver(clickhouse, event("signal.outcome_recorded", midnight(0)), event("dashboard.opened", midnight(40)))
    clickhouse.refresh()
    admin = clickhouse.client("admin")
    for table in ("recommendation_events", "signal_outcomes", "admin_views"):
        admin.command(f"TRUNCATE TABLE intel.{table}")
    lines: list[str] = []
    recompute_all([admin], lines.append)
    assert lines == []
    assert_equal(clickhouse, Reference([]))


def test_a_refresh_in_the_middle_of_recomputing_sees_half_of_it_and_is_done_again(clickhouse: ClickHouse) -> None:
    first, late = (
        event("recommendation.viewed", midnight(0), **{"intel.risk_signal.id": name}) for name in ("s1", "s2")
    )
    deliver(clickhouse, first, event("recommendation.accepted", midnight(0) + 1))
    clickhouse.refresh()
    admin = clickhouse.client("admin")
    admin.command("DELETE FROM intel.recommendation_events WHERE action = 'ACCEPTED'")

    def beside(line: str) -> None:
        deliver(clickhouse, late)
        with connect(clickhouse.url("admin")) as client:
            refresh([client])

    recompute_all([admin], beside)
    clickhouse.refresh()
    assert_equal(clickhouse, Reference([first, late]))


@pytest.mark.parametrize(
    ("at_once", "spans"),
    [
        (1, ["2024-02-20 to 2024-02-20", "2024-02-27 to 2024-02-27", "2024-03-11 to 2024-03-11"]),
        (2, ["2024-02-20 to 2024-02-27", "2024-03-11 to 2024-03-11"]),
        (300_000, ["2024-02-20 to 2024-03-11"]),
    ],
)
def test_recomputing_goes_some_weeks_at_a_time(
    clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch, at_once: int, spans: list[str]
) -> None:
    deliver(clickhouse, *(event("dashboard.opened", midnight(day)) for day in (0, 7, 20)))
    clickhouse.refresh()
    monkeypatch.setattr(stages, "MAX_EVENTS", at_once)
    lines: list[str] = []
    recompute_all([clickhouse.client("admin")], lines.append)
    assert lines == [f"admin_views: {span}" for span in spans]
    assert clickhouse.value("SELECT sum(total) FROM metrics.engagement_daily") == 3


def test_arrivals_that_were_taken_in_are_deleted_after_a_while(
    clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = clickhouse.client("admin")
    row = "'view', 'dashboard.opened', 'a', now64(9)"
    for days in (2, 1, 0):
        admin.command(
            "INSERT INTO intel.arrivals (kind, event_name, admin_id, timestamp, event_id, ingested_at)"
            f" SELECT {row}, '0190e0f0-0000-7000-8000-00000000000{days}', now64(9) - INTERVAL {days} DAY"
        )
    left = "SELECT count() FROM intel.arrivals"
    run(clickhouse)
    assert clickhouse.value(left, "admin") == 3
    monkeypatch.setattr(module, "KEPT", 0)
    deliver(clickhouse, event("dashboard.opened"))
    run(clickhouse)
    # The newest part stays: its block is the largest, and a later insert must have a larger one, also after a restart.
    assert clickhouse.value(left, "admin") < 3
    assert clickhouse.value(left, "admin") > 0
    deliver(clickhouse, event("dashboard.opened"))
    run(clickhouse)
    assert clickhouse.value("SELECT count() FROM metrics.admin_views") == 5


def test_arrivals_that_were_emptied_begin_again(clickhouse: ClickHouse) -> None:
    admin = clickhouse.client("admin")
    run(clickhouse)
    admin.command(
        "INSERT INTO intel.refreshes (cycle, seen, as_of) SELECT max(cycle) + 1, 1000000, now() FROM intel.refreshes"
    )
    deliver(clickhouse, event("dashboard.opened"))
    assert run(clickhouse) is not None
    assert run(clickhouse) is None
    assert clickhouse.value("SELECT count() FROM metrics.admin_views") == 1


def test_500_different_decision_times_of_a_day_are_exact_in_all_services_together(clickhouse: ClickHouse) -> None:
    records = [
        replace(
            event("recommendation.accepted", midnight(0) + n, **{"intel.decision.time_ms": 777 + n // 2 * 11}),
            resource={"service.name": ("shop", "billing")[n % 2]},
        )
        for n in range(1000)
    ]
    deliver(clickhouse, *records)
    clickhouse.refresh()
    assert numbers(clickhouse)["decision_time"] == [Reference(records).decision_time(WINDOW)]


def test_decision_times_of_a_large_day_are_rounded_within_limits(clickhouse: ClickHouse) -> None:
    times = [n * n * 7 + 13 for n in range(900)]  # to 94 minutes
    records = [
        replace(
            event("recommendation.accepted", midnight(0) + n, **{"intel.decision.time_ms": ms}),
            resource={"service.name": ("shop", "billing")[n % 2]},
        )
        for n, ms in enumerate(times)
    ]
    deliver(clickhouse, *records)
    clickhouse.refresh()
    [row] = numbers(clickhouse)["decision_time"]
    assert_rounded(row, Reference(records).decision_time(WINDOW))


def test_freshness_says_what_waits(clickhouse: ClickHouse) -> None:
    clickhouse.client("admin").command("TRUNCATE TABLE intel.refreshes")
    reader = clickhouse.client("reader")
    sql = "SELECT isNull(as_of), waiting, isNull(waiting_since) FROM metrics.freshness"
    assert reader.query(sql).result_rows == [(1, 0, 1)]
    deliver(clickhouse, event("dashboard.opened"), event("dashboard.opened"))
    assert reader.query(sql).result_rows == [(1, 2, 0)]
    run(clickhouse)
    assert reader.query(sql).result_rows == [(0, 0, 1)]


def test_days_are_those_of_the_event_not_of_its_arrival(clickhouse: ClickHouse) -> None:
    deliver(clickhouse, event("recommendation.viewed", midnight(3)))
    clickhouse.refresh()
    rows = clickhouse.rows("SELECT day, viewed FROM metrics.recommendations_daily")
    assert rows == [{"day": date(2024, 2, 23), "viewed": 1}]
