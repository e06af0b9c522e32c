"""The five metrics day by day or week by week, read from ``metrics.trend_between``; also a method of Telemetry."""

from __future__ import annotations

from datetime import date
from typing import Final

from otel_intel.events import OUTCOME_STATUSES

from .metrics import METRICS, OF_RECOMMENDATIONS, Filter, Window, answer_of, as_dict, parameters_of, window_of
from .reader import Reader

_STEPS: Final = {"day": 1, "week": 7}


def _by_status(column: str) -> str:
    pairs = (f"'{status}', {column.format(status.lower())}" for status in OUTCOME_STATUSES)
    return f"map({', '.join(pairs)})"


# What a trend calls otherwise than a window: it has a column for each status.
_COLUMNS: Final = {
    "outcomes": "outcomes",
    "false_positives": "false_positive",
    "counts": _by_status("{}"),
    "shares": _by_status("ifNull({}_share, 0.)"),
    "as_of": "as_of",
}


class Step(Window, total=False):
    """One day or week of a metric: the numbers that an answer of its ``get_*`` has."""

    viewed: int
    accepted: int
    ignored: int
    overridden: int
    decisions: int
    acceptance_rate: float
    acceptance_share: float
    samples: int
    average_ms: float | None
    p50_ms: float | None
    p90_ms: float | None
    override_rate: float
    outcomes: int
    false_positives: int
    false_positive_rate: float
    counts: dict[str, int]
    shares: dict[str, float]


def get_trend(
    metric: str,
    days: int = 30,
    *,
    by: str = "day",
    since: date | None = None,
    until: date | None = None,
    engine_version: Filter = None,
    recommendation_type: Filter = None,
    confidence: Filter = None,
    service_name: Filter = None,
) -> list[Step]:
    """Return a metric of each day, or of each seven days, oldest first; also of those without events.

    Args:
        metric: acceptance_rate, decision_time, override_rate, false_positive_rate or outcome_distribution.
        days: 1 to 3650, today included.
        by: "day", or "week": seven days, of which the last end with ``until``; the first week may be shorter.
        since: As the other arguments, those of ``get_recommendation_acceptance_rate``.
        until: As there.
        engine_version: As there.
        recommendation_type: As there; outcomes have none.
        confidence: As there; outcomes have none.
        service_name: As there.

    Raises:
        ValueError: If there is no such metric, or as in ``get_recommendation_acceptance_rate``.
        TelemetryUnavailable: If ClickHouse cannot answer within OTEL_INTEL['QUERY_TIMEOUT'] seconds.
    """
    if metric not in METRICS or by not in _STEPS:
        raise ValueError(
            f"metric must be one of {', '.join(METRICS)}, by day or week, not {metric!r:.40} by {by!r:.40}."
        )
    asked = METRICS[metric]
    window = window_of(days, since, until)
    filters = {
        "engine_version": engine_version,
        "recommendation_type": recommendation_type,
        "confidence": confidence,
        "service_name": service_name,
    }
    columns = ", ".join(f"{_COLUMNS.get(name, sql)} AS {name}" for name, sql in asked.columns.items())
    arguments = ", ".join(f"{name} = {{{name}:String}}" for name in OF_RECOMMENDATIONS)
    rows = Reader().rows(
        as_dict,
        f"SELECT first_day AS since, last_day AS until, {columns} FROM metrics.trend_between("
        f"first_day = {{since:Date}}, last_day = {{until:Date}}, step = {{step:UInt16}}, {arguments})",
        {**parameters_of(window, filters), "step": _STEPS[by]},
        never_empty=True,
    )
    return [answer_of(Step, {"days": (row["until"] - row["since"]).days + 1}, row) for row in rows]
