"""Check the provisioning files with our own schema: Grafana silently ignores a misspelt key."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest

from grafana import limits, names
from otel_intel.commands import grafana_files as command
from otel_intel.resources import folder
from tests.grafana.files import dashboards, panels, provisioning
from tests.grafana.macros import Context, expand_macros

TEXT = {"type": "string", "minLength": 1}


def closed(optional: dict[str, Any] | None = None, **required: Any) -> dict[str, Any]:
    """Return the schema of an object with exactly these keys."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def one(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a list with one item."""
    return {"type": "array", "items": schema, "minItems": 1, "maxItems": 1}


VERSION = {"const": 1}
DATASOURCE = {"type": {"const": names.DATASOURCE_TYPE}, "uid": {"const": names.DATASOURCE_UID}}
RANGE: dict[str, Any] = {"from": {"type": "integer", "minimum": 60}, "to": {"const": 0}}
SCHEMAS = {
    "datasources": closed(
        apiVersion=VERSION,
        datasources=one(
            closed(
                name={"const": names.DATASOURCE_NAME},
                **DATASOURCE,
                access={"const": "proxy"},
                editable={"const": False},
                jsonData=closed(
                    host=TEXT,
                    port={"type": "integer", "minimum": 1, "maximum": 65535},
                    protocol={"enum": ["native", "http"]},
                    secure={"type": "boolean"},
                    username=TEXT,
                    defaultDatabase={"const": "metrics"},
                    dialTimeout={"type": "string", "pattern": r"^\d+$"},
                    queryTimeout={"type": "string", "pattern": r"^\d+$"},
                ),
                secureJsonData=closed(password={"const": f"${command.PASSWORD_VARIABLE}"}),
            )
        ),
    ),
    "dashboards": closed(
        apiVersion=VERSION,
        providers=one(
            closed(
                name=TEXT,
                orgId={"const": 1},
                folder={"const": names.FOLDER},
                folderUid={"const": names.FOLDER_UID},
                type={"const": "file"},
                disableDeletion={"type": "boolean"},
                editable={"const": False},
                allowUiUpdates={"const": False},
                updateIntervalSeconds={"type": "integer", "minimum": 10},
                options=closed(path=TEXT, foldersFromFilesStructure={"const": False}),
            )
        ),
    ),
    "alerting": closed(
        apiVersion=VERSION,
        groups={
            "type": "array",
            "items": closed(
                orgId={"const": 1},
                name=TEXT,
                folder={"const": names.FOLDER},
                interval={"enum": ["1m", "5m", "10m"]},
                rules={
                    "type": "array",
                    "minItems": 1,
                    "items": closed(
                        uid={"type": "string", "pattern": r"^otel-intel-[a-z-]{1,29}$"},
                        title={"type": "string", "minLength": 5, "pattern": r"^[^$]+$"},
                        condition={"const": "B"},
                        data={
                            "type": "array",
                            "minItems": 2,
                            "maxItems": 2,
                            "prefixItems": [
                                closed(
                                    refId={"const": "A"},
                                    relativeTimeRange=closed(**RANGE),
                                    datasourceUid={"const": names.DATASOURCE_UID},
                                    model=closed(
                                        refId={"const": "A"},
                                        datasource=closed(**DATASOURCE),
                                        editorType={"const": "sql"},
                                        queryType={"const": "table"},
                                        format={"const": 1},
                                        pluginVersion={"const": names.PLUGIN_VERSION},
                                        # Grafana uses this text unchanged: $$ would reach ClickHouse as $$.
                                        rawSql={
                                            "type": "string",
                                            "pattern": r"^(SELECT|WITH)",
                                            "not": {"pattern": r"\$\$"},
                                        },
                                    ),
                                ),
                                closed(
                                    refId={"const": "B"},
                                    datasourceUid={"const": "__expr__"},
                                    model=closed(
                                        refId={"const": "B"},
                                        datasource=closed(type={"const": "__expr__"}, uid={"const": "__expr__"}),
                                        type={"const": "threshold"},
                                        expression={"const": "A"},
                                        conditions=one(
                                            closed(
                                                evaluator=closed(
                                                    type={"enum": ["gt", "lt"]}, params=one({"type": "number"})
                                                )
                                            )
                                        ),
                                    ),
                                ),
                            ],
                        },
                        noDataState={"enum": ["OK", "NoData", "Alerting", "KeepLast"]},
                        execErrState={"enum": ["OK", "Error", "Alerting", "KeepLast"]},
                        **{"for": {"type": "string", "pattern": r"^\d+[smh]$"}},
                        dashboardUid=TEXT,
                        panelId={"type": "integer", "minimum": 1},
                        # Grafana would replace ${…} by a variable of the environment.
                        annotations=closed(
                            summary={"type": "string", "minLength": 20, "not": {"pattern": r"\$\{"}},
                            description={"type": "string", "minLength": 40, "not": {"pattern": r"\$"}},
                            runbook_url=TEXT,
                        ),
                        labels=closed(severity={"enum": ["critical", "warning"]}, source={"const": names.TAG}),
                    ),
                },
            ),
        },
    ),
}
ALERTING = provisioning("alerting")
RULES = [rule for group in ALERTING["groups"] for rule in group["rules"]]


