-- Adds new recommendation events to the signals that they are about. Reads the facts; writes intel.signals.

INSERT INTO intel.signals
    (risk_signal_id, generation, first_viewed_at, first_view, view_days, first_decided_at, cycle)
SELECT
    risk_signal_id,
    {generation:UInt32} AS generation,
    minOrNullIf(timestamp, action = 'VIEWED') AS first_viewed_at,
    argMinStateIf(
        CAST((service_name, engine_version, recommendation_type, confidence),
            'Tuple(service_name String, engine_version String, recommendation_type String, confidence String)'),
        (timestamp, event_id), action = 'VIEWED') AS first_view,
    groupUniqArrayIf(toDate(timestamp, {time_zone:String}), action = 'VIEWED') AS view_days,
    minOrNullIf(timestamp,
        -- generated: decisions
        action IN ('ACCEPTED', 'IGNORED', 'OVERRIDDEN')
        -- /generated
    ) AS first_decided_at,
    {cycle:UInt32} AS cycle
FROM intel.recommendation_events FINAL
WHERE cycle >= {since:UInt32}
    AND timestamp BETWEEN {first:DateTime64(9, 'UTC')} AND {last:DateTime64(9, 'UTC')}
GROUP BY risk_signal_id;
