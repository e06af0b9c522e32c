-- How the pipeline is doing. Reads the landing, the facts and the internal events; writes nothing.

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
        -- A record without an id is a copy of nothing.
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

CREATE OR REPLACE VIEW metrics.pipeline_health
DEFINER = intel_owner SQL SECURITY DEFINER
AS
WITH argMax(attributes, (timestamp, event_id)) AS last
SELECT
    attributes['intel.pipeline.process.id'] AS process_id,
    attributes['intel.pipeline.kind'] AS kind,
    any(service_name) AS service_name,
    toUInt64OrZero(last['intel.pipeline.process.pid']) AS process_pid,
    fromUnixTimestamp64Nano(toInt64OrZero(last['intel.pipeline.process.started_at']), 'UTC') AS started_at,
    max(timestamp) AS reported_at,
    toUInt64OrZero(last['intel.pipeline.emitted']) AS emitted,
    toUInt64OrZero(last['intel.pipeline.delivered']) AS delivered,
    toUInt64OrZero(last['intel.pipeline.queued']) AS queued,
    toUInt64OrZero(last['intel.pipeline.dropped.invalid']) AS dropped_invalid,
    toUInt64OrZero(last['intel.pipeline.dropped.no_admin']) AS dropped_no_admin,
    toUInt64OrZero(last['intel.pipeline.dropped.queue_full']) AS dropped_queue_full,
    toUInt64OrZero(last['intel.pipeline.dropped.rejected']) AS dropped_rejected,
    toUInt64OrZero(last['intel.pipeline.dropped.after_shutdown']) AS dropped_after_shutdown,
    toUInt64OrZero(last['intel.pipeline.dropped.exit_deadline']) AS dropped_exit_deadline
FROM intel.pipeline_reports FINAL
WHERE event_name = 'intel.pipeline.reported'
GROUP BY process_id, kind
COMMENT 'The latest report of each sending process, by kind of event: counts since the process started';

CREATE OR REPLACE VIEW metrics.pipeline_probes
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT event_id, timestamp, ingested_at, attributes['intel.probe.id'] AS probe_id, service_name
FROM intel.pipeline_reports FINAL
WHERE event_name = 'intel.pipeline.probed'
COMMENT 'Probe events of otel-intel doctor that have arrived';
