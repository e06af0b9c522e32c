"""Rebuild corrects the facts from the landing after a crash or a wrong view."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from otel_intel.schema.migrate import migrate
from otel_intel.schema.rebuild import rebuild
from tests.otlp import deliver, event
from tests.servers import ClickHouse
from tests.waiting import poll_until

LOGS = ("recommendation_events", "signal_outcomes", "admin_views", "rejected_events", "pipeline_probes")
MONTH = 31 * 86_400 * 10**9
ACCEPTED = "recommendation.accepted"


def _content(clickhouse: ClickHouse) -> dict[str, list[dict[str, object]]]:
    return {log: clickhouse.rows(f"SELECT * FROM metrics.{log} ORDER BY event_id, ingested_at") for log in LOGS}


def _fill(clickhouse: ClickHouse) -> None:
    now = time.time_ns()
    for n in range(3):
        deliver(
            clickhouse,
            event(ACCEPTED, now - n * MONTH, f"0190e0f0-0000-7000-8000-00000000000{n}"),
            event("signal.outcome_recorded", now - n * MONTH),
            event("dashboard.opened", now - n * MONTH),
            event("pipeline.probed", now - n * MONTH, **{"intel.probe.id": "p"}),
            event("unknown", now - n * MONTH),
            event(ACCEPTED, now - n * MONTH, "0190e0f0-0000-7000-8000-000000000000"),  # conflicting copies
        )


@contextmanager
def _view_that_says(clickhouse: ClickHouse, old: str, new: str) -> Iterator[None]:
    """Use a different query for the typed events for a while."""
    admin = clickhouse.client("admin")
    query = clickhouse.value("SELECT as_select FROM system.tables WHERE name = 'typed_events_mv'", role="admin")
    assert old in query
    admin.command(f"ALTER TABLE intel.typed_events_mv MODIFY QUERY {query.replace(old, new)}")
    try:
        yield
    finally:
        migrate(admin, print)


def test_correct_facts_do_not_change(clickhouse: ClickHouse) -> None:
    _fill(clickhouse)
    before = _content(clickhouse)
    for _ in range(2):
        rebuild([clickhouse.client("admin")], print)
    assert _content(clickhouse) == before


def test_facts_that_are_missing_come_back(clickhouse: ClickHouse) -> None:
    _fill(clickhouse)
    before = _content(clickhouse)
    for table in ("recommendation_events", "signal_outcomes", "admin_views", "rejected_events", "pipeline_reports"):
        clickhouse.client("admin").command(f"TRUNCATE TABLE intel.{table}")
    months: list[str] = []
    rebuild([clickhouse.client("admin")], months.append)
    assert _content(clickhouse) == before
    assert len(months) >= 3
    assert all(line.endswith(" rows") for line in months)


def test_wrongly_rejected_events_become_facts(clickhouse: ClickHouse) -> None:
    with _view_that_says(clickhouse, "'intel.recommendation.accepted'", "'intel.recommendation.typo'"):
        deliver(clickhouse, event(ACCEPTED))
    assert clickhouse.value("SELECT count() FROM metrics.rejected_events") == 1
    rebuild([clickhouse.client("admin")], print)
    assert clickhouse.value("SELECT count() FROM metrics.rejected_events") == 0
    assert clickhouse.value("SELECT action FROM metrics.recommendation_events") == "ACCEPTED"


def test_wrongly_typed_facts_are_replaced(clickhouse: ClickHouse) -> None:
    with _view_that_says(clickhouse, "LogAttributes['intel.engine.version'] AS engine", "'wrong' AS engine"):
        deliver(clickhouse, event(ACCEPTED))
    assert clickhouse.value("SELECT engine_version FROM metrics.recommendation_events") == "wrong"
    rebuild([clickhouse.client("admin")], print)
    assert clickhouse.value("SELECT engine_version FROM metrics.recommendation_events") == "v1"


def test_facts_that_are_rejected_now_make_room_for_a_good_copy(clickhouse: ClickHouse) -> None:
    uid = "0190e0f0-0000-7000-8000-000000000000"
    with _view_that_says(clickhouse, "'HIGH', 'MEDIUM'", "'HIGH', '?', 'MEDIUM'"):
        deliver(clickhouse, event(ACCEPTED, None, uid, **{"intel.recommendation.confidence": "?"}))
        deliver(clickhouse, event(ACCEPTED, None, uid))
        clickhouse.client("admin").command("OPTIMIZE TABLE intel.recommendation_events FINAL")
    assert clickhouse.value("SELECT confidence FROM metrics.recommendation_events") == "?"
    rebuild([clickhouse.client("admin")], print)
    assert clickhouse.value("SELECT confidence FROM metrics.recommendation_events") == "HIGH"
    assert clickhouse.value("SELECT count() FROM metrics.rejected_events") == 1


def test_event_that_changed_its_kind_moves(clickhouse: ClickHouse) -> None:
    with _view_that_says(clickhouse, "'view'", "'internal'"):
        deliver(clickhouse, event("note.created"))
    assert clickhouse.value("SELECT count() FROM intel.pipeline_reports", role="admin") == 1
    rebuild([clickhouse.client("admin")], print)
    assert clickhouse.value("SELECT count() FROM intel.pipeline_reports", role="admin") == 0
    assert clickhouse.value("SELECT view_kind FROM metrics.admin_views") == "note.created"


def test_an_event_of_the_future_stays_rejected_when_its_time_has_come(clickhouse: ClickHouse) -> None:
    day = 86_400 * 10**9
    deliver(clickhouse, event(ACCEPTED, time.time_ns() + day + 1_000_000_000))
    come = "SELECT max(Timestamp) <= now64(9) + INTERVAL 1 DAY FROM intel.otel_logs"
    assert poll_until(lambda: clickhouse.value(come, "admin"))
    rebuild([clickhouse.client("admin")], print)
    assert clickhouse.value("SELECT count() FROM metrics.recommendation_events") == 0
    assert clickhouse.value("SELECT count() FROM metrics.rejected_events") == 1
