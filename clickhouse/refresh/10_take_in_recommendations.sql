-- Takes each recommendation event into the facts once: its first copy. Reads intel.arrivals, the blocks after `seen` up to
-- `until`, and writes intel.recommendation_events.

INSERT INTO intel.recommendation_events
    (event_id, timestamp, ingested_at, risk_signal_id, admin_id, action, recommendation_type, confidence,
    decision_time_ms, engine_version, trace_id, span_id, trace_flags, service_name, cycle)
SELECT
    event_id, timestamp, ingested_at,
    assumeNotNull(risk_signal_id) AS risk_signal_id,
    assumeNotNull(admin_id) AS admin_id,
    upper(splitByChar('.', toString(event_name))[-1]) AS action,
    recommendation_type, confidence, decision_time_ms, engine_version, trace_id, span_id, trace_flags, service_name,
    {cycle:UInt32} AS cycle
FROM intel.new_events(seen = {seen:UInt64}, until = {until:UInt64})
WHERE kind = 'recommendation';
