"""The numbers of the last N days, the comparison of engine versions, and the most engaged admins."""

from __future__ import annotations

import math
import time
from datetime import UTC, date, datetime, timedelta
from statistics import NormalDist
from typing import Any

import pytest

from otel_intel.schema.refresh import recompute_all
from tests.otlp import deliver, event
from tests.servers import ClickHouse

DAY = 86_400 * 10**9
SEVEN_DAYS_MS = 7 * 86_400 * 1000

OF_OUTCOMES = "engine_version = '', service_name = ''"
OF_RECOMMENDATIONS = f"{OF_OUTCOMES}, recommendation_type = '', confidence = ''"


def _today() -> date:
    return datetime.now(UTC).date()


def _midnight(days_ago: int) -> int:
    return time.time_ns() // DAY * DAY - days_ago * DAY


def _stable(query: Any) -> Any:
    """Return a query's result from within one UTC day."""
    while True:
        today = _today()
        result = query(today)
        if today == _today():
            return result


@pytest.mark.parametrize("days", [1, 7])
@pytest.mark.parametrize(
    ("metric", "filters"),
    [
        ("acceptance_rate", OF_RECOMMENDATIONS),
        ("override_rate", OF_RECOMMENDATIONS),
        ("decision_time", OF_RECOMMENDATIONS),
        ("false_positive_rate", OF_OUTCOMES),
        ("outcome_distribution", OF_OUTCOMES),
    ],
)
def test_last_days_are_today_and_the_days_before(clickhouse: ClickHouse, metric: str, filters: str, days: int) -> None:
    records = []
    for edge in (0, 1, 6, 7):
        records += [
            event("recommendation.viewed", _midnight(edge)),
            event("recommendation.accepted", _midnight(edge)),
            event("recommendation.overridden", _midnight(edge) - 1),
            event("signal.outcome_recorded", _midnight(edge), **{"intel.risk_signal.id": f"s{edge}"}),
        ]
    deliver(clickhouse, *records)

    def both(today: date) -> tuple[Any, Any]:
        first = today - timedelta(days=days - 1)
        return (
            clickhouse.rows(f"SELECT * FROM metrics.{metric}(days = {days})"),
            clickhouse.rows(
                f"SELECT * FROM metrics.{metric}_between(first_day = '{first}', last_day = '{today}', {filters})"
            ),
        )

    wrapped, between = _stable(both)
    assert wrapped == between


def test_window_ends_with_today(clickhouse: ClickHouse) -> None:
    def count(today: date) -> Any:
        clickhouse.empty()
        deliver(clickhouse, *(event("recommendation.viewed", _midnight(-1) + ns) for ns in (-1, 0)))
        return clickhouse.value("SELECT viewed FROM metrics.acceptance_rate(days = 7)")

    assert _stable(count) == 1  # the event dated tomorrow is stored, but it is in no window yet


def test_window_begins_at_midnight_utc(clickhouse: ClickHouse) -> None:
    def count(today: date) -> Any:
        clickhouse.empty()
        deliver(clickhouse, *(event("recommendation.viewed", _midnight(6) + ns) for ns in (-1, 0)))
        return clickhouse.value("SELECT viewed FROM metrics.acceptance_rate(days = 7)")

    assert _stable(count) == 1


