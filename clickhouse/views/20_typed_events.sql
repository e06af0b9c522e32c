-- Turns every landing row into typed columns, with its kind and the reason why it is rejected ('' = not rejected).
-- Reads intel.otel_logs; writes intel.typed_events. Never throws: a view that fails would leave the row in the landing only.
-- The generated lists come from otel_intel/events.py: make generate.

CREATE MATERIALIZED VIEW IF NOT EXISTS intel.typed_events_mv TO intel.typed_events
DEFINER = intel_owner SQL SECURITY DEFINER
AS
WITH
    -- generated: kind of each event
    multiIf(
        EventName IN ('intel.recommendation.viewed', 'intel.recommendation.accepted', 'intel.recommendation.ignored', 'intel.recommendation.overridden'), 'recommendation',
        EventName IN ('intel.signal.outcome_recorded'), 'outcome',
        EventName IN ('intel.dashboard.opened', 'intel.signal.detail_opened', 'intel.explanation.expanded', 'intel.note.created'), 'view',
        EventName IN ('intel.pipeline.reported', 'intel.pipeline.probed'), 'internal',
        '') AS known_kind,
    -- /generated
    -- generated: events about no signal
    EventName IN ('intel.dashboard.opened') AS has_no_signal,
    -- /generated
    -- generated: closed sets
    LogAttributes['intel.recommendation.confidence'] IN ('HIGH', 'MEDIUM', 'LOW') AS is_confidence,
    LogAttributes['intel.outcome.status'] IN ('RESOLVED', 'ESCALATED', 'NO_ACTION', 'FALSE_POSITIVE') AS is_outcome_status,
    -- /generated
    LogAttributes['log.record.uid'] AS uid,
    LogAttributes['intel.decision.time_ms'] AS time_ms,
    LogAttributes['intel.outcome.resolution_time_hours'] AS hours,
    if(match(time_ms, '^[0-9]{1,19}$'), toInt64OrNull(time_ms), NULL) AS time_ms_value,
    toFloat64OrNull(hours) AS hours_value
SELECT
    known_kind AS kind,
    multiIf(
        kind = '', 'unknown event',
        uid = '', 'missing log.record.uid',
        NOT match(uid, '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'), 'invalid log.record.uid',
        Timestamp <= fromUnixTimestamp64Nano(0), 'invalid timestamp',
        -- Compared with the time of arrival, not with now(): a rebuild must give the same result.
        Timestamp > IngestedAt + INTERVAL 1 DAY, 'timestamp in the future',
        LogAttributes['intel.schema.version'] = '', 'missing intel.schema.version',
        kind = 'internal', '',
        LogAttributes['intel.engine.version'] = '', 'missing intel.engine.version',
        LogAttributes['intel.risk_signal.id'] = '' AND NOT has_no_signal, 'missing intel.risk_signal.id',
        LogAttributes['intel.admin.id'] = '' AND kind != 'outcome', 'missing intel.admin.id',
        kind = 'recommendation', multiIf(
            LogAttributes['intel.recommendation.type'] = '', 'missing intel.recommendation.type',
            LogAttributes['intel.recommendation.confidence'] = '', 'missing intel.recommendation.confidence',
            NOT is_confidence, 'invalid intel.recommendation.confidence',
            mapContains(LogAttributes, 'intel.decision.time_ms') AND isNull(time_ms_value), 'invalid intel.decision.time_ms',
            ''),
        kind = 'outcome', multiIf(
            LogAttributes['intel.outcome.status'] = '', 'missing intel.outcome.status',
            NOT is_outcome_status, 'invalid intel.outcome.status',
            mapContains(LogAttributes, 'intel.outcome.resolution_time_hours')
                AND NOT ifNull(isFinite(hours_value) AND hours_value >= 0, 0), 'invalid intel.outcome.resolution_time_hours',
            ''),
        ''
    ) AS rejected_reason,
    uid AS event_id,
    EventName AS event_name,
    Timestamp AS timestamp,
    IngestedAt AS ingested_at,
    nullIf(LogAttributes['intel.risk_signal.id'], '') AS risk_signal_id,
    nullIf(LogAttributes['intel.admin.id'], '') AS admin_id,
    LogAttributes['intel.recommendation.type'] AS recommendation_type,
    LogAttributes['intel.recommendation.confidence'] AS confidence,
    time_ms_value AS decision_time_ms,
    LogAttributes['intel.outcome.status'] AS outcome_status,
    hours_value AS resolution_time_hours,
    nullIf(LogAttributes['intel.note.id'], '') AS note_id,
    LogAttributes['intel.engine.version'] AS engine_version,
    TraceId AS trace_id,
    SpanId AS span_id,
    TraceFlags AS trace_flags,
    -- As the semantic conventions call a service without a name. In the numbers, '' is all services.
    if(ServiceName = '', 'unknown_service', ServiceName) AS service_name,
    -- Only the Collector repeats the name as an attribute. Drop it: facts must be the same with and without a Collector.
    mapFilter((k, v) -> k != 'otel.event.name', LogAttributes) AS attributes
FROM intel.otel_logs;
