-- The health of the pipeline. Reads the landing, the facts and the internal events; writes nothing.

CREATE OR REPLACE VIEW metrics.ingest_health
DEFINER = intel_owner SQL SECURITY DEFINER
AS
WITH copies AS
(
    SELECT
        toDate(IngestedAt, 'UTC') AS day,
        IngestedAt AS ingested_at,
        Timestamp AS timestamp,
        row_number() OVER by_arrival AS copy,
        ContentHash != first_value(ContentHash) OVER by_arrival AS differs
    FROM intel.otel_logs
    WINDOW by_arrival AS (
        -- A record without an id is not a copy of another record.
        PARTITION BY if(EventId = '', toString(IngestedAt), EventId)
        ORDER BY IngestedAt ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
)
SELECT
    day,
    count() AS rows,
    countIf(copy = 1) AS events,
    countIf(copy > 1) AS duplicates,
    countIf(differs) AS conflicting,
    quantileExactIf(0.5)(dateDiff('millisecond', timestamp, ingested_at), copy = 1) AS delay_p50_ms,
    quantileExactIf(0.99)(dateDiff('millisecond', timestamp, ingested_at), copy = 1) AS delay_p99_ms
FROM copies
GROUP BY day
COMMENT 'Per day of arrival: rows, distinct events, repeated deliveries, copies with other content, delay of first copies';

CREATE OR REPLACE VIEW metrics.arrivals
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT *, dateDiff('microsecond', timestamp, ingested_at) / 1000 AS delay_ms
FROM
(
    SELECT event_id, 'recommendation' AS kind, timestamp, ingested_at, service_name FROM intel.recommendation_events FINAL
    UNION ALL
    SELECT event_id, 'outcome' AS kind, timestamp, ingested_at, service_name FROM intel.signal_outcomes FINAL
    UNION ALL
    SELECT event_id, 'view' AS kind, timestamp, ingested_at, service_name FROM intel.admin_views FINAL
)
COMMENT 'Every fact once: when it happened, when its first copy arrived, and the delay between';

CREATE OR REPLACE VIEW metrics.pipeline_reports
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    event_id,
    attributes['intel.pipeline.process.id'] AS process_id,
    attributes['intel.pipeline.kind'] AS kind,
    service_name,
    toUInt64OrZero(attributes['intel.pipeline.process.pid']) AS process_pid,
    fromUnixTimestamp64Nano(toInt64OrZero(attributes['intel.pipeline.process.started_at']), 'UTC') AS started_at,
    timestamp AS reported_at,
    ingested_at,
    toUInt64OrZero(attributes['intel.pipeline.emitted']) AS emitted,
    toUInt64OrZero(attributes['intel.pipeline.delivered']) AS delivered,
    toUInt64OrZero(attributes['intel.pipeline.queued']) AS queued,
    toUInt64OrZero(attributes['intel.pipeline.invalid_optional']) AS invalid_optional,
    -- generated: drop reasons of a report
    toUInt64OrZero(attributes['intel.pipeline.dropped.invalid']) AS dropped_invalid,
    toUInt64OrZero(attributes['intel.pipeline.dropped.no_admin']) AS dropped_no_admin,
    toUInt64OrZero(attributes['intel.pipeline.dropped.not_staff']) AS dropped_not_staff,
    toUInt64OrZero(attributes['intel.pipeline.dropped.refused_click']) AS dropped_refused_click,
    toUInt64OrZero(attributes['intel.pipeline.dropped.queue_full']) AS dropped_queue_full,
    toUInt64OrZero(attributes['intel.pipeline.dropped.rejected']) AS dropped_rejected,
    toUInt64OrZero(attributes['intel.pipeline.dropped.after_shutdown']) AS dropped_after_shutdown,
    toUInt64OrZero(attributes['intel.pipeline.dropped.exit_deadline']) AS dropped_exit_deadline
    -- /generated
FROM intel.pipeline_reports FINAL
WHERE event_name = 'intel.pipeline.reported'
COMMENT 'What the sending processes reported, by kind of event: each count is of all since the process started';

CREATE OR REPLACE VIEW metrics.pipeline_health
DEFINER = intel_owner SQL SECURITY DEFINER
AS
WITH
    (SELECT min(IngestedAt) FROM intel.otel_logs) AS landing_begins,
    -- Unknown (NULL) if the landing's TTL may have deleted events of the process: so its first report must not be older
    -- than the landing. Reports are kept for only 90 days, so check the start of the process, too. A process may start
    -- long before its first event, so allow 30 days.
    first_report >= landing_begins AND started_at >= landing_begins - INTERVAL 30 DAY AS is_complete
SELECT
    process_id,
    kind,
    service_name,
    process_pid,
    started_at,
    reported_at,
    ingested_at,
    emitted,
    delivered,
    queued,
    invalid_optional,
    -- generated: drop reasons
    dropped_invalid,
    dropped_no_admin,
    dropped_not_staff,
    dropped_refused_click,
    dropped_queue_full,
    dropped_rejected,
    dropped_after_shutdown,
    dropped_exit_deadline,
    -- /generated
    -- ifNull: readers have join_use_nulls on, others have not.
    if(is_complete, ifNull(landed, 0), NULL) AS arrived,
    if(isNull(arrived), NULL, toUInt64(greatest(toInt64(delivered) - toInt64(arrived), 0))) AS missing
FROM
(
    WITH (r.reported_at, r.event_id) AS place
    SELECT
        process_id,
        kind,
        max(r.reported_at) AS reported_at,
        min(r.ingested_at) AS first_report,
        argMax(r.ingested_at, place) AS ingested_at,
        argMax(r.service_name, place) AS service_name,
        argMax(r.process_pid, place) AS process_pid,
        argMax(r.started_at, place) AS started_at,
        argMax(r.emitted, place) AS emitted,
        argMax(r.delivered, place) AS delivered,
        argMax(r.queued, place) AS queued,
        argMax(r.invalid_optional, place) AS invalid_optional,
        -- generated: drop reasons of the latest report
        argMax(r.dropped_invalid, place) AS dropped_invalid,
        argMax(r.dropped_no_admin, place) AS dropped_no_admin,
        argMax(r.dropped_not_staff, place) AS dropped_not_staff,
        argMax(r.dropped_refused_click, place) AS dropped_refused_click,
        argMax(r.dropped_queue_full, place) AS dropped_queue_full,
        argMax(r.dropped_rejected, place) AS dropped_rejected,
        argMax(r.dropped_after_shutdown, place) AS dropped_after_shutdown,
        argMax(r.dropped_exit_deadline, place) AS dropped_exit_deadline
        -- /generated
    FROM metrics.pipeline_reports AS r
    GROUP BY process_id, kind
) AS last
LEFT JOIN
(
    SELECT
        toString(ProcessId) AS process_id,
        -- generated: kind of each landed event
        multiIf(
            EventName IN ('intel.recommendation.viewed', 'intel.recommendation.accepted', 'intel.recommendation.ignored', 'intel.recommendation.overridden'), 'recommendation',
            EventName IN ('intel.signal.outcome_recorded'), 'outcome',
            EventName IN ('intel.pipeline.reported', 'intel.pipeline.probed'), 'internal',
            'view') AS kind,
        -- /generated
        -- Hashed to save memory: exact sets of 10 million ids would take a gigabyte.
        uniqExact(cityHash64(EventId)) AS landed
    FROM intel.otel_logs
    WHERE ProcessId != '' AND kind != 'internal'
    GROUP BY process_id, kind
) AS landing USING (process_id, kind)
COMMENT 'The latest report of each sending process, by kind of event: counts since the process started, and how many arrived';

CREATE OR REPLACE VIEW metrics.freshness
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    hostName() AS node,
    (SELECT nullIf(max(as_of), toDateTime64(0, 3, 'UTC')) FROM intel.refreshes) AS as_of,
    assumeNotNull((SELECT time_zone FROM metrics.last_refresh)) AS time_zone,
    assumeNotNull((SELECT count() > 0 AND NOT argMax(is_complete, cycle) FROM intel.refreshes)) AS is_recomputing,
    count() AS waiting,
    if(waiting = 0, NULL, min(ingested_at)) AS waiting_since
FROM intel.arrivals
WHERE _block_number > (SELECT argMax(seen, cycle) FROM intel.refreshes)
COMMENT 'Until when what arrived is in all numbers, and how much waits for otel-intel refresh on the node that is asked';

CREATE OR REPLACE VIEW metrics.pipeline_probes
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT event_id, timestamp, ingested_at, attributes['intel.probe.id'] AS probe_id, service_name
FROM intel.pipeline_reports FINAL
WHERE event_name = 'intel.pipeline.probed'
COMMENT 'Probe events of otel-intel doctor that have arrived';

CREATE OR REPLACE VIEW metrics.storage
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    hostName() AS node,
    table,
    disk_name AS disk,
    count() AS parts,
    sum(rows) AS rows,
    sum(bytes_on_disk) AS bytes,
    any(free_space) AS disk_free_bytes,
    any(total_space) AS disk_total_bytes
FROM system.parts
INNER JOIN (SELECT name AS disk_name, free_space, total_space FROM system.disks) AS disks USING (disk_name)
WHERE active AND database = 'intel'
GROUP BY table, disk
COMMENT 'What the tables take on the disks of the node that is asked';

CREATE OR REPLACE VIEW metrics.disks
DEFINER = intel_owner SQL SECURITY DEFINER
AS
WITH
    (
        SELECT count()
        FROM intel.otel_logs
        -- By both times: imported history does not come every day, and the first one names the months to read.
        WHERE Timestamp > now() - INTERVAL 14 DAY AND IngestedAt > now() - INTERVAL 7 DAY
    ) AS arrived,
    (SELECT count() FROM intel.otel_logs) AS landed
SELECT
    node,
    disk,
    sum(s.bytes) AS bytes,
    any(s.disk_free_bytes) AS free_bytes,
    any(s.disk_total_bytes) AS total_bytes,
    free_bytes / nullIf(total_bytes, 0) AS free_share,
    toUInt64(ifNull(round(bytes * arrived / 7 / nullIf(landed, 0)), 0)) AS bytes_per_day,
    if(bytes_per_day = 0, NULL, intDivOrZero(free_bytes, bytes_per_day)) AS days_left
FROM metrics.storage AS s
GROUP BY node, disk
COMMENT 'How full the disks of the node that is asked are, and in how many days they are full';

CREATE OR REPLACE VIEW metrics.retention
DEFINER = intel_owner SQL SECURITY DEFINER
AS
WITH
    today() AS today,
    toUInt32OrZero(max(extract(engine_full, 'toInterval\\w+\\((\\d+)\\)'))) AS number
SELECT
    transform(replaceOne(name, '_local', ''), ['otel_logs', 'quarantine_logs', 'recommendation_events'],
        ['landing', 'quarantine', 'facts'], 'numbers') AS what,
    -- The Distributed table of a cluster has no period, the local one has.
    max(extract(engine_full, 'toInterval(\\w+)\\(')) AS unit,
    -- Days are whole from the next one on, in any time zone.
    multiIf(
        unit = 'Day', subtractDays(today, number) + 2,
        unit = 'Week', subtractWeeks(today, number) + 2,
        unit = 'Month', subtractMonths(today, number) + 2,
        unit = 'Year', subtractYears(today, number) + 2,
        NULL) AS kept_since
FROM system.tables
WHERE database = 'intel' AND replaceOne(name, '_local', '') IN ('otel_logs', 'quarantine_logs', 'recommendation_events', 'days')
GROUP BY what
COMMENT 'Since which day each kind of data is kept';
