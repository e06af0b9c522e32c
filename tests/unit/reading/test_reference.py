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
    Outcomes,
    Times,
    decision_times,
    first_outcomes,
    is_rounded,
    nearest_rank,
    numbers,
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
    three, nine = Times(1, 3, 1, 3, 3), Times(1, 9, 1, 9, 9)
    both = Times(2, 12, 2, 3, 9)
    assert numbers(facts, decision_times(recommendations), first) == {
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
        "days_recommendations": {
            (*DIMENSIONS, "VIEWED"): 1,
            (*DIMENSIONS, "ACCEPTED"): 2,
            ("shop", "v2", "EXPIRING_SOON", "HIGH", "ACCEPTED"): 1,
        },
        "days_decision_times": {
            ("*", *DIMENSIONS): three,
            ("*", "shop", "v2", "EXPIRING_SOON", "HIGH"): nine,
            ("service_name", "shop", "", "", ""): both,
            ("engine_version", "", "v1", "", ""): three,
            ("engine_version", "", "v2", "", ""): nine,
            ("recommendation_type", "", "", "EXPIRING_SOON", ""): both,
            ("confidence", "", "", "", "HIGH"): both,
            ("", "", "", "", ""): both,
        },
        "days_outcomes": {("shop", "v1", "RESOLVED"): Outcomes(2, 1, 1.5)},
        "days_engagement": {("shop", "v1", "a1", "dashboard.opened"): 1},
    }


def test_nearest_rank() -> None:
    assert [nearest_rank(range(1, 11), Fraction(n, 10)) for n in (1, 5, 9, 10)] == [1, 5, 9, 10]
    assert nearest_rank([4, 6, 8], Fraction(1, 2)) == 6


def test_quantiles_of_a_day_with_many_different_times_are_rounded() -> None:
    facts = [accepted(n, given_ms=n) for n in range(EXACT + 1)]
    assert is_rounded(facts, decision_times(facts))
    assert not is_rounded(facts[1:], decision_times(facts))
    same = [accepted(n, given_ms=0) for n in range(EXACT + 1)]
    assert not is_rounded(same, decision_times(same))
