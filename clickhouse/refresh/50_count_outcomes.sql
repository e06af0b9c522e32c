-- First outcomes of the days on which an outcome was judged anew. Reads intel.outcomes; writes intel.days_outcomes.

INSERT INTO intel.days_outcomes
    (day, service_name, engine_version, outcome_status, outcomes, hours_samples, sum_hours, cycle)
WITH touched AS
(
    SELECT DISTINCT toDate(timestamp, {time_zone:String}) AS day
    FROM intel.outcomes
    WHERE cycle = {cycle:UInt32}
)
SELECT
    day, service_name, engine_version, outcome_status,
    sum(count) AS outcomes,
    sum(samples) AS hours_samples,
    sum(hours) AS sum_hours,
    {cycle:UInt32} AS cycle
FROM
(
    SELECT
        toDate(timestamp, {time_zone:String}) AS day, service_name, engine_version, outcome_status,
        count() AS count,
        count(resolution_time_hours) AS samples,
        ifNull(sum(resolution_time_hours), 0) AS hours
    FROM intel.outcomes FINAL
    WHERE day GLOBAL IN (SELECT day FROM touched) AND is_first
    GROUP BY day, service_name, engine_version, outcome_status
    UNION ALL
    SELECT day, service_name, engine_version, outcome_status, 0, 0, 0
    FROM intel.days_outcomes
    WHERE day GLOBAL IN (SELECT day FROM touched)
)
GROUP BY day, service_name, engine_version, outcome_status;
