-- One row per decision with its decision time: the given one, else the milliseconds since the admin's first view of the
-- signal after the admin's previous decision on it, at most 7 x 24 hours back. Reads the facts; writes nothing.

CREATE OR REPLACE VIEW metrics.decisions_between
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT
    decision.event_id AS event_id,
    decision.timestamp AS timestamp,
    decision.ingested_at AS ingested_at,
    risk_signal_id,
    admin_id,
    decision.action AS action,
    decision.recommendation_type AS recommendation_type,
    decision.confidence AS confidence,
    coalesce(decision.given_ms, if(first.is_decision, NULL, decision.ms - first.ms)) AS decision_time_ms,
    decision.engine_version AS engine_version,
    decision.trace_id AS trace_id,
    decision.span_id AS span_id,
    decision.trace_flags AS trace_flags,
    decision.service_name AS service_name
FROM
(
    WITH
        -- generated: decisions
        indexOf(['ACCEPTED', 'IGNORED', 'OVERRIDDEN'], action) AS rank,
        -- /generated
        toUnixTimestamp64Milli(timestamp) AS ms,
        -- The first three elements decide the order of the tuples: the third, the id, is unique.
        arraySort(groupArrayIf(CAST((
            ms, rank, event_id, timestamp, ingested_at, action, recommendation_type, confidence, decision_time_ms,
            engine_version, trace_id, span_id, trace_flags, service_name
        ), 'Tuple(
            ms Int64, rank UInt8, event_id String, timestamp DateTime64(9, \'UTC\'), ingested_at DateTime64(9, \'UTC\'),
            action LowCardinality(String), recommendation_type LowCardinality(String), confidence LowCardinality(String),
            given_ms Nullable(Int64), engine_version LowCardinality(String), trace_id String, span_id String,
            trace_flags UInt8, service_name LowCardinality(String)
        )'), rank > 0)) AS sorted,
        -- A view in the same millisecond as a decision is sorted before it and belongs to it, whatever its id.
        arraySort(groupArray(CAST((ms, rank > 0), 'Tuple(ms Int64, is_decision Bool)'))) AS steps,
        -- One run for each decision: an admin's steps on a signal up to it. Steps after the last decision are dropped.
        arrayResize(arrayReverseSplit(step -> step.is_decision, steps), length(sorted)) AS runs,
        arrayMap(run -> run[-1].ms - 7 * 24 * 3600 * 1000, runs) AS horizons
    SELECT
        risk_signal_id,
        admin_id,
        sorted AS decisions,
        -- If there was no view, this finds the decision itself; then there is no decision time.
        arrayMap((run, horizon) -> arrayFirst(step -> step.ms >= horizon, run), runs, horizons) AS firsts
    FROM intel.recommendation_events FINAL
    WHERE timestamp >= toDateTime64({first_day:Date}, 9, 'UTC') - INTERVAL 7 DAY
        AND timestamp < toDateTime64({last_day:Date} + 1, 9, 'UTC')
        AND (action = 'VIEWED' OR rank > 0)
    GROUP BY risk_signal_id, admin_id
    HAVING maxIf(timestamp, rank > 0) >= toDateTime64({first_day:Date}, 9, 'UTC')
)
-- ARRAY JOIN copies columns for each decision, so none may be a list of all views: a page reloaded for days has many.
ARRAY JOIN decisions AS decision, firsts AS first
WHERE decision.timestamp >= toDateTime64({first_day:Date}, 9, 'UTC')
COMMENT 'Decisions of the days first_day..last_day, both included; the pairing looks back as far as it has to';

CREATE OR REPLACE VIEW metrics.decisions
DEFINER = intel_owner SQL SECURITY DEFINER
AS
SELECT *
FROM metrics.decisions_between(first_day = '1970-01-01', last_day = '2149-06-05')
COMMENT 'One row per decision with its decision_time_ms, given or paired; NULL when neither';
