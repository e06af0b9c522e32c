"""The dashboards and the provisioned alerts as files: `make generate` writes them."""

from __future__ import annotations

import json

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import activity, alerts, outcomes, overview, pipeline, recommendations, versions

ALERTS = "provisioning/alerting/otel_intel.yaml"
DASHBOARDS = {
    "overview": overview,
    "recommendations": recommendations,
    "outcomes": outcomes,
    "admin_activity": activity,
    "engine_versions": versions,
    "pipeline_health": pipeline,
}


def rendered(dashboard: Dashboard) -> str:
    """Return a dashboard as the text of its file."""
    return json.dumps(dashboard, cls=JSONEncoder, indent=2, ensure_ascii=False) + "\n"


def generated() -> dict[str, str]:
    """Return the text of each generated file by its path in this folder."""
    files = {f"dashboards/{name}.json": rendered(module.build()) for name, module in DASHBOARDS.items()}
    note = "# Generated from grafana/alerts.py: `make generate`.\n"
    return {**files, ALERTS: note + yaml.safe_dump(alerts.document(), sort_keys=False, allow_unicode=True, width=1000)}
