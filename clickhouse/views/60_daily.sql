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
    counts['viewed'] AS viewed,
    counts['accepted'] AS accepted,
    counts['ignored'] AS ignored,
    counts['overridden'] AS overridden,
    counts['decisions'] AS decisions
    -- /generated
FROM intel.days FINAL
WHERE kind = 'recommendations' AND notEmpty(counts)
    -- Rows of one value of each dimension, not of all.
    AND service_name != '' AND engine_version != '' AND recommendation_type != '' AND confidence != ''
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
    counts['samples'] AS samples,
    toFloat64(sum_ms) AS sum_ms,
    mapFromArrays(milliseconds, times) AS histogram
FROM intel.days FINAL
WHERE kind = 'decision_times' AND samples > 0
    AND service_name != '' AND engine_version != '' AND recommendation_type != '' AND confidence != ''
COMMENT 'Decision times per day and dimensions; histogram is milliseconds -> samples, sumMap() adds days up';

CREATE OR REPLACE VIEW metrics.outcomes_daily
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    day,
    service_name,
    engine_version,
    -- generated: counts of outcomes
    counts['resolved'] AS resolved,
    counts['escalated'] AS escalated,
    counts['no_action'] AS no_action,
    counts['false_positive'] AS false_positive,
    counts['outcomes'] AS outcomes,
    -- /generated
    counts['hours_samples'] AS hours_samples,
    sum_hours
FROM intel.days FINAL
WHERE kind = 'outcomes' AND notEmpty(counts) AND service_name != '' AND engine_version != ''
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
    dashboard_opened + signal_detail_opened + explanation_expanded + note_created AS total,
    -- /generated
    sumMap(d.hours) AS hours
FROM intel.days_engagement AS d FINAL
GROUP BY day, service_name, engine_version, admin_id
HAVING sum(events) > 0
COMMENT 'View events per day and admin, one column per kind';
