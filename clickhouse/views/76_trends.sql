-- The numbers of each day or week of a window, side by side. Filters are those of 70_numbers.sql. Reads what the refresh
-- has counted; writes nothing.

CREATE OR REPLACE VIEW metrics.trend_between
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    greatest({first_day:Date}, {last_day:Date} - (number + 1) * {step:UInt16} + 1) AS first_day,
    {last_day:Date} - number * {step:UInt16} AS last_day,
    -- generated: actions of the trend
    counts['viewed'] AS viewed,
    counts['accepted'] AS accepted,
    counts['ignored'] AS ignored,
    counts['overridden'] AS overridden,
    -- /generated
    counts['decisions'] AS decisions,
    if(viewed = 0, NULL, accepted / viewed) AS acceptance_rate,
    if(decisions = 0, NULL, accepted / decisions) AS acceptance_share,
    if(decisions = 0, NULL, overridden / decisions) AS override_rate,
    counts['samples'] AS samples,
    if(samples = 0, NULL, sum_ms / samples) AS average_ms,
    -- By nearest rank: the ceil(q * n)-th smallest.
    if(samples = 0, NULL, quantiles[1]) AS p50_ms,
    if(samples = 0, NULL, quantiles[2]) AS p90_ms,
    -- generated: outcomes of the trend
    counts['resolved'] AS resolved,
    counts['escalated'] AS escalated,
    counts['no_action'] AS no_action,
    counts['false_positive'] AS false_positive,
    if(outcomes = 0, NULL, resolved / outcomes) AS resolved_share,
    if(outcomes = 0, NULL, escalated / outcomes) AS escalated_share,
    if(outcomes = 0, NULL, no_action / outcomes) AS no_action_share,
    if(outcomes = 0, NULL, false_positive / outcomes) AS false_positive_share,
    -- /generated
    counts['outcomes'] AS outcomes,
    if(outcomes = 0, NULL, false_positive / outcomes) AS false_positive_rate,
    (SELECT maxOrNull(as_of) FROM intel.refreshes) AS as_of
FROM
(
    WITH
        -- As in metrics.decision_time_between.
        arrayFilter(
            (name, given) -> given != '',
            ['engine_version', 'recommendation_type', 'confidence', 'service_name'],
            [{engine_version:String}, {recommendation_type:String}, {confidence:String}, {service_name:String}]) AS filters,
        multiIf(empty(filters), '', length(filters) = 1, filters[1], '*') AS wanted
    SELECT
        number,
        sumMap(b.counts) AS counts,
        sum(b.sum_ms) AS sum_ms,
        quantilesExactWeightedArray(0.5, 0.9)(b.milliseconds, b.times) AS quantiles
    FROM
    (
        -- Every step, also one without events.
        SELECT
            toInt32(arrayJoin(range(toUInt32(intDiv({last_day:Date} - {first_day:Date}, {step:UInt16}) + 1)))) AS number,
            map('viewed', toUInt64(0)) AS counts,
            0. AS sum_ms,
            CAST([], 'Array(Int64)') AS milliseconds,
            CAST([], 'Array(UInt64)') AS times
        UNION ALL
        SELECT
            intDiv(toInt32({last_day:Date} - day), {step:UInt16}) AS number,
            -- generated: counts of actions
            map('viewed', sumIf(events, action = 'VIEWED'), 'accepted', sumIf(events, action = 'ACCEPTED'), 'ignored', sumIf(events, action = 'IGNORED'), 'overridden', sumIf(events, action = 'OVERRIDDEN'), 'decisions', sumIf(events, action IN ('ACCEPTED', 'IGNORED', 'OVERRIDDEN'))) AS counts,
            -- /generated
            0. AS sum_ms,
            CAST([], 'Array(Int64)') AS milliseconds,
            CAST([], 'Array(UInt64)') AS times
        FROM intel.days_recommendations FINAL
        WHERE day BETWEEN {first_day:Date} AND {last_day:Date}
            AND ({engine_version:String} = '' OR has(splitByChar('\n', {engine_version:String}), toString(engine_version)))
            AND ({service_name:String} = '' OR has(splitByChar('\n', {service_name:String}), toString(service_name)))
            AND ({recommendation_type:String} = '' OR has(splitByChar('\n', {recommendation_type:String}), toString(recommendation_type)))
            AND ({confidence:String} = '' OR has(splitByChar('\n', {confidence:String}), toString(confidence)))
        GROUP BY number
        UNION ALL
        SELECT
            intDiv(toInt32({last_day:Date} - day), {step:UInt16}) AS number,
            -- generated: counts of outcomes
            map('resolved', sumIf(d.outcomes, outcome_status = 'RESOLVED'), 'escalated', sumIf(d.outcomes, outcome_status = 'ESCALATED'), 'no_action', sumIf(d.outcomes, outcome_status = 'NO_ACTION'), 'false_positive', sumIf(d.outcomes, outcome_status = 'FALSE_POSITIVE'), 'outcomes', sum(d.outcomes)) AS counts,
            -- /generated
            0. AS sum_ms,
            CAST([], 'Array(Int64)') AS milliseconds,
            CAST([], 'Array(UInt64)') AS times
        FROM intel.days_outcomes AS d FINAL
        WHERE day BETWEEN {first_day:Date} AND {last_day:Date}
            AND ({engine_version:String} = '' OR has(splitByChar('\n', {engine_version:String}), toString(engine_version)))
            AND ({service_name:String} = '' OR has(splitByChar('\n', {service_name:String}), toString(service_name)))
        GROUP BY number
        UNION ALL
        SELECT
            intDiv(toInt32({last_day:Date} - day), {step:UInt16}) AS number,
            map('samples', d.samples) AS counts,
            toFloat64(d.sum_ms) AS sum_ms,
            milliseconds,
            d.counts AS times
        FROM intel.days_decision_times AS d FINAL
        WHERE slice = wanted
            AND day BETWEEN {first_day:Date} AND {last_day:Date}
            AND ({engine_version:String} = '' OR has(splitByChar('\n', {engine_version:String}), toString(engine_version)))
            AND ({service_name:String} = '' OR has(splitByChar('\n', {service_name:String}), toString(service_name)))
            AND ({recommendation_type:String} = '' OR has(splitByChar('\n', {recommendation_type:String}), toString(recommendation_type)))
            AND ({confidence:String} = '' OR has(splitByChar('\n', {confidence:String}), toString(confidence)))
    ) AS b
    GROUP BY number
)
ORDER BY first_day
COMMENT 'All numbers of each step of days, the last one ends with last_day: a step of 1 is a day, of 7 a week';
