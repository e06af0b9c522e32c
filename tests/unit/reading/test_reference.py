"""The slow definition: examples by hand, and a still slower pairing that compares all events with all."""

from __future__ import annotations

from datetime import UTC
from fractions import Fraction
from typing import Any

import pytest

from otel_intel.reading.reference import (
    EXACT,
    PAIRED_WITHIN_MS,
    Fact,
    Numbers,
    Signal,
    decision_times,
    first_outcomes,
    is_rounded,
    nearest_rank,
    numbers,
    signals,
)
from tests.sql.reference import ACTIONS, Reference
from tests.sql.streams import make_stream

DIMENSIONS = ("shop", "v1", "EXPIRING_SOON", "HIGH")


def fact(name: str, ms: int, uid: str = "", **values: Any) -> Fact:
    made = Fact(uid or f"{name} {ms}", name, ms * 10**6, "shop", "v1", "s1", "a1")
    if name.startswith("recommendation."):
        made = made._replace(type="EXPIRING_SOON", confidence="HIGH")
    return made._replace(**values)


def viewed(ms: int) -> Fact:
    return fact("recommendation.viewed", ms)


def accepted(ms: int, **values: Any) -> Fact:
    return fact("recommendation.accepted", ms, **values)


@pytest.mark.parametrize(
    ("facts", "times"),
    [
        ([accepted(7)], [None]),
        ([viewed(2), viewed(5), accepted(7)], [5]),
        ([accepted(7), viewed(8)], [None]),
        ([viewed(7), accepted(7)], [0]),
        ([viewed(2), accepted(7), accepted(9)], [5, None]),
        ([viewed(2), accepted(7), viewed(8), accepted(9)], [5, 1]),
        ([viewed(0), accepted(PAIRED_WITHIN_MS)], [PAIRED_WITHIN_MS]),
        ([viewed(0), viewed(3), accepted(PAIRED_WITHIN_MS + 1)], [PAIRED_WITHIN_MS - 2]),
        ([viewed(2), accepted(7, given_ms=0)], [0]),
        ([viewed(2)._replace(admin="a2"), viewed(3)._replace(signal="s2"), accepted(7)], [None]),
        ([viewed(2)._replace(time_ns=2_999_999), accepted(7)], [5]),
    ],
)
def test_a_decision_is_paired_with_the_first_view_since_the_one_before(
    facts: list[Fact], times: list[int | None]
) -> None:
    found = decision_times(facts)
    assert [found[fact.uid] for fact in facts if fact.action != "VIEWED"] == times


def slowly_paired(recommendations: list[Fact], decision: Fact) -> int | None:
    """Return the decision time of one decision, as docs/reference/metrics.md says it."""

    def order(fact: Fact) -> tuple[int, int, str]:
        return fact.ms, ACTIONS.index(fact.action), fact.uid

    earlier = [
        fact
        for fact in recommendations
        if (fact.signal, fact.admin) == (decision.signal, decision.admin) and order(fact) < order(decision)
    ]
    decided = [order(fact) for fact in earlier if fact.action != "VIEWED"]
    views = [
        fact.ms
        for fact in earlier
        if fact.action == "VIEWED"
        and (not decided or order(fact) > max(decided))
        and decision.ms - fact.ms <= 7 * 24 * 3600 * 1000
    ]
    return decision.ms - min(views) if views else None


@pytest.mark.parametrize("seed", range(20))
def test_pairing_equals_one_that_compares_all_with_all(seed: int) -> None:
    facts: list[Fact] = [*Reference(make_stream(seed).deliveries, UTC).recommendations]
    right = {
        fact.uid: slowly_paired(facts, fact) if fact.given_ms is None else fact.given_ms
        for fact in facts
        if fact.action != "VIEWED"
    }
    assert decision_times(facts) == right
    assert decision_times(reversed(facts)) == right


def test_the_first_outcome_of_a_signal_is_by_time_and_then_by_id() -> None:
    late, second, first = (fact("signal.outcome_recorded", ms, uid) for ms, uid in ((5, "a"), (4, "c"), (4, "b")))
    other = fact("signal.outcome_recorded", 9, signal="s2")
    assert first_outcomes([late, second, first, other]) == [first, other]


