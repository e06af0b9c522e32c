-- Decision times of `days`, on which a decision was computed anew. Reads intel.decisions; writes intel.days.
-- Milliseconds are exact while a day has at most 500 different ones. On a larger day they are rounded: to whole seconds
-- up to 100 s, to steps of 1.5 % above; so a quantile is off by at most 0.5 s or 0.75 %.

INSERT INTO intel.days
    (kind, day, service_name, engine_version, recommendation_type, confidence, counts, sum_ms, milliseconds, times, cycle)
SELECT
    'decision_times' AS kind,
    day, service_name, engine_version, recommendation_type, confidence,
    map('samples', sum(decisions)) AS counts,
    sum(total_ms) AS sum_ms,
    groupArrayIf(step_ms, decisions > 0) AS milliseconds,
    groupArrayIf(decisions, decisions > 0) AS times,
    {cycle:UInt32} AS cycle
FROM
(
    SELECT
        day,
        -- Each value, and '' for all.
        arrayJoin(arrayDistinct(['', d.service])) AS service_name,
        arrayJoin(arrayDistinct(['', d.version])) AS engine_version,
        arrayJoin(arrayDistinct(['', d.type])) AS recommendation_type,
        arrayJoin(arrayDistinct(['', d.level])) AS confidence,
        multiIf(
            different <= 500, ms,
            ms <= 100000, intDiv(ms + 500, 1000) * 1000,
            toInt64(100000 * pow(1.015, floor(log(ms / 100000) / log(1.015)) + 0.5))) AS step_ms,
        sum(d.decisions) AS decisions,
        sum(toInt128(ms) * d.decisions) AS total_ms
    FROM
    (
        SELECT
            toDate(timestamp, {time_zone:String}) AS day,
            toString(service_name) AS service,
            toString(engine_version) AS version,
            toString(recommendation_type) AS type,
            toString(confidence) AS level,
            assumeNotNull(decision_time_ms) AS ms,
            count() AS decisions,
            uniqExact(ms) OVER (PARTITION BY day) AS different
        FROM intel.decisions FINAL
        WHERE day IN {days:Array(Date)} AND isNotNull(decision_time_ms)
        GROUP BY day, service, version, type, level, ms
    ) AS d
    GROUP BY day, service_name, engine_version, recommendation_type, confidence, step_ms
    UNION ALL
    -- Rows of which nothing may be left.
    SELECT day, service_name, engine_version, recommendation_type, confidence, 0, 0, 0
    FROM intel.days
    WHERE kind = 'decision_times' AND day IN {days:Array(Date)}
)
GROUP BY day, service_name, engine_version, recommendation_type, confidence;