def findings(kind: str, document: Any) -> list[str]:
    """Return the errors that the schema finds."""
    validator = jsonschema.Draft202012Validator(SCHEMAS[kind])
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(document)]


@pytest.mark.parametrize("kind", SCHEMAS)
def test_file_has_known_keys_and_values_only(kind: str) -> None:
    assert findings(kind, provisioning(kind)) == []


def rule(change: Callable[[dict[str, Any]], object]) -> Callable[[Any], object]:
    """Return a change of the first rule."""
    return lambda document: change(document["groups"][0]["rules"][0])


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("datasources", lambda d: d["datasources"][0]["jsonData"].update(server="clickhouse")),
        ("datasources", lambda d: d["datasources"][0]["jsonData"].update(database="metrics")),
        ("datasources", lambda d: d["datasources"][0]["secureJsonData"].update(password="secret")),
        ("dashboards", lambda d: d["providers"][0].update(folderUID="x")),
        ("dashboards", lambda d: d["providers"][0].update(folder="x")),
        ("alerting", rule(lambda r: r.update(dashboardUID="x"))),
        ("alerting", rule(lambda r: r.pop("noDataState"))),
        ("alerting", rule(lambda r: r.update(noDataState="Ok"))),
        ("alerting", rule(lambda r: r.update({"for": "1 hour"}))),
        ("alerting", rule(lambda r: r["data"][0]["model"].update(rawSql="SELECT $$__fromTime"))),
        ("alerting", rule(lambda r: r["data"][0]["model"].update(rawSQL="SELECT 1"))),
        ("alerting", rule(lambda r: r["data"][0].update(datasourceUid="clickhouse"))),
        ("alerting", rule(lambda r: r["data"][1]["model"].update(expression="C"))),
        ("alerting", rule(lambda r: r["annotations"].update(summary="fell by ${__value} of all decisions"))),
    ],
    ids=[f"{number}" for number in range(14)],
)
def test_schema_finds(kind: str, change: Callable[[Any], object]) -> None:
    document = copy.deepcopy(provisioning(kind))
    change(document)
    assert findings(kind, document)


def test_rules_have_uids_and_titles_of_their_own() -> None:
    for key in ("uid", "title"):
        values = [rule[key] for rule in RULES]
        assert len(values) == len(set(values))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["uid"])
def test_rule_leads_to_a_panel_and_to_its_section_of_the_runbook(rule: dict[str, Any]) -> None:
    by_uid = {dashboard["uid"]: dashboard for dashboard in dashboards().values()}
    assert rule["panelId"] in {panel["id"] for panel in panels(by_uid[rule["dashboardUid"]])}
    path, _, section = rule["annotations"]["runbook_url"].partition("#")
    text = (folder("grafana").parent / path).read_text(encoding="utf-8")
    assert f"\n## {section}\n" in text


