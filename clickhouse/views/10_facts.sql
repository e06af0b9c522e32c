-- Distributes typed events by kind: each row goes to exactly one table.
-- Reads intel.typed_events; writes the four fact tables and intel.rejected_events.

CREATE MATERIALIZED VIEW IF NOT EXISTS intel.recommendation_events_mv TO intel.recommendation_events
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    event_id, timestamp, ingested_at,
    assumeNotNull(risk_signal_id) AS risk_signal_id,
    assumeNotNull(admin_id) AS admin_id,
    upper(splitByChar('.', toString(event_name))[-1]) AS action,
    recommendation_type, confidence, decision_time_ms, engine_version, trace_id, span_id, trace_flags, service_name
FROM intel.typed_events
WHERE kind = 'recommendation' AND rejected_reason = '';

CREATE MATERIALIZED VIEW IF NOT EXISTS intel.signal_outcomes_mv TO intel.signal_outcomes
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    event_id, timestamp, ingested_at,
    assumeNotNull(risk_signal_id) AS risk_signal_id,
    admin_id, outcome_status, resolution_time_hours, note_id,
    engine_version, trace_id, span_id, trace_flags, service_name
FROM intel.typed_events
WHERE kind = 'outcome' AND rejected_reason = '';

CREATE MATERIALIZED VIEW IF NOT EXISTS intel.admin_views_mv TO intel.admin_views
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    event_id, timestamp, ingested_at, risk_signal_id,
    assumeNotNull(admin_id) AS admin_id,
    substring(toString(event_name), length('intel.') + 1) AS view_kind,
    note_id, engine_version, trace_id, span_id, trace_flags, service_name
FROM intel.typed_events
WHERE kind = 'view' AND rejected_reason = '';

CREATE MATERIALIZED VIEW IF NOT EXISTS intel.pipeline_reports_mv TO intel.pipeline_reports
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT event_id, timestamp, ingested_at, event_name, attributes, service_name
FROM intel.typed_events
WHERE kind = 'internal' AND rejected_reason = '';

CREATE MATERIALIZED VIEW IF NOT EXISTS intel.rejected_events_mv TO intel.rejected_events
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    ingested_at, timestamp, event_id, event_name, rejected_reason AS reason,
    attributes, trace_id, span_id, service_name
FROM intel.typed_events
WHERE rejected_reason != '';
