-- What the refresh (clickhouse/refresh) keeps up to date, so that a number reads a few rows and not all events.
-- Only the refresh writes here, one statement at a time: so the first copy of an event that it takes into the facts stays
-- the one that counts, and every later copy changes nothing.

-- Its rows are deleted when the refresh has worked on them. The block number says how far it has come: a later insert has a
-- larger one, whatever the clock says.
CREATE TABLE IF NOT EXISTS intel.arrivals
(
    kind LowCardinality(String),
    event_id String CODEC(ZSTD(1)),
    event_name LowCardinality(String),
    timestamp DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ingested_at DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    risk_signal_id Nullable(String) CODEC(ZSTD(1)),
    admin_id Nullable(String) CODEC(ZSTD(1)),
    recommendation_type LowCardinality(String),
    confidence LowCardinality(String),
    decision_time_ms Nullable(Int64) CODEC(ZSTD(1)),
    outcome_status LowCardinality(String),
    resolution_time_hours Nullable(Float64) CODEC(ZSTD(1)),
    note_id Nullable(String) CODEC(ZSTD(1)),
    engine_version LowCardinality(String),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    trace_flags UInt8,
    service_name LowCardinality(String)
)
ENGINE = MergeTree
PARTITION BY toDate(ingested_at)
ORDER BY ingested_at
SETTINGS enable_block_number_column = 1
COMMENT 'Typed events that have arrived and are not in the facts yet, copies included';

-- Which run of the refresh took a fact in: what it touches has to be computed anew.
ALTER TABLE intel.recommendation_events ADD COLUMN IF NOT EXISTS cycle UInt32 CODEC(Delta(4), ZSTD(1));
ALTER TABLE intel.signal_outcomes ADD COLUMN IF NOT EXISTS cycle UInt32 CODEC(Delta(4), ZSTD(1));
ALTER TABLE intel.admin_views ADD COLUMN IF NOT EXISTS cycle UInt32 CODEC(Delta(4), ZSTD(1));
ALTER TABLE intel.recommendation_events ADD INDEX IF NOT EXISTS idx_cycle cycle TYPE minmax GRANULARITY 1;
ALTER TABLE intel.signal_outcomes ADD INDEX IF NOT EXISTS idx_cycle cycle TYPE minmax GRANULARITY 1;
ALTER TABLE intel.admin_views ADD INDEX IF NOT EXISTS idx_cycle cycle TYPE minmax GRANULARITY 1;

-- The last row must never go, as by a TTL after a quiet month: later runs need a larger number than all before. It also
-- has the time zone whose days the numbers are counted by. If it is not complete, the next run computes all numbers anew.
-- computed: what the runs up to this one have taken in is in all numbers. kept: days before it are not computed anew,
-- because facts that they follow from were deleted.
CREATE TABLE IF NOT EXISTS intel.refreshes
(
    cycle UInt32,
    seen UInt64,
    as_of DateTime64(3, 'UTC'),
    time_zone LowCardinality(String) DEFAULT 'UTC',
    is_complete Bool DEFAULT true,
    computed UInt32 DEFAULT cycle,
    kept Date DEFAULT toDate(0),
    finished_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(cycle)
ORDER BY toDate(finished_at)
COMMENT 'The last run of the refresh of each day: seen is the last block of arrivals that is in all numbers';

CREATE TABLE IF NOT EXISTS intel.decisions
(
    event_id String CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ingested_at DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    risk_signal_id String CODEC(ZSTD(1)),
    admin_id String CODEC(ZSTD(1)),
    action LowCardinality(String),
    recommendation_type LowCardinality(String),
    confidence LowCardinality(String),
    decision_time_ms Nullable(Int64) CODEC(ZSTD(1)),
    engine_version LowCardinality(String),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    trace_flags UInt8,
    service_name LowCardinality(String),
    cycle UInt32 CODEC(Delta(4), ZSTD(1)),
    INDEX idx_timestamp timestamp TYPE minmax GRANULARITY 1,
    INDEX idx_cycle cycle TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(cycle)
ORDER BY event_id
COMMENT 'Decisions, each with its decision time: given, or paired with the view before it';

CREATE TABLE IF NOT EXISTS intel.outcomes
(
    event_id String CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ingested_at DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    risk_signal_id String CODEC(ZSTD(1)),
    admin_id Nullable(String) CODEC(ZSTD(1)),
    outcome_status LowCardinality(String),
    is_first UInt8,
    resolution_time_hours Nullable(Float64) CODEC(ZSTD(1)),
    note_id Nullable(String) CODEC(ZSTD(1)),
    engine_version LowCardinality(String),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    trace_flags UInt8,
    service_name LowCardinality(String),
    cycle UInt32 CODEC(Delta(4), ZSTD(1)),
    INDEX idx_timestamp timestamp TYPE minmax GRANULARITY 1,
    INDEX idx_cycle cycle TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(cycle)
ORDER BY event_id
COMMENT 'Outcomes of risk signals; is_first marks the one that counts';

-- Each kind of number has rows of its own. A dimension is a value, or '' for all values: a question reads the rows that
-- have just its filters. Counts are a map: a new action or status needs no new table. A day's row that is empty has
-- nothing left. Small granules: a question reads a hundred rows, and lists are long.
CREATE TABLE IF NOT EXISTS intel.days
(
    kind LowCardinality(String),
    day Date,
    service_name LowCardinality(String),
    engine_version LowCardinality(String),
    recommendation_type LowCardinality(String),
    confidence LowCardinality(String),
    counts Map(LowCardinality(String), UInt64),
    sum_ms Int128,
    sum_hours Float64,
    milliseconds Array(Int64) CODEC(ZSTD(1)),
    times Array(UInt64) CODEC(ZSTD(1)),
    cycle UInt32
)
ENGINE = ReplacingMergeTree(cycle)
ORDER BY (kind, engine_version, recommendation_type, confidence, service_name, day)
SETTINGS index_granularity = 64, min_bytes_for_wide_part = 1000000000
COMMENT 'Counts, decision times and outcomes per day and dimensions, and over all values of each dimension';

CREATE TABLE IF NOT EXISTS intel.days_engagement
(
    day Date,
    service_name LowCardinality(String),
    engine_version LowCardinality(String),
    admin_id String,
    view_kind LowCardinality(String),
    events UInt64,
    cycle UInt32
)
ENGINE = ReplacingMergeTree(cycle)
ORDER BY (day, service_name, engine_version, admin_id, view_kind)
SETTINGS index_granularity = 1024, min_bytes_for_wide_part = 1000000000
COMMENT 'View events per day, dimensions and admin';

-- What admins did: without rows over all values, because an admin has few of a day.
CREATE TABLE IF NOT EXISTS intel.days_admins
(
    kind LowCardinality(String),
    day Date,
    admin_id String,
    service_name LowCardinality(String),
    engine_version LowCardinality(String),
    recommendation_type LowCardinality(String),
    confidence LowCardinality(String),
    counts Map(LowCardinality(String), UInt64),
    sum_ms Int128,
    milliseconds Array(Int64) CODEC(ZSTD(1)),
    times Array(UInt64) CODEC(ZSTD(1)),
    cycle UInt32
)
ENGINE = ReplacingMergeTree(cycle)
ORDER BY (day, admin_id, engine_version, recommendation_type, confidence, service_name, kind)
SETTINGS index_granularity = 256
COMMENT 'Recommendation events and decision times per day, admin and dimensions';
