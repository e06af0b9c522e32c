-- Several numbers side by side: the overview, times to resolution, who is busy and when. Both ends of a window of
-- days are included; '' as a version or an admin means all. Reads metrics.* and what the refresh has counted; writes nothing.

CREATE OR REPLACE VIEW metrics.overview
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    part.name AS part,
    part.days AS days,
    part.is_before AS is_before,
    part.day AS day,
    part.engine_version AS engine_version,
    -- generated: actions of the overview
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
    if(samples = 0 OR part.name != 'window' OR part.is_before, NULL, quantiles[1]) AS p50_ms,
    if(samples = 0 OR part.name != 'window' OR part.is_before, NULL, quantiles[2]) AS p90_ms,
    -- generated: outcomes of the overview
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
    WITH
        CAST(
            [('window', 7, 0, toDate(0), ''), ('window', 7, 1, toDate(0), ''),
             ('window', 30, 0, toDate(0), ''), ('window', 30, 1, toDate(0), '')],
            'Array(Tuple(name String, days UInt16, is_before Bool, day Date, engine_version String))') AS windows,
        toInt32({last_day:Date}) - toInt32(b.day) AS age,
        -- What a row counts in: the windows that contain its day, and the day itself; a row of one version, in that.
        CAST(multiIf(
            b.engine_version = '', arrayConcat(
                arrayFilter(w -> age - w.days * w.is_before BETWEEN 0 AND w.days - 1, windows),
                if(age < 30, [('day', 1, false, b.day, '')], [])),
            age < 30, [('version', 30, false, toDate(0), toString(b.engine_version))],
            []), 'Array(Tuple(name String, days UInt16, is_before Bool, day Date, engine_version String))') AS parts
    SELECT
        part,
        sumMap(b.counts) AS counts,
        sum(b.sum_ms) AS sum_ms,
        quantilesExactWeightedArrayIf(0.5, 0.9)(b.milliseconds, b.times, part.name = 'window' AND NOT part.is_before) AS quantiles
    FROM intel.days AS b FINAL
    ARRAY JOIN parts AS part
    WHERE b.kind != 'signals' AND b.day BETWEEN {last_day:Date} - 59 AND {last_day:Date}
        AND b.recommendation_type = '' AND b.confidence = '' AND b.service_name = ''
    GROUP BY part
)
COMMENT 'The windows of 7 and 30 days up to last_day and those before them, and of 30 days each day and each engine version';

CREATE OR REPLACE VIEW metrics.resolution_times_between
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    s.outcome_status AS outcome_status,
    -- ifNull: readers have join_use_nulls on, others have not.
    ifNull(o.count, 0) AS count,
    if(sum(count) OVER () = 0, NULL, count / sum(count) OVER ()) AS share,
    ifNull(o.samples, 0) AS samples,
    if(samples = 0, NULL, o.sum_hours / samples) AS average_hours,
    if(samples = 0, NULL, o.p50) AS p50_hours,
    if(samples = 0, NULL, o.p90) AS p90_hours,
    [0, 1, 4, 24, 72, 168] AS from_hours,
    arrayResize(o.histogram, length(from_hours)) AS histogram
FROM
(
    -- generated: statuses
    SELECT arrayJoin(['RESOLVED', 'ESCALATED', 'NO_ACTION', 'FALSE_POSITIVE']) AS outcome_status
    -- /generated
) AS s
LEFT JOIN
(
    WITH assumeNotNull(resolution_time_hours) AS hours, toUInt8(isNotNull(resolution_time_hours)) AS is_given
    SELECT
        toString(outcome_status) AS outcome_status,
        count() AS count,
        sum(is_given) AS samples,
        sumIf(hours, is_given) AS sum_hours,
        -- By nearest rank: the ceil(q * n)-th smallest.
        quantileExactWeighted(0.5)(hours, is_given) AS p50,
        quantileExactWeighted(0.9)(hours, is_given) AS p90,
        sumForEach(arrayMap((low, high) -> toUInt64(is_given AND hours >= low AND hours < high),
            [0, 1, 4, 24, 72, 168], [1, 4, 24, 72, 168, inf])) AS histogram
    FROM metrics.signal_outcomes
    WHERE is_first
        AND timestamp >= toDateTime64({first_day:Date}, 9, (SELECT time_zone FROM metrics.last_refresh))
        AND timestamp < toDateTime64({last_day:Date} + 1, 9, (SELECT time_zone FROM metrics.last_refresh))
        AND ({engine_version:String} = '' OR engine_version = {engine_version:String})
    GROUP BY outcome_status
) AS o USING (outcome_status)
COMMENT 'First outcomes by status, zeros included, and the hours to resolution; histogram counts from each of from_hours to the next';

