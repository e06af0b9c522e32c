-- The five numbers of a window of days, both ends included. A filter is one value, or several on lines of their own; ''
-- means all. A rate whose denominator is 0 is NULL; nothing is clamped or rounded. Reads what the refresh has counted,
-- without a view in between: each costs a millisecond or two. Writes nothing.

CREATE OR REPLACE VIEW metrics.time_zone
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT if(count() = 0, 'UTC', argMax(time_zone, cycle)) AS time_zone
FROM intel.refreshes
COMMENT 'The time zone whose days all numbers are counted by; otel-intel migrate --time-zone sets it';

CREATE OR REPLACE VIEW metrics.last_days
DEFINER = intel_owner SQL SECURITY DEFINER
AS
WITH
    -- While ClickHouse only looks for a view's columns, the time zone is '', which it refuses as one.
    coalesce(nullIf((SELECT time_zone FROM metrics.time_zone), ''), 'UTC') AS zone
SELECT
    toDate(greatest(toInt32(last_day) - {days:UInt16} + 1, 0)) AS first_day,
    toDate(now(), zone) AS last_day
COMMENT 'The window of today and the days before it, days in all';

CREATE OR REPLACE VIEW metrics.acceptance_rate_between
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    -- generated: counts of actions
    sumIf(events, action = 'VIEWED') AS viewed,
    sumIf(events, action = 'ACCEPTED') AS accepted,
    sumIf(events, action = 'IGNORED') AS ignored,
    sumIf(events, action = 'OVERRIDDEN') AS overridden,
    accepted + ignored + overridden AS decisions,
    -- /generated
    if(viewed = 0, NULL, accepted / viewed) AS acceptance_rate,
    if(decisions = 0, NULL, accepted / decisions) AS acceptance_share,
    (SELECT maxOrNull(as_of) FROM intel.refreshes) AS as_of
FROM intel.days_recommendations FINAL
WHERE day BETWEEN {first_day:Date} AND {last_day:Date}
    AND ({engine_version:String} = '' OR has(splitByChar('\n', {engine_version:String}), toString(engine_version)))
    AND ({recommendation_type:String} = '' OR has(splitByChar('\n', {recommendation_type:String}), toString(recommendation_type)))
    AND ({confidence:String} = '' OR has(splitByChar('\n', {confidence:String}), toString(confidence)))
    AND ({service_name:String} = '' OR has(splitByChar('\n', {service_name:String}), toString(service_name)))
COMMENT 'Accepted per viewed event, and accepted per decision';

CREATE OR REPLACE VIEW metrics.acceptance_rate
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT *
FROM metrics.acceptance_rate_between(
    first_day = (SELECT first_day FROM metrics.last_days(days = {days:UInt16})),
    last_day = (SELECT last_day FROM metrics.last_days(days = {days:UInt16})),
    engine_version = '', recommendation_type = '', confidence = '', service_name = '')
COMMENT 'acceptance_rate_between of today and the days before it, days in all';

CREATE OR REPLACE VIEW metrics.override_rate_between
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    -- generated: decisions and overrides
    sumIf(events, action IN ('ACCEPTED', 'IGNORED', 'OVERRIDDEN')) AS decisions,
    sumIf(events, action = 'OVERRIDDEN') AS overridden,
    -- /generated
    if(decisions = 0, NULL, overridden / decisions) AS override_rate,
    (SELECT maxOrNull(as_of) FROM intel.refreshes) AS as_of
FROM intel.days_recommendations FINAL
WHERE day BETWEEN {first_day:Date} AND {last_day:Date}
    AND ({engine_version:String} = '' OR has(splitByChar('\n', {engine_version:String}), toString(engine_version)))
    AND ({recommendation_type:String} = '' OR has(splitByChar('\n', {recommendation_type:String}), toString(recommendation_type)))
    AND ({confidence:String} = '' OR has(splitByChar('\n', {confidence:String}), toString(confidence)))
    AND ({service_name:String} = '' OR has(splitByChar('\n', {service_name:String}), toString(service_name)))
