"""Common parts of queries: the days of the time picker, the filters, the lists of the variables.

Queries read ``metrics.*``. Its views of a window (such as ``acceptance_rate_between``) return one row for all days.
Graphs sum the daily counts instead, with the expressions of this module.
"""

from __future__ import annotations

from collections.abc import Iterable

from otel_intel.events import CATALOGUE, DROP_REASONS, OUTCOME_STATUSES, of_kind

# Graphs show whole days of the numbers' time zone, like the metrics.
ZONE = "(SELECT time_zone FROM metrics.last_refresh)"
FIRST_DAY = f"toDate($__fromTime, {ZONE})"
LAST_DAY = f"toDate($__toTime, {ZONE})"
DAYS = f"day BETWEEN {FIRST_DAY} AND {LAST_DAY}"
DAY_AS_TIME = f"toDateTime(day, {ZONE}) AS time"
DAY_OF_EVENT = f"toDateTime(toDate(timestamp, {ZONE}), {ZONE}) AS time"
# The same for events; it compares the column itself, so that ClickHouse can use the index.
EVENTS = f"timestamp >= toDateTime64({FIRST_DAY}, 9, {ZONE}) AND timestamp < toDateTime64({LAST_DAY} + 1, 9, {ZONE})"


# Columns of the daily counts, and values of the logs; a new event of the catalogue is included automatically.
ACTIONS = tuple(event.column for event in of_kind("recommendation"))
DECIDING = tuple(event for event in CATALOGUE.values() if event.is_decision)
DECISION_COLUMNS = tuple(event.column for event in DECIDING)
STATUSES = tuple(status.lower() for status in OUTCOME_STATUSES)
VIEW_KINDS = tuple(event.column for event in of_kind("view"))
# The kinds of facts.
KINDS = tuple(dict.fromkeys(event.kind for event in CATALOGUE.values() if event.kind != "internal"))


# The reasons that are a loss. no_admin is not: nobody was logged in, so there was nothing to track.
LOSSES = tuple(reason for reason in DROP_REASONS if reason != "no_admin")


def quoted(values: Iterable[str]) -> str:
    """Return a list of texts as SQL, without the brackets."""
    return ", ".join(f"'{value}'" for value in values)


def of_action(value: str) -> str:
    """Return the condition that an event has this action."""
    return f"action = '{value}'"


IS_DECISION = f"action IN ({quoted(event.value for event in DECIDING)})"


def sums(columns: Iterable[str]) -> str:
    """Return the sums of daily counts, each under its own name."""
    return ",\n    ".join(f"sum(d.{column}) AS {column}" for column in columns)


def selected(variable: str, column: str) -> str:
    """Return the condition that a variable selects the column's value, or all."""
    return f"(${{{variable}:sqlstring}} = '' OR {column} = ${{{variable}:sqlstring}})"


VERSION = selected("engine_version", "engine_version")
TYPE = selected("recommendation_type", "recommendation_type")
CONFIDENCE = selected("confidence", "confidence")
SERVICE = selected("service", "service_name")

# The windows of the headline numbers: the days that end today and as many days before them.
TODAY = f"toDate(now(), {ZONE})"
WINDOW = f"first_day = {TODAY} - (${{window}} - 1), last_day = {TODAY}"
PREVIOUS_WINDOW = f"first_day = {TODAY} - (2 * ${{window}} - 1), last_day = {TODAY} - ${{window}}"
VERSION_ARGUMENT = "engine_version = ${engine_version:sqlstring}"
TYPE_ARGUMENT = "recommendation_type = ${recommendation_type:sqlstring}"


def values(column: str, source: str, bound: str) -> str:
    """Return the query of a variable's options: the value '' called All, then the column's values."""
    return f"""
SELECT value, text
FROM
(
    SELECT '' AS value, 'All' AS text, 0 AS position
    UNION ALL
    SELECT DISTINCT {column} AS value, {column} AS text, 1 AS position
    FROM {source}
    WHERE {bound} AND {column} != ''
)
ORDER BY position, value
"""


def share(part: str, whole: str) -> str:
    """Return a fraction that is NULL if its denominator is 0."""
    return f"{part} / nullIf({whole}, 0)"


def nearest_rank(level: float, column: str) -> str:
    """Return a quantile as the metrics define it: one of the values, no interpolation."""
    return f"quantileExactWeighted({level})({column}, 1)"


# As in metrics.acceptance_rate_between and override_rate_between, but from metrics.recommendations_daily AS d.
ACCEPTANCE_SHARE = share("sum(d.accepted)", "sum(d.decisions)")
OVERRIDE_RATE = share("sum(d.overridden)", "sum(d.decisions)")
# As in metrics.false_positive_rate_between, but from metrics.outcomes_daily AS d.
FALSE_POSITIVE_RATE = share("sum(d.false_positive)", "sum(d.outcomes)")


def shares_by_day(filters: str) -> str:
    """Return acceptance share and override rate of each day."""
    return f"""
SELECT {DAY_AS_TIME}, {ACCEPTANCE_SHARE} AS acceptance_share, {OVERRIDE_RATE} AS override_rate
FROM metrics.recommendations_daily AS d
WHERE {DAYS} AND {filters}
GROUP BY day
ORDER BY time
"""


def decision_time(level: float, condition: str = "") -> str:
    """Return a quantile of decision times by nearest rank, in minutes, from metrics.decision_times_daily AS d."""
    name, last = ("quantileExactWeightedArrayIf", f", {condition}") if condition else ("quantileExactWeightedArray", "")
    return f"{name}({level})(mapKeys(d.histogram), mapValues(d.histogram){last}) / 60000"


def decision_times_by_day(filters: str) -> str:
    """Return average, p50 and p90 of each day's decisions that have a time, in minutes."""
    return f"""
SELECT
    {DAY_AS_TIME},
    sum(d.sum_ms) / sum(d.samples) / 60000 AS average,
    {decision_time(0.5)} AS p50,
    {decision_time(0.9)} AS p90
FROM metrics.decision_times_daily AS d
WHERE {DAYS} AND {filters}
GROUP BY day
ORDER BY time
"""


ENGINE_VERSIONS = values("toString(engine_version)", "metrics.recommendations_daily", DAYS)
RECOMMENDATION_TYPES = values("toString(recommendation_type)", "metrics.recommendations_daily", DAYS)
CONFIDENCES = values("toString(confidence)", "metrics.recommendations_daily", DAYS)
_DAILY = ("recommendations_daily", "outcomes_daily", "engagement_daily")
_SERVICES = " UNION ALL ".join(f"SELECT day, service_name FROM metrics.{view}" for view in _DAILY)
SERVICES = values("toString(service_name)", f"({_SERVICES})", DAYS)

# A version is new if it was not seen in the 30 days before its first day of the range.
NEW_VERSIONS = f"""
SELECT
    toDateTime(min(day), {ZONE}) AS time,
    concat('First day of engine ', engine_version) AS text,
    'engine version' AS tags
FROM metrics.recommendations_daily
WHERE day BETWEEN {FIRST_DAY} - 30 AND {LAST_DAY}
GROUP BY engine_version
HAVING min(day) >= {FIRST_DAY}
ORDER BY time, text
"""
