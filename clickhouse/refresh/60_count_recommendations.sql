-- Recommendation events of the days that new ones are of. Reads the facts; writes intel.days_recommendations.

INSERT INTO intel.days_recommendations
    (day, service_name, engine_version, recommendation_type, confidence, action, events, cycle)
WITH touched AS
(
    SELECT DISTINCT toDate(timestamp, {time_zone:String}) AS day
    FROM intel.recommendation_events
    WHERE cycle >= {since:UInt32}
        AND timestamp BETWEEN {first:DateTime64(9, 'UTC')} AND {last:DateTime64(9, 'UTC')}
)
SELECT
    day, service_name, engine_version, recommendation_type, confidence, action,
    sum(count) AS events,
    {cycle:UInt32} AS cycle
FROM
(
    SELECT
        toDate(timestamp, {time_zone:String}) AS day, service_name, engine_version, recommendation_type, confidence, action,
        count() AS count
    FROM intel.recommendation_events FINAL
    WHERE day GLOBAL IN (SELECT day FROM touched)
    GROUP BY day, service_name, engine_version, recommendation_type, confidence, action
    UNION ALL
    SELECT day, service_name, engine_version, recommendation_type, confidence, action, 0
    FROM intel.days_recommendations
    WHERE day GLOBAL IN (SELECT day FROM touched)
)
GROUP BY day, service_name, engine_version, recommendation_type, confidence, action;
