from __future__ import annotations

from collections.abc import Callable

import pytest

from otel_intel.pages.summary import Change, Totals, change


def _rate(totals: Totals) -> float | None:
    return totals.override_rate


def test_rates_of_nothing_are_none() -> None:
    empty = Totals()
    assert (empty.acceptance_rate, empty.acceptance_share, empty.override_rate) == (None, None, None)
    assert (empty.average_ms, empty.false_positive_rate) == (None, None)


def test_rates_follow_their_definitions() -> None:
    totals = Totals(viewed=10, accepted=4, ignored=3, overridden=1, samples=2, sum_ms=900, resolved=3, false_positive=1)
    assert (totals.acceptance_rate, totals.acceptance_share, totals.override_rate) == (0.4, 0.5, 0.125)
    assert (totals.average_ms, totals.false_positive_rate) == (450, 0.25)


@pytest.mark.parametrize(
    ("now", "before", "more_is_good", "expected"),
    [
        (Totals(overridden=3, ignored=1), Totals(overridden=1, ignored=1), False, Change("▲ +25.0 pp", "bad")),
        (Totals(overridden=3, ignored=1), Totals(overridden=1, ignored=1), True, Change("▲ +25.0 pp", "good")),
        (Totals(overridden=1, ignored=1), Totals(overridden=3, ignored=1), False, Change("▼ −25.0 pp", "good")),  # noqa: RUF001
        (Totals(overridden=1, ignored=1), Totals(overridden=1, ignored=1), False, Change("no change", "")),
        (Totals(overridden=1, ignored=1), Totals(), False, Change("nothing to compare", "")),
        (Totals(), Totals(overridden=1), False, Change("nothing to compare", "")),
    ],
)
def test_rates_change_by_points(now: Totals, before: Totals, more_is_good: bool, expected: Change) -> None:
    assert change(_rate, now, before, relative=False, more_is_good=more_is_good) == expected


@pytest.mark.parametrize(
    ("now", "before", "text"),
    [(150, 100, "▲ +50.0 %"), (50, 100, "▼ −50.0 %"), (50, 0, "nothing to compare")],  # noqa: RUF001
)
def test_times_change_by_percent(now: int, before: int, text: str) -> None:
    average: Callable[[Totals], float | None] = lambda totals: totals.average_ms  # noqa: E731
    result = change(
        average, Totals(samples=1, sum_ms=now), Totals(samples=1, sum_ms=before), relative=True, more_is_good=False
    )
    assert result.text == text
