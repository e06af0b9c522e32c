"""The headline numbers compared with the window before, their trends, the volume, the steps from view to outcome."""

from __future__ import annotations

from grafana.queries.common import (
    ACTIONS,
    DAY_AS_TIME,
    DAYS,
    FIRST_DAY,
    LAST_DAY,
    PREVIOUS_WINDOW,
    TYPE,
    TYPE_ARGUMENT,
    VERSION,
    VERSION_ARGUMENT,
    WINDOW,
    decision_times_by_day,
    shares_by_day,
    sums,
)
from otel_intel.events import OUTCOME_STATUSES


def _compared(view: str, column: str, arguments: str, difference: str) -> str:
    """Return a query for a number now, before, and its change as text; NULL if one of the windows has no value."""
    return f"""
SELECT
    current.{column} AS now,
    previous.{column} AS before,
    if(isNull(now) OR isNull(before), NULL, concat(
        multiIf(now > before, '▲ ', now < before, '▼ ', '= '),
        {difference}
    )) AS change
FROM (SELECT {column} FROM metrics.{view}({WINDOW}, {arguments})) AS current
CROSS JOIN (SELECT {column} FROM metrics.{view}({PREVIOUS_WINDOW}, {arguments})) AS previous
"""


_CHANGE = "abs(ifNull(now - before, 0))"


def _rate_compared(view: str, column: str, arguments: str) -> str:
    return _compared(view, column, arguments, f"printf('%.1f pts', {_CHANGE} * 100)")


def _time_compared(view: str, column: str, arguments: str) -> str:
    # The change has the same unit in which Grafana shows the number.
    return _compared(
        view,
        column,
        arguments,
        f"""multiIf(
            now < 1000, printf('%.0f ms', {_CHANGE}),
            now < 60000, printf('%.1f s', {_CHANGE} / 1000),
            now < 3600000, printf('%.1f mins', {_CHANGE} / 60000),
            printf('%.1f hours', {_CHANGE} / 3600000))""",
    )


_OF_OUTCOMES = f"{VERSION_ARGUMENT}, service_name = ''"
_ALL = f"{_OF_OUTCOMES}, {TYPE_ARGUMENT}, confidence = ''"

ACCEPTANCE_SHARE_NOW = _rate_compared("acceptance_rate_between", "acceptance_share", _ALL)
ACCEPTANCE_RATE_NOW = _rate_compared("acceptance_rate_between", "acceptance_rate", _ALL)
OVERRIDE_RATE_NOW = _rate_compared("override_rate_between", "override_rate", _ALL)
DECISION_TIME_NOW = _time_compared("decision_time_between", "average_ms", _ALL)
FALSE_POSITIVE_RATE_NOW = _rate_compared("false_positive_rate_between", "false_positive_rate", _OF_OUTCOMES)

_SHARES = ",\n    ".join(
    f"maxIf(share, outcome_status = '{status}') AS {status.lower()}" for status in OUTCOME_STATUSES
)
OUTCOME_DISTRIBUTION = f"""
SELECT
    {_SHARES}
FROM metrics.outcome_distribution_between({WINDOW}, {_OF_OUTCOMES})
"""

SHARES = shares_by_day(f"{VERSION} AND {TYPE}")
DECISION_TIMES = decision_times_by_day(f"{VERSION} AND {TYPE}")

VOLUME = f"""
SELECT
    {DAY_AS_TIME},
    {sums(ACTIONS)}
FROM metrics.recommendations_daily AS d
WHERE {DAYS} AND {VERSION} AND {TYPE}
GROUP BY day
ORDER BY time
"""

FUNNEL = f"""
SELECT
    transform(step, ['viewed', 'decided', 'ended'], ['Viewed', 'Decided', 'With outcome'], step) AS name,
    signals,
    share
FROM metrics.funnel_between(
    first_day = {FIRST_DAY}, last_day = {LAST_DAY}, {VERSION_ARGUMENT}, {TYPE_ARGUMENT})
"""

FRESHNESS = """
SELECT if(count() = 0, NULL, dateDiff('second', max(ingested_at), now64(9, 'UTC'))) AS age
FROM metrics.arrivals
WHERE ingested_at > now64(9, 'UTC') - INTERVAL 30 DAY
"""
