-- One row per decision with its time: the given one, else the milliseconds since the first view of that signal by that
-- admin after that admin's previous decision on it, at most 7 x 24 hours back. Reads the facts; writes nothing.

CREATE OR REPLACE VIEW metrics.decisions_between
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    decision.3 AS event_id,
    decision.4 AS timestamp,
    decision.5 AS ingested_at,
    risk_signal_id,
    admin_id,
    decision.6 AS action,
    decision.7 AS recommendation_type,
    decision.8 AS confidence,
    coalesce(decision.9, if(first.2, NULL, decision.1 - first.1)) AS decision_time_ms,
    decision.10 AS engine_version,
    decision.11 AS trace_id,
    decision.12 AS span_id,
    decision.13 AS trace_flags,
    decision.14 AS service_name
FROM
(
    WITH
        -- The tuples sort by their first three elements, of which the id is unique.
        arraySort(groupArrayIf((
            toUnixTimestamp64Milli(timestamp),
            indexOf(['ACCEPTED', 'IGNORED', 'OVERRIDDEN'], action),
            event_id, timestamp, ingested_at, action, recommendation_type, confidence, decision_time_ms,
            engine_version, trace_id, span_id, trace_flags, service_name
        ), action != 'VIEWED')) AS sorted,
        -- Time, and whether it is a decision: a view in the millisecond of a decision belongs to that decision, whatever its id.
        arraySort(groupArray((toUnixTimestamp64Milli(timestamp), action != 'VIEWED'))) AS steps,
        -- What one admin did on one signal up to and including a decision; what follows the last decision is cut off.
        arrayResize(arrayReverseSplit(e -> e.2, steps), length(sorted)) AS runs,
        arrayMap(run -> run[-1].1 - 7 * 24 * 3600 * 1000, runs) AS horizons
    SELECT
        risk_signal_id,
        admin_id,
        sorted AS decisions,
        -- Finds at least the decision itself: then there was no view to pair it with.
        arrayMap((run, horizon_ms) -> arrayFirst(e -> e.1 >= horizon_ms, run), runs, horizons) AS firsts
    FROM intel.recommendation_events FINAL
    WHERE timestamp >= toDateTime64({first_day:Date}, 9, 'UTC') - INTERVAL 7 DAY
        AND timestamp < toDateTime64({last_day:Date} + 1, 9, 'UTC')
    GROUP BY risk_signal_id, admin_id
    HAVING maxIf(timestamp, action != 'VIEWED') >= toDateTime64({first_day:Date}, 9, 'UTC')
)
-- Of what is copied for each decision nothing may be as long as the views: a page that is reloaded for days has many.
ARRAY JOIN decisions AS decision, firsts AS first
WHERE decision.4 >= toDateTime64({first_day:Date}, 9, 'UTC')
COMMENT 'Decisions of the days first_day..last_day, both included; the pairing looks back as far as it has to';

CREATE OR REPLACE VIEW metrics.decisions
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT *
FROM metrics.decisions_between(first_day = '1970-01-01', last_day = '2149-06-05')
COMMENT 'One row per decision with its decision_time_ms, given or paired; NULL when neither';