@pytest.mark.parametrize(
    ("view", "filters", "found"),
    [
        ("acceptance_rate", OF_RECOMMENDATIONS, [{"viewed": 2, "accepted": 2}]),
        ("override_rate", OF_RECOMMENDATIONS, [{"decisions": 2}]),
        ("decision_time", OF_RECOMMENDATIONS, [{"samples": 2}]),
        ("decision_times_by_version", "", [{"samples": 2}]),
        ("false_positive_rate", OF_OUTCOMES, [{"outcomes": 2}]),
        ("outcome_distribution", OF_OUTCOMES, [{"count": n, "outcomes": 2} for n in (2, 0, 0, 0)]),
        ("resolution_times", "engine_version = ''", [{"count": n} for n in (2, 0, 0, 0)]),
        ("top_admins", "engine_version = '', admin_id = ''", [{"total": 2}]),
        ("activity_by_hour", "engine_version = '', admin_id = ''", [{"hour": h, "events": 1} for h in (0, 23)]),
        ("funnel", "engine_version = '', recommendation_type = ''", [{"signals": 2}] * 3),
    ],
)
def test_a_window_begins_and_ends_at_midnight_utc(
    clickhouse: ClickHouse, view: str, filters: str, found: list[dict[str, object]]
) -> None:
    """Of each kind of event, one happens just before the window, two in its first and last moment, one just after."""
    begin, end = _midnight(5), _midnight(2)
    for number, at in enumerate((begin - 1, begin, end - 1, end)):
        signal = {"intel.risk_signal.id": f"s{number}"}
        deliver(
            clickhouse,
            event("recommendation.viewed", at, **signal),
            event("recommendation.accepted", at, **signal, **{"intel.decision.time_ms": 7}),
            event("signal.outcome_recorded", at, **signal),
            event("dashboard.opened", at),
        )
    first, last = (datetime.fromtimestamp(at / 10**9, UTC).date() for at in (begin, end - DAY))
    arguments = ", ".join([f"first_day = '{first}', last_day = '{last}'", *filter(None, [filters])])
    rows = clickhouse.rows(f"SELECT * FROM metrics.{view}_between({arguments})")
    assert [{name: row[name] for name in expected} for row, expected in zip(rows, found, strict=True)] == found


def test_funnel_is_of_the_signals_first_viewed_in_the_window_whenever_they_went_on(clickhouse: ClickHouse) -> None:
    begin, end = _midnight(5), _midnight(2)
    for number, at in enumerate((begin - 1, begin, end - 1, end)):
        signal = {"intel.risk_signal.id": f"s{number}"}
        deliver(
            clickhouse,
            event("recommendation.viewed", at, **signal),
            event("recommendation.viewed", begin, **signal),
            event("recommendation.accepted", end + number, **signal),
        )
    # s2 and s3 were first viewed at the beginning: their other view is a later one.
    deliver(clickhouse, event("signal.outcome_recorded", end + DAY, **{"intel.risk_signal.id": "s2"}))
    first, last = (datetime.fromtimestamp(at / 10**9, UTC).date() for at in (begin, end - DAY))
    rows = clickhouse.rows(
        f"SELECT step, signals, share FROM metrics.funnel_between(first_day = '{first}', last_day = '{last}',"
        " engine_version = '', recommendation_type = '')"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("viewed", 3, 1), ("decided", 3, 1), ("ended", 1, 1 / 3)
    ]  # fmt: skip


def test_a_step_of_the_funnel_counts_what_took_the_steps_before(clickhouse: ClickHouse) -> None:
    """Signals s1 and s2 were not viewed, s3 and s8 were not decided on."""
    steps = {
        "recommendation.viewed": ("s3", "s4", "s5", "s6", "s8"),
        "recommendation.accepted": ("s1", "s2", "s4"),
        "recommendation.ignored": ("s5",),
        "recommendation.overridden": ("s6",),
        "signal.outcome_recorded": ("s1", "s3", "s4", "s7"),
    }

    def funnel(today: date) -> Any:
        clickhouse.empty()
        for name, signals in steps.items():
            deliver(clickhouse, *(event(name, **{"intel.risk_signal.id": signal}) for signal in signals))
        day = f"first_day = '{today}', last_day = '{today}'"
        return clickhouse.rows(
            f"SELECT signals FROM metrics.funnel_between({day}, engine_version = '', recommendation_type = '')"
        )

    assert _stable(funnel) == [{"signals": 5}, {"signals": 3}, {"signals": 1}]


@pytest.mark.parametrize(
    ("metric", "empty"),
    [
        ("acceptance_rate", {"acceptance_rate": None, "acceptance_share": None}),
        ("override_rate", {"override_rate": None}),
        ("decision_time", {"samples": 0, "average_ms": None, "p50_ms": None, "p90_ms": None}),
        ("false_positive_rate", {"outcomes": 0, "false_positive_rate": None}),
    ],
)
def test_nothing_there(clickhouse: ClickHouse, metric: str, empty: dict[str, object]) -> None:
    [row] = clickhouse.rows(f"SELECT * FROM metrics.{metric}(days = 7)")
    assert row.items() >= empty.items()


