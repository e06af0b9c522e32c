-- What arrives, as it arrives: append-only, kept 13 months after its arrival, the source that facts are rebuilt from.
-- Written by the Collector's clickhouse exporter (its columns, create_schema off) or by the ingest endpoint (views/30_ingest.sql).
-- No block deduplication: a retried block whose first attempt died half-way has to reach the facts; the event's id
-- is what makes a repeated delivery harmless.

CREATE TABLE IF NOT EXISTS intel.otel_logs
(
    Timestamp DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    TraceFlags UInt8,
    SeverityText LowCardinality(String) CODEC(ZSTD(1)),
    SeverityNumber UInt8,
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    Body String CODEC(ZSTD(1)),
    ResourceSchemaUrl LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeSchemaUrl LowCardinality(String) CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion LowCardinality(String) CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    LogAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    EventName LowCardinality(String) DEFAULT LogAttributes['otel.event.name'] CODEC(ZSTD(1)),
    -- The row number gives every row of a block its own time, so that "the first copy" is defined.
    IngestedAt DateTime64(9, 'UTC') DEFAULT addNanoseconds(now64(9, 'UTC'), rowNumberInAllBlocks()) CODEC(Delta(8), ZSTD(1)),
    EventId String MATERIALIZED LogAttributes['log.record.uid'] CODEC(ZSTD(1)),
    -- Two copies of one event agree in it, however their attributes were ordered on the way and whichever way they came
    -- (the Collector repeats the name as an attribute).
    ContentHash UInt64 MATERIALIZED cityHash64(Timestamp, EventName, TraceId, SpanId, mapSort(mapFilter((k, v) -> k != 'otel.event.name', LogAttributes))) CODEC(ZSTD(1)),
    -- Which process sent a row: what it says it delivered is compared with what is here (metrics.pipeline_health).
    ProcessId LowCardinality(String) MATERIALIZED LogAttributes['intel.pipeline.process.id'] CODEC(ZSTD(1)),
    INDEX idx_event_id EventId TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(Timestamp)
ORDER BY (EventName, toStartOfHour(Timestamp), Timestamp)
TTL toDateTime(IngestedAt) + INTERVAL 13 MONTH
COMMENT 'Landing: log records named intel.*, as they arrived';

-- Log records of other producers: looked at by people, read by nothing.
CREATE TABLE IF NOT EXISTS intel.quarantine_logs
(
    Timestamp DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    TraceFlags UInt8,
    SeverityText LowCardinality(String) CODEC(ZSTD(1)),
    SeverityNumber UInt8,
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    Body String CODEC(ZSTD(1)),
    ResourceSchemaUrl LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeSchemaUrl LowCardinality(String) CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion LowCardinality(String) CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    LogAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    EventName String DEFAULT LogAttributes['otel.event.name'] CODEC(ZSTD(1)),
    IngestedAt DateTime64(9, 'UTC') DEFAULT now64(9, 'UTC') CODEC(Delta(8), ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toMonday(IngestedAt)
ORDER BY (EventName, IngestedAt)
TTL toDateTime(IngestedAt) + INTERVAL 30 DAY
COMMENT 'Log records whose event name does not begin with intel., for 30 days';

-- Replacing by id: a span that is delivered again is one span.
CREATE TABLE IF NOT EXISTS intel.otel_traces
(
    Timestamp DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    ParentSpanId String CODEC(ZSTD(1)),
    TraceState String CODEC(ZSTD(1)),
    SpanName LowCardinality(String) CODEC(ZSTD(1)),
    SpanKind LowCardinality(String) CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    SpanAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    Duration UInt64 CODEC(ZSTD(1)),
    StatusCode LowCardinality(String) CODEC(ZSTD(1)),
    StatusMessage String CODEC(ZSTD(1)),
    -- The exporter's INSERT names them; nothing is kept. Its processors have no working way to empty links.
    "Events.Timestamp" Array(DateTime64(9, 'UTC')) EPHEMERAL,
    "Events.Name" Array(LowCardinality(String)) EPHEMERAL,
    "Events.Attributes" Array(Map(LowCardinality(String), String)) EPHEMERAL,
    "Links.TraceId" Array(String) EPHEMERAL,
    "Links.SpanId" Array(String) EPHEMERAL,
    "Links.TraceState" Array(String) EPHEMERAL,
    "Links.Attributes" Array(Map(LowCardinality(String), String)) EPHEMERAL,
    INDEX idx_timestamp Timestamp TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(Timestamp)
ORDER BY (TraceId, SpanId)
TTL toDateTime(Timestamp) + INTERVAL 30 DAY
COMMENT 'Landing: spans, for 30 days';
