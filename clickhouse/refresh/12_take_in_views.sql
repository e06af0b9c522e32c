-- Takes each view event into the facts once: its first copy. Reads intel.arrivals, the blocks after `seen` up to
-- `until`, and writes intel.admin_views.

INSERT INTO intel.admin_views
    (event_id, timestamp, ingested_at, risk_signal_id, admin_id, view_kind, note_id,
    engine_version, trace_id, span_id, trace_flags, service_name, cycle)
SELECT
    event_id, timestamp, ingested_at, risk_signal_id,
    assumeNotNull(admin_id) AS admin_id,
    substring(toString(event_name), length('intel.') + 1) AS view_kind,
    note_id, engine_version, trace_id, span_id, trace_flags, service_name,
    {cycle:UInt32} AS cycle
FROM intel.new_events(seen = {seen:UInt64}, until = {until:UInt64})
WHERE kind = 'view';
