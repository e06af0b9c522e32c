"""Arguments that the five metrics refuse; tests/pipeline/test_metrics.py checks their answers."""

from __future__ import annotations

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
