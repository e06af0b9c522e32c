"""The committed files, and the queries in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from otel_intel.resources import folder

Dashboard = dict[str, Any]


class Target(NamedTuple):
    """A query of a panel, a variable or an annotation; ``shape`` is the required shape of its result."""

    dashboard: str
    place: str
    shape: str
    model: dict[str, Any]

    @property
    def sql(self) -> str:
        """The query before variables and macros are expanded."""
        return str(self.model["rawSql"])


def dashboards() -> dict[str, Dashboard]:
    """Return every committed dashboard by its file's name."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in folder("grafana").glob("dashboards/*.json")}


def provisioning(kind: str) -> Any:
    """Return a provisioning document: datasources, dashboards or alerting."""
    return yaml.safe_load(folder("grafana").joinpath("provisioning", kind, "otel_intel.yaml").read_text("utf-8"))


def panels(dashboard: Dashboard) -> list[dict[str, Any]]:
    """Return the panels, including those in closed rows."""
    return [inner for panel in dashboard["panels"] for inner in (panel, *panel.get("panels", ()))]


def targets(name: str, dashboard: Dashboard) -> Iterator[Target]:
    """Yield every query of a dashboard."""
    for panel in panels(dashboard):
        for model in panel.get("targets", ()):
            shape = "series" if model.get("format") == 0 else "table"
            yield Target(name, f"{panel['id']} {panel['title']} {model['refId']}", shape, model)
    for variable in variables(dashboard):
        if variable["type"] == "query":
            yield Target(name, f"variable {variable['name']}", "variable", variable["query"])
    for annotation in dashboard.get("annotations", {}).get("list", ()):
        if "rawSql" in annotation.get("target", {}):
            yield Target(name, f"annotation {annotation['name']}", "annotation", annotation["target"])


def variables(dashboard: Dashboard) -> list[dict[str, Any]]:
    """Return the variables."""
    found: list[dict[str, Any]] = dashboard["templating"]["list"]
    return found
