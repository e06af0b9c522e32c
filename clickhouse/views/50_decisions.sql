-- One row per decision with its time: the given one, else the milliseconds since the first view of that signal by that
-- admin after that admin's previous decision on it, at most 7 x 24 hours back. Reads the facts; writes nothing.

CREATE OR REPLACE VIEW metrics.decisions_between
DEFINER = intel_owner SQL SECURITY DEFINER
AS
WITH 7 * 24 * 3600 * 1000 AS horizon_ms
SELECT
    decision.3 AS event_id,
    decision.4 AS timestamp,
    decision.5 AS ingested_at,
    risk_signal_id,
    admin_id,
    decision.6 AS action,
    decision.7 AS recommendation_type,
    decision.8 AS confidence,
    coalesce(decision.9, if(first_view_ms <= decision.1, decision.1 - first_view_ms, NULL)) AS decision_time_ms,
    decision.10 AS engine_version,
    decision.11 AS trace_id,
    decision.12 AS span_id,
    decision.13 AS trace_flags,
    decision.14 AS service_name
FROM
(
    SELECT
        risk_signal_id,
        admin_id,
        decision,
        arrayFirstOrNull(view_ms -> view_ms >= greatest(since_ms, decision.1 - horizon_ms), views) AS first_view_ms
    FROM
    (
        SELECT
            risk_signal_id,
            admin_id,
            -- Of views the time is all that counts: one in the millisecond of a decision belongs to that decision, whatever its id.
            arraySort(groupArrayIf(toUnixTimestamp64Milli(timestamp), action = 'VIEWED')) AS views,
            -- The tuples sort by their first three elements, of which the id is unique.
            arraySort(groupArrayIf((
                toUnixTimestamp64Milli(timestamp),
                indexOf(['ACCEPTED', 'IGNORED', 'OVERRIDDEN'], action),
                event_id, timestamp, ingested_at, action, recommendation_type, confidence, decision_time_ms,
                engine_version, trace_id, span_id, trace_flags, service_name
            ), action != 'VIEWED')) AS decisions,
            -- A decision's views begin after the millisecond of the decision before it.
            arrayPopBack(arrayPushFront(arrayMap(d -> d.1 + 1, decisions), toInt64(0))) AS begins
        FROM intel.recommendation_events FINAL
        WHERE timestamp >= toDateTime64({first_day:Date}, 9, 'UTC') - INTERVAL 7 DAY
            AND timestamp < toDateTime64({last_day:Date} + 1, 9, 'UTC')
        GROUP BY risk_signal_id, admin_id
        HAVING maxIf(timestamp, action != 'VIEWED') >= toDateTime64({first_day:Date}, 9, 'UTC')
    )
    ARRAY JOIN decisions AS decision, begins AS since_ms
    WHERE decision.4 >= toDateTime64({first_day:Date}, 9, 'UTC')
)
COMMENT 'Decisions of the days first_day..last_day, both included; the pairing looks back as far as it has to';

CREATE OR REPLACE VIEW metrics.decisions
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT *
FROM metrics.decisions_between(first_day = '1970-01-01', last_day = '2149-06-05')
COMMENT 'One row per decision with its decision_time_ms, given or paired; NULL when neither';
