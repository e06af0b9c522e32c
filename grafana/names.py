"""Names that dashboards, alerts, provisioning files and the user's own Grafana have in common."""

from __future__ import annotations

DATASOURCE_UID = "otel-intel-clickhouse"
DATASOURCE_NAME = "ClickHouse (otel-intel)"
DATASOURCE_TYPE = "grafana-clickhouse-datasource"
PLUGIN_VERSION = "4.20.0"

FOLDER = "Decision intelligence"
FOLDER_UID = "decision-intelligence"
TAG = "otel-intel"

OVERVIEW = "otel-intel-overview"
RECOMMENDATIONS = "otel-intel-recommendations"
OUTCOMES = "otel-intel-outcomes"
ADMIN_ACTIVITY = "otel-intel-admin-activity"
ENGINE_VERSIONS = "otel-intel-engine-versions"
PIPELINE_HEALTH = "otel-intel-pipeline-health"