def test_runbook_is_about_these_rules() -> None:
    sections = re.findall(r"^## (.+)$", folder("grafana").joinpath("RUNBOOK.md").read_text("utf-8"), re.MULTILINE)
    assert [f"otel-intel-{section}" for section in sections] == [rule["uid"] for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["uid"])
def test_runbook_says_when_it_fires(rule: dict[str, Any]) -> None:
    text = folder("grafana").joinpath("RUNBOOK.md").read_text("utf-8")
    uid = rule["uid"].removeprefix("otel-intel-")
    [(fires, quiet)] = re.findall(rf"^\| \[{uid}\]\(#{uid}\) \| (.*) \| (.*)\|$", text, re.MULTILINE)
    numbers = re.findall(r"[\d.]+", fires)
    [limit] = rule["data"][1]["model"]["conditions"][0]["evaluator"]["params"]
    assert f"{limit:g}" in numbers or (limit == 0 and fires.startswith("any ")), f"RUNBOOK.md says {fires} of {limit:g}"
    assert rule["for"] == "0s" or f"for {rule['for']}" in fires
    sql = rule["data"][0]["model"]["rawSql"]
    assert re.findall(r">= (\d+)", sql) == re.findall(r"^\d+|(?<=, )\d+", quiet)


def test_runbook_has_the_limits_of_a_disk_and_of_reports() -> None:
    text = folder("grafana").joinpath("RUNBOOK.md").read_text("utf-8")
    assert (
        f"any disk with less than {limits.DISK_FREE_LOW} free, or full in fewer than {limits.DISK_DAYS_LOW} days"
        in text
    )
    assert f"every report of the last {limits.UNDELIVERED_MINUTES} minutes" in text


def test_runbook_has_one_statement_a_block_since_http_takes_one_at_a_time() -> None:
    text = folder("grafana").joinpath("RUNBOOK.md").read_text("utf-8")
    statements = re.findall(r"^ *```sql\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    assert len(statements) >= 2
    assert not [statement for statement in statements if ";" in statement]


def test_runbook_makes_space_before_it_says_to_keep_less() -> None:
    text = folder("grafana").joinpath("RUNBOOK.md").read_text("utf-8").partition("\n## clickhouse-disk\n")[2]
    places = [
        text.index(said) for said in ("**Never run `otel-intel migrate`", " DROP PARTITION ", "--retention-landing")
    ]
    assert places == sorted(places)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["uid"])
def test_rule_is_bounded_and_needs_no_front_end(rule: dict[str, Any]) -> None:
    sql = rule["data"][0]["model"]["rawSql"]
    # The disks and what waits are as of now, and their views read a few days only.
    assert "$__timeFilter(" in sql or "metrics.disks" in sql or "metrics.freshness" in sql
    now = datetime.now(UTC)
    assert "$" not in expand_macros(sql, Context(now, now))


def test_clickhouse_allows_the_time_that_the_driver_asks_for() -> None:
    [source] = provisioning("datasources")["datasources"]
    access = folder("clickhouse").joinpath("access.xml").read_text("utf-8")
    [dashboard] = re.findall(r"<intel_dashboard>\s*<readonly>.*?</intel_dashboard>", access, re.DOTALL)
    [allowed] = re.findall(r"<max_execution_time><min>\d+</min><max>(\d+)</max>", dashboard)
    assert int(source["jsonData"]["queryTimeout"]) + 5 <= int(allowed)


def test_command_uses_the_same_names() -> None:
    assert (command.DATASOURCE_UID, command.FOLDER) == (names.DATASOURCE_UID, names.FOLDER)
    assert command.PLUGIN.split() == [names.DATASOURCE_TYPE, names.PLUGIN_VERSION]
