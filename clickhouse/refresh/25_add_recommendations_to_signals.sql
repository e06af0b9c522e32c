-- Adds new recommendation events to the signals that they are about. Reads the facts; writes intel.signals.

INSERT INTO intel.signals
    (risk_signal_id, generation, first_viewed_at, first_view, views, decisions, cycle)
SELECT
    risk_signal_id,
    {generation:UInt32} AS generation,
    minOrNullIf(timestamp, action = 'VIEWED') AS first_viewed_at,
    argMinStateIf(
        CAST((admin_id, service_name, engine_version, recommendation_type, confidence),
            'Tuple(admin_id String, service_name String, engine_version String, recommendation_type String, confidence String)'),
        (timestamp, event_id), action = 'VIEWED') AS first_view,
    groupUniqArrayIf((timestamp, sipHash64(event_id)), action = 'VIEWED') AS views,
    groupUniqArrayIf(
        (timestamp, event_id, admin_id, toString(action), toString(service_name), toString(engine_version),
            toString(recommendation_type), toString(confidence)),
        -- generated: decisions
        action IN ('ACCEPTED', 'IGNORED', 'OVERRIDDEN')
        -- /generated
    ) AS decisions,
    {cycle:UInt32} AS cycle
FROM intel.recommendation_events FINAL
WHERE cycle >= {since:UInt32}
    AND timestamp BETWEEN {first:DateTime64(9, 'UTC')} AND {last:DateTime64(9, 'UTC')}
GROUP BY risk_signal_id;
