"""The queries of the alerts: one row for each service or disk (its labels) with one number, as of the evaluation.

Grafana's thresholds need a table with exactly one numeric column and no time column. No rows: nothing to judge.
"""

from __future__ import annotations

from grafana import limits
from grafana.queries.common import IS_DECISION, LOSSES, of_action, quoted
from otel_intel.events import RECOMMENDATION_ACCEPTED, RECOMMENDATION_OVERRIDDEN

# From the events themselves: these queries need the service and exact times, and the daily views have whole days only.
_IS_ACCEPTED = of_action(RECOMMENDATION_ACCEPTED.value)
_IS_OVERRIDDEN = of_action(RECOMMENDATION_OVERRIDDEN.value)
_IS_RECENT = f"timestamp > $__toTime - INTERVAL {limits.RECENT_DAYS} DAY"

ACCEPTANCE_SHARE_DROP = f"""
SELECT service_name, round(base_accepted / base_decisions - recent_accepted / recent_decisions, 6) AS share_drop
FROM
(
    SELECT
        service_name,
        countIf({_IS_RECENT}) AS recent_decisions,
        countIf({_IS_ACCEPTED} AND {_IS_RECENT}) AS recent_accepted,
        count() - recent_decisions AS base_decisions,
        countIf({_IS_ACCEPTED}) - recent_accepted AS base_accepted
    FROM metrics.recommendation_events
    WHERE $__timeFilter(timestamp) AND {IS_DECISION}
    GROUP BY service_name
    HAVING recent_decisions >= {limits.MINIMUM_DECISIONS} AND base_decisions >= {limits.MINIMUM_BASE_DECISIONS}
)
ORDER BY service_name
"""

OVERRIDE_RATE = f"""
SELECT service_name, round(countIf({_IS_OVERRIDDEN}) / count(), 6) AS override_rate
FROM metrics.recommendation_events
WHERE $__timeFilter(timestamp) AND {IS_DECISION}
GROUP BY service_name
HAVING count() >= {limits.MINIMUM_DECISIONS}
ORDER BY service_name
"""

# Seconds of working time since a Monday in 1970; the working time between two times is a difference of two values.
# Nights and weekends add nothing: no silence begins in them, and one that has begun does not end with the day.
_MONDAY, _DAY = 4 * 86400, 86400
_HOURS = (limits.WORK_ENDS_HOUR - limits.WORK_STARTS_HOUR) * 3600
_OF_WEEK = f"modulo(s - {_MONDAY}, {7 * _DAY})"
_WORKED = (
    f"s -> intDiv(s - {_MONDAY}, {7 * _DAY}) * {5 * _HOURS} + least(intDiv({_OF_WEEK}, {_DAY}), 5) * {_HOURS}"
    f" + if({_OF_WEEK} < {5 * _DAY},"
    f" least(greatest(modulo(s, {_DAY}) - {limits.WORK_STARTS_HOUR * 3600}, 0), {_HOURS}), 0)"
)

SILENCE = f"""
WITH ({_WORKED}) AS worked
SELECT
    service_name,
    round((worked(toInt64(toUnixTimestamp($__toTime))) - worked(toUnixTimestamp64Second(max(ingested_at)))) / 3600, 3)
        AS silent_hours
FROM metrics.arrivals
WHERE $__timeFilter(ingested_at)
GROUP BY service_name
HAVING uniqExact(toDate(ingested_at)) >= {limits.SILENCE_REGULAR_DAYS}
ORDER BY service_name
"""

# The hours are those of the day before the last report: counted back from now, they would be too few after some hours,
# and the alert would end while nothing has changed. By the time of arrival, because a sender's clock may be wrong.
REPORTS_STOPPED = f"""
SELECT
    service_name,
    round((toUnixTimestamp($__toTime) - toUnixTimestamp64Milli(last_report) / 1000) / 60, 3) AS minutes
FROM
(
    SELECT service_name, max(ingested_at) AS last_report, groupUniqArray(toStartOfHour(ingested_at)) AS hours
    FROM metrics.pipeline_reports
    WHERE $__timeFilter(ingested_at)
    GROUP BY service_name
)
WHERE arrayCount(hour -> hour > last_report - INTERVAL 1 DAY, hours) >= {limits.AROUND_THE_CLOCK_HOURS}
ORDER BY service_name
"""

NOT_OURS = """
SELECT service_name, concat('rejected: ', reason) AS problem, count() AS records
FROM metrics.rejected_events
WHERE $__timeFilter(ingested_at)
GROUP BY service_name, problem
UNION ALL
SELECT service_name, 'quarantined' AS problem, count() AS records
FROM metrics.quarantined_events
WHERE $__timeFilter(ingested_at)
GROUP BY service_name, problem
"""

# Counts are totals since the start of a process: the new drops are the difference to the last report before the hour.
# By the time of arrival, because a sender's clock may be wrong.
_BEFORE = f"ingested_at <= $__toTime - INTERVAL {limits.DROPPED_HOURS} HOUR"

DROPPED = f"""
SELECT service_name, reason, sum(fresh) AS events
FROM
(
    SELECT service_name, reason, max(lost) - maxIf(lost, {_BEFORE}) AS fresh
    FROM metrics.pipeline_reports
    ARRAY JOIN [{quoted(LOSSES)}] AS reason,
        [{", ".join(f"dropped_{reason}" for reason in LOSSES)}] AS lost
    WHERE $__timeFilter(ingested_at)
    GROUP BY service_name, process_id, kind, reason
)
GROUP BY service_name, reason
HAVING events > 0
ORDER BY service_name, reason
"""

# Each event is sent before the next report, so that a healthy queue is empty or moves between two reports.
UNDELIVERED = f"""
SELECT service_name, sum(waiting) AS events
FROM
(
    SELECT service_name, argMax(queued, reported_at) AS waiting
    FROM metrics.pipeline_reports
    WHERE $__timeFilter(ingested_at)
    GROUP BY service_name, process_id, kind
    HAVING count() >= {limits.UNDELIVERED_REPORTS} AND min(queued) > 0 AND max(delivered) = min(delivered)
)
GROUP BY service_name
ORDER BY service_name
"""

# missing is NULL for a process that is older than the landing.
MISSING = """
SELECT service_name, sum(assumeNotNull(missing)) AS events
FROM metrics.pipeline_health
WHERE $__timeFilter(ingested_at) AND isNotNull(missing)
GROUP BY service_name
ORDER BY service_name
"""

# A negative delay means that a sender's clock is ahead; its absolute value shows by how much.
LANDING_DELAY = f"""
SELECT service_name, quantileExact(0.99)(abs(delay_ms)) AS delay_p99_ms
FROM metrics.arrivals
WHERE $__timeFilter(ingested_at) AND delay_ms < {limits.IMPORTED_DELAY_MS}
GROUP BY service_name
HAVING count() >= {limits.MINIMUM_ARRIVALS}
ORDER BY service_name
"""

# Two limits and one number: only a low disk has a row. The used part, because the free part of a full disk is 0, which
# is not above any limit.
CLICKHOUSE_DISK = f"""
SELECT node, disk, round(1 - free_share, 6) AS used_share
FROM metrics.disks
WHERE free_share < {limits.DISK_FREE_LOW} OR days_left < {limits.DISK_DAYS_LOW}
ORDER BY node, disk
"""

# Only what waits has a row.
NUMBERS_LATE = """
SELECT
    node,
    round(toUnixTimestamp($__toTime) - toUnixTimestamp64Milli(assumeNotNull(waiting_since)) / 1000, 3) AS seconds
FROM metrics.freshness
WHERE waiting > 0
"""
