-- Users, roles and settings profiles of otel-intel for your own ClickHouse server. Fill in passwords and run it once as an
-- administrator (clickhouse-client --multiquery). otel-intel migrate prints this script if a user or role is missing.

-- The definer of every view. Nobody can log in as this user.
CREATE USER IF NOT EXISTS intel_owner IDENTIFIED WITH no_password HOST NONE;
GRANT SELECT, INSERT ON intel.* TO intel_owner;
GRANT SELECT ON metrics.* TO intel_owner;
-- For metrics.storage: with it, this user sees only the parts of tables that it may read.
GRANT SELECT ON system.parts TO intel_owner;
GRANT SELECT ON system.disks TO intel_owner;

CREATE ROLE IF NOT EXISTS intel_ingest;
-- Without IngestedAt: the first copy of an event counts, so a writer must not choose its time of arrival.
GRANT INSERT(Timestamp, TraceId, SpanId, TraceFlags, SeverityText, SeverityNumber, ServiceName, Body, ResourceSchemaUrl, ResourceAttributes, ScopeSchemaUrl, ScopeName, ScopeVersion, ScopeAttributes, LogAttributes, EventName), SHOW COLUMNS ON intel.otel_logs TO intel_ingest;
GRANT INSERT, SHOW COLUMNS ON intel.otel_traces TO intel_ingest;
-- On a cluster: the node's own rows of otel_traces.
GRANT INSERT ON intel.otel_traces_local TO intel_ingest;
GRANT INSERT, SHOW COLUMNS ON intel.quarantine_logs TO intel_ingest;
GRANT INSERT, SHOW COLUMNS ON intel.otlp_logs TO intel_ingest;
GRANT INSERT, SHOW COLUMNS ON intel.otlp_traces TO intel_ingest;

CREATE ROLE IF NOT EXISTS intel_metrics;
GRANT SELECT ON metrics.* TO intel_metrics;

CREATE SETTINGS PROFILE IF NOT EXISTS intel_writer SETTINGS
    async_insert = 0, max_partitions_per_insert_block = 0, distributed_foreground_insert = 1,
    max_execution_time = 60 MIN 1 MAX 60, max_memory_usage = 2000000000 READONLY, max_untracked_memory READONLY,
    max_concurrent_queries_for_user = 100 READONLY,
    format_schema_source = 'string', format_schema = '${otlp_proto}';
CREATE SETTINGS PROFILE IF NOT EXISTS intel_reader SETTINGS
    readonly = 1, max_execution_time = 60, max_memory_usage = 2000000000, max_concurrent_queries_for_user = 100,
    cancel_http_readonly_queries_on_client_close = 1, max_threads = 2, join_use_nulls = 1;
CREATE SETTINGS PROFILE IF NOT EXISTS intel_dashboard SETTINGS
    readonly = 2, max_execution_time = 30 MIN 1 MAX 60, max_memory_usage = 2000000000 READONLY,
    max_untracked_memory READONLY, max_concurrent_queries_for_user = 100 READONLY;

CREATE USER IF NOT EXISTS intel_writer IDENTIFIED BY '<password>' SETTINGS PROFILE 'intel_writer';
CREATE USER IF NOT EXISTS intel_reader IDENTIFIED BY '<password>' SETTINGS PROFILE 'intel_reader';
CREATE USER IF NOT EXISTS intel_dashboard IDENTIFIED BY '<password>' SETTINGS PROFILE 'intel_dashboard';
GRANT intel_ingest TO intel_writer;
GRANT intel_metrics TO intel_reader, intel_dashboard;
-- The numbers: Python reads them without the view in between, which would cost milliseconds.
GRANT SELECT ON intel.days TO intel_reader;
GRANT SELECT ON intel.days_admins TO intel_reader;
