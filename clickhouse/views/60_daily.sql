-- One row per day and dimensions, counts as columns: the base of every graph. Reads what the refresh
-- has counted; writes nothing.

CREATE OR REPLACE VIEW metrics.recommendations_daily
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    day,
    service_name,
    engine_version,
    recommendation_type,
    confidence,
    -- generated: counts of actions
    sumIf(events, action = 'VIEWED') AS viewed,
    sumIf(events, action = 'ACCEPTED') AS accepted,
    sumIf(events, action = 'IGNORED') AS ignored,
    sumIf(events, action = 'OVERRIDDEN') AS overridden,
    accepted + ignored + overridden AS decisions
    -- /generated
FROM intel.days_recommendations FINAL
GROUP BY day, service_name, engine_version, recommendation_type, confidence
HAVING sum(events) > 0
COMMENT 'Recommendation events per day and dimensions';

CREATE OR REPLACE VIEW metrics.decision_times_daily
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    day,
    service_name,
    engine_version,
    recommendation_type,
    confidence,
    samples,
    toFloat64(sum_ms) AS sum_ms,
    mapFromArrays(milliseconds, counts) AS histogram
FROM intel.days_decision_times FINAL
WHERE slice = '*' AND samples > 0
COMMENT 'Decision times per day and dimensions; histogram is milliseconds -> samples, sumMap() adds days up';

CREATE OR REPLACE VIEW metrics.outcomes_daily
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    day,
    service_name,
    engine_version,
    -- generated: counts of outcomes
    sumIf(d.outcomes, outcome_status = 'RESOLVED') AS resolved,
    sumIf(d.outcomes, outcome_status = 'ESCALATED') AS escalated,
    sumIf(d.outcomes, outcome_status = 'NO_ACTION') AS no_action,
    sumIf(d.outcomes, outcome_status = 'FALSE_POSITIVE') AS false_positive,
    resolved + escalated + no_action + false_positive AS outcomes,
    -- /generated
    sum(d.hours_samples) AS hours_samples,
    sum(d.sum_hours) AS sum_hours
FROM intel.days_outcomes AS d FINAL
GROUP BY day, service_name, engine_version
HAVING sum(d.outcomes) > 0
COMMENT 'First outcomes of signals per day; sum_hours is over hours_samples outcomes that carry a resolution time';

CREATE OR REPLACE VIEW metrics.engagement_daily
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    day,
    service_name,
    engine_version,
    admin_id,
    -- generated: counts of views
    sumIf(events, view_kind = 'dashboard.opened') AS dashboard_opened,
    sumIf(events, view_kind = 'signal.detail_opened') AS signal_detail_opened,
    sumIf(events, view_kind = 'explanation.expanded') AS explanation_expanded,
    sumIf(events, view_kind = 'note.created') AS note_created,
    dashboard_opened + signal_detail_opened + explanation_expanded + note_created AS total
    -- /generated
FROM intel.days_engagement FINAL
GROUP BY day, service_name, engine_version, admin_id
HAVING sum(events) > 0
COMMENT 'View events per day and admin, one column per kind';
