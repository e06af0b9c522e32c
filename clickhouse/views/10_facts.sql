-- Distributes typed events as they arrive. Reads intel.typed_events; writes intel.arrivals, from which the refresh takes
-- each event into the facts once, intel.pipeline_reports and intel.rejected_events.

CREATE MATERIALIZED VIEW IF NOT EXISTS intel.arrivals_mv TO intel.arrivals
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    kind, event_id, event_name, timestamp, ingested_at, risk_signal_id, admin_id, recommendation_type, confidence,
    decision_time_ms, outcome_status, resolution_time_hours, note_id, engine_version,
    trace_id, span_id, trace_flags, service_name
FROM intel.typed_events
WHERE kind IN ('recommendation', 'outcome', 'view') AND rejected_reason = '';

-- Used before 0.1.0, when copies reached the facts and every reader had to take them away. In between, an event comes both
-- ways and is taken in once.
DROP VIEW IF EXISTS intel.recommendation_events_mv;
DROP VIEW IF EXISTS intel.signal_outcomes_mv;
DROP VIEW IF EXISTS intel.admin_views_mv;

CREATE OR REPLACE VIEW intel.new_events
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT *
FROM intel.arrivals
WHERE _block_number > {seen:UInt64} AND _block_number <= {until:UInt64}
    AND event_id NOT IN (
        SELECT event_id
        FROM
        (
            SELECT event_id FROM intel.recommendation_events
            UNION ALL
            SELECT event_id FROM intel.signal_outcomes
            UNION ALL
            SELECT event_id FROM intel.admin_views
        )
        -- ClickHouse looks for them in each of the three, by its key.
        WHERE event_id IN (SELECT event_id FROM intel.arrivals WHERE _block_number > {seen:UInt64} AND _block_number <= {until:UInt64})
    )
ORDER BY ingested_at
LIMIT 1 BY event_id
COMMENT 'The first copies of events that the facts do not have, of the blocks of arrivals after seen up to until';

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
