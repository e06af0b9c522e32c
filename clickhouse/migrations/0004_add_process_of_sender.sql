-- Which process sent a row: what a process says it delivered can be compared with what is here (metrics.pipeline_health).

ALTER TABLE intel.otel_logs ADD COLUMN IF NOT EXISTS
    ProcessId LowCardinality(String) MATERIALIZED LogAttributes['intel.pipeline.process.id'] CODEC(ZSTD(1));

-- Decisions of some days are read by people, too: the view is metrics.decisions_between now.
DROP VIEW IF EXISTS intel.decisions_between;