def test_version_without_a_decision_time_has_no_row(clickhouse: ClickHouse) -> None:
    deliver(clickhouse, event("recommendation.accepted", _midnight(3)))
    day = datetime.fromtimestamp(_midnight(3) / 10**9, UTC).date()
    assert (
        clickhouse.rows(
            f"SELECT * FROM metrics.decision_times_by_version_between(first_day = '{day}', last_day = '{day}')"
        )
        == []
    )


@pytest.mark.parametrize(
    ("metric", "counted"),
    [
        ("acceptance_rate", "viewed"),
        ("override_rate", "decisions"),
        ("decision_time", "samples"),
        ("false_positive_rate", "outcomes"),
        ("outcome_distribution", "outcomes"),
        ("top_admins", "total"),
    ],
)
def test_last_days_are_of_all_versions_types_and_admins(clickhouse: ClickHouse, metric: str, counted: str) -> None:
    kinds: tuple[dict[str, str], ...] = (
        {},
        {"intel.engine.version": "v2"},
        {"intel.recommendation.type": "LONG_PENDING"},
    )
    for number, other in enumerate(kinds):
        signal = {"intel.risk_signal.id": f"s{number}"}
        deliver(
            clickhouse,
            event("recommendation.viewed", **other),
            event("recommendation.accepted", **{"intel.decision.time_ms": 7}, **other),
            event("signal.outcome_recorded", **{"intel.engine.version": "v1", **other, **signal}),
            event("dashboard.opened", **{"intel.engine.version": "v1", **other}),
        )
    assert clickhouse.rows(f"SELECT {counted} FROM metrics.{metric}(days = 7)")[0] == {counted: 3}


def _decide(clickhouse: ClickHouse, version: str, accepted: int, ignored: int) -> None:
    attributes = {"intel.engine.version": version}
    deliver(
        clickhouse,
        *(event("recommendation.accepted", **attributes) for _ in range(accepted)),
        *(event("recommendation.ignored", **attributes) for _ in range(ignored)),
    )


def _compare(clickhouse: ClickHouse) -> dict[str, Any]:
    [row] = clickhouse.rows("SELECT * FROM metrics.engine_comparison(version_a = 'v1', version_b = 'v2', days = 7)")
    return row


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((30, 70), (45, 55)),
        ((5, 5), (1, 0)),
        ((1, 200), (150, 3)),
        ((10, 10), (10, 10)),
        ((0, 10), (7, 3)),
        ((7, 3), (0, 5)),
    ],
)
def test_comparison_of_versions(clickhouse: ClickHouse, a: tuple[int, int], b: tuple[int, int]) -> None:
    _decide(clickhouse, "v1", *a)
    _decide(clickhouse, "v2", *b)
    _decide(clickhouse, "v3", 7, 7)
    n_a, n_b = sum(a), sum(b)
    p_a, p_b = a[0] / n_a, b[0] / n_b
    pooled = (a[0] + b[0]) / (n_a + n_b)
    z = (p_b - p_a) / math.sqrt(pooled * (1 - pooled) * (1 / n_a + 1 / n_b))
    margin = NormalDist().inv_cdf(0.975) * math.sqrt(p_a * (1 - p_a) / n_a + p_b * (1 - p_b) / n_b)
    row = _compare(clickhouse)
    assert (row["decisions_a"], row["accepted_a"], row["decisions_b"], row["accepted_b"]) == (n_a, a[0], n_b, b[0])
    assert row["acceptance_share_a"] == p_a
    assert row["acceptance_share_b"] == p_b
    assert row["difference"] == pytest.approx(p_b - p_a, abs=1e-12)
    assert row["difference_low"] == pytest.approx(p_b - p_a - margin, abs=1e-9)
    assert row["difference_high"] == pytest.approx(p_b - p_a + margin, abs=1e-9)
    assert row["p_value"] == pytest.approx(math.erfc(abs(z) / math.sqrt(2)), abs=1e-9)


