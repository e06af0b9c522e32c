-- Decision times of `days`, of the admins of whom a decision was computed anew. Reads intel.decisions; writes
-- intel.days_admins. Milliseconds are exact: an admin has few of a day.

INSERT INTO intel.days_admins
    (kind, day, admin_id, service_name, engine_version, recommendation_type, confidence,
    counts, sum_ms, milliseconds, times, cycle)
WITH touched AS
(
    SELECT DISTINCT toDate(timestamp, {time_zone:String}) AS day, admin_id
    FROM intel.decisions
    WHERE cycle = {cycle:UInt32} AND day IN {days:Array(Date)}
)
SELECT
    'decision_times' AS kind,
    day, admin_id, service_name, engine_version, recommendation_type, confidence,
    map('samples', sum(decisions)) AS counts,
    sum(toInt128(ms) * decisions) AS sum_ms,
    groupArrayIf(ms, decisions > 0) AS milliseconds,
    groupArrayIf(decisions, decisions > 0) AS times,
    {cycle:UInt32} AS cycle
FROM
(
    SELECT
        toDate(timestamp, {time_zone:String}) AS day,
        admin_id, service_name, engine_version, recommendation_type, confidence,
        assumeNotNull(decision_time_ms) AS ms,
        count() AS decisions
    FROM intel.decisions FINAL
    WHERE day IN {days:Array(Date)}
        AND (day, admin_id) GLOBAL IN (SELECT day, admin_id FROM touched)
        AND isNotNull(decision_time_ms)
    GROUP BY day, admin_id, service_name, engine_version, recommendation_type, confidence, ms
    UNION ALL
    -- Rows of which nothing may be left.
    SELECT day, admin_id, service_name, engine_version, recommendation_type, confidence, 0, 0
    FROM intel.days_admins
    WHERE kind = 'decision_times' AND day IN {days:Array(Date)} AND (day, admin_id) GLOBAL IN (SELECT day, admin_id FROM touched)
)
GROUP BY day, admin_id, service_name, engine_version, recommendation_type, confidence;
