"""The views about the pipeline itself: deliveries, delays, reports of the sending processes."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from otel_intel.events import CATALOGUE, REPORT_KEYS
from tests.otlp import deliver, event, report
from tests.servers import ClickHouse

SECOND = 10**9
UID = "0190e0f0-0000-7000-8000-000000000000"


def test_deliveries_of_a_day(clickhouse: ClickHouse) -> None:
    first, second = event("recommendation.viewed"), event("dashboard.opened")
    other = event("recommendation.viewed", None, str(first.attributes["log.record.uid"]), **{"intel.admin.id": "a2"})
    reordered = replace(second, attributes=dict(reversed([*second.attributes.items()])))
    for records in ([first, second], [first], [other], [first, reordered], [event("unknown")]):
        deliver(clickhouse, *records)
    [row] = clickhouse.rows(
        "SELECT sum(rows) AS rows, sum(events) AS events, sum(duplicates) AS duplicates,"
        " sum(conflicting) AS conflicting FROM metrics.ingest_health"
    )
    assert row == {"rows": 7, "events": 3, "duplicates": 4, "conflicting": 1}


def test_records_without_an_id_are_no_duplicates(clickhouse: ClickHouse) -> None:
    deliver(clickhouse, *(event("dashboard.opened", **{"log.record.uid": None}) for _ in range(2)))
    assert clickhouse.value("SELECT sum(duplicates) FROM metrics.ingest_health") == 0


def test_delay_is_of_first_copies(clickhouse: ClickHouse) -> None:
    late = event("dashboard.opened", time.time_ns() - 5 * SECOND)
    deliver(clickhouse, late)
    [row] = clickhouse.rows("SELECT delay_p50_ms, delay_p99_ms FROM metrics.ingest_health")
    assert row["delay_p50_ms"] == row["delay_p99_ms"]
    assert 5_000 <= row["delay_p50_ms"] < 60_000


def test_late_copies_do_not_count_as_delay(clickhouse: ClickHouse) -> None:
    """Of a hundred events, one is delivered again; the copy's timestamp is an hour earlier."""
    fresh = [event("dashboard.opened") for _ in range(99)]
    old = event("dashboard.opened", time.time_ns() - 60 * SECOND)
    deliver(clickhouse, *fresh, old)
    copy = replace(old, time_ns=old.time_ns - 3600 * SECOND)
    deliver(clickhouse, *[copy] * 5)
    [row] = clickhouse.rows("SELECT delay_p50_ms, delay_p99_ms FROM metrics.ingest_health")
    assert row["delay_p99_ms"] < 3_600_000  # the copy's delay would be an hour
    assert row["delay_p50_ms"] < 60_000


def test_deliveries_belong_to_the_utc_day_of_their_arrival(clickhouse: ClickHouse) -> None:
    """The delays are 0 to 99 ms on the first day; on the second, copies of all come, and one event more."""
    midnight = "toDateTime64('2026-03-02', 9, 'UTC')"
    landed = (
        "INSERT INTO intel.otel_logs (Timestamp, EventName, LogAttributes, IngestedAt)"
        " SELECT {at} - toIntervalMillisecond(number) AS timestamp, 'intel.dashboard.opened',"
        " map('log.record.uid', toString(number)), {at} FROM numbers({count})"
    )
    for at, count in ((f"{midnight} - INTERVAL 1 HOUR", 100), (f"{midnight} + INTERVAL 5 HOUR", 101)):
        clickhouse.client("admin").command(landed.format(at=at, count=count))
    days = clickhouse.rows("SELECT * FROM metrics.ingest_health ORDER BY day")
    assert [tuple(row.values()) for row in days] == [
        (date(2026, 3, 1), 100, 100, 0, 0, 50, 99),
        (date(2026, 3, 2), 101, 1, 100, 100, 100, 100),
    ]