def test_a_signal_is_of_its_first_view() -> None:
    later, first = viewed(5)._replace(version="v2"), viewed(3)
    found = signals([later, first, accepted(1), fact("signal.outcome_recorded", 2, status="ESCALATED")])
    assert found == [Signal(first, True, "ESCALATED")]


def test_a_signal_that_nobody_viewed_is_left_out() -> None:
    waiting = viewed(1)._replace(signal="s2")
    assert signals([accepted(1), waiting]) == [Signal(waiting, False, "")]


def test_the_rows_of_a_day() -> None:
    ended: dict[str, Any] = {"status": "RESOLVED", "hours": 1.5}
    recommendations = [viewed(1), accepted(4), accepted(5, version="v2", given_ms=9), accepted(6, signal="s2")]
    facts = [
        *recommendations,
        *(fact("signal.outcome_recorded", ms, **ended) for ms in (1, 2)),
        fact("signal.outcome_recorded", 3, signal="s2", status="RESOLVED"),
        fact("dashboard.opened", 1),
    ]
    first = {"signal.outcome_recorded 1", "signal.outcome_recorded 3"}
    found = numbers(facts, decision_times(recommendations), first, signals(facts))
    days = found["days"]
    assert {table: rows for table, rows in found.items() if not table.startswith("days")} == {
        "decisions": {
            ("recommendation.accepted 4",): 3,
            ("recommendation.accepted 5",): 9,
            ("recommendation.accepted 6",): None,
        },
        "outcomes": {
            ("signal.outcome_recorded 1",): True,
            ("signal.outcome_recorded 2",): False,
            ("signal.outcome_recorded 3",): True,
        },
    }
    assert found["days_engagement"] == {("shop", "v1", "a1", "dashboard.opened"): 1}
    three, nine = (Numbers({"samples": 1}, sum_ms=ms, listed=1, p50_ms=ms, p90_ms=ms) for ms in (3, 9))
    both = Numbers({"samples": 2}, sum_ms=12, listed=2, p50_ms=3, p90_ms=9)
    ended_twice = Numbers({"resolved": 2, "outcomes": 2, "hours_samples": 1}, sum_hours=1.5)
    of_v1, of_v2 = DIMENSIONS, ("shop", "v2", *DIMENSIONS[2:])
    assert {key: row for key, row in days.items() if key[0] == "outcomes"} == {
        ("outcomes", service, version, "", ""): ended_twice for service in ("shop", "") for version in ("v1", "")
    }
    # Each dimension has a row for each of its values, and one for all.
    assert len(days) == 2 * 24 + 4 + 16
    went_on = Numbers({"viewed": 1, "decided": 1, "ended": 1, "resolved": 1})
    assert [row for key, row in days.items() if key[0] == "signals"] == [went_on] * 16
    assert days["recommendations", *of_v1] == Numbers({"viewed": 1, "accepted": 2, "decisions": 2})
    assert days["recommendations", *of_v2] == Numbers({"accepted": 1, "decisions": 1})
    assert days["recommendations", "", "", "", ""] == Numbers({"viewed": 1, "accepted": 3, "decisions": 3})
    assert (days["decision_times", *of_v1], days["decision_times", *of_v2]) == (three, nine)
    assert found["days_admins"] == {
        (kind, "a1", *dimensions): days[kind, *dimensions]
        for kind in ("recommendations", "decision_times")
        for dimensions in (of_v1, of_v2)
    }
    assert (days["decision_times", "", "v1", "", "HIGH"], days["decision_times", "shop", "", "", ""]) == (three, both)


def test_nearest_rank() -> None:
    assert [nearest_rank(range(1, 11), Fraction(n, 10)) for n in (1, 5, 9, 10)] == [1, 5, 9, 10]
    assert nearest_rank([4, 6, 8], Fraction(1, 2)) == 6


def test_quantiles_of_a_day_with_many_different_times_are_rounded() -> None:
    facts = [accepted(n, given_ms=n) for n in range(EXACT + 1)]
    assert is_rounded(facts, decision_times(facts))
    assert not is_rounded(facts[1:], decision_times(facts))
    same = [accepted(n, given_ms=0) for n in range(EXACT + 1)]
    assert not is_rounded(same, decision_times(same))
