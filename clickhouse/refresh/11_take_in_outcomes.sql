-- Takes each outcome into the facts once: its first copy. Reads intel.arrivals, the blocks after `seen` up to
-- `until`, and writes intel.signal_outcomes.

INSERT INTO intel.signal_outcomes
    (event_id, timestamp, ingested_at, risk_signal_id, admin_id, outcome_status, resolution_time_hours, note_id,
    engine_version, trace_id, span_id, trace_flags, service_name, cycle)
SELECT
    event_id, timestamp, ingested_at,
    assumeNotNull(risk_signal_id) AS risk_signal_id,
    admin_id, outcome_status, resolution_time_hours, note_id,
    engine_version, trace_id, span_id, trace_flags, service_name,
    {cycle:UInt32} AS cycle
FROM intel.new_events(seen = {seen:UInt64}, until = {until:UInt64})
WHERE kind = 'outcome';