COMMENT 'Overridden per decision';

CREATE OR REPLACE VIEW metrics.override_rate
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT *
FROM metrics.override_rate_between(
    first_day = (SELECT first_day FROM metrics.last_days(days = {days:UInt16})),
    last_day = (SELECT last_day FROM metrics.last_days(days = {days:UInt16})),
    engine_version = '', recommendation_type = '', confidence = '', service_name = '')
COMMENT 'override_rate_between of today and the days before it, days in all';

CREATE OR REPLACE VIEW metrics.decision_time_between
DEFINER = intel_owner SQL SECURITY DEFINER
AS
WITH
    -- The slice with no more dimensions than the filters need.
    arrayFilter(
        (name, given) -> given != '',
        ['engine_version', 'recommendation_type', 'confidence', 'service_name'],
        [{engine_version:String}, {recommendation_type:String}, {confidence:String}, {service_name:String}]) AS filters,
    multiIf(empty(filters), '', length(filters) = 1, filters[1], '*') AS wanted,
    quantilesExactWeightedArray(0.5, 0.9)(milliseconds, counts) AS quantiles
SELECT
    sum(d.samples) AS samples,
    if(samples = 0, NULL, toFloat64(sum(d.sum_ms)) / samples) AS average_ms,
    -- By nearest rank: the ceil(q * n)-th smallest.
    if(samples = 0, NULL, quantiles[1]) AS p50_ms,
    if(samples = 0, NULL, quantiles[2]) AS p90_ms,
    (SELECT maxOrNull(as_of) FROM intel.refreshes) AS as_of
FROM intel.days_decision_times AS d FINAL
WHERE slice = wanted
    AND day BETWEEN {first_day:Date} AND {last_day:Date}
    AND ({engine_version:String} = '' OR has(splitByChar('\n', {engine_version:String}), toString(engine_version)))
    AND ({recommendation_type:String} = '' OR has(splitByChar('\n', {recommendation_type:String}), toString(recommendation_type)))
    AND ({confidence:String} = '' OR has(splitByChar('\n', {confidence:String}), toString(confidence)))
    AND ({service_name:String} = '' OR has(splitByChar('\n', {service_name:String}), toString(service_name)))
COMMENT 'Time to decide in milliseconds: average, p50 and p90 over the decisions that have one';

CREATE OR REPLACE VIEW metrics.decision_time
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT *
FROM metrics.decision_time_between(
    first_day = (SELECT first_day FROM metrics.last_days(days = {days:UInt16})),
    last_day = (SELECT last_day FROM metrics.last_days(days = {days:UInt16})),
    engine_version = '', recommendation_type = '', confidence = '', service_name = '')
COMMENT 'decision_time_between of today and the days before it, days in all';

CREATE OR REPLACE VIEW metrics.false_positive_rate_between
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    sum(d.outcomes) AS outcomes,
    sumIf(d.outcomes, outcome_status = 'FALSE_POSITIVE') AS false_positives,
    if(outcomes = 0, NULL, false_positives / outcomes) AS false_positive_rate,
    (SELECT maxOrNull(as_of) FROM intel.refreshes) AS as_of
FROM intel.days_outcomes AS d FINAL
WHERE day BETWEEN {first_day:Date} AND {last_day:Date}
    AND ({engine_version:String} = '' OR has(splitByChar('\n', {engine_version:String}), toString(engine_version)))
    AND ({service_name:String} = '' OR has(splitByChar('\n', {service_name:String}), toString(service_name)))
COMMENT 'False positives per first outcome';

CREATE OR REPLACE VIEW metrics.false_positive_rate
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT *
FROM metrics.false_positive_rate_between(
    first_day = (SELECT first_day FROM metrics.last_days(days = {days:UInt16})),
    last_day = (SELECT last_day FROM metrics.last_days(days = {days:UInt16})),
    engine_version = '', service_name = '')
