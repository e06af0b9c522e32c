"""Every metric equals its definition in slow Python, over adversarial streams sent to the real ingest endpoint."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from tests.otlp import deliver
from tests.servers import ClickHouse
from tests.sql.reference import ACTIONS, STATUSES, VIEW_KINDS, Reference, Window
from tests.sql.streams import DAYS, FIRST_DAY, TYPES, VERSIONS, make_stream

WINDOWS = (
    [
        Window(FIRST_DAY + timedelta(days=first), FIRST_DAY + timedelta(days=last), version, kind)
        for (first, last), version, kind in product(
            [(-1, DAYS + 8), (0, 6), (8, 8), (9, 10), (12, 18), (-30, -20)],  # the last one is empty
            ["", VERSIONS[0]],
            ["", TYPES[0]],
        )
    ]
    + [
        Window(FIRST_DAY, FIRST_DAY + timedelta(days=DAYS), *filters)
        for filters in (
            ("", "", "HIGH"),
            ("", "", "", "shop"),
            ("", TYPES[0], "LOW", "billing"),
            ("\n".join(VERSIONS[:2]),),
            (VERSIONS[1], "\n".join(TYPES), "HIGH\nLOW", "shop\nbilling"),
            ("none", "", "", "shop\nnone"),
            (f"\n{VERSIONS[1]}\n\n{VERSIONS[0]}\n", "", "HIGH\n"),
        )
    ]
)


@pytest.fixture(scope="module", params=[1, 2, 3], ids="seed{}".format)
def loaded(request: pytest.FixtureRequest, clickhouse_server: ClickHouse) -> tuple[ClickHouse, Reference]:
    """A server with a stream of events, and its expected metrics."""
    stream = make_stream(request.param)
    clickhouse_server.empty()
    for number, batch in enumerate(stream.batches):
        deliver(clickhouse_server, *batch)
        if number % 5 == 0:  # also what is late for a day that was counted already
            clickhouse_server.refresh()
    return clickhouse_server, Reference(stream.deliveries)


def _between(clickhouse: ClickHouse, name: str, window: Window, by_type: bool = True) -> list[dict[str, Any]]:
    arguments = "first_day = {first:Date}, last_day = {last:Date}"
    arguments += ", engine_version = {version:String}, service_name = {service:String}"
    if by_type:
        arguments += ", recommendation_type = {type:String}, confidence = {confidence:String}"
    return clickhouse.rows(
        f"SELECT * FROM metrics.{name}_between({arguments})",
        {
            "first": window.first_day,
            "last": window.last_day,
            "version": window.engine_version,
            "type": window.recommendation_type,
            "confidence": window.confidence,
            "service": window.service_name,
        },
    )


@pytest.mark.parametrize("metric", ["acceptance_rate", "override_rate", "decision_time"])
def test_number_about_recommendations(loaded: tuple[ClickHouse, Reference], metric: str) -> None:
    clickhouse, reference = loaded
    for window in WINDOWS:
        assert _between(clickhouse, metric, window) == [getattr(reference, metric)(window)], window


def test_false_positive_rate(loaded: tuple[ClickHouse, Reference]) -> None:
    clickhouse, reference = loaded
    for window in WINDOWS:
        if not (window.recommendation_type or window.confidence):
            found = _between(clickhouse, "false_positive_rate", window, by_type=False)
            assert found == [reference.false_positive_rate(window)], window


def test_outcome_distribution(loaded: tuple[ClickHouse, Reference]) -> None:
    clickhouse, reference = loaded
    for window in WINDOWS:
        if not (window.recommendation_type or window.confidence):
            found = _between(clickhouse, "outcome_distribution", window, by_type=False)
            assert found == reference.outcome_distribution(window), window


def test_decisions(loaded: tuple[ClickHouse, Reference]) -> None:
    clickhouse, reference = loaded
    found = {
        row.pop("event_id"): row
        for row in clickhouse.rows(
            "SELECT event_id, toUnixTimestamp64Nano(timestamp) AS ns, risk_signal_id, admin_id, action,"
            " recommendation_type, confidence, decision_time_ms, engine_version, service_name FROM metrics.decisions"
        )
    }
    assert found == {
        fact.uid: {
            "ns": fact.time_ns,
            "risk_signal_id": fact.signal,
            "admin_id": fact.admin,
            "action": fact.action,
            "recommendation_type": fact.type,
            "confidence": fact.confidence,
            "decision_time_ms": ms,
            "engine_version": fact.version,
            "service_name": fact.service,
        }
        for fact, ms in reference.decisions
    }
    assert len({row["decision_time_ms"] is None for row in found.values()}) == 2  # both cases occur


def test_the_log_has_each_decision_with_its_time(loaded: tuple[ClickHouse, Reference]) -> None:
    clickhouse, _ = loaded
    everything = "SELECT * FROM metrics.{} WHERE action != 'VIEWED' ORDER BY event_id"
    rows = clickhouse.rows(everything.format("recommendation_events"))
    assert rows == clickhouse.rows(everything.format("decisions"))


def test_recommendations_daily(loaded: tuple[ClickHouse, Reference]) -> None:
    clickhouse, reference = loaded
    found = {
        (r["day"], r["service_name"], r["engine_version"], r["recommendation_type"], r["confidence"]): tuple(
            r[action.lower()] for action in ACTIONS
        )
        for r in clickhouse.rows("SELECT * FROM metrics.recommendations_daily")
    }
    assert found == reference.recommendations_daily()


def test_decision_times_daily(loaded: tuple[ClickHouse, Reference]) -> None:
    clickhouse, reference = loaded
    rows = clickhouse.rows("SELECT * FROM metrics.decision_times_daily")
    found = {
        (r["day"], r["service_name"], r["engine_version"], r["recommendation_type"], r["confidence"]): r["histogram"]
        for r in rows
    }
    assert found == reference.decision_times_daily()
    assert all(r["samples"] == sum(r["histogram"].values()) for r in rows)
    assert all(r["sum_ms"] == sum(ms * n for ms, n in r["histogram"].items()) for r in rows)


def test_outcomes_daily(loaded: tuple[ClickHouse, Reference]) -> None:
    clickhouse, reference = loaded
    found = {
        (r["day"], r["service_name"], r["engine_version"]): (
            *(r[status.lower()] for status in STATUSES),
            r["hours_samples"],
            r["sum_hours"],
        )
        for r in clickhouse.rows("SELECT * FROM metrics.outcomes_daily")
    }
    assert found == reference.outcomes_daily()


def test_engagement_daily(loaded: tuple[ClickHouse, Reference]) -> None:
    clickhouse, reference = loaded
    found = {
        (r["day"], r["service_name"], r["engine_version"], r["admin_id"]): tuple(
            r[kind.replace(".", "_")] for kind in VIEW_KINDS
        )
        for r in clickhouse.rows("SELECT * FROM metrics.engagement_daily")
    }
    assert found == reference.engagement_daily()


def test_each_event_once_in_the_logs(loaded: tuple[ClickHouse, Reference]) -> None:
    clickhouse, reference = loaded
    for view, facts in (
        ("recommendation_events", reference.recommendations),
        ("signal_outcomes", reference.outcomes),
        ("admin_views", reference.views),
    ):
        found = clickhouse.rows(f"SELECT event_id, toUnixTimestamp64Nano(timestamp) AS ns FROM metrics.{view}")
        assert sorted((r["event_id"], r["ns"]) for r in found) == sorted((f.uid, f.time_ns) for f in facts)


def test_first_outcome_of_a_signal(loaded: tuple[ClickHouse, Reference]) -> None:
    clickhouse, reference = loaded
    found = clickhouse.rows("SELECT event_id FROM metrics.signal_outcomes WHERE is_first")
    assert sorted(r["event_id"] for r in found) == sorted(fact.uid for fact in reference.first_outcomes)
    assert len(found) < len(reference.outcomes)  # some signals have a second outcome


def test_merges_change_nothing(loaded: tuple[ClickHouse, Reference]) -> None:
    for table in ("recommendation_events", "signal_outcomes", "admin_views"):
        loaded[0].client("admin").command(f"OPTIMIZE TABLE intel.{table} FINAL")
    test_decisions(loaded)
    test_each_event_once_in_the_logs(loaded)
    test_first_outcome_of_a_signal(loaded)
