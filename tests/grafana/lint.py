"""Rules for every dashboard; each check yields the violations."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.urls import Resolver404, resolve

from grafana import names
from otel_intel.resources import folder
from tests.grafana import strict
from tests.grafana.files import Dashboard, panels, provisioning, targets, variables

Dashboards = dict[str, Dashboard]
CORE_PANELS = {"stat", "timeseries", "barchart", "piechart", "bargauge", "table", "heatmap", "text"}
UNITS = {"percentunit", "ms", "s", "bytes", "none", "string", "suffix:min", "suffix:h"}
FORMATS = {"timeseries": 0, "table": 1}
MACROS = {"fromTime", "toTime", "timeFilter", "timeInterval", "fromTime_ms", "toTime_ms", "timeFilter_ms", "interval_s"}
# Variables that Grafana itself provides in links and titles.
BUILTIN = {"__value", "__data", "__field", "__series", "__url_time_range", "__all_variables", "__from", "__to"}
USED = re.compile(r"\$(?:\{(\w+)([^}]*)\}|(\w+))")


def strict_types(dashboards: Dashboards) -> Iterator[str]:
    """The JSON contains nothing that Grafana would ignore silently."""
    for name, dashboard in dashboards.items():
        for finding in strict.findings(dashboard):
            yield f"{name}: {finding}"


def settings(dashboards: Dashboards) -> Iterator[str]:
    """Dashboards are classic JSON that several versions load, in UTC, and not editable in Grafana."""
    for name, dashboard in dashboards.items():
        wanted = {
            "schemaVersion": 42, "timezone": "utc", "editable": False, "graphTooltip": 1,
            "weekStart": "monday", "tags": [names.TAG],
        }  # fmt: skip
        for key, value in wanted.items():
            if dashboard.get(key) != value:
                yield f"{name}: {key} is {dashboard.get(key)!r}"
        if dashboard.get("id") is not None or "__inputs" in dashboard:
            yield f"{name}: belongs to one Grafana"
        if dashboard.get("refresh") not in ("", "1m", "5m"):
            yield f"{name}: refreshes every {dashboard.get('refresh')}"
        if not dashboard.get("description", "").strip():
            yield f"{name}: does not say what question it answers"
        if not re.fullmatch(r"now-\d+d/d", dashboard["time"]["from"]) or dashboard["time"]["to"] != "now":
            yield f"{name}: time is {dashboard['time']}"


def unique(dashboards: Dashboards) -> Iterator[str]:
    """Uids, titles and panel ids are unique."""
    for key in ("uid", "title"):
        for value, count in Counter(dashboard[key] for dashboard in dashboards.values()).items():
            if count > 1:
                yield f"{key} {value}: {count} dashboards"
    for name, dashboard in dashboards.items():
        known = getattr(names, name.upper(), None)
        if dashboard["uid"] != known or len(dashboard["uid"]) > 40:
            yield f"{name}: uid {dashboard['uid']} is not {known}"
        for key in ("id", "title"):
            for value, count in Counter(panel.get(key) for panel in panels(dashboard)).items():
                if count > 1:
                    yield f"{name}: {count} panels have the {key} {value}"
        for panel in panels(dashboard):
            if not isinstance(panel.get("id"), int) or panel["id"] < 1:
                yield f"{name}: {panel['title']} has the id {panel.get('id')}"


def layout(dashboards: Dashboards) -> Iterator[str]:
    """A dashboard has at most twelve panels, which do not overlap and are wide enough to read."""
    for name, dashboard in dashboards.items():
        boxes = [(panel["title"], panel["gridPos"]) for panel in panels(dashboard)]
        if len(boxes) > 12:
            yield f"{name}: {len(boxes)} panels"
        for title, box in boxes:
            if box["x"] < 0 or box["y"] < 0 or box["x"] + box["w"] > 24 or box["w"] < 3 or box["h"] < 3:
                yield f"{name}: {title} does not fit: {box}"
        for (title, a), (other, b) in combinations(boxes, 2):
            apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
            apart = apart or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
            if not apart:
                yield f"{name}: {title} lies over {other}"


def words(dashboards: Dashboards) -> Iterator[str]:
    """A panel has a title, a description, a unit, and a text for no data."""
    for name, dashboard in dashboards.items():
        for panel in panels(dashboard):
            if panel["type"] not in CORE_PANELS:
                yield f"{name}: {panel['title']} is a {panel['type']}"
            if not panel.get("title", "").strip():
                yield f"{name}: panel {panel['id']} has no title"
            if panel["type"] == "text":
                continue
            defaults = panel["fieldConfig"]["defaults"]
            if len(panel.get("description", "")) < 20:
                yield f"{name}: {panel['title']} is not described"
            if defaults.get("unit") not in UNITS:
                yield f"{name}: {panel['title']} has the unit {defaults.get('unit')}"
            if not defaults.get("noValue", "").strip():
                yield f"{name}: {panel['title']} has no text for no data"
            if not panel.get("targets"):
                yield f"{name}: {panel['title']} asks nothing"
            if panel["type"] == "timeseries" and panel["options"]["tooltip"]["mode"] != "multi":
                yield f"{name}: {panel['title']} has a tooltip of one series"


def sources(dashboards: Dashboards) -> Iterator[str]:
    """All queries use the provisioned data source."""
    [source] = provisioning("datasources")["datasources"]
    wanted = {"type": source["type"], "uid": source["uid"]}
    grafana_own = {"type": "grafana", "uid": "-- Grafana --"}

    def references(value: Any, place: str) -> Iterator[str]:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key == "datasource" and inner not in (wanted, grafana_own):
                    yield f"{place}: {inner}"
                yield from references(inner, f"{place}.{key}")
        elif isinstance(value, list):
            for number, inner in enumerate(value):
                yield from references(inner, f"{place}[{number}]")

    for name, dashboard in dashboards.items():
        yield from references(dashboard, name)
        for panel in panels(dashboard):
            if panel["type"] != "text" and panel.get("datasource") != wanted:
                yield f"{name}: {panel['title']} has no data source"
        for target in targets(name, dashboard):
            if target.shape != "variable" and target.model.get("datasource") != wanted:
                yield f"{name}: {target.place} has no data source"
        for variable in variables(dashboard):
            if variable["type"] == "query" and variable.get("datasource") != wanted:
                yield f"{name}: variable {variable['name']} has no data source"


def query_models(dashboards: Dashboards) -> Iterator[str]:
    """The plugin's editor accepts the query without a change."""
    for name, dashboard in dashboards.items():
        for panel in panels(dashboard):
            ids = [model["refId"] for model in panel.get("targets", ())]
            if len(ids) != len(set(ids)):
                yield f"{name}: {panel['title']} has a refId twice"
        for target in targets(name, dashboard):
            model = target.model
            if target.shape == "variable":
                if model.get("queryType") != "sql":
                    yield f"{name}: {target.place} is of type {model.get('queryType')}"
                continue
            if model.get("format") != FORMATS.get(model.get("queryType", "")):
                yield f"{name}: {target.place} has format {model.get('format')}, type {model.get('queryType')}"
            if (model.get("editorType"), model.get("pluginVersion")) != ("sql", names.PLUGIN_VERSION):
                yield f"{name}: {target.place} would be taken for an older query"


