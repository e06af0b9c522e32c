-- The ingest endpoint: where OTLP/HTTP requests enter a ClickHouse without a Collector in front. Null tables: the request is
-- parsed (FORMAT ProtobufSingle, otlp.proto), passes the allow-list of views/30_ingest.sql, and is not kept itself.
-- Nullable values: an absent value and a zero are different things (a decision time of 0 ms is one).

CREATE TABLE IF NOT EXISTS intel.otlp_logs
(
    resource_logs Array(Tuple(
        resource Tuple(attributes Array(Tuple(key String, value Tuple(string_value Nullable(String), bool_value Nullable(Bool), int_value Nullable(Int64), double_value Nullable(Float64))))),
        scope_logs Array(Tuple(
            scope Tuple(name String, version String),
            log_records Array(Tuple(
                time_unix_nano UInt64,
                observed_time_unix_nano UInt64,
                severity_number Int32,
                event_name String,
                flags UInt32,
                trace_id String,
                span_id String,
                attributes Array(Tuple(key String, value Tuple(string_value Nullable(String), bool_value Nullable(Bool), int_value Nullable(Int64), double_value Nullable(Float64))))
            ))
        ))
    ))
)
ENGINE = Null
COMMENT 'Ingest: OTLP ExportLogsServiceRequest; stores nothing';

CREATE TABLE IF NOT EXISTS intel.otlp_log_records
(
    Timestamp DateTime64(9, 'UTC'),
    TraceId String,
    SpanId String,
    TraceFlags UInt8,
    SeverityNumber UInt8,
    ServiceName LowCardinality(String),
    ResourceAttributes Map(LowCardinality(String), String),
    ScopeName String,
    ScopeVersion LowCardinality(String),
    LogAttributes Map(LowCardinality(String), String),
    EventName String
)
ENGINE = Null
COMMENT 'Ingest: log records after the allow-list, before landing and quarantine part; stores nothing';

CREATE TABLE IF NOT EXISTS intel.otlp_traces
(
    resource_spans Array(Tuple(
        resource Tuple(attributes Array(Tuple(key String, value Tuple(string_value Nullable(String), bool_value Nullable(Bool), int_value Nullable(Int64), double_value Nullable(Float64))))),
        scope_spans Array(Tuple(
            scope Tuple(name String, version String),
            spans Array(Tuple(
                trace_id String,
                span_id String,
                parent_span_id String,
                name String,
                kind Int32,
                start_time_unix_nano UInt64,
                end_time_unix_nano UInt64,
                status Tuple(code Int32),
                attributes Array(Tuple(key String, value Tuple(string_value Nullable(String), bool_value Nullable(Bool), int_value Nullable(Int64), double_value Nullable(Float64))))
            ))
        ))
    ))
)
ENGINE = Null
COMMENT 'Ingest: OTLP ExportTraceServiceRequest; stores nothing';