CREATE OR REPLACE VIEW metrics.top_admins_between
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    d.admin_id AS admin_id,
    -- generated: views of an admin
    sum(d.dashboard_opened) AS dashboard_opened,
    sum(d.signal_detail_opened) AS signal_detail_opened,
    sum(d.explanation_expanded) AS explanation_expanded,
    sum(d.note_created) AS note_created,
    sum(d.total) AS total
    -- /generated
FROM metrics.engagement_daily AS d
WHERE day BETWEEN {first_day:Date} AND {last_day:Date}
    AND ({engine_version:String} = '' OR engine_version = {engine_version:String})
    AND ({admin_id:String} = '' OR admin_id = {admin_id:String})
GROUP BY admin_id
ORDER BY total DESC, admin_id
COMMENT 'Engagement per admin by kind, the most engaged first';

CREATE OR REPLACE VIEW metrics.top_admins
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT *
FROM metrics.top_admins_between(
    first_day = (SELECT first_day FROM metrics.last_days(days = {days:UInt16})),
    last_day = (SELECT last_day FROM metrics.last_days(days = {days:UInt16})),
    engine_version = '', admin_id = '')
COMMENT 'top_admins_between of today and the days before it, days in all';

CREATE OR REPLACE VIEW metrics.activity_by_hour_between
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT hour, view_kind, sum(in_hour) AS events
FROM intel.days_engagement FINAL
ARRAY JOIN mapKeys(hours) AS hour, mapValues(hours) AS in_hour
WHERE day BETWEEN {first_day:Date} AND {last_day:Date}
    AND ({engine_version:String} = '' OR engine_version = {engine_version:String})
    AND ({admin_id:String} = '' OR admin_id = {admin_id:String})
GROUP BY hour, view_kind
ORDER BY hour, view_kind
COMMENT 'View events by hour of the day and kind; hours without events have no row';

CREATE OR REPLACE VIEW metrics.funnel_between
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    step,
    counts[step] AS signals,
    signals / nullIf(counts['viewed'], 0) AS share
FROM
(
    SELECT sumMap(d.counts) AS counts
    FROM intel.days AS d FINAL
    WHERE kind = 'signals' AND day BETWEEN {first_day:Date} AND {last_day:Date}
        AND engine_version IN splitByRegexp('\n+', trim(BOTH '\n' FROM {engine_version:String}))
        AND recommendation_type IN splitByRegexp('\n+', trim(BOTH '\n' FROM {recommendation_type:String}))
        AND confidence = '' AND service_name = ''
)
ARRAY JOIN ['viewed', 'decided', 'ended'] AS step
COMMENT 'Signals that were first viewed in the window, of these decided on, and of these with an outcome, all until now';

CREATE OR REPLACE VIEW metrics.decision_times_by_version_between
DEFINER = intel_owner SQL SECURITY DEFINER
AS
WITH quantilesExactWeightedArray(0.5, 0.9)(milliseconds, times) AS quantiles
SELECT
    toString(d.engine_version) AS engine_version,
    sum(d.counts['samples']) AS samples,
    toNullable(toFloat64(sum(d.sum_ms)) / samples) AS average_ms,
    -- By nearest rank: the ceil(q * n)-th smallest.
    toNullable(quantiles[1]) AS p50_ms,
    toNullable(quantiles[2]) AS p90_ms
FROM intel.days AS d FINAL
WHERE kind = 'decision_times' AND notEmpty(times) AND day BETWEEN {first_day:Date} AND {last_day:Date}
    AND engine_version != '' AND recommendation_type = '' AND confidence = '' AND service_name = ''
GROUP BY engine_version
ORDER BY engine_version
COMMENT 'decision_time_between of each engine version that has times, in one pass';