def used_variables(dashboards: Dashboards) -> Iterator[str]:
    """Every $name is declared, every variable is used, and texts in SQL are quoted."""
    for name, dashboard in dashboards.items():
        declared = {variable["name"] for variable in variables(dashboard)}
        for target in targets(name, dashboard):
            for braced, how, bare in USED.findall(target.sql):
                macro = (bare or braced).removeprefix("__")
                if (bare or braced).startswith("__"):
                    if not bare or macro not in MACROS:
                        yield f"{name}: {target.place} uses ${bare or braced}"
                elif (bare or braced) not in declared:
                    yield f"{name}: {target.place} uses ${bare or braced}, which is not declared"
                elif (how or bare) != ":sqlstring" and braced != "window":
                    yield f"{name}: {target.place} uses {braced or bare} without quotes"
        text = json.dumps({key: value for key, value in dashboard.items() if key != "templating"})
        mentioned = {braced or bare for braced, _, bare in USED.findall(text)}
        inner = json.dumps(dashboard["templating"])
        unknown = {word for word in mentioned if not word.isdigit()} - declared - BUILTIN - {f"__{m}" for m in MACROS}
        yield from (f"{name}: ${word} is not declared" for word in sorted(unknown))
        unused = {word for word in declared - mentioned if f"${{{word}" not in inner}
        yield from (f"{name}: the variable {word} changes nothing" for word in sorted(unused))


def tables(dashboards: Dashboards) -> Iterator[str]:
    """Queries read existing views of metrics, and nothing else."""
    views = "".join(path.read_text("utf-8") for path in folder("clickhouse").glob("views/*.sql"))
    existing = set(re.findall(r"VIEW (metrics\.\w+)", views))
    for name, dashboard in dashboards.items():
        for target in targets(name, dashboard):
            read = re.findall(r"\b(?:FROM|JOIN)\s+([\w.]+)", target.sql)
            common = set(re.findall(r"\b(\w+) AS\s*\(", target.sql))
            for table in set(read) - common:
                if table not in existing:
                    yield f"{name}: {target.place} reads {table}"
            for word in re.findall(r"\b(?:intel|system|default)\.\w+", target.sql):
                yield f"{name}: {target.place} names {word}"
            if not any(table in existing for table in read):
                yield f"{name}: {target.place} reads nothing of metrics"


