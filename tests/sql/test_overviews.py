"""The views with several numbers equal their definitions in slow Python."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest

from tests.otlp import deliver, event
from tests.servers import ClickHouse
from tests.sql.reference import STATUSES, VIEW_KINDS, Reference, Window, nearest_rank, rate
from tests.sql.streams import DAYS, FIRST_DAY, TYPES, VERSIONS, make_stream, midnight

# Windows that end before, in and after the stream's days, so that the windows before them have events or none.
LAST_DAYS = [FIRST_DAY + timedelta(days=days) for days in (2, 8, DAYS, DAYS + 20, DAYS + 40, DAYS + 70)]


@pytest.fixture(scope="module", params=[4, 5], ids="seed{}".format)
def loaded(request: pytest.FixtureRequest, clickhouse_server: ClickHouse) -> tuple[ClickHouse, Reference]:
    stream = make_stream(request.param)
    clickhouse_server.empty()
    for batch in stream.batches:
        deliver(clickhouse_server, *batch)
    return clickhouse_server, Reference(stream.deliveries)


def numbers(reference: Reference, window: Window, *, with_quantiles: bool) -> dict[str, Any]:
    """Return all numbers of a window, by the names of metrics.overview."""
    outcomes = {row["outcome_status"].lower(): row for row in reference.outcome_distribution(window)}
    times = reference.decision_time(window)
    if not with_quantiles:
        times |= {"p50_ms": None, "p90_ms": None}
    return {
        **reference.acceptance_rate(window),
        "override_rate": reference.override_rate(window)["override_rate"],
        **times,
        **{status: row["count"] for status, row in outcomes.items()},
        **{f"{status}_share": row["share"] for status, row in outcomes.items()},
        "outcomes": reference.false_positive_rate(window)["outcomes"],
        "false_positive_rate": reference.false_positive_rate(window)["false_positive_rate"],
    }


@pytest.mark.parametrize("last", LAST_DAYS, ids=str)
def test_overview(loaded: tuple[ClickHouse, Reference], last: date) -> None:
    clickhouse, reference = loaded
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in clickhouse.rows("SELECT * FROM metrics.overview(last_day = {last:Date})", {"last": last}):
        part, days, is_before = row.pop("part"), row.pop("days"), row.pop("is_before")
        day, version = row.pop("day"), row.pop("engine_version")
        key = (part, days, is_before) if part == "window" else (part, day if part == "day" else version)
        assert key not in found
        found[key] = row
    expected: dict[tuple[Any, ...], dict[str, Any]] = {}
    for days in (7, 30):
        for is_before in (False, True):
            until = last - timedelta(days=days * is_before)
            window = Window(until - timedelta(days=days - 1), until)
            expected["window", days, is_before] = numbers(reference, window, with_quantiles=not is_before)
    for back in range(30):
        day = last - timedelta(days=back)
        expected["day", day] = numbers(reference, Window(day, day), with_quantiles=False)
    for version in VERSIONS:
        window = Window(last - timedelta(days=29), last, version)
        expected["version", version] = numbers(reference, window, with_quantiles=False)
    counts = ("viewed", "decisions", "outcomes")
    assert {key: row for key, row in found.items() if any(row[count] for count in counts)} == {
        key: row for key, row in expected.items() if any(row[count] for count in counts)
    }


@pytest.mark.parametrize("version", ["", VERSIONS[0]])
@pytest.mark.parametrize("days", [(0, 6), (3, 3), (-30, -20)], ids=str)
def test_resolution_times(loaded: tuple[ClickHouse, Reference], days: tuple[int, int], version: str) -> None:
    clickhouse, reference = loaded
    first, last = (FIRST_DAY + timedelta(days=day) for day in days)
    rows = clickhouse.rows(
        "SELECT * FROM metrics.resolution_times_between(first_day = {first:Date}, last_day = {last:Date},"
        " engine_version = {version:String})",
        {"first": first, "last": last, "version": version},
    )
    facts = [f for f in reference.first_outcomes if first <= f.day <= last and version in ("", f.version)]
    assert [row["outcome_status"] for row in rows] == list(STATUSES)
    for row in rows:
        ended = [fact for fact in facts if fact.status == row["outcome_status"]]
        hours: list[Any] = sorted(fact.hours for fact in ended if fact.hours is not None)
        edges = [*row["from_hours"], float("inf")]
        assert row["histogram"] == [sum(low <= value < high for value in hours) for low, high in pairwise(edges)]
        assert (row["count"], row["share"], row["samples"]) == (len(ended), rate(len(ended), len(facts)), len(hours))
        assert row["p50_hours"] == nearest_rank(hours, Fraction(1, 2))
        assert row["p90_hours"] == nearest_rank(hours, Fraction(9, 10))
        assert row["average_hours"] == (pytest.approx(sum(hours) / len(hours)) if hours else None)


@pytest.mark.parametrize("version", ["", VERSIONS[0]])
def test_busy_admins_and_hours(loaded: tuple[ClickHouse, Reference], version: str) -> None:
    clickhouse, reference = loaded
    first, last = FIRST_DAY + timedelta(days=1), FIRST_DAY + timedelta(days=9)
    within = [f for f in reference.views if first <= f.day <= last and version in ("", f.version)]
    everyone = Counter(fact.admin for fact in within)
    for admin in ("", max(everyone), "nobody"):
        arguments = (
            "first_day = {first:Date}, last_day = {last:Date}, engine_version = {version:String},"
            " admin_id = {admin:String}"
        )
        asked = {"first": first, "last": last, "version": version, "admin": admin}
        chosen = [fact for fact in within if admin in ("", fact.admin)]
        totals = Counter(fact.admin for fact in chosen)
        kinds = Counter((fact.admin, fact.name) for fact in chosen)
        assert clickhouse.rows(f"SELECT * FROM metrics.top_admins_between({arguments})", asked) == [
            {
                "admin_id": name,
                **{kind.replace(".", "_"): kinds[name, kind] for kind in VIEW_KINDS},
                "total": total,
            }
            for name, total in sorted(totals.items(), key=lambda item: (-item[1], item[0]))
        ]
        hours = Counter((fact.time_ns // (3600 * 10**9) % 24, fact.name) for fact in chosen)
        assert clickhouse.rows(f"SELECT * FROM metrics.activity_by_hour_between({arguments})", asked) == [
            {"hour": hour, "view_kind": kind, "events": count} for (hour, kind), count in sorted(hours.items())
        ]


@pytest.mark.parametrize("of_one_version", [False, True])
@pytest.mark.parametrize("kind", ["", TYPES[0]])
def test_funnel(loaded: tuple[ClickHouse, Reference], kind: str, of_one_version: bool) -> None:
    clickhouse, reference = loaded
    first, last = FIRST_DAY + timedelta(days=1), FIRST_DAY + timedelta(days=9)
    within = [signal for signal in reference.signals if first <= signal.view.day <= last]
    version = within[0].view.version if of_one_version else ""
    viewed = [signal for signal in within if version in ("", signal.view.version) and kind in ("", signal.view.type)]
    acted = [signal for signal in viewed if signal.is_decided]
    ended = [signal for signal in acted if signal.status]
    assert viewed  # how the three differ is seen by the panel's test in tests/grafana, on more signals
    rows = clickhouse.rows(
        "SELECT * FROM metrics.funnel_between(first_day = {first:Date}, last_day = {last:Date},"
        " engine_version = {version:String}, recommendation_type = {type:String})",
        {"first": first, "last": last, "version": version, "type": kind},
    )
    assert rows == [
        {"step": step, "signals": len(signals), "share": len(signals) / len(viewed)}
        for step, signals in (("viewed", viewed), ("decided", acted), ("ended", ended))
    ]


def test_decision_times_of_each_version(loaded: tuple[ClickHouse, Reference]) -> None:
    clickhouse, reference = loaded
    first, last = FIRST_DAY, FIRST_DAY + timedelta(days=9)
    rows = clickhouse.rows(
        "SELECT * FROM metrics.decision_times_by_version_between(first_day = {first:Date}, last_day = {last:Date})",
        {"first": first, "last": last},
    )
    versions = sorted({fact.version for fact, _ in reference.decisions if first <= fact.day <= last})
    assert rows == [
        {"engine_version": version, **reference.decision_time(Window(first, last, version, ""))} for version in versions
    ]
    assert len(rows) > 1


MIDNIGHT = midnight(0)
OF_THE_DAY = f"first_day = '{FIRST_DAY}', last_day = '{FIRST_DAY}', engine_version = ''"


def test_hours_on_a_limit_belong_to_what_begins_there(clickhouse: ClickHouse) -> None:
    limits = [0, 1, 4, 24, 72, 168]
    hours = [*(float(limit) for limit in limits), *(limit - 0.25 for limit in limits[1:])]
    for number, taken in enumerate(hours):
        signal = {"intel.risk_signal.id": f"s{number}", "intel.outcome.resolution_time_hours": taken}
        deliver(clickhouse, event("signal.outcome_recorded", MIDNIGHT, **signal))
    [resolved, *_] = clickhouse.rows(
        f"SELECT from_hours, histogram FROM metrics.resolution_times_between({OF_THE_DAY})"
    )
    assert resolved == {"from_hours": limits, "histogram": [2, 2, 2, 2, 2, 1]}


def test_nothing_there(clickhouse: ClickHouse) -> None:
    for view, filters in (
        ("overview", f"last_day = '{FIRST_DAY}'"),
        ("top_admins_between", f"{OF_THE_DAY}, admin_id = ''"),
        ("activity_by_hour_between", f"{OF_THE_DAY}, admin_id = ''"),
        ("decision_times_by_version_between", f"first_day = '{FIRST_DAY}', last_day = '{FIRST_DAY}'"),
    ):
        assert clickhouse.rows(f"SELECT * FROM metrics.{view}({filters})") == []
    none = {"share": None, "average_hours": None, "p50_hours": None, "p90_hours": None}
    assert clickhouse.rows(f"SELECT * EXCEPT from_hours FROM metrics.resolution_times_between({OF_THE_DAY})") == [
        {"outcome_status": status, "count": 0, "samples": 0, "histogram": [0] * 6, **none} for status in STATUSES
    ]
    steps = clickhouse.rows(f"SELECT * FROM metrics.funnel_between({OF_THE_DAY}, recommendation_type = '')")
    assert [tuple(row.values()) for row in steps] == [(step, 0, None) for step in ("viewed", "decided", "ended")]


def test_huge_decision_times_do_not_overflow(clickhouse: ClickHouse) -> None:
    for _ in range(3):
        deliver(clickhouse, event("recommendation.accepted", MIDNIGHT, **{"intel.decision.time_ms": 2**63 - 1}))
    overview = f"metrics.overview(last_day = '{FIRST_DAY}')"
    by_version = f"metrics.decision_times_by_version_between(first_day = '{FIRST_DAY}', last_day = '{FIRST_DAY}')"
    for view in (overview, by_version):
        assert clickhouse.value(f"SELECT groupUniqArray(average_ms) FROM {view} WHERE samples > 0") == [2.0**63]


@pytest.mark.parametrize("before", [0, 6, 7, 13, 14, 29, 30, 59, 60])
def test_a_day_of_the_overview_counts_in_the_windows_that_contain_it(clickhouse: ClickHouse, before: int) -> None:
    at = MIDNIGHT - before * 86_400 * 10**9
    deliver(
        clickhouse,
        event("recommendation.accepted", at, **{"intel.decision.time_ms": 7}),
        event("signal.outcome_recorded", at),
    )
    rows = clickhouse.rows(
        "SELECT part, days, is_before, decisions, outcomes, samples, p50_ms"
        f" FROM metrics.overview(last_day = '{FIRST_DAY}') ORDER BY part, days, is_before"
    )
    expected: list[tuple[Any, ...]] = []
    expected += [("window", days, False, 1, 1, 1, 7) for days in (7, 30) if before < days]
    expected += [("window", days, True, 1, 1, 1, None) for days in (7, 30) if days <= before < 2 * days]
    expected += [(part, days, False, 1, 1, 1, None) for part, days in (("day", 1), ("version", 30)) if before < 30]
    assert [tuple(row.values()) for row in rows] == sorted(expected, key=lambda row: row[:3])


def test_days_after_the_last_one_are_not_in_the_overview(clickhouse: ClickHouse) -> None:
    after = MIDNIGHT + 86_400 * 10**9
    deliver(
        clickhouse,
        event("recommendation.accepted", after, **{"intel.decision.time_ms": 7}),
        event("signal.outcome_recorded", after),
    )
    assert clickhouse.rows(f"SELECT * FROM metrics.overview(last_day = '{FIRST_DAY}')") == []
