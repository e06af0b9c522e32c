-- Facts: each event once, typed. typed_events is the one place that every landing row passes through; the materialized
-- views of views/10_facts.sql sort its rows by kind into exactly one of the tables below.
-- A fact is keyed by the event's id alone, so that a copy with another timestamp still is the same event; the version
-- falls with the time of arrival, so that the first copy wins. Ids are UUIDv7: the key's order is nearly the time's.

CREATE TABLE IF NOT EXISTS intel.typed_events
(
    kind LowCardinality(String),
    rejected_reason LowCardinality(String),
    event_id String,
    event_name LowCardinality(String),
    timestamp DateTime64(9, 'UTC'),
    ingested_at DateTime64(9, 'UTC'),
    risk_signal_id Nullable(String),
    admin_id Nullable(String),
    recommendation_type LowCardinality(String),
    confidence LowCardinality(String),
    decision_time_ms Nullable(Int64),
    outcome_status LowCardinality(String),
    resolution_time_hours Nullable(Float64),
    note_id Nullable(String),
    engine_version LowCardinality(String),
    trace_id String,
    span_id String,
    trace_flags UInt8,
    service_name LowCardinality(String),
    attributes Map(LowCardinality(String), String)
)
ENGINE = Null
COMMENT 'Every landing row, typed and judged; stores nothing';

CREATE TABLE IF NOT EXISTS intel.recommendation_events
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
    version UInt64 MATERIALIZED bitNot(toUInt64(toUnixTimestamp64Nano(ingested_at))) CODEC(Delta(8), ZSTD(1)),
    INDEX idx_timestamp timestamp TYPE minmax GRANULARITY 1,
    INDEX idx_signal risk_signal_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
ORDER BY event_id
COMMENT 'Facts: recommendations viewed, accepted, ignored, overridden';

CREATE TABLE IF NOT EXISTS intel.signal_outcomes
(
    event_id String CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ingested_at DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    risk_signal_id String CODEC(ZSTD(1)),
    admin_id Nullable(String) CODEC(ZSTD(1)),
    outcome_status LowCardinality(String),
    resolution_time_hours Nullable(Float64) CODEC(ZSTD(1)),
    note_id Nullable(String) CODEC(ZSTD(1)),
    engine_version LowCardinality(String),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    trace_flags UInt8,
    service_name LowCardinality(String),
    version UInt64 MATERIALIZED bitNot(toUInt64(toUnixTimestamp64Nano(ingested_at))) CODEC(Delta(8), ZSTD(1)),
    INDEX idx_timestamp timestamp TYPE minmax GRANULARITY 1,
    INDEX idx_signal risk_signal_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
ORDER BY event_id
COMMENT 'Facts: outcomes of risk signals';

CREATE TABLE IF NOT EXISTS intel.admin_views
(
    event_id String CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ingested_at DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    risk_signal_id Nullable(String) CODEC(ZSTD(1)),
    admin_id String CODEC(ZSTD(1)),
    view_kind LowCardinality(String),
    note_id Nullable(String) CODEC(ZSTD(1)),
    engine_version LowCardinality(String),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    trace_flags UInt8,
    service_name LowCardinality(String),
    version UInt64 MATERIALIZED bitNot(toUInt64(toUnixTimestamp64Nano(ingested_at))) CODEC(Delta(8), ZSTD(1)),
    INDEX idx_timestamp timestamp TYPE minmax GRANULARITY 1,
    INDEX idx_signal risk_signal_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
ORDER BY event_id
COMMENT 'Facts: what admins looked at and noted';

-- A row is identified by its arrival: a rebuild writes the same row again, and it stays one row.
CREATE TABLE IF NOT EXISTS intel.rejected_events
(
    ingested_at DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    event_id String CODEC(ZSTD(1)),
    event_name LowCardinality(String),
    reason LowCardinality(String),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    service_name LowCardinality(String)
)
ENGINE = ReplacingMergeTree
ORDER BY (ingested_at, event_id)
TTL toDateTime(ingested_at) + INTERVAL 13 MONTH
COMMENT 'What does not fit the catalogue, with the reason';

CREATE TABLE IF NOT EXISTS intel.pipeline_reports
(
    event_id String CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ingested_at DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    event_name LowCardinality(String),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    service_name LowCardinality(String),
    version UInt64 MATERIALIZED bitNot(toUInt64(toUnixTimestamp64Nano(ingested_at))) CODEC(Delta(8), ZSTD(1)),
    INDEX idx_timestamp timestamp TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
ORDER BY event_id
TTL toDateTime(ingested_at) + INTERVAL 90 DAY
COMMENT 'Internal events: reports of the sending processes and probes of the doctor';