@pytest.mark.parametrize(
    ("a", "b"), [((0, 0), (0, 0)), ((3, 1), (0, 0)), ((0, 0), (3, 1)), ((4, 0), (9, 0)), ((0, 4), (0, 9))]
)
def test_undefined_comparison_is_null(clickhouse: ClickHouse, a: tuple[int, int], b: tuple[int, int]) -> None:
    _decide(clickhouse, "v1", *a)
    _decide(clickhouse, "v2", *b)
    row = _compare(clickhouse)
    assert row["p_value"] is None
    assert (row["acceptance_share_a"] is None) == (sum(a) == 0)
    assert (row["difference"] is None) == (not (sum(a) and sum(b)))
    assert (row["difference_low"], row["difference_high"]) == (None, None)


def test_none_accepted_against_all_accepted_has_a_p_value_and_no_interval(clickhouse: ClickHouse) -> None:
    _decide(clickhouse, "v1", 0, 4)
    _decide(clickhouse, "v2", 9, 0)
    row = _compare(clickhouse)
    assert (row["difference"], row["difference_low"], row["difference_high"]) == (1, None, None)
    assert row["p_value"] == pytest.approx(math.erfc(math.sqrt(13 / 2)), abs=1e-9)


def test_comparison_is_of_the_last_days(clickhouse: ClickHouse) -> None:
    def compare(today: date) -> Any:
        clickhouse.empty()
        for version, count in (("v1", 1), ("v2", 2)):
            for days_ago in (-1, 0, 6, 7):
                at = _midnight(days_ago)
                attributes = {"intel.engine.version": version}
                deliver(clickhouse, *(event("recommendation.accepted", at, **attributes) for _ in range(count)))
        row = _compare(clickhouse)
        return row["decisions_a"], row["decisions_b"]

    assert _stable(compare) == (2, 4)


def test_top_admins(clickhouse: ClickHouse) -> None:
    def look(name: str, admin: str, count: int, days_ago: int = 0) -> None:
        deliver(clickhouse, *(event(name, _midnight(days_ago), **{"intel.admin.id": admin}) for _ in range(count)))

    look("dashboard.opened", "a1", 1)
    look("signal.detail_opened", "a2", 2)
    look("explanation.expanded", "a2", 1)
    look("note.created", "a3", 1)
    look("dashboard.opened", "a3", 40, days_ago=9)
    assert [tuple(row.values()) for row in clickhouse.rows("SELECT * FROM metrics.top_admins(days = 7)")] == [
        ("a2", 0, 2, 1, 0, 3),
        ("a1", 1, 0, 0, 0, 1),
        ("a3", 0, 0, 0, 1, 1),
    ]


def test_huge_decision_times_do_not_overflow(clickhouse: ClickHouse) -> None:
    for _ in range(3):
        deliver(clickhouse, event("recommendation.accepted", **{"intel.decision.time_ms": 2**63 - 1}))
    assert clickhouse.value("SELECT average_ms FROM metrics.decision_time(days = 7)") == 2.0**63
    assert clickhouse.value("SELECT sum_ms FROM metrics.decision_times_daily") == 3 * 2.0**63


def test_equal_decision_times_of_a_day_add_up(clickhouse: ClickHouse) -> None:
    decided = [event("recommendation.accepted", _midnight(3), **{"intel.decision.time_ms": ms}) for ms in (7, 7, 9)]
    deliver(clickhouse, *decided)
    assert clickhouse.value("SELECT histogram FROM metrics.decision_times_daily") == {7: 2, 9: 1}


