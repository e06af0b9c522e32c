"""Arguments that the five metrics refuse; tests/pipeline/test_metrics.py checks their answers."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from otel_intel.reading import metrics

ALL = [
    metrics.get_recommendation_acceptance_rate,
    metrics.get_average_decision_time,
    metrics.get_override_rate,
    metrics.get_false_positive_rate,
    metrics.get_outcome_distribution,
]


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize("days", [0, -1, 3651, 7.0, "7", True, None])
def test_invalid_numbers_of_days_are_refused(metric, days) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="days must be a whole number from 1 to 3650"):
        metric(days=days)


@pytest.mark.parametrize("metric", [metrics.get_false_positive_rate, metrics.get_outcome_distribution])
def test_outcomes_have_no_recommendation_type(metric) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TypeError, match="recommendation_type"):
        metric(recommendation_type="EXPIRING_SOON")


@pytest.mark.parametrize(
    "value", ["", [], ["a", ""], "a\nb", 5, [5], b"x", ["x"] * 1001, "\ud800"], ids=lambda value: repr(value)[:20]
)
def test_filters_that_are_none_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="confidence must be a text of one line, or a list of 1 to 1000"):
        metrics.parameters_of({"since": 1, "until": 2}, {"confidence": value})


@pytest.mark.parametrize("name", ["since", "until"])
@pytest.mark.parametrize(
    "day", [datetime(2026, 3, 1, tzinfo=UTC), "2026-03-01", date(1969, 12, 31), date(2149, 6, 7), date(1, 1, 1), 5]
)
def test_days_that_are_no_dates_are_refused(name: str, day: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a date from 1970-01-01 to 2149-06-06, not"):
        metrics.get_override_rate(**{name: day})
