-- Recommendation events of `days`, that new ones are of. Reads the facts; writes intel.days. Facts only become more, so
-- no row has to become empty.

INSERT INTO intel.days
    (kind, day, service_name, engine_version, recommendation_type, confidence, counts, cycle)
SELECT
    'recommendations' AS kind,
    day,
    -- Each value, and '' for all.
    arrayJoin(arrayDistinct(['', r.service])) AS service_name,
    arrayJoin(arrayDistinct(['', r.version])) AS engine_version,
    arrayJoin(arrayDistinct(['', r.type])) AS recommendation_type,
    arrayJoin(arrayDistinct(['', r.level])) AS confidence,
    -- generated: counts of an action
    sumMap(map(lower(r.action), r.events, 'decisions', if(r.action IN ('ACCEPTED', 'IGNORED', 'OVERRIDDEN'), r.events, 0))) AS counts,
    -- /generated
    {cycle:UInt32} AS cycle
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
    WHERE day IN {days:Array(Date)}
    GROUP BY day, service, version, type, level, action
) AS r
GROUP BY day, service_name, engine_version, recommendation_type, confidence;