def test_every_count_of_the_latest_report_is_shown_under_its_name(clickhouse: ClickHouse) -> None:
    """The latest is that of the latest time, whatever its id is."""
    now = time.time_ns() // SECOND * SECOND
    names = [key.removeprefix("intel.pipeline.").replace(".", "__") for key in REPORT_KEYS]
    counts = {name: number for number, name in enumerate(names) if name not in ("process__id", "kind")}

    def send_report(at: int, uid: str, service: str, started_before: int, more: int) -> None:
        values = {name: count + more for name, count in counts.items()}
        values["process__started_at"] = now - started_before * SECOND
        made = report("p1", "view", at, service, **values)
        deliver(clickhouse, replace(made, attributes={**made.attributes, "log.record.uid": f"{uid * 8}{UID[8:]}"}))

    send_report(now - SECOND, "9", "old", 600, 100)
    send_report(now, "2", "new", 7200, 0)
    send_report(now - 2 * SECOND, "3", "old", 600, 100)
    [health] = clickhouse.rows("SELECT * FROM metrics.pipeline_health")
    [latest] = clickhouse.rows("SELECT * FROM metrics.pipeline_reports WHERE service_name = 'new'")
    del counts["process__started_at"]
    for row in (health, latest):
        assert {name: row[name.replace("__", "_")] for name in counts} == counts
        assert row["started_at"] == datetime.fromtimestamp(now // SECOND - 7200, UTC).replace(tzinfo=None)
        assert row["reported_at"] == datetime.fromtimestamp(now // SECOND, UTC).replace(tzinfo=None)
        assert (row["process_id"], row["kind"], row["service_name"]) == ("p1", "view", "new")
    assert health["ingested_at"] == latest["ingested_at"]


def test_of_reports_at_the_same_time_that_of_the_greatest_id_is_the_latest(clickhouse: ClickHouse) -> None:
    """However they arrive."""
    now = time.time_ns()
    for process, digits in (("p1", "123"), ("p2", "321")):
        for digit in digits:
            made = report(process, "view", now, emitted=int(digit))
            uid = f"{digit * 8}-0000-7000-8000-00000000000{process[1]}"
            deliver(clickhouse, replace(made, attributes={**made.attributes, "log.record.uid": uid}))
    assert clickhouse.rows("SELECT process_id, emitted FROM metrics.pipeline_health ORDER BY process_id") == [
        {"process_id": "p1", "emitted": 3},
        {"process_id": "p2", "emitted": 3},
    ]


def test_report_that_is_delivered_twice_is_one(clickhouse: ClickHouse) -> None:
    made = report("p1", "view")
    admin = clickhouse.client("admin")
    admin.command("SYSTEM STOP MERGES intel.pipeline_reports")
    try:
        for _ in range(2):
            deliver(clickhouse, made)
        assert clickhouse.value("SELECT count() FROM metrics.pipeline_reports") == 1
    finally:
        admin.command("SYSTEM START MERGES intel.pipeline_reports")


def test_latest_report_of_each_process_and_kind(clickhouse: ClickHouse) -> None:
    now = time.time_ns()
    counts = {
        "emitted": 21, "delivered": 1, "queued": 2, "dropped__invalid": 3, "dropped__no_admin": 4,
        "invalid_optional": 9,
        "dropped__queue_full": 5, "dropped__rejected": 6, "dropped__after_shutdown": 7, "dropped__exit_deadline": 8,
    }  # fmt: skip
    for process, kind, at, values in (
        ("p1", "view", now, counts),
        ("p1", "view", now - SECOND, {"emitted": 1}),
        ("p1", "outcome", now - SECOND, {"emitted": 2}),
        ("p2", "view", now - SECOND, {"emitted": 3}),
    ):
        deliver(clickhouse, report(process, kind, at, process__started_at=1_700_000_000 * SECOND, **values))
    assert clickhouse.value("SELECT count() FROM metrics.pipeline_reports") == 4
    rows = clickhouse.rows("SELECT * FROM metrics.pipeline_health ORDER BY process_id, kind DESC")
    assert [(r["process_id"], r["kind"], r["emitted"]) for r in rows] == [
        ("p1", "view", 21),
        ("p1", "outcome", 2),
        ("p2", "view", 3),
    ]
    assert {name: rows[0][name.replace("__", "_")] for name in counts} == counts
    assert (rows[0]["process_pid"], rows[0]["service_name"]) == (7, "shop")
    assert rows[0]["started_at"] == datetime(2023, 11, 14, 22, 13, 20)


def test_delivered_events_that_did_not_arrive_are_missing(clickhouse: ClickHouse) -> None:
    came = [event("dashboard.opened", **{"intel.pipeline.process.id": "p1"}) for _ in range(3)]
    deliver(clickhouse, *came, event("signal.outcome_recorded", **{"intel.pipeline.process.id": "p1"}))
    deliver(clickhouse, came[0])  # again: a copy does not count as an arrival
    deliver(clickhouse, event("dashboard.opened", **{"intel.pipeline.process.id": "p2"}))
    for process, kind, delivered in (
        ("p1", "view", 5),
        ("p1", "outcome", 1),
        ("p1", "recommendation", 2),
        ("p2", "view", 0),
    ):
        deliver(clickhouse, report(process, kind, delivered=delivered))
    rows = clickhouse.rows("SELECT process_id, kind, arrived, missing FROM metrics.pipeline_health ORDER BY 1, 2")
    assert [tuple(row.values()) for row in rows] == [
        ("p1", "outcome", 1, 0),
        ("p1", "recommendation", 0, 2),
        ("p1", "view", 3, 2),
        ("p2", "view", 1, 0),  # the event arrived after the report was written
    ]


def test_report_that_is_the_first_to_land_says_what_is_missing(clickhouse: ClickHouse) -> None:
    deliver(clickhouse, report("p1", "view", delivered=2))
    assert clickhouse.value("SELECT missing FROM metrics.pipeline_health") == 2


@pytest.mark.parametrize(("seconds", "missing"), [(0, 1), (1, None)])
def test_a_process_may_start_30_days_before_the_landing_begins(
    clickhouse: ClickHouse, seconds: int, missing: int | None
) -> None:
    deliver(clickhouse, event("dashboard.opened"))
    begins = clickhouse.value("SELECT min(toUnixTimestamp64Nano(IngestedAt)) FROM intel.otel_logs", "admin")
    started = begins - (30 * 86_400 + seconds) * SECOND
    deliver(clickhouse, report("p1", "outcome", delivered=1, process__started_at=started))
    assert clickhouse.value("SELECT missing FROM metrics.pipeline_health") == missing


def test_a_process_older_than_the_landing_has_no_missing_events(clickhouse: ClickHouse) -> None:
    started = time.time_ns() - 31 * 86_400 * SECOND
    deliver(clickhouse, report("p1", "view", delivered=5, process__started_at=started))
    assert clickhouse.rows("SELECT arrived, missing FROM metrics.pipeline_health") == [
        {"arrived": None, "missing": None}
    ]


def test_events_deleted_by_the_retention_are_not_missing(clickhouse: ClickHouse) -> None:
    deliver(clickhouse, *(event("dashboard.opened", **{"intel.pipeline.process.id": "p1"}) for _ in range(2)))
    deliver(clickhouse, report("p1", "view", delivered=2))
    assert clickhouse.value("SELECT missing FROM metrics.pipeline_health") == 0
    clickhouse.client("admin").command("TRUNCATE TABLE intel.otel_logs")
    deliver(clickhouse, event("dashboard.opened", **{"intel.pipeline.process.id": "p1"}))
    deliver(clickhouse, report("p1", "view", delivered=3))
    assert clickhouse.value("SELECT missing FROM metrics.pipeline_health") is None


@pytest.mark.parametrize("name", [name for name, declared in CATALOGUE.items() if declared.kind != "internal"])
def test_kinds_are_the_catalogues(clickhouse: ClickHouse, name: str) -> None:
    kind = CATALOGUE[name].kind
    sent = event(name.removeprefix("intel."), **{"intel.pipeline.process.id": "p1"})
    deliver(clickhouse, sent, report("p1", kind, delivered=1))
    assert clickhouse.rows("SELECT kind, missing FROM metrics.pipeline_health") == [{"kind": kind, "missing": 0}]


def test_arrivals_are_facts_with_their_delay(clickhouse: ClickHouse) -> None:
    late = event("dashboard.opened", time.time_ns() - 5 * SECOND)
    others = [event("signal.outcome_recorded"), event("recommendation.viewed"), event("unknown")]
    for _ in range(2):  # two parts that are not merged: each fact must still count once
        deliver(clickhouse, late, late, *others)
    rows = clickhouse.rows("SELECT kind, delay_ms FROM metrics.arrivals ORDER BY kind")
    assert [row["kind"] for row in rows] == ["outcome", "recommendation", "view"]
    assert 5_000 <= rows[2]["delay_ms"] < 60_000


def test_records_of_other_producers_are_listed_by_name(clickhouse: ClickHouse) -> None:
    deliver(clickhouse, replace(event("dashboard.opened"), name="other.event"))
    assert clickhouse.value("SELECT event_name FROM metrics.quarantined_events") == "other.event"


def test_storage_shows_the_size_of_each_table(clickhouse: ClickHouse) -> None:
    deliver(clickhouse, event("dashboard.opened"))
    [row] = clickhouse.rows("SELECT * FROM metrics.storage WHERE table = 'admin_views'")
    assert (row["parts"], row["rows"]) == (1, 1)
    assert 0 < row["bytes"] < row["disk_free_bytes"] < row["disk_total_bytes"]


def test_storage_counts_all_parts_and_none_that_was_merged_away(clickhouse: ClickHouse) -> None:
    admin = clickhouse.client("admin")
    shown = "SELECT parts, rows, bytes FROM metrics.storage WHERE table = 'admin_views'"
    kept = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'intel' AND table = 'admin_views'"
    admin.command("SYSTEM STOP MERGES intel.admin_views")
    try:
        for _ in range(2):
            deliver(clickhouse, event("dashboard.opened"))
            clickhouse.refresh()
        assert clickhouse.rows(shown) == [{"parts": 2, "rows": 2, "bytes": clickhouse.value(kept, "admin")}]
    finally:
        admin.command("SYSTEM START MERGES intel.admin_views")
    admin.command("OPTIMIZE TABLE intel.admin_views FINAL")
    assert clickhouse.rows(shown) == [{"parts": 1, "rows": 2, "bytes": clickhouse.value(kept, "admin")}]


def test_storage_lists_the_tables_of_intel_alone(clickhouse: ClickHouse) -> None:
    deliver(clickhouse, event("dashboard.opened"))
    admin = clickhouse.client("admin")
    admin.command("CREATE TABLE metrics.figures ENGINE = MergeTree ORDER BY a AS SELECT 1 AS a")
    try:
        tables = {row["table"] for row in clickhouse.rows("SELECT table FROM metrics.storage")}
    finally:
        admin.command("DROP TABLE metrics.figures")
    assert tables == {
        *("admin_views", "arrivals", "days_engagement", "otel_logs", "refreshes", "schema_migrations"),
    }


def test_every_count_of_a_report_has_its_column(clickhouse: ClickHouse) -> None:
    columns = {row["name"] for row in clickhouse.rows("DESCRIBE metrics.pipeline_reports")}
    counts = {key.removeprefix("intel.pipeline.").replace(".", "_") for key in REPORT_KEYS}
    assert counts <= columns | {"process_started_at"}


def test_probe_is_visible_and_in_no_metric(clickhouse: ClickHouse) -> None:
    deliver(clickhouse, event("pipeline.probed", **{"intel.probe.id": "p-1"}))
    assert clickhouse.value("SELECT probe_id FROM metrics.pipeline_probes") == "p-1"
    for log in ("recommendation_events", "signal_outcomes", "admin_views", "rejected_events", "pipeline_health"):
        assert clickhouse.value(f"SELECT count() FROM metrics.{log}") == 0


def test_a_process_own_probes_and_reports_are_no_views_that_arrived(clickhouse: ClickHouse) -> None:
    of_process = {"intel.pipeline.process.id": "p1"}
    deliver(clickhouse, event("pipeline.probed", **of_process), report("p1", "view", delivered=3))
    assert clickhouse.rows("SELECT arrived, missing FROM metrics.pipeline_health") == [{"arrived": 0, "missing": 3}]


def test_a_report_is_no_probe(clickhouse: ClickHouse) -> None:
    deliver(clickhouse, report("p1", "view"))
    assert clickhouse.rows("SELECT * FROM metrics.pipeline_probes") == []


def test_days_until_the_disk_is_full(clickhouse: ClickHouse) -> None:
    now = time.time_ns()
    fresh = [event("dashboard.opened", now - 60 * SECOND) for _ in range(70)]
    deliver(clickhouse, *fresh, *(event("dashboard.opened", now - 90 * 86400 * SECOND) for _ in range(30)))
    [disk] = clickhouse.rows("SELECT * FROM metrics.disks")
    assert 0 < disk["free_bytes"] < disk["total_bytes"]
    assert disk["free_share"] == disk["free_bytes"] / disk["total_bytes"]
    assert disk["bytes"] == clickhouse.value("SELECT sum(bytes) FROM metrics.storage")
    assert disk["bytes_per_day"] == round(disk["bytes"] * 70 / 7 / 100)
    assert disk["days_left"] == disk["free_bytes"] // disk["bytes_per_day"]


def test_what_arrived_is_of_seven_days_and_happened_in_fourteen(clickhouse: ClickHouse) -> None:
    for happened, arrived, count in ((13.9, 6.9, 70), (13.9, 7.1, 20), (14.1, 6.9, 10)):
        ages = (f"now64(9, 'UTC') - toIntervalSecond({days * 86_400:.0f})" for days in (happened, arrived))
        clickhouse.client("admin").command(
            "INSERT INTO intel.otel_logs (Timestamp, IngestedAt, EventName)"
            f" SELECT {', '.join(ages)}, 'intel.dashboard.opened' FROM numbers({count})"
        )
    [disk] = clickhouse.rows("SELECT bytes, bytes_per_day FROM metrics.disks")
    assert disk["bytes_per_day"] == round(disk["bytes"] * 70 / 7 / 100)


@pytest.mark.parametrize("history", [0, 1])
def test_a_disk_that_nothing_arrives_on_is_never_full(clickhouse: ClickHouse, history: int) -> None:
    deliver(clickhouse, *[event("dashboard.opened", time.time_ns() - 90 * 86400 * SECOND)] * history)
    [disk] = clickhouse.rows("SELECT bytes_per_day, days_left FROM metrics.disks")
    assert disk == {"bytes_per_day": 0, "days_left": None}
