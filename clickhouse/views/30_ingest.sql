-- The allow-list of the ingest endpoint: flattens OTLP requests and keeps only the allowed keys. Never throws.
-- Reads intel.otlp_logs and intel.otlp_traces (Null); writes intel.otel_logs, intel.quarantine_logs and intel.otel_traces.
-- Always dropped: body, severity text, scope attributes, trace state, span status message, span events, links.

CREATE MATERIALIZED VIEW IF NOT EXISTS intel.landing_mv TO intel.otel_logs
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT *
FROM intel.otlp_log_records
WHERE startsWith(EventName, 'intel.');

CREATE MATERIALIZED VIEW IF NOT EXISTS intel.quarantine_mv TO intel.quarantine_logs
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT *
FROM intel.otlp_log_records
WHERE NOT startsWith(EventName, 'intel.');

CREATE MATERIALIZED VIEW IF NOT EXISTS intel.otlp_logs_mv TO intel.otlp_log_records
DEFINER = intel_owner SQL SECURITY DEFINER
AS
WITH
    -- '' for arrays, maps and bytes: no attribute of the catalogue has such a type, so the event is rejected.
    (v -> coalesce(
        tupleElement(v, 'string_value'), toString(tupleElement(v, 'int_value')),
        toString(tupleElement(v, 'double_value')), toString(tupleElement(v, 'bool_value')), '')) AS text,
    arrayFilter(a -> a.key IN (
        -- generated: resource attributes of logs
        'service.name',
        'service.namespace',
        'service.version',
        'service.instance.id',
        'deployment.environment.name'
        -- /generated
    ), r.resource.attributes) AS resource_kept,
    arrayFilter(a -> a.key IN (
        -- generated: attributes of logs
        'intel.admin.id',
        'intel.decision.time_ms',
        'intel.engine.version',
        'intel.note.id',
        'intel.outcome.resolution_time_hours',
        'intel.outcome.status',
        'intel.pipeline.delivered',
        'intel.pipeline.dropped.after_shutdown',
        'intel.pipeline.dropped.exit_deadline',
        'intel.pipeline.dropped.invalid',
        'intel.pipeline.dropped.no_admin',
        'intel.pipeline.dropped.not_staff',
        'intel.pipeline.dropped.queue_full',
        'intel.pipeline.dropped.refused_click',
        'intel.pipeline.dropped.rejected',
        'intel.pipeline.emitted',
        'intel.pipeline.invalid_optional',
        'intel.pipeline.kind',
        'intel.pipeline.process.id',
        'intel.pipeline.process.pid',
        'intel.pipeline.process.started_at',
        'intel.pipeline.queued',
        'intel.probe.id',
        'intel.recommendation.confidence',
        'intel.recommendation.type',
        'intel.risk_signal.id',
        'intel.schema.version',
        'log.record.uid'
        -- /generated
    ), l.attributes) AS kept,
    mapFromArrays(arrayMap(a -> a.key, resource_kept), arrayMap(a -> text(a.value), resource_kept)) AS resource_attributes,
    if(l.time_unix_nano = 0, l.observed_time_unix_nano, l.time_unix_nano) AS nanoseconds
SELECT
    -- A number beyond 63 bits would become a time in the past. Limited to 63 bits, it is rejected as the far future.
    fromUnixTimestamp64Nano(toInt64(least(nanoseconds, 9223372036854775807)), 'UTC') AS Timestamp,
    -- In OTLP, an id of only zeros means "none", like an empty id.
    replaceRegexpOne(lower(hex(l.trace_id)), '^0+$', '') AS TraceId,
    replaceRegexpOne(lower(hex(l.span_id)), '^0+$', '') AS SpanId,
    toUInt8(bitAnd(l.flags, 255)) AS TraceFlags,
    toUInt8(bitAnd(l.severity_number, 255)) AS SeverityNumber,
    resource_attributes['service.name'] AS ServiceName,
    resource_attributes AS ResourceAttributes,
    ss.scope.name AS ScopeName,
    ss.scope.version AS ScopeVersion,
    mapFromArrays(arrayMap(a -> a.key, kept), arrayMap(a -> text(a.value), kept)) AS LogAttributes,
    if(l.event_name != '', l.event_name,
        ifNull(arrayFirst(a -> a.key = 'otel.event.name', l.attributes).value.string_value, '')) AS EventName
FROM intel.otlp_logs
ARRAY JOIN resource_logs AS r
ARRAY JOIN r.scope_logs AS ss
ARRAY JOIN ss.log_records AS l;

CREATE MATERIALIZED VIEW IF NOT EXISTS intel.otlp_traces_mv TO intel.otel_traces
DEFINER = intel_owner SQL SECURITY DEFINER
AS
WITH
    (v -> coalesce(
        tupleElement(v, 'string_value'), toString(tupleElement(v, 'int_value')),
        toString(tupleElement(v, 'double_value')), toString(tupleElement(v, 'bool_value')), '')) AS text,
    arrayFilter(a -> a.key IN (
        -- generated: resource attributes of spans
        'service.name',
        'service.namespace',
        'service.version',
        'service.instance.id',
        'deployment.environment.name'
        -- /generated
    ), r.resource.attributes) AS resource_kept,
    arrayFilter(a -> a.key IN (
        -- generated: attributes of spans
        'http.route',
        'http.request.method',
        'http.method',
        'http.response.status_code',
        'http.status_code'
        -- /generated
    ), s.attributes) AS kept,
    mapFromArrays(arrayMap(a -> a.key, resource_kept), arrayMap(a -> text(a.value), resource_kept)) AS resource_attributes
SELECT
    fromUnixTimestamp64Nano(toInt64(least(s.start_time_unix_nano, 9223372036854775807)), 'UTC') AS Timestamp,
    replaceRegexpOne(lower(hex(s.trace_id)), '^0+$', '') AS TraceId,
    replaceRegexpOne(lower(hex(s.span_id)), '^0+$', '') AS SpanId,
    replaceRegexpOne(lower(hex(s.parent_span_id)), '^0+$', '') AS ParentSpanId,
    s.name AS SpanName,
    transform(s.kind, [0, 1, 2, 3, 4, 5], ['Unspecified', 'Internal', 'Server', 'Client', 'Producer', 'Consumer'], '') AS SpanKind,
    resource_attributes['service.name'] AS ServiceName,
    resource_attributes AS ResourceAttributes,
    ss.scope.name AS ScopeName,
    ss.scope.version AS ScopeVersion,
    mapFromArrays(arrayMap(a -> a.key, kept), arrayMap(a -> text(a.value), kept)) AS SpanAttributes,
    if(s.end_time_unix_nano > s.start_time_unix_nano, s.end_time_unix_nano - s.start_time_unix_nano, 0) AS Duration,
    transform(s.status.code, [0, 1, 2], ['Unset', 'Ok', 'Error'], '') AS StatusCode
FROM intel.otlp_traces
ARRAY JOIN resource_spans AS r
ARRAY JOIN r.scope_spans AS ss
ARRAY JOIN ss.spans AS s;