@pytest.mark.parametrize(("earlier_ms", "paired"), [(SEVEN_DAYS_MS, SEVEN_DAYS_MS), (SEVEN_DAYS_MS + 1, None)])
def test_pairing_looks_back_from_the_windows_first_moment(
    clickhouse: ClickHouse, earlier_ms: int, paired: int | None
) -> None:
    decided = _midnight(3)
    deliver(
        clickhouse,
        event("recommendation.viewed", decided - earlier_ms * 10**6),
        event("recommendation.accepted", decided),
    )
    day = datetime.fromtimestamp(decided / 10**9, UTC).date()
    [row] = clickhouse.rows(
        f"SELECT * FROM metrics.decision_time_between(first_day = '{day}', last_day = '{day}',"
        " engine_version = '', recommendation_type = '', confidence = '', service_name = '')"
    )
    assert row["p50_ms"] == paired
    assert clickhouse.value("SELECT decision_time_ms FROM metrics.decisions") == paired


def test_given_time_wins_and_its_decision_still_ends_the_search(clickhouse: ClickHouse) -> None:
    start = _midnight(3)
    deliver(
        clickhouse,
        event("recommendation.viewed", start),
        event("recommendation.ignored", start + 10**9, **{"intel.decision.time_ms": 5}),
        event("recommendation.accepted", start + 2 * 10**9),
    )
    rows = clickhouse.rows("SELECT decision_time_ms FROM metrics.decisions ORDER BY timestamp")
    assert [row["decision_time_ms"] for row in rows] == [5, None]


def test_of_decisions_in_one_millisecond_the_order_of_actions_says_which_ended_the_search(
    clickhouse: ClickHouse,
) -> None:
    """Their ids are in the opposite order, and so are their times within the millisecond."""
    start = _midnight(3)
    deliver(clickhouse, event("recommendation.viewed", start))
    for number, action in enumerate(("overridden", "ignored", "accepted")):
        uid = f"0190e0f0-0000-7000-8000-00000000000{number}"
        deliver(clickhouse, event(f"recommendation.{action}", start + 10**9 + number, uid))
    rows = clickhouse.rows("SELECT action, decision_time_ms FROM metrics.decisions ORDER BY action")
    assert [tuple(row.values()) for row in rows] == [("ACCEPTED", 1000), ("IGNORED", None), ("OVERRIDDEN", None)]


def test_an_action_that_is_neither_a_view_nor_a_decision_takes_no_part(clickhouse: ClickHouse) -> None:
    """The catalogue has none yet; a new event of a recommendation may be one."""
    start = _midnight(3)
    deliver(
        clickhouse,
        event("recommendation.viewed", start + 10**9),
        event("recommendation.accepted", start + 3 * 10**9),
    )
    for after in (0, 2):
        clickhouse.client("admin").command(
            "INSERT INTO intel.recommendation_events (event_id, timestamp, risk_signal_id, admin_id, action)"
            f" SELECT 'other{after}', fromUnixTimestamp64Nano({start + after * 10**9}), 's1', 'a1', 'SHARED'"
        )
    assert clickhouse.rows("SELECT action, decision_time_ms FROM metrics.decisions") == [
        {"action": "ACCEPTED", "decision_time_ms": 2000}
    ]


def test_more_days_than_since_1970_mean_all_days(clickhouse: ClickHouse) -> None:
    deliver(clickhouse, event("recommendation.viewed"))
    assert clickhouse.value("SELECT viewed FROM metrics.acceptance_rate(days = 65535)") == 1


def test_a_page_reloaded_for_weeks_does_not_need_much_memory(clickhouse: ClickHouse) -> None:
    """If the query copied all views for each decision, it would need 16 GB."""
    clickhouse.client("admin").command(
        "INSERT INTO intel.recommendation_events (event_id, timestamp, ingested_at, risk_signal_id, admin_id, action)"
        " SELECT toString(generateUUIDv4()), now64(9, 'UTC') - toIntervalSecond(1e6 - number) AS at, at, 's1', 'wall',"
        " if(number % 500 = 499, 'ACCEPTED', 'VIEWED') FROM numbers(1000000)"
    )
    recompute_all([clickhouse.client("admin")], print)
    [row] = clickhouse.rows("SELECT samples, p50_ms FROM metrics.decision_time(days = 30)")
    assert row == {"samples": 2000, "p50_ms": 499_000}
