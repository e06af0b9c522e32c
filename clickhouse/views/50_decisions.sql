-- Decisions with their times, which the refresh computes (refresh/20_pair_decisions.sql). Reads intel.decisions; writes nothing.

CREATE OR REPLACE VIEW metrics.decisions
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    event_id, timestamp, ingested_at, risk_signal_id, admin_id, action, recommendation_type, confidence,
    decision_time_ms, engine_version, trace_id, span_id, trace_flags, service_name
FROM intel.decisions FINAL
COMMENT 'One row per decision with its decision_time_ms, given or paired; NULL when neither';

CREATE OR REPLACE VIEW metrics.decisions_between
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT *
FROM metrics.decisions
WHERE timestamp >= toDateTime64({first_day:Date}, 9, (SELECT time_zone FROM metrics.last_refresh))
    AND timestamp < toDateTime64({last_day:Date} + 1, 9, (SELECT time_zone FROM metrics.last_refresh))
COMMENT 'Decisions of the days first_day..last_day, both included';
