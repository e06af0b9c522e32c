-- One row a risk signal: what all facts about it say together. A fact that is added twice changes nothing, so the refresh
-- adds what is new and reads nothing old. Rows of different generations are not merged: a full computation begins a new
-- generation from all facts, and then deletes the older ones.

CREATE TABLE IF NOT EXISTS intel.signals
(
    risk_signal_id String CODEC(ZSTD(1)),
    generation UInt32,
    first_viewed_at SimpleAggregateFunction(min, Nullable(DateTime64(9, 'UTC'))),
    -- Of the first view by time and id.
    first_view AggregateFunction(argMin,
        Tuple(service_name String, engine_version String, recommendation_type String, confidence String),
        Tuple(DateTime64(9, 'UTC'), String)),
    -- An earlier view that arrives late moves the signal from one of these days to another.
    view_days SimpleAggregateFunction(groupUniqArrayArray, Array(Date)),
    first_decided_at SimpleAggregateFunction(min, Nullable(DateTime64(9, 'UTC'))),
    first_outcome_status AggregateFunction(argMin, String, Tuple(DateTime64(9, 'UTC'), String)),
    cycle SimpleAggregateFunction(max, UInt32),
    INDEX idx_first_viewed_at first_viewed_at TYPE minmax GRANULARITY 1,
    INDEX idx_cycle cycle TYPE minmax GRANULARITY 1
)
ENGINE = AggregatingMergeTree
PARTITION BY generation
ORDER BY risk_signal_id
COMMENT 'Risk signals: their first view, first decision and first outcome';

ALTER TABLE intel.days_engagement ADD COLUMN IF NOT EXISTS hours Map(UInt8, UInt64);

-- What was counted before has neither signals nor hours: the next run of the refresh computes all numbers anew. A run that
-- is under way has the number after the last one.
INSERT INTO intel.refreshes (cycle, seen, as_of, time_zone, is_complete, computed, kept)
SELECT
    max(cycle) + 2 AS cycle, argMax(r.seen, r.cycle), argMax(r.as_of, r.cycle), argMax(r.time_zone, r.cycle),
    false, argMax(r.computed, r.cycle), argMax(r.kept, r.cycle)
FROM intel.refreshes AS r
HAVING count() > 0;
