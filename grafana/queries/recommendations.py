"""Acceptance and overrides by type, confidence and version; decision times; the last events."""

from __future__ import annotations

from grafana.queries.common import (
    ACCEPTANCE_SHARE,
    CONFIDENCE,
    DAYS,
    EVENTS,
    FIRST_DAY,
    LAST_DAY,
    OVERRIDE_RATE,
    SERVICE,
    TYPE,
    VERSION,
    ZONE,
    decision_times_by_day,
    quoted,
    shares_by_day,
)
from otel_intel.events import CONFIDENCES

FILTERS = f"{VERSION} AND {TYPE} AND {CONFIDENCE} AND {SERVICE}"


def _by(column: str, order: str) -> str:
    return f"""
SELECT
    toString({column}) AS name,
    sum(d.viewed) AS views,
    sum(d.decisions) AS decisions,
    {ACCEPTANCE_SHARE} AS acceptance_share,
    {OVERRIDE_RATE} AS override_rate
FROM metrics.recommendations_daily AS d
WHERE {DAYS} AND {FILTERS}
GROUP BY {column}
ORDER BY {order}
LIMIT 100
"""


BY_TYPE = _by("recommendation_type", "decisions DESC, name")
BY_CONFIDENCE = _by("confidence", f"indexOf([{quoted(CONFIDENCES)}], confidence)")
BY_VERSION = _by("engine_version", "max(d.day) DESC, name DESC")

SHARES = shares_by_day(FILTERS)
DECISION_TIMES = decision_times_by_day(FILTERS)

# Upper limits in seconds, and the names of the heat map's rows.
BUCKETS = {
    5: "to 5 s",
    15: "to 15 s",
    30: "to 30 s",
    60: "to 1 min",
    120: "to 2 min",
    300: "to 5 min",
    900: "to 15 min",
    3600: "to 1 h",
}


def _buckets() -> str:
    columns, above = [], ""
    for seconds, name in BUCKETS.items():
        columns.append(f'countIf({above}decision_time_ms <= {seconds * 1000}) AS "{name}"')
        above = f"decision_time_ms > {seconds * 1000} AND "
    return ",\n    ".join([*columns, f'countIf(decision_time_ms > {seconds * 1000}) AS "more"'])


# Grafana draws a heat map's cell to the left of its time, so a day's cell has the time of the day's end.
DECISION_TIME_BUCKETS = f"""
SELECT
    toDateTime(toDate(timestamp, {ZONE}) + 1, {ZONE}) AS time,
    {_buckets()}
FROM metrics.decisions_between(first_day = {FIRST_DAY}, last_day = {LAST_DAY})
WHERE isNotNull(decision_time_ms) AND {FILTERS}
GROUP BY time
ORDER BY time
"""

RECENT = f"""
SELECT
    timestamp AS happened,
    toString(e.action) AS action_name,
    e.risk_signal_id AS signal,
    e.admin_id AS admin,
    toString(e.recommendation_type) AS type_name,
    toString(e.confidence) AS confidence_name,
    toString(e.engine_version) AS version_name,
    e.decision_time_ms AS took,
    e.trace_id AS trace
FROM metrics.recommendation_events AS e
WHERE {EVENTS} AND {FILTERS}
ORDER BY happened DESC, event_id DESC
LIMIT 200
"""
