"""Every landing row goes to exactly one table, and a rejected event has a reason."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from otel_intel.events import CATALOGUE, CONFIDENCES, OUTCOME_STATUSES, Event
from otel_intel.resources import folder
from otel_intel.schema.migrate import migrate, read_steps
from tests.otlp import Record, deliver, event
from tests.servers import ClickHouse

DAY = 86_400 * 10**9
PLACES = ("recommendation_events", "signal_outcomes", "admin_views", "rejected_events", "pipeline_reports")


def _places(clickhouse: ClickHouse) -> dict[str, int]:
    clickhouse.refresh()
    counts = {place: clickhouse.value(f"SELECT count() FROM intel.{place}", role="admin") for place in PLACES}
    return {place: count for place, count in counts.items() if count}


@pytest.mark.parametrize("declared", CATALOGUE.values(), ids=lambda declared: declared.name)
def test_event_of_the_catalogue_becomes_a_fact(clickhouse: ClickHouse, declared: Event) -> None:
    place = {
        "recommendation": "recommendation_events",
        "outcome": "signal_outcomes",
        "view": "admin_views",
        "internal": "pipeline_reports",
    }[declared.kind]
    deliver(clickhouse, event(declared.name.removeprefix("intel.")))
    assert _places(clickhouse) == {place: 1}


ACCEPTED, OUTCOME, DETAIL = "recommendation.accepted", "signal.outcome_recorded", "signal.detail_opened"
UID = "log.record.uid"


@pytest.mark.parametrize(
    ("name", "attributes", "reason"),
    [
        ("recommendation.exploded", {}, "unknown event"),
        ("Recommendation.accepted", {}, "unknown event"),
        ("", {}, "unknown event"),
        (ACCEPTED, {UID: None}, "missing log.record.uid"),
        (ACCEPTED, {UID: "0190e0f0-0000-7000-8000-00000000000A"}, "invalid log.record.uid"),
        (ACCEPTED, {UID: "0190e0f0000070008000000000000000"}, "invalid log.record.uid"),
        (ACCEPTED, {UID: "0190e0f0-0000-7000-8000-000000000000\n"}, "invalid log.record.uid"),
        (ACCEPTED, {UID: 7}, "invalid log.record.uid"),
        (ACCEPTED, {"intel.schema.version": None}, "missing intel.schema.version"),
        (ACCEPTED, {"intel.engine.version": None}, "missing intel.engine.version"),
        (ACCEPTED, {"intel.risk_signal.id": None}, "missing intel.risk_signal.id"),
        (ACCEPTED, {"intel.risk_signal.id": ""}, "missing intel.risk_signal.id"),
        (ACCEPTED, {"intel.risk_signal.id": ["s1"]}, "missing intel.risk_signal.id"),
        (ACCEPTED, {"intel.admin.id": None}, "missing intel.admin.id"),
        (DETAIL, {"intel.admin.id": None}, "missing intel.admin.id"),
        (DETAIL, {"intel.risk_signal.id": None}, "missing intel.risk_signal.id"),
        ("dashboard.opened", {"intel.admin.id": None}, "missing intel.admin.id"),
        (ACCEPTED, {"intel.recommendation.type": None}, "missing intel.recommendation.type"),
        (ACCEPTED, {"intel.recommendation.confidence": None}, "missing intel.recommendation.confidence"),
        (ACCEPTED, {"intel.recommendation.confidence": "high"}, "invalid intel.recommendation.confidence"),
        (ACCEPTED, {"intel.decision.time_ms": -1}, "invalid intel.decision.time_ms"),
        (ACCEPTED, {"intel.decision.time_ms": 1.5}, "invalid intel.decision.time_ms"),
        (ACCEPTED, {"intel.decision.time_ms": ""}, "invalid intel.decision.time_ms"),
        (ACCEPTED, {"intel.decision.time_ms": "soon"}, "invalid intel.decision.time_ms"),
        (ACCEPTED, {"intel.decision.time_ms": "9223372036854775808"}, "invalid intel.decision.time_ms"),
        (ACCEPTED, {"intel.decision.time_ms": False}, "invalid intel.decision.time_ms"),
        (ACCEPTED, {"intel.decision.time_ms": [1]}, "invalid intel.decision.time_ms"),
        (OUTCOME, {"intel.outcome.status": None}, "missing intel.outcome.status"),
        (OUTCOME, {"intel.outcome.status": "WON"}, "invalid intel.outcome.status"),
        (OUTCOME, {"intel.risk_signal.id": None}, "missing intel.risk_signal.id"),
        (OUTCOME, {"intel.outcome.resolution_time_hours": -0.5}, "invalid intel.outcome.resolution_time_hours"),
        (OUTCOME, {"intel.outcome.resolution_time_hours": float("inf")}, "invalid intel.outcome.resolution_time_hours"),
        (OUTCOME, {"intel.outcome.resolution_time_hours": float("nan")}, "invalid intel.outcome.resolution_time_hours"),
        (OUTCOME, {"intel.outcome.resolution_time_hours": "1 day"}, "invalid intel.outcome.resolution_time_hours"),
        ("pipeline.reported", {UID: None}, "missing log.record.uid"),
    ],
)
def test_reason(clickhouse: ClickHouse, name: str, attributes: dict[str, Any], reason: str) -> None:
    deliver(clickhouse, event(name, **attributes))
    assert clickhouse.rows("SELECT event_name, reason FROM metrics.rejected_events") == [
        {"event_name": f"intel.{name}", "reason": reason}
    ]
    assert _places(clickhouse) == {"rejected_events": 1}


def test_every_word_of_the_closed_sets_is_accepted(clickhouse: ClickHouse) -> None:
    deliver(
        clickhouse,
        *(event(ACCEPTED, **{"intel.recommendation.confidence": word}) for word in CONFIDENCES),
        *(event(OUTCOME, **{"intel.outcome.status": word}) for word in OUTCOME_STATUSES),
    )
    assert _places(clickhouse) == {
        "recommendation_events": len(CONFIDENCES),
        "signal_outcomes": len(OUTCOME_STATUSES),
    }


@pytest.mark.parametrize(
    ("time_ns", "reason"),
    [
        (0, "invalid timestamp"),
        (2**63 - 1, "timestamp in the future"),
        (2**64 - 1, "timestamp in the future"),
    ],
)
def test_impossible_time(clickhouse: ClickHouse, time_ns: int, reason: str) -> None:
    deliver(clickhouse, event(ACCEPTED, time_ns))
    assert clickhouse.rows("SELECT reason, toUnixTimestamp64Nano(timestamp) AS ns FROM metrics.rejected_events") == [
        {"reason": reason, "ns": min(time_ns, 2**63 - 1)}
    ]


def test_up_to_a_day_in_the_future_is_kept(clickhouse: ClickHouse) -> None:
    deliver(clickhouse, event(ACCEPTED, time.time_ns() + DAY - 10**10), event(ACCEPTED, time.time_ns() + DAY + 10**10))
    assert _places(clickhouse) == {"recommendation_events": 1, "rejected_events": 1}


@pytest.mark.parametrize(("nanoseconds", "place"), [(0, "recommendation_events"), (1, "rejected_events")])
def test_exactly_a_day_after_its_arrival_is_not_yet_the_future(
    clickhouse: ClickHouse, nanoseconds: int, place: str
) -> None:
    attributes = ", ".join(f"'{key}', '{value}'" for key, value in event(ACCEPTED).attributes.items())
    clickhouse.client("admin").command(
        "INSERT INTO intel.otel_logs (IngestedAt, Timestamp, EventName, LogAttributes) WITH now64(9, 'UTC') AS came"
        f" SELECT came, addNanoseconds(came + INTERVAL 1 DAY, {nanoseconds}), 'intel.{ACCEPTED}', map({attributes})"
    )
    assert _places(clickhouse) == {place: 1}


def test_longest_decision_time_is_kept(clickhouse: ClickHouse) -> None:
    deliver(clickhouse, event(ACCEPTED, **{"intel.decision.time_ms": 2**63 - 1}))
    assert clickhouse.value("SELECT decision_time_ms FROM metrics.recommendation_events") == 2**63 - 1


@pytest.mark.parametrize("time_ns", [10**9, 946_684_800 * 10**9])
def test_any_past_time_is_accepted(clickhouse: ClickHouse, time_ns: int) -> None:
    deliver(clickhouse, event(ACCEPTED, time_ns))
    assert clickhouse.value("SELECT toUnixTimestamp64Nano(timestamp) FROM metrics.recommendation_events") == time_ns


def test_a_later_copy_does_not_change_the_first_outcome(clickhouse: ClickHouse) -> None:
    """The copy has an earlier time than all other outcomes, but the time of the first copy counts."""
    second, first = (event("signal.outcome_recorded", 10**18 + after) for after in (10, 5))
    deliver(clickhouse, second, first)
    deliver(clickhouse, replace(second, time_ns=10**18 + 1))
    assert (
        clickhouse.value("SELECT event_id FROM metrics.signal_outcomes WHERE is_first")
        == (first.attributes["log.record.uid"])
    )
    assert clickhouse.value("SELECT sum(outcomes) FROM metrics.outcomes_daily") == 1


def test_of_outcomes_in_the_same_moment_the_smallest_id_is_the_first(clickhouse: ClickHouse) -> None:
    """So many that a sort by the time alone mixes them."""
    ids = [f"0190e0f0-0000-7000-8000-{number:012x}" for number in range(1000)]
    deliver(clickhouse, *(event(OUTCOME, 10**18, uid) for uid in reversed(ids)), event(OUTCOME, 10**18 + 1))
    assert clickhouse.value("SELECT event_id FROM metrics.signal_outcomes WHERE is_first") == ids[0]


def test_good_copy_after_a_rejected_one_counts(clickhouse: ClickHouse) -> None:
    uid = "0190e0f0-0000-7000-8000-000000000000"
    deliver(
        clickhouse, event(ACCEPTED, None, uid, **{"intel.recommendation.confidence": "?"}), event(ACCEPTED, None, uid)
    )
    assert _places(clickhouse) == {"recommendation_events": 1, "rejected_events": 1}


def test_a_new_view_event_needs_only_its_name_in_the_list(clickhouse: ClickHouse, tmp_path: Path) -> None:
    """A developer would add a name to the list; migrate applies it to a running server."""
    deliver(clickhouse, event("report.printed"))
    assert clickhouse.value("SELECT reason FROM metrics.rejected_events") == "unknown event"

    sql = folder("clickhouse")
    migrations, views = tmp_path / "migrations", tmp_path / "views"
    migrations.symlink_to(sql / "migrations")
    views.mkdir()
    text = sql.joinpath("views", "20_typed_events.sql").read_text(encoding="utf-8")
    known = "EventName IN ('intel.dashboard.opened'"
    assert text.count(known) == 2  # in the list of the kind, and in that of events without a signal
    one_more = text.replace(known, f"{known}, 'intel.report.printed'")
    views.joinpath("20_typed_events.sql").write_text(one_more, encoding="utf-8")
    try:
        migrate(clickhouse.client("admin"), print, tmp_path)
        deliver(clickhouse, event("report.printed", **{"intel.admin.id": "a7"}))
        assert clickhouse.rows("SELECT view_kind, admin_id FROM metrics.admin_views") == [
            {"view_kind": "report.printed", "admin_id": "a7"}
        ]
    finally:
        migrate(clickhouse.client("admin"), print)


def test_views_have_no_gap_while_they_change() -> None:
    """While a materialized view is dropped and created again, inserted rows would be lost."""
    titles = [step.title for step in read_steps(folder("clickhouse") / "views")]
    created = {title.split()[-3] for title in titles if title.startswith("CREATE MATERIALIZED VIEW IF NOT EXISTS")}
    dropped = {title.split()[-1] for title in titles if title.startswith("DROP VIEW IF EXISTS")}
    assert len(created) > 5
    assert not created & dropped
    changes = ("CREATE MATERIALIZED VIEW IF NOT EXISTS", "CREATE OR REPLACE VIEW", "ALTER TABLE metrics.", "DROP VIEW")
    assert all(title.startswith(changes) for title in titles)


def test_landing_takes_the_exporters_columns(clickhouse: ClickHouse) -> None:
    """The Collector's exporter inserts these columns; EventName only if it detected that column at its start."""
    columns = [
        *("Timestamp", "TraceId", "SpanId", "TraceFlags", "SeverityText", "SeverityNumber", "ServiceName", "Body"),
        *("ResourceSchemaUrl", "ResourceAttributes", "ScopeSchemaUrl", "ScopeName", "ScopeVersion"),
        *("ScopeAttributes", "LogAttributes"),
    ]
    record = event("dashboard.opened", **{"otel.event.name": "intel.dashboard.opened"})
    row = ["2026-01-01 00:00:00", "", "", 0, "", 0, "shop", "", "", {}, "", "", "", {}, dict(record.attributes)]
    clickhouse.client("writer").insert("intel.otel_logs", [row], column_names=columns)
    assert clickhouse.value("SELECT view_kind FROM metrics.admin_views") == "dashboard.opened"


