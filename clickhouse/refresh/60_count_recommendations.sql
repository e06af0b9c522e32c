-- Recommendation events of the days that new ones are of. Reads the facts; writes intel.days.

INSERT INTO intel.days
    (kind, day, service_name, engine_version, recommendation_type, confidence, counts, cycle)
WITH touched AS
(
    SELECT DISTINCT toDate(timestamp, {time_zone:String}) AS day
    FROM intel.recommendation_events
    WHERE cycle >= {since:UInt32}
        AND timestamp BETWEEN {first:DateTime64(9, 'UTC')} AND {last:DateTime64(9, 'UTC')}
        AND day >= {kept:Date}
)
SELECT
    'recommendations' AS kind,
    day, service_name, engine_version, recommendation_type, confidence,
    sumMap(counted) AS counts,
    {cycle:UInt32} AS cycle
FROM
(
    SELECT
        day,
        -- Each value, and '' for all.
        arrayJoin(arrayDistinct(['', r.service])) AS service_name,
        arrayJoin(arrayDistinct(['', r.version])) AS engine_version,
        arrayJoin(arrayDistinct(['', r.type])) AS recommendation_type,
        arrayJoin(arrayDistinct(['', r.level])) AS confidence,
        -- generated: counts of an action
        map(lower(r.action), r.events, 'decisions', if(r.action IN ('ACCEPTED', 'IGNORED', 'OVERRIDDEN'), r.events, 0)) AS counted
        -- /generated
    FROM
    (
        SELECT
            toDate(timestamp, {time_zone:String}) AS day,
            toString(service_name) AS service,
            toString(engine_version) AS version,
            toString(recommendation_type) AS type,
            toString(confidence) AS level,
            toString(action) AS action,
            count() AS events
        FROM intel.recommendation_events FINAL
        WHERE day GLOBAL IN (SELECT day FROM touched)
        GROUP BY day, service, version, type, level, action
    ) AS r
    UNION ALL
    -- Rows of which nothing may be left.
    SELECT day, service_name, engine_version, recommendation_type, confidence, map()
    FROM intel.days
    WHERE kind = 'recommendations' AND day GLOBAL IN (SELECT day FROM touched)
)
GROUP BY day, service_name, engine_version, recommendation_type, confidence;
