-- The numbers of each day or week of a window, side by side. Filters are those of 70_numbers.sql. Reads what the refresh
-- has counted; writes nothing.

CREATE OR REPLACE VIEW metrics.trend_between
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    toDate(greatest(toInt32({first_day:Date}), toInt32({last_day:Date}) - (number + 1) * {step:UInt16} + 1)) AS first_day,
    {last_day:Date} - number * {step:UInt16} AS last_day,
    -- generated: actions of the trend
    counts['viewed'] AS viewed,
    counts['accepted'] AS accepted,
    counts['ignored'] AS ignored,
    counts['overridden'] AS overridden,
    counts['decisions'] AS decisions,
    -- /generated
    accepted / nullIf(viewed, 0) AS acceptance_rate,
    accepted / nullIf(decisions, 0) AS acceptance_share,
    overridden / nullIf(decisions, 0) AS override_rate,
    counts['samples'] AS samples,
    toFloat64(sum_ms) / nullIf(samples, 0) AS average_ms,
    -- By nearest rank: the ceil(q * n)-th smallest.
    if(samples = 0, NULL, quantiles[1]) AS p50_ms,
    if(samples = 0, NULL, quantiles[2]) AS p90_ms,
    -- generated: outcomes of the trend
    counts['resolved'] AS resolved,
    counts['escalated'] AS escalated,
    counts['no_action'] AS no_action,
    counts['false_positive'] AS false_positive,
    resolved / nullIf(outcomes, 0) AS resolved_share,
    escalated / nullIf(outcomes, 0) AS escalated_share,
    no_action / nullIf(outcomes, 0) AS no_action_share,
    false_positive / nullIf(outcomes, 0) AS false_positive_share,
    counts['outcomes'] AS outcomes,
    -- /generated
    false_positive_share AS false_positive_rate
FROM
(
    SELECT
        intDiv(toInt32({last_day:Date} - day), {step:UInt16}) AS number,
        sumMap(d.counts) AS counts,
        sum(d.sum_ms) AS sum_ms,
        quantilesExactWeightedArray(0.5, 0.9)(milliseconds, times) AS quantiles
    FROM intel.days AS d FINAL
    WHERE kind != 'signals' AND day BETWEEN {first_day:Date} AND {last_day:Date}
        AND engine_version IN splitByRegexp('\n+', trim(BOTH '\n' FROM {engine_version:String}))
        AND service_name IN splitByRegexp('\n+', trim(BOTH '\n' FROM {service_name:String}))
        -- Outcomes have neither type nor confidence.
        AND (kind = 'outcomes'
            OR recommendation_type IN splitByRegexp('\n+', trim(BOTH '\n' FROM {recommendation_type:String}))
                AND confidence IN splitByRegexp('\n+', trim(BOTH '\n' FROM {confidence:String})))
    GROUP BY number
    -- Every step, also one without events.
    ORDER BY number WITH FILL FROM 0 TO intDiv(toInt32({last_day:Date} - {first_day:Date}), {step:UInt16}) + 1
)
ORDER BY first_day
COMMENT 'All numbers of each step of days, the last one ends with last_day: a step of 1 is a day, of 7 a week';

CREATE OR REPLACE VIEW metrics.trend_of_admins_between
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    toDate(greatest(toInt32({first_day:Date}), toInt32({last_day:Date}) - (number + 1) * {step:UInt16} + 1)) AS first_day,
    {last_day:Date} - number * {step:UInt16} AS last_day,
    -- generated: actions of the trend of admins
    counts['viewed'] AS viewed,
    counts['accepted'] AS accepted,
    counts['ignored'] AS ignored,
    counts['overridden'] AS overridden,
    counts['decisions'] AS decisions,
    -- /generated
    accepted / nullIf(viewed, 0) AS acceptance_rate,
    accepted / nullIf(decisions, 0) AS acceptance_share,
    overridden / nullIf(decisions, 0) AS override_rate,
    counts['samples'] AS samples,
    toFloat64(sum_ms) / nullIf(samples, 0) AS average_ms,
    if(samples = 0, NULL, quantiles[1]) AS p50_ms,
    if(samples = 0, NULL, quantiles[2]) AS p90_ms
FROM
(
    SELECT
        intDiv(toInt32({last_day:Date} - day), {step:UInt16}) AS number,
        sumMap(d.counts) AS counts,
        sum(d.sum_ms) AS sum_ms,
        quantilesExactWeightedArray(0.5, 0.9)(milliseconds, times) AS quantiles
    FROM intel.days_admins AS d FINAL
    WHERE day BETWEEN {first_day:Date} AND {last_day:Date}
        AND (trim(BOTH '\n' FROM {admin_id:String}) = '' OR admin_id IN splitByRegexp('\n+', trim(BOTH '\n' FROM {admin_id:String})))
        AND (trim(BOTH '\n' FROM {engine_version:String}) = '' OR engine_version IN splitByRegexp('\n+', trim(BOTH '\n' FROM {engine_version:String})))
        AND (trim(BOTH '\n' FROM {recommendation_type:String}) = '' OR recommendation_type IN splitByRegexp('\n+', trim(BOTH '\n' FROM {recommendation_type:String})))
        AND (trim(BOTH '\n' FROM {confidence:String}) = '' OR confidence IN splitByRegexp('\n+', trim(BOTH '\n' FROM {confidence:String})))
        AND (trim(BOTH '\n' FROM {service_name:String}) = '' OR service_name IN splitByRegexp('\n+', trim(BOTH '\n' FROM {service_name:String})))
    GROUP BY number
    ORDER BY number WITH FILL FROM 0 TO intDiv(toInt32({last_day:Date} - {first_day:Date}), {step:UInt16}) + 1
)
ORDER BY first_day
COMMENT 'The numbers of recommendations of one admin, or of several on lines of their own, as trend_between has them';
