"""Reports of the senders, arrivals and delays, records that were not counted and why, storage."""

from __future__ import annotations

from grafana import limits
from grafana.queries.common import DAYS, KINDS, LOSSES, SERVICE
from otel_intel.events import DROP_REASONS

_LOST = " + ".join(f"dropped_{reason}" for reason in LOSSES)
_REPORTED = f"$__timeFilter(ingested_at) AND {SERVICE}"
_ARRIVED = f"$__timeFilter(ingested_at) AND {SERVICE}"

SENDERS = f"""
SELECT
    sum(h.emitted) AS emitted,
    sum(h.delivered) AS delivered,
    sum(h.queued) AS queued,
    sum({_LOST}) AS lost,
    sum(h.dropped_no_admin) AS no_admin,
    sum(h.missing) AS missing
FROM metrics.pipeline_health AS h
WHERE {_REPORTED}
"""

DROPS = f"""
SELECT
    {", ".join(f"sum(h.dropped_{reason}) AS {reason}" for reason in DROP_REASONS)}
FROM metrics.pipeline_health AS h
WHERE {_REPORTED}
"""

PROCESSES = f"""
SELECT
    max(h.reported_at) AS reported,
    any(h.service_name) AS service_of,
    toString(any(h.process_pid)) AS pid,
    sum(h.emitted) AS emitted,
    sum(h.delivered) AS delivered,
    sum(h.queued) AS queued,
    sum({_LOST}) AS lost,
    sum(h.dropped_no_admin) AS no_admin,
    sum(h.missing) AS missing
FROM metrics.pipeline_health AS h
WHERE {_REPORTED}
GROUP BY process_id
ORDER BY reported DESC, process_id
LIMIT 100
"""

NOT_COUNTED = f"""
SELECT
    (SELECT count() FROM metrics.rejected_events WHERE {_ARRIVED}) AS rejected,
    (SELECT count() FROM metrics.quarantined_events WHERE {_ARRIVED}) AS quarantined
"""

REASONS_NOT_COUNTED = f"""
SELECT
    max(ingested_at) AS last,
    where_kept,
    toString(event_name) AS name,
    why,
    toString(service_name) AS service_of,
    count() AS records
FROM
(
    SELECT ingested_at, 'rejected' AS where_kept, event_name, toString(reason) AS why, service_name
    FROM metrics.rejected_events
    WHERE {_ARRIVED}
    UNION ALL
    SELECT ingested_at, 'quarantined' AS where_kept, event_name, 'not an event named intel.…' AS why, service_name
    FROM metrics.quarantined_events
    WHERE {_ARRIVED}
)
GROUP BY where_kept, name, why, service_of
ORDER BY records DESC, last DESC, where_kept, name, why, service_of
LIMIT 100
"""

ARRIVALS = f"""
SELECT
    $__timeInterval(ingested_at) AS time,
    {", ".join(f"countIf(kind = '{kind}') AS {kind}s" for kind in KINDS)}
FROM metrics.arrivals
WHERE {_ARRIVED}
GROUP BY time
ORDER BY time
"""

DELAY = f"""
SELECT
    $__timeInterval(ingested_at) AS time,
    quantileExact(0.5)(delay_ms) AS p50,
    quantileExact(0.99)(delay_ms) AS p99
FROM metrics.arrivals
WHERE delay_ms < {limits.IMPORTED_DELAY_MS} AND {_ARRIVED}
GROUP BY time
HAVING count() >= {limits.MINIMUM_ARRIVALS}
ORDER BY time
"""

COPIES = f"""
SELECT toDateTime(day, 'UTC') AS time, duplicates, conflicting
FROM metrics.ingest_health
WHERE {DAYS}
ORDER BY time
"""

STORAGE = """
SELECT table AS name, sum(s.rows) AS stored, sum(s.parts) AS part_count, sum(s.bytes) AS size
FROM metrics.storage AS s
GROUP BY name
ORDER BY size DESC, name
"""

DISK = """
SELECT
    min(d.free_share) AS free_share,
    min(d.free_bytes) AS free,
    min(d.days_left) AS days,
    (SELECT sum(s.parts) FROM metrics.storage AS s) AS part_count
FROM metrics.disks AS d
"""
