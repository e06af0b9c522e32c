-- One row per decision with its decision time: the given one, else the milliseconds since the admin's first view of the
-- signal after the admin's previous decision on it, at most 7 x 24 hours back. Reads the facts; writes intel.decisions.
-- Computes anew what an event touches: the decisions of its admin on its signal, from its moment to 7 days later.

INSERT INTO intel.decisions
    (event_id, timestamp, ingested_at, risk_signal_id, admin_id, action, recommendation_type, confidence,
    decision_time_ms, engine_version, trace_id, span_id, trace_flags, service_name, cycle)
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
    decision.service_name AS service_name,
    {cycle:UInt32} AS cycle
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
    WHERE timestamp >= toStartOfMillisecond({first:DateTime64(9, 'UTC')}) - INTERVAL 7 DAY
        AND timestamp < toStartOfMillisecond({last:DateTime64(9, 'UTC')}) + INTERVAL 7 DAY + INTERVAL 1 MILLISECOND
        AND (action = 'VIEWED' OR rank > 0)
        AND (risk_signal_id, admin_id) GLOBAL IN (
            SELECT risk_signal_id, admin_id
            FROM intel.recommendation_events
            WHERE cycle >= {since:UInt32}
                AND timestamp BETWEEN {first:DateTime64(9, 'UTC')} AND {last:DateTime64(9, 'UTC')})
    GROUP BY risk_signal_id, admin_id
    HAVING max(rank) > 0
)
-- ARRAY JOIN copies columns for each decision, so none may be a list of all views: a page reloaded for days has many.
ARRAY JOIN decisions AS decision, firsts AS first
WHERE decision.timestamp >= toStartOfMillisecond({first:DateTime64(9, 'UTC')})
    -- Views before it may be deleted already.
    AND toDate(decision.timestamp, {time_zone:String}) >= {kept:Date};
