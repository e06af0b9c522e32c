-- One row per UTC day and dimensions, counts as columns: the base of every graph. Reads the facts; writes nothing.

CREATE OR REPLACE VIEW metrics.recommendations_daily
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    toDate(timestamp, 'UTC') AS day,
    service_name,
    engine_version,
    recommendation_type,
    confidence,
    -- generated: counts of actions
    countIf(action = 'VIEWED') AS viewed,
    countIf(action = 'ACCEPTED') AS accepted,
    countIf(action = 'IGNORED') AS ignored,
    countIf(action = 'OVERRIDDEN') AS overridden,
    accepted + ignored + overridden AS decisions
    -- /generated
FROM intel.recommendation_events FINAL
GROUP BY day, service_name, engine_version, recommendation_type, confidence
COMMENT 'Recommendation events per day and dimensions';

CREATE OR REPLACE VIEW metrics.decision_times_daily
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    toDate(timestamp, 'UTC') AS day,
    service_name,
    engine_version,
    recommendation_type,
    confidence,
    count() AS samples,
    -- Summed as a wider type: a few huge values must not overflow the sum.
    toFloat64(sum(toInt128(assumeNotNull(decision_time_ms)))) AS sum_ms,
    sumMap(map(assumeNotNull(decision_time_ms), toUInt64(1))) AS histogram
FROM metrics.decisions
WHERE isNotNull(decision_time_ms)
GROUP BY day, service_name, engine_version, recommendation_type, confidence
COMMENT 'Decision times per day and dimensions; histogram is milliseconds -> samples, sumMap() adds days up';

CREATE OR REPLACE VIEW metrics.outcomes_daily
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    toDate(timestamp, 'UTC') AS day,
    service_name,
    engine_version,
    -- generated: counts of outcomes
    countIf(outcome_status = 'RESOLVED') AS resolved,
    countIf(outcome_status = 'ESCALATED') AS escalated,
    countIf(outcome_status = 'NO_ACTION') AS no_action,
    countIf(outcome_status = 'FALSE_POSITIVE') AS false_positive,
    resolved + escalated + no_action + false_positive AS outcomes,
    -- /generated
    count(resolution_time_hours) AS hours_samples,
    ifNull(sum(resolution_time_hours), 0) AS sum_hours
FROM
(
    -- The same choice as is_first of metrics.signal_outcomes, over all time, but in one pass.
    SELECT timestamp, service_name, engine_version, outcome_status, resolution_time_hours
    FROM intel.signal_outcomes FINAL
    ORDER BY timestamp, event_id
    LIMIT 1 BY risk_signal_id
)
GROUP BY day, service_name, engine_version
COMMENT 'First outcomes of signals per day; sum_hours is over hours_samples outcomes that carry a resolution time';

CREATE OR REPLACE VIEW metrics.engagement_daily
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    toDate(timestamp, 'UTC') AS day,
    service_name,
    engine_version,
    admin_id,
    -- generated: counts of views
    countIf(view_kind = 'dashboard.opened') AS dashboard_opened,
    countIf(view_kind = 'signal.detail_opened') AS signal_detail_opened,
    countIf(view_kind = 'explanation.expanded') AS explanation_expanded,
    countIf(view_kind = 'note.created') AS note_created,
    dashboard_opened + signal_detail_opened + explanation_expanded + note_created AS total
    -- /generated
FROM intel.admin_views FINAL
GROUP BY day, service_name, engine_version, admin_id
COMMENT 'View events per day and admin, one column per kind';
