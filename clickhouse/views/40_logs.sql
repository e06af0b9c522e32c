-- The logs people read: each event once. Reads the facts and the landed spans; writes nothing.

CREATE OR REPLACE VIEW metrics.recommendation_events
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    event_id, timestamp, ingested_at, risk_signal_id, admin_id, action, recommendation_type, confidence,
    decision_time_ms, engine_version, trace_id, span_id, trace_flags, service_name
FROM intel.recommendation_events FINAL
WHERE
    -- generated: no decisions
    action NOT IN ('ACCEPTED', 'IGNORED', 'OVERRIDDEN')
    -- /generated
UNION ALL
SELECT
    event_id, timestamp, ingested_at, risk_signal_id, admin_id, action, recommendation_type, confidence,
    decision_time_ms, engine_version, trace_id, span_id, trace_flags, service_name
FROM intel.decisions FINAL
COMMENT 'Recommendations viewed, accepted, ignored, overridden: each event once';

CREATE OR REPLACE VIEW metrics.signal_outcomes
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    event_id, timestamp, ingested_at, risk_signal_id, admin_id, outcome_status, is_first,
    resolution_time_hours, note_id, engine_version, trace_id, span_id, trace_flags, service_name
FROM intel.outcomes FINAL
COMMENT 'Outcomes of risk signals: each event once; is_first marks the one that counts';

CREATE OR REPLACE VIEW metrics.admin_views
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    event_id, timestamp, ingested_at, risk_signal_id, admin_id, view_kind, note_id,
    engine_version, trace_id, span_id, trace_flags, service_name
FROM intel.admin_views FINAL
COMMENT 'What admins looked at and noted: each event once';

CREATE OR REPLACE VIEW metrics.rejected_events
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT ingested_at, timestamp, event_id, event_name, reason, attributes, trace_id, span_id, service_name
FROM intel.rejected_events FINAL
COMMENT 'What did not fit the catalogue and why, one row per arrival';

CREATE OR REPLACE VIEW metrics.quarantined_events
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT IngestedAt AS ingested_at, Timestamp AS timestamp, EventName AS event_name, ServiceName AS service_name
FROM intel.quarantine_logs
COMMENT 'Log records of other producers, kept aside for 30 days, one row per arrival';

CREATE OR REPLACE VIEW metrics.spans
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    TraceId AS trace_id,
    SpanId AS span_id,
    ParentSpanId AS parent_span_id,
    SpanName AS name,
    SpanKind AS kind,
    ServiceName AS service_name,
    Timestamp AS timestamp,
    Duration / 1e6 AS duration_ms,
    StatusCode AS status,
    nullIf(SpanAttributes['http.route'], '') AS route,
    coalesce(nullIf(SpanAttributes['http.request.method'], ''), nullIf(SpanAttributes['http.method'], '')) AS method,
    coalesce(
        toUInt16OrNull(SpanAttributes['http.response.status_code']),
        toUInt16OrNull(SpanAttributes['http.status_code'])
    ) AS status_code
FROM intel.otel_traces FINAL
COMMENT 'The kept spans: each once';