def test_name_as_an_attribute_is_not_kept_with_the_others(clickhouse: ClickHouse) -> None:
    """The Collector's exporter repeats the name so."""
    attributes = {"intel.admin.id": "a1", "otel.event.name": "intel.unknown"}
    columns = ["Timestamp", "EventName", "LogAttributes"]
    clickhouse.client("writer").insert(
        "intel.otel_logs", [["2026-01-01 00:00:00", "intel.unknown", attributes]], column_names=columns
    )
    assert clickhouse.value("SELECT attributes FROM metrics.rejected_events") == {"intel.admin.id": "a1"}


_SAMPLES = {"intel.recommendation.confidence": "HIGH", "intel.outcome.status": "RESOLVED"}


@pytest.mark.parametrize("declared", [event for event in CATALOGUE.values() if event.helper], ids=lambda it: it.name)
def test_every_event_of_the_catalogue_becomes_a_fact_with_its_required_attributes_alone(
    clickhouse: ClickHouse, declared: Event
) -> None:
    common = {"log.record.uid": str(uuid.uuid4()), "intel.schema.version": "1", "intel.engine.version": "v1"}
    required = {attribute.key: _SAMPLES.get(attribute.key, "7") for attribute in declared.required}
    deliver(clickhouse, Record(declared.name, {**common, **required}, time.time_ns()))
    assert clickhouse.rows("SELECT reason FROM metrics.rejected_events") == []
    views = {"recommendation": "recommendation_events", "outcome": "signal_outcomes", "view": "admin_views"}
    assert clickhouse.value(f"SELECT count() FROM metrics.{views[declared.kind]}") == 1
