-- First outcomes of `days`, on which an outcome was judged anew. Reads intel.outcomes; writes intel.days.

INSERT INTO intel.days
    (kind, day, service_name, engine_version, recommendation_type, confidence, counts, sum_hours, cycle)
SELECT
    'outcomes' AS kind,
    day, service_name, engine_version,
    '' AS recommendation_type,
    '' AS confidence,
    sumMap(counted) AS counts,
    sum(hours) AS sum_hours,
    {cycle:UInt32} AS cycle
FROM
(
    SELECT
        day,
        -- Each value, and '' for all.
        arrayJoin(arrayDistinct(['', o.service])) AS service_name,
        arrayJoin(arrayDistinct(['', o.version])) AS engine_version,
        map(lower(o.status), o.outcomes, 'outcomes', o.outcomes, 'hours_samples', o.samples) AS counted,
        o.hours AS hours
    FROM
    (
        SELECT
            toDate(timestamp, {time_zone:String}) AS day,
            toString(service_name) AS service,
            toString(engine_version) AS version,
            toString(outcome_status) AS status,
            count() AS outcomes,
            count(resolution_time_hours) AS samples,
            ifNull(sum(resolution_time_hours), 0) AS hours
        FROM intel.outcomes FINAL
        WHERE day IN {days:Array(Date)} AND is_first
        GROUP BY day, service, version, status
    ) AS o
    UNION ALL
    -- Rows of which nothing may be left.
    SELECT day, service_name, engine_version, map(), 0
    FROM intel.days
    WHERE kind = 'outcomes' AND day IN {days:Array(Date)}
)
GROUP BY day, service_name, engine_version;
