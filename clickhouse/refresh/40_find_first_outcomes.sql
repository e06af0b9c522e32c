-- Marks each signal's first outcome, by time and id: the one that counts. Reads the facts; writes intel.outcomes.
-- Computes anew all outcomes of the signals that a new outcome is about.

INSERT INTO intel.outcomes
    (event_id, timestamp, ingested_at, risk_signal_id, admin_id, outcome_status, is_first, resolution_time_hours, note_id,
    engine_version, trace_id, span_id, trace_flags, service_name, cycle)
WITH touched AS
(
    SELECT risk_signal_id
    FROM intel.signal_outcomes
    WHERE cycle >= {since:UInt32}
        AND timestamp BETWEEN {first:DateTime64(9, 'UTC')} AND {last:DateTime64(9, 'UTC')}
)
SELECT
    event_id, timestamp, ingested_at, risk_signal_id, admin_id, outcome_status,
    row_number() OVER (PARTITION BY risk_signal_id ORDER BY timestamp, event_id) = 1 AS is_first,
    resolution_time_hours, note_id, engine_version, trace_id, span_id, trace_flags, service_name,
    {cycle:UInt32} AS cycle
FROM intel.signal_outcomes FINAL
-- By id, which the table is sorted by: with a condition on the signal alone, FINAL would read the whole table.
WHERE event_id GLOBAL IN (SELECT event_id FROM intel.signal_outcomes WHERE risk_signal_id GLOBAL IN (SELECT risk_signal_id FROM touched))
    AND risk_signal_id GLOBAL IN (SELECT risk_signal_id FROM touched);