def bounds(dashboards: Dashboards) -> Iterator[str]:
    """Queries are limited to some days, and a series is in the order of time."""
    always_small = {"metrics.storage", "metrics.disks", "metrics.pipeline_health"}
    for name, dashboard in dashboards.items():
        for target in targets(name, dashboard):
            bounded = re.search(
                r"\$__(fromTime|timeFilter)|\$\{window\}|>=? (now64\(9, 'UTC'\)|toDate\(now\(\), .*\)) - ", target.sql
            )
            if not bounded and not set(re.findall(r"metrics\.\w+", target.sql)) <= always_small:
                yield f"{name}: {target.place} reads all there is"
            if re.search(r"metrics\.decisions\b(?!_)", target.sql):
                yield f"{name}: {target.place} reads all decisions there are"
            if target.shape == "series" and not re.search(r"ORDER BY time\b", target.sql):
                yield f"{name}: {target.place} is not in the order of time"
            if "GROUP BY" in _outermost(target.sql) and "ORDER BY" not in _outermost(target.sql):
                yield f"{name}: {target.place} is in no order"


def aliases(dashboards: Dashboards) -> Iterator[str]:
    """No alias has the name of a column in WHERE: ClickHouse would filter by the alias."""
    readme = folder("clickhouse").joinpath("README.md").read_text("utf-8")
    columns = set(re.findall(r"^\| `(\w+)` \|", readme, re.MULTILINE))
    for name, dashboard in dashboards.items():
        for target in targets(name, dashboard):
            filters = re.findall(r"\bWHERE\b(.*?)(?:GROUP BY|ORDER BY|LIMIT|$)", target.sql, re.DOTALL)
            filtered = set(re.findall(r"\w+", re.sub(r"'[^']*'", "", " ".join(filters))))
            for alias in set(re.findall(r"\bAS (\w+)", target.sql)) & columns & filtered:
                yield f"{name}: {target.place} gives the name {alias} to something else"


def _outermost(sql: str) -> str:
    while (inner := re.sub(r"\([^()]*\)", " ", sql)) != sql:
        sql = inner
    return sql


def links(dashboards: Dashboards) -> Iterator[str]:
    """Links lead to an existing dashboard, with variables that it has, or to a staff page."""
    by_uid = {dashboard["uid"]: dashboard for dashboard in dashboards.values()}
    for name, dashboard in dashboards.items():
        dropdowns = [link for link in dashboard["links"] if link["type"] == "dashboards"]
        if not any(
            link["tags"] == [names.TAG] and link["asDropdown"] and link["keepTime"] and link["includeVars"]
            for link in dropdowns
        ):
            yield f"{name}: does not lead to the others"
        urls = [link["url"] for link in dashboard["links"] if link["type"] == "link"]
        if not any(url.startswith("${site_url}/") for url in urls):
            yield f"{name}: does not lead to the staff pages"
        for url in (*urls, *_data_links(dashboard)):
            yield from (f"{name}: {url} {problem}" for problem in _wrong_link(url, by_uid))


def _data_links(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "links" and isinstance(inner, list) and "panels" not in value:
                yield from (link["url"] for link in inner if "url" in link)
            yield from _data_links(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _data_links(inner)


def _wrong_link(url: str, by_uid: dict[str, Dashboard]) -> Iterator[str]:
    if url.startswith("${site_url}/"):
        path = re.sub(r"\$\{[^}]*\}", "0" * 32, url.removeprefix("${site_url}"))
        try:
            resolve(urlsplit(path).path)
        except Resolver404:
            yield "is no staff page"
        return
    parts = urlsplit(url)
    target = by_uid.get(parts.path.removeprefix("/d/").split("/")[0])
    if not parts.path.startswith("/d/") or target is None:
        yield "is no dashboard"
        return
    declared = {variable["name"] for variable in variables(target)}
    for key in parse_qs(parts.query, keep_blank_values=True):
        if key.startswith("var-") and key.removeprefix("var-") not in declared:
            yield f"sets {key}, which that dashboard does not have"


CHECKS: tuple[Callable[[Dashboards], Iterator[str]], ...] = (
    strict_types, settings, unique, layout, words, sources, query_models, used_variables, tables, bounds, aliases,
    links,
)  # fmt: skip
