-- How the signals go on that were first viewed on `days`. Reads intel.signals; writes intel.days. The dimensions are those
-- of the first view.

INSERT INTO intel.days
    (kind, day, service_name, engine_version, recommendation_type, confidence, counts, cycle)
SELECT
    'signals' AS kind,
    day, service_name, engine_version, recommendation_type, confidence,
    sumMap(counted) AS counts,
    {cycle:UInt32} AS cycle
FROM
(
    SELECT
        day,
        -- Each value, and '' for all.
        arrayJoin(arrayDistinct(['', s.view.service_name])) AS service_name,
        arrayJoin(arrayDistinct(['', s.view.engine_version])) AS engine_version,
        arrayJoin(arrayDistinct(['', s.view.recommendation_type])) AS recommendation_type,
        arrayJoin(arrayDistinct(['', s.view.confidence])) AS confidence,
        map('viewed', s.signals, 'decided', s.decided, 'ended', s.ended, if(s.status = '', 'open', lower(s.status)), s.signals) AS counted
    FROM
    (
        SELECT
            day,
            view,
            status,
            count() AS signals,
            countIf(is_decided) AS decided,
            countIf(is_decided AND status != '') AS ended
        FROM
        (
            SELECT
                toDate(min(first_viewed_at), {time_zone:String}) AS day,
                argMinMerge(first_view) AS view,
                isNotNull(min(first_decided_at)) AS is_decided,
                argMinMerge(first_outcome_status) AS status
            FROM intel.signals
            WHERE generation >= {generation:UInt32}
                -- A row has a part of its signal, so its first view may be a later one.
                AND risk_signal_id GLOBAL IN (
                    SELECT risk_signal_id FROM intel.signals WHERE toDate(first_viewed_at, {time_zone:String}) IN {days:Array(Date)})
            GROUP BY risk_signal_id
        )
        WHERE day IN {days:Array(Date)}
        GROUP BY day, view, status
    ) AS s
    UNION ALL
    -- Rows of which nothing may be left: the first view of a signal may have been on another day.
    SELECT day, service_name, engine_version, recommendation_type, confidence, map()
    FROM intel.days
    WHERE kind = 'signals' AND day IN {days:Array(Date)}
)
GROUP BY day, service_name, engine_version, recommendation_type, confidence;
