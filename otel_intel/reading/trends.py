"""All five metrics at once, and each day by day or week by week, from ``metrics.trend_between``; also of Telemetry."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, Final, cast

from otel_intel.events import OUTCOME_STATUSES

from .metrics import (
    METRICS,
    OF_EVENTS,
    Filter,
    Metrics,
    Window,
    begin,
    parameters_of,
    select,
)
from .reader import Reader

if TYPE_CHECKING:
    import polars
    import pyarrow
    from polars._typing import PolarsDataType

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
    [row] = _rows(
        reader,
        window,
        window["days"],
        {name: sql for metric in METRICS.values() for name, sql in metric.columns.items()},
        engine_version=engine_version,
        recommendation_type=recommendation_type,
        confidence=confidence,
        service_name=service_name,
    )
    answers = {
        name: metric.into(**window, **{column: row[column] for column in metric.columns})
        for name, metric in METRICS.items()
    }
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
    admin_id: Filter = None,
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
            f"metric must be one of {', '.join(METRICS)}, by day or week, not {metric!r:.40} by {by!r:.40}."
        )
    asked = METRICS[metric]
    if admin_id is not None and asked.filters == OF_EVENTS:
        raise ValueError(f"{metric} has no filter admin_id: outcomes are not an admin's decisions.")
    reader, window = begin(days, since, until)
    rows = _rows(
        reader,
        window,
        _STEPS[by],
        asked.columns,
        engine_version=engine_version,
        recommendation_type=recommendation_type,
        confidence=confidence,
        service_name=service_name,
        admin_id=admin_id,
    )
    return Trend(cast(Step, {**window, "days": (row["until"] - row["since"]).days + 1, **row}) for row in rows)


def _rows(
    reader: Reader, window: Mapping[str, Any], step: int, columns: Mapping[str, str], **filters: Filter
) -> list[dict[str, Any]]:
    renamed = {name: _COLUMNS.get(name, sql) for name, sql in columns.items()}
    columns = {"since": "first_day", "until": "last_day", **renamed}
    of_admins = filters.get("admin_id") is not None
    if not of_admins:
        filters.pop("admin_id", None)
    sql = select(
        columns,
        "trend_of_admins_between" if of_admins else "trend_between",
        {"step": "UInt16", **dict.fromkeys(filters, "String")},
    )
    return reader.rows(dict[str, Any], sql, {**parameters_of(window, filters), "step": step}, never_empty=True)
