"""The committed dashboards follow the rules, and each rule finds a violation."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from grafana import build
from tests.grafana import lint
from tests.grafana.files import Dashboard, dashboards, panels, variables

DASHBOARDS = dashboards()


@pytest.mark.parametrize("check", lint.CHECKS, ids=lambda check: check.__name__)
def test_dashboards_keep_to(check: Callable[[dict[str, Dashboard]], Any]) -> None:
    assert list(check(DASHBOARDS)) == []


def test_every_dashboard_is_generated() -> None:
    assert {f"dashboards/{name}.json" for name in DASHBOARDS} <= build.generated().keys()


def first(dashboard: Dashboard, kind: str) -> Any:
    """Return the first panel of a type."""
    return next(panel for panel in panels(dashboard) if panel["type"] == kind)


def sql(new: str, old: str = "", kind: str = "timeseries") -> Callable[[Dashboard], None]:
    """Return a change of the first query of a panel type: replace a text in it, or all of it."""

    def change(dashboard: Dashboard) -> None:
        target = first(dashboard, kind)["targets"][0]
        assert old in target["rawSql"]
        target["rawSql"] = target["rawSql"].replace(old, new) if old else new

    return change


def put(value: Any, *path: Any, kind: str = "") -> Callable[[Dashboard], None]:
    """Return a change that sets the value at a path of the dashboard, or of its first panel of a type."""

    def change(dashboard: Dashboard) -> None:
        place = first(dashboard, kind) if kind else dashboard
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


def take(*path: Any, kind: str = "") -> Callable[[Dashboard], None]:
    """Return a change that removes the value at a path."""

    def change(dashboard: Dashboard) -> None:
        place = first(dashboard, kind) if kind else dashboard
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]

    return change


def as_last(key: str) -> Callable[[Dashboard], None]:
    """Return a change that copies a value of the last panel to the first stat panel."""
    return lambda dashboard: first(dashboard, "stat").update({key: panels(dashboard)[-1][key]})


DEFAULTS = ("fieldConfig", "defaults")
TARGET = ("targets", 0)
BREAKS: list[tuple[Callable[..., Any], Callable[[Dashboard], None]]] = [
    (lint.strict_types, put("x", "descripton", kind="stat")),
    (lint.strict_types, put("rainbow", "options", "colorMode", kind="stat")),
    (lint.strict_types, put("none", "options", "graphmode", kind="stat")),
    (lint.strict_types, put("one", *DEFAULTS, "decimals", kind="stat")),
    (lint.strict_types, put({"fillOpaciti": 10}, *DEFAULTS, "custom", kind="timeseries")),
    (lint.strict_types, put({"drawStyle": "linee"}, *DEFAULTS, "custom", kind="timeseries")),
    (lint.strict_types, put("6", "gridPos", "w", kind="stat")),
    (lint.strict_types, put("statt", "type", kind="stat")),
    (lint.strict_types, put(7, "templating", "list", 1, "refresh")),
    (lint.strict_types, put([{"type": "valu", "options": {}}], *DEFAULTS, "mappings", kind="stat")),
    (lint.strict_types, put([{"value": "x", "color": "red"}], *DEFAULTS, "thresholds", "steps", kind="stat")),
    (lint.settings, put(39, "schemaVersion")),
    (lint.settings, put("browser", "timezone")),
    (lint.settings, put(True, "editable")),
    (lint.settings, put(12, "id")),
    (lint.settings, put("5s", "refresh")),
    (lint.settings, put(" ", "description")),
    (lint.settings, put("2026-01-01", "time", "from")),
    (lint.unique, put("another", "uid")),
    (lint.unique, as_last("id")),
    (lint.unique, as_last("title")),
    (lint.unique, put(0, "id", kind="stat")),
    (lint.layout, put(20, "gridPos", "x", kind="timeseries")),
    (lint.layout, as_last("gridPos")),
    (lint.layout, lambda d: d["panels"].extend(d["panels"])),
    (lint.words, put("graph", "type", kind="timeseries")),
    (lint.words, put(" ", "title", kind="stat")),
    (lint.words, take("description", kind="stat")),
    (lint.words, take(*DEFAULTS, "unit", kind="stat")),
    (lint.words, put("", *DEFAULTS, "noValue", kind="stat")),
    (lint.words, put([], "targets", kind="stat")),
    (lint.words, put("single", "options", "tooltip", "mode", kind="timeseries")),
    (lint.sources, put("another", *TARGET, "datasource", "uid", kind="stat")),
    (lint.sources, take(*TARGET, "datasource", kind="stat")),
    (lint.sources, take("datasource", kind="stat")),
    (lint.sources, take("templating", "list", 1, "datasource")),
    (lint.query_models, put(1, *TARGET, "format", kind="timeseries")),
    (lint.query_models, put("builder", *TARGET, "editorType", kind="stat")),
    (lint.query_models, take(*TARGET, "pluginVersion", kind="stat")),
    (lint.query_models, lambda d: first(d, "stat").update(targets=first(d, "stat")["targets"] * 2)),
    (lint.query_models, put("", "templating", "list", 1, "query", "queryType")),
    (lint.used_variables, sql("$__conditionalAll(a, $b)")),
    (lint.used_variables, sql("${__from}")),
    (lint.used_variables, sql("${version:sqlstring}", "${engine_version:sqlstring}")),
    (lint.used_variables, sql("$engine_version", "${engine_version:sqlstring}")),
    (lint.used_variables, sql("${engine_version:raw}", "${engine_version:sqlstring}")),
    (lint.used_variables, put("about $team", "description", kind="stat")),
    (lint.used_variables, lambda d: variables(d).append({**variables(d)[1], "name": "team"})),
    (lint.tables, sql("intel.recommendation_events", "metrics.recommendations_daily")),
    (lint.tables, sql("metrics.recommendations_dayly", "metrics.recommendations_daily")),
    (lint.tables, sql("SELECT 1")),
    (lint.tables, sql("SELECT 1 FROM metrics.storage JOIN system.parts USING (table)")),
    (lint.bounds, sql("SELECT count() FROM metrics.admin_views")),
    (lint.bounds, sql("", "ORDER BY time")),
    (lint.bounds, sql("SELECT decision_time_ms FROM metrics.decisions WHERE $__timeFilter(timestamp) ORDER BY time")),
    (lint.bounds, sql("SELECT a FROM metrics.admin_views WHERE $__timeFilter(timestamp) GROUP BY a", kind="stat")),
    (lint.aliases, sql("SELECT upper(engine_version) AS engine_version,", "SELECT")),
    (lint.links, put([], "links")),
    (lint.links, put(False, "links", 0, "keepTime")),
    (lint.links, put("${site_url}/telemtry/", "links", 1, "url")),
    (lint.links, put([{"title": "x", "url": "/d/otel-intel-nothing"}], *DEFAULTS, "links", kind="stat")),
    (lint.links, put([{"title": "x", "url": "/d/otel-intel-overview?var-team=1"}], *DEFAULTS, "links", kind="stat")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("check", "change"), BREAKS, ids=[f"{check.__name__}-{number}" for number, (check, _) in enumerate(BREAKS)]
)
def test_each_check_finds_a_violation(check: Callable[..., Any], change: Callable[[Dashboard], None]) -> None:
    broken = {"overview": copy.deepcopy(DASHBOARDS["overview"])}
    before = set(check(broken))
    change(broken["overview"])
    assert set(check(broken)) - before


def test_every_check_is_tested() -> None:
    assert {check for check, _ in BREAKS} == set(lint.CHECKS)
