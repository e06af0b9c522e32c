-- Recommendation events of `days`, of the admins that new ones are of. Reads the facts; writes intel.days_admins.

INSERT INTO intel.days_admins
    (kind, day, admin_id, service_name, engine_version, recommendation_type, confidence, counts, cycle)
SELECT
    'recommendations' AS kind,
    toDate(timestamp, {time_zone:String}) AS day,
    admin_id, service_name, engine_version, recommendation_type, confidence,
    -- generated: counts of an event
    sumMap(map(lower(toString(action)), toUInt64(1), 'decisions', if(toString(action) IN ('ACCEPTED', 'IGNORED', 'OVERRIDDEN'), toUInt64(1), 0))) AS counts,
    -- /generated
    {cycle:UInt32} AS cycle
FROM intel.recommendation_events FINAL
WHERE day IN {days:Array(Date)}
    AND (day, admin_id) GLOBAL IN (
        SELECT toDate(timestamp, {time_zone:String}), admin_id
        FROM intel.recommendation_events
        WHERE cycle >= {since:UInt32}
            AND timestamp BETWEEN {first:DateTime64(9, 'UTC')} AND {last:DateTime64(9, 'UTC')})
GROUP BY day, admin_id, service_name, engine_version, recommendation_type, confidence;
