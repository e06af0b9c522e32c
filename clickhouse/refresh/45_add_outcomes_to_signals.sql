-- Adds new outcomes to the signals that they are about. Reads the facts; writes intel.signals.

INSERT INTO intel.signals
    (risk_signal_id, generation, first_outcome_status, cycle)
SELECT
    risk_signal_id,
    {generation:UInt32} AS generation,
    argMinState(toString(outcome_status), (timestamp, event_id)) AS first_outcome_status,
    {cycle:UInt32} AS cycle
FROM intel.signal_outcomes FINAL
WHERE cycle >= {since:UInt32}
    AND timestamp BETWEEN {first:DateTime64(9, 'UTC')} AND {last:DateTime64(9, 'UTC')}
GROUP BY risk_signal_id;
