"""How signals ended: the first outcome of each, how long it took, and later outcomes that do not count."""

from __future__ import annotations

from grafana.queries import common
from grafana.queries.common import (
    DAY_AS_TIME,
    DAY_OF_EVENT,
    DAYS,
    EVENTS,
    SERVICE,
    STATUSES,
    VERSION,
    nearest_rank,
    share,
    sums,
)

FILTERS = f"{VERSION} AND {SERVICE}"
_FIRST = f"is_first = 1 AND {EVENTS} AND {FILTERS}"
_LATER = f"is_first = 0 AND {EVENTS} AND {FILTERS}"
_HOURS = "assumeNotNull(resolution_time_hours)"

TOTALS = f"""
SELECT
    sum(d.outcomes) AS outcomes,
    {common.FALSE_POSITIVE_RATE} AS false_positive_rate,
    {share("sum(d.sum_hours)", "sum(d.hours_samples)")} AS average_hours
FROM metrics.outcomes_daily AS d
WHERE {DAYS} AND {FILTERS}
"""

DISTRIBUTION = f"""
SELECT
    {DAY_AS_TIME},
    {sums(STATUSES)}
FROM metrics.outcomes_daily AS d
WHERE {DAYS} AND {FILTERS}
GROUP BY day
ORDER BY time
"""

_SHARES = ",\n    ".join(f"{share(f'sum(d.{status})', 'sum(d.outcomes)')} AS {status}" for status in STATUSES)
SHARES = f"""
SELECT
    {_SHARES}
FROM metrics.outcomes_daily AS d
WHERE {DAYS} AND {FILTERS}
"""

FALSE_POSITIVE_RATE = f"""
SELECT {DAY_AS_TIME}, {common.FALSE_POSITIVE_RATE} AS false_positive_rate
FROM metrics.outcomes_daily AS d
WHERE {DAYS} AND {FILTERS}
GROUP BY day
ORDER BY time
"""

BY_VERSION = f"""
SELECT
    toString(engine_version) AS name,
    sum(d.outcomes) AS outcomes,
    {common.FALSE_POSITIVE_RATE} AS false_positive_rate,
    {share("sum(d.sum_hours)", "sum(d.hours_samples)")} AS average_hours
FROM metrics.outcomes_daily AS d
WHERE {DAYS} AND {FILTERS}
GROUP BY engine_version
ORDER BY max(d.day) DESC, name DESC
LIMIT 100
"""

RESOLUTION = f"""
SELECT
    {DAY_OF_EVENT},
    avg({_HOURS}) AS average,
    {nearest_rank(0.5, _HOURS)} AS p50,
    {nearest_rank(0.9, _HOURS)} AS p90
FROM metrics.signal_outcomes
WHERE isNotNull(resolution_time_hours) AND {_FIRST}
GROUP BY time
ORDER BY time
"""

LATER = f"""
SELECT count() AS later
FROM metrics.signal_outcomes
WHERE {_LATER}
"""

LATER_EVENTS = f"""
SELECT
    timestamp AS happened,
    risk_signal_id AS signal,
    toString(outcome_status) AS status,
    toString(counted.status) AS counted_status,
    admin_id AS admin,
    toString(engine_version) AS version_name,
    trace_id AS trace
FROM
(
    SELECT event_id, timestamp, risk_signal_id, outcome_status, admin_id, engine_version, trace_id
    FROM metrics.signal_outcomes
    WHERE {_LATER}
    ORDER BY timestamp DESC, event_id DESC
    LIMIT 100
) AS late
INNER JOIN (SELECT risk_signal_id, outcome_status AS status FROM metrics.signal_outcomes WHERE is_first = 1) AS counted
    USING (risk_signal_id)
ORDER BY happened DESC, event_id DESC
"""