COMMENT 'false_positive_rate_between of today and the days before it, days in all';

CREATE OR REPLACE VIEW metrics.outcome_distribution_between
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    outcome_status,
    count,
    if(outcomes = 0, NULL, count / outcomes) AS share,
    outcomes,
    (SELECT maxOrNull(as_of) FROM intel.refreshes) AS as_of
FROM
(
    SELECT
        -- generated: outcomes by status
        ['RESOLVED', 'ESCALATED', 'NO_ACTION', 'FALSE_POSITIVE'] AS statuses,
        [sumIf(d.outcomes, outcome_status = 'RESOLVED'), sumIf(d.outcomes, outcome_status = 'ESCALATED'), sumIf(d.outcomes, outcome_status = 'NO_ACTION'), sumIf(d.outcomes, outcome_status = 'FALSE_POSITIVE')] AS counts,
        -- /generated
        sum(d.outcomes) AS outcomes
    FROM intel.days_outcomes AS d FINAL
    WHERE day BETWEEN {first_day:Date} AND {last_day:Date}
        AND ({engine_version:String} = '' OR has(splitByChar('\n', {engine_version:String}), toString(engine_version)))
        AND ({service_name:String} = '' OR has(splitByChar('\n', {service_name:String}), toString(service_name)))
)
ARRAY JOIN statuses AS outcome_status, counts AS count
COMMENT 'First outcomes by status, one row per status, zeros included';

CREATE OR REPLACE VIEW metrics.outcome_distribution
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT *
FROM metrics.outcome_distribution_between(
    first_day = (SELECT first_day FROM metrics.last_days(days = {days:UInt16})),
    last_day = (SELECT last_day FROM metrics.last_days(days = {days:UInt16})),
    engine_version = '', service_name = '')
COMMENT 'outcome_distribution_between of today and the days before it, days in all';

CREATE OR REPLACE VIEW metrics.engine_comparison
DEFINER = intel_owner SQL SECURITY DEFINER
AS
WITH
    -- By hand: proportionsZTest() answers NaN if a version has no accepted decision.
    -- Pooled for the test, not pooled for the interval: under the null hypothesis the shares are equal, in the interval they are not.
    (accepted_a + accepted_b) / (decisions_a + decisions_b) AS pooled,
    sqrt(pooled * (1 - pooled) * (1 / decisions_a + 1 / decisions_b)) AS pooled_error,
    sqrt(acceptance_share_a * (1 - acceptance_share_a) / decisions_a
        + acceptance_share_b * (1 - acceptance_share_b) / decisions_b) AS error
SELECT
    {version_a:String} AS version_a,
    {version_b:String} AS version_b,
    decisions_a,
    accepted_a,
    if(decisions_a = 0, NULL, accepted_a / decisions_a) AS acceptance_share_a,
    decisions_b,
    accepted_b,
    if(decisions_b = 0, NULL, accepted_b / decisions_b) AS acceptance_share_b,
    acceptance_share_b - acceptance_share_a AS difference,
    -- nullIf: an interval without width would claim certainty.
    difference - 1.959963984540054 * nullIf(error, 0) AS difference_low,
    difference + 1.959963984540054 * nullIf(error, 0) AS difference_high,
    erfc(abs(difference) / nullIf(pooled_error, 0) / sqrt(2)) AS p_value
FROM
(
    SELECT
        sumIf(accepted, engine_version = {version_a:String}) AS accepted_a,
        sumIf(decisions, engine_version = {version_a:String}) AS decisions_a,
        sumIf(accepted, engine_version = {version_b:String}) AS accepted_b,
        sumIf(decisions, engine_version = {version_b:String}) AS decisions_b
    FROM metrics.recommendations_daily
    WHERE day BETWEEN (SELECT first_day FROM metrics.last_days(days = {days:UInt16}))
        AND (SELECT last_day FROM metrics.last_days(days = {days:UInt16}))
)
COMMENT 'Acceptance share of two engine versions: difference B - A, its 95 % interval, p of the z-test';
