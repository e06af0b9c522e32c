-- The five numbers of a window of days, both ends included. A filter is one value, or several on lines of their own; ''
-- means all, and is what the rows over all values have: so an empty line must not be one. A rate whose denominator is 0
-- is NULL; nothing is clamped or rounded. Reads what the refresh has counted, without a view in between: each costs a
-- millisecond or two. Writes nothing.

CREATE OR REPLACE VIEW metrics.last_refresh
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    if(count() = 0, 'UTC', argMax(time_zone, cycle)) AS time_zone,
    -- The first run may not have come to its end yet.
    nullIf(max(as_of), toDateTime64(0, 3, 'UTC')) AS as_of
FROM intel.refreshes
COMMENT 'How far all numbers have come, and the time zone whose days they are counted by';

CREATE OR REPLACE VIEW metrics.last_days
DEFINER = intel_owner SQL SECURITY DEFINER
AS
WITH
    -- While ClickHouse only looks for a view's columns, the time zone is '', which it refuses as one.
    coalesce(nullIf((SELECT time_zone FROM metrics.last_refresh), ''), 'UTC') AS zone
SELECT
    toDate(greatest(toInt32(last_day) - {days:UInt16} + 1, 0)) AS first_day,
    toDate(now(), zone) AS last_day
COMMENT 'The window of today and the days before it, days in all';

CREATE OR REPLACE VIEW metrics.acceptance_rate_between
DEFINER = intel_owner SQL SECURITY DEFINER
AS
WITH sumMap(d.counts) AS counts
SELECT
    -- generated: counts of actions
    counts['viewed'] AS viewed,
    counts['accepted'] AS accepted,
    counts['ignored'] AS ignored,
    counts['overridden'] AS overridden,
    counts['decisions'] AS decisions,
    -- /generated
    accepted / nullIf(viewed, 0) AS acceptance_rate,
    accepted / nullIf(decisions, 0) AS acceptance_share
FROM intel.days AS d FINAL
WHERE kind = 'recommendations'
    AND day BETWEEN {first_day:Date} AND {last_day:Date}
    AND engine_version IN splitByRegexp('\n+', trim(BOTH '\n' FROM {engine_version:String}))
    AND recommendation_type IN splitByRegexp('\n+', trim(BOTH '\n' FROM {recommendation_type:String}))
    AND confidence IN splitByRegexp('\n+', trim(BOTH '\n' FROM {confidence:String}))
    AND service_name IN splitByRegexp('\n+', trim(BOTH '\n' FROM {service_name:String}))
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
WITH sumMap(d.counts) AS counts
SELECT
    counts['decisions'] AS decisions,
    counts['overridden'] AS overridden,
    overridden / nullIf(decisions, 0) AS override_rate
FROM intel.days AS d FINAL
WHERE kind = 'recommendations'
    AND day BETWEEN {first_day:Date} AND {last_day:Date}
    AND engine_version IN splitByRegexp('\n+', trim(BOTH '\n' FROM {engine_version:String}))
    AND recommendation_type IN splitByRegexp('\n+', trim(BOTH '\n' FROM {recommendation_type:String}))
    AND confidence IN splitByRegexp('\n+', trim(BOTH '\n' FROM {confidence:String}))
    AND service_name IN splitByRegexp('\n+', trim(BOTH '\n' FROM {service_name:String}))
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
WITH quantilesExactWeightedArray(0.5, 0.9)(milliseconds, times) AS quantiles
SELECT
    sum(d.counts['samples']) AS samples,
    toFloat64(sum(d.sum_ms)) / nullIf(samples, 0) AS average_ms,
    -- By nearest rank: the ceil(q * n)-th smallest.
    if(samples = 0, NULL, quantiles[1]) AS p50_ms,
    if(samples = 0, NULL, quantiles[2]) AS p90_ms
FROM intel.days AS d FINAL
WHERE kind = 'decision_times'
    AND day BETWEEN {first_day:Date} AND {last_day:Date}
    AND engine_version IN splitByRegexp('\n+', trim(BOTH '\n' FROM {engine_version:String}))
    AND recommendation_type IN splitByRegexp('\n+', trim(BOTH '\n' FROM {recommendation_type:String}))
    AND confidence IN splitByRegexp('\n+', trim(BOTH '\n' FROM {confidence:String}))
    AND service_name IN splitByRegexp('\n+', trim(BOTH '\n' FROM {service_name:String}))
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
WITH sumMap(d.counts) AS counts
SELECT
    counts['outcomes'] AS outcomes,
    counts['false_positive'] AS false_positives,
    false_positives / nullIf(outcomes, 0) AS false_positive_rate
FROM intel.days AS d FINAL
WHERE kind = 'outcomes' AND recommendation_type = '' AND confidence = ''  -- which outcomes do not have: it is for the key
    AND day BETWEEN {first_day:Date} AND {last_day:Date}
    AND engine_version IN splitByRegexp('\n+', trim(BOTH '\n' FROM {engine_version:String}))
    AND service_name IN splitByRegexp('\n+', trim(BOTH '\n' FROM {service_name:String}))
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
    counts[lower(outcome_status)] AS count,
    count / nullIf(outcomes, 0) AS share,
    counts['outcomes'] AS outcomes
FROM
(
    SELECT sumMap(d.counts) AS counts
    FROM intel.days AS d FINAL
    WHERE kind = 'outcomes' AND recommendation_type = '' AND confidence = ''
        AND day BETWEEN {first_day:Date} AND {last_day:Date}
        AND engine_version IN splitByRegexp('\n+', trim(BOTH '\n' FROM {engine_version:String}))
        AND service_name IN splitByRegexp('\n+', trim(BOTH '\n' FROM {service_name:String}))
)
-- generated: statuses
ARRAY JOIN ['RESOLVED', 'ESCALATED', 'NO_ACTION', 'FALSE_POSITIVE'] AS outcome_status
-- /generated
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
