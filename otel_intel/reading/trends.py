"""All five metrics at once, and each day by day or week by week, from ``metrics.trend_between``; also of Telemetry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Final, cast

from otel_intel.events import OUTCOME_STATUSES

from .metrics import (
    METRICS,
    OF_EVENTS,
    AdminFilter,
    Filter,
    Metric,
    Metrics,
    Window,
    begin,
    steps_of,
)

if TYPE_CHECKING:
    import polars
    import pyarrow
    from polars._typing import PolarsDataType

_STEPS: Final = {"day": 1, "week": 7}


_STATUSES: Final = [(status, status.lower()) for status in OUTCOME_STATUSES]
# What a trend calls otherwise than a window: it has columns for each status.
_COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "false_positive_rate": ("outcomes", "false_positive AS false_positives", "false_positive_rate"),
    "outcome_distribution": (
        "outcomes",
        *(column for _, column in _STATUSES),
        *(f"{column}_share" for _, column in _STATUSES),
    ),
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


class Trend(list[Step]):
    """The steps of a metric, oldest first; also as a data frame, with the extra ``otel-intel[analysis]``."""

    def to_polars(self) -> polars.DataFrame:
        """Return a row for each step; ``counts`` and ``shares`` have a field for each status."""
        import polars

        # Without the types, a column of None alone has none.
        types: dict[str, PolarsDataType] = {
            "as_of": polars.Datetime("us", "UTC"),
            "kept_since": polars.Date,
            "average_ms": polars.Float64,
        }
        types |= dict.fromkeys(("p50_ms", "p90_ms"), polars.Int64)
        frame = polars.DataFrame([dict(step) for step in self])
        return frame.cast({name: of for name, of in types.items() if name in frame.columns})

    def to_arrow(self) -> pyarrow.Table:
        """Return the same as an Arrow table, which pandas, DuckDB and others read."""
        return self.to_polars().to_arrow()


def get_metrics(
    days: int = 7,
    *,
    since: date | None = None,
    until: date | None = None,
    engine_version: Filter = None,
    recommendation_type: Filter = None,
    confidence: Filter = None,
    service_name: Filter = None,
) -> Metrics:
    """Return all five metrics of the same days by one query.

    Arguments and errors are those of ``get_recommendation_acceptance_rate``. Outcomes have neither type nor confidence:
    these two filters leave their numbers as they are.
    """
    reader, window = begin(days, since, until)
    columns = dict.fromkeys(column for metric in METRICS.values() for column in _columns(metric))
    filters = {
        "engine_version": engine_version,
        "recommendation_type": recommendation_type,
        "confidence": confidence,
        "service_name": service_name,
    }
    [row] = steps_of(reader, window, window["days"], columns, filters)
    answers = {name: metric.into(**window, **_numbers(metric, row)) for name, metric in METRICS.items()}
    return cast(Metrics, answers)


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
    admin_id: AdminFilter = None,
) -> Trend:
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
        admin_id: As there; outcomes have none.

    Raises:
        ValueError: If there is no such metric, if it has no ``admin_id``, or as in
            ``get_recommendation_acceptance_rate``.
        TelemetryUnavailable: If ClickHouse cannot answer within OTEL_INTEL['QUERY_TIMEOUT'] seconds.
    """
    if str(metric) not in METRICS or str(by) not in _STEPS:
        raise ValueError(
            f"metric must be one of {', '.join(METRICS)}, and by must be day or week, not {metric!r:.40} by {by!r:.40}."
        )
    asked = METRICS[metric]
    if admin_id is not None and asked.filters == OF_EVENTS:
        raise ValueError(f"{metric} has no filter admin_id: outcomes are not an admin's decisions.")
    reader, window = begin(days, since, until)
    filters: dict[str, AdminFilter] = {
        "engine_version": engine_version,
        "recommendation_type": recommendation_type,
        "confidence": confidence,
        "service_name": service_name,
        "admin_id": admin_id,
    }
    rows = steps_of(reader, window, _STEPS[by], ("first_day", "last_day", *_columns(asked)), filters)
    return Trend(
        cast(
            Step,
            {
                **window,
                "since": row["first_day"],
                "until": row["last_day"],
                "days": (row["last_day"] - row["first_day"]).days + 1,
                **_numbers(asked, row),
            },
        )
        for row in rows
    )


def _columns(metric: Metric[Any]) -> Sequence[str]:
    return _COLUMNS.get(metric.view, metric.columns)


def _numbers(metric: Metric[Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a row of a trend says of a metric."""
    if metric.view != "outcome_distribution":
        return {name: row[name] for name in metric.columns}
    return {
        "outcomes": row["outcomes"],
        "counts": {status: row[column] for status, column in _STATUSES},
        "shares": {status: row[f"{column}_share"] for status, column in _STATUSES},
    }
