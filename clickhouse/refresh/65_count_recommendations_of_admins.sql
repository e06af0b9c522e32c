-- Recommendation events of the admins and days that new ones are of. Reads the facts; writes intel.days_admins.

INSERT INTO intel.days_admins
    (kind, day, admin_id, service_name, engine_version, recommendation_type, confidence, counts, cycle)
WITH touched AS
(
    SELECT DISTINCT toDate(timestamp, {time_zone:String}) AS day, admin_id
    FROM intel.recommendation_events
    WHERE cycle >= {since:UInt32}
        AND timestamp BETWEEN {first:DateTime64(9, 'UTC')} AND {last:DateTime64(9, 'UTC')}
        AND day >= {kept:Date}
)
SELECT
    'recommendations' AS kind,
    day, admin_id, service_name, engine_version, recommendation_type, confidence,
    sumMap(counted) AS counts,
    {cycle:UInt32} AS cycle
FROM
(
    SELECT
        toDate(timestamp, {time_zone:String}) AS day,
        admin_id, service_name, engine_version, recommendation_type, confidence,
        -- generated: counts of an event
        map(lower(toString(action)), toUInt64(1), 'decisions', if(toString(action) IN ('ACCEPTED', 'IGNORED', 'OVERRIDDEN'), toUInt64(1), 0)) AS counted
        -- /generated
    FROM intel.recommendation_events FINAL
    WHERE timestamp >= {first:DateTime64(9, 'UTC')} - INTERVAL 2 DAY
        AND timestamp < {last:DateTime64(9, 'UTC')} + INTERVAL 2 DAY
        AND (day, admin_id) GLOBAL IN (SELECT day, admin_id FROM touched)
    UNION ALL
    -- Rows of which nothing may be left.
    SELECT day, admin_id, service_name, engine_version, recommendation_type, confidence, map()
    FROM intel.days_admins
    WHERE kind = 'recommendations' AND (day, admin_id) GLOBAL IN (SELECT day, admin_id FROM touched)
)
GROUP BY day, admin_id, service_name, engine_version, recommendation_type, confidence;
