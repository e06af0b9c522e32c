"""The README's code runs, and what it says is so."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import clickhouse_connect
import pytest
import yaml
from click.testing import CliRunner
from django.test import override_settings

from otel_intel.commands.main import main
from otel_intel.conf import Settings
from otel_intel.testing import CapturedEvents
from tests.servers import ClickHouse

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_python_blocks_run_in_order(clickhouse: ClickHouse, otel_intel_events: CapturedEvents) -> None:
    namespace: dict[str, object] = {}
    with override_settings(OTEL_INTEL={"ENGINE_VERSION": "2.0", "CLICKHOUSE_URL": clickhouse.url("reader")}):
        for block in blocks("python"):
            exec(compile(block, "README.md", "exec"), namespace)  # noqa: S102
    assert [event.name.removeprefix("intel.") for event in otel_intel_events] == [
        "recommendation.viewed",
        "recommendation.accepted",
        "signal.outcome_recorded",
        "recommendation.overridden",
        "signal.detail_opened",
    ]


def test_python_examples_without_a_namespace_are_python() -> None:
    for block in blocks("py"):
        compile(block, "README.md", "exec")


def test_sql_blocks_run_as_the_reader(clickhouse: ClickHouse) -> None:
    for statement in "".join(blocks("sql")).split(";"):
        if statement.strip():
            clickhouse.client("reader").query(statement)


def test_sh_blocks_use_options_that_exist() -> None:
    operations = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    commands = re.findall(r"otel-intel (\w+)((?: (?:--[\w-]+|[^\s`#&;|)]+))*)", README + operations)
    assert {"up", "env", "migrate", "doctor", "status", "rebuild", "export"} <= {command for command, _ in commands}
    for command, arguments in commands:
        help_text = CliRunner().invoke(main, [command, "--help"]).output
        for option in re.findall(r"--[\w-]+", arguments):
            assert option in help_text, (command, option)


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", "".join(blocks("sh")), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_the_table_of_settings_is_complete() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \|(.*?)\|", README, re.MULTILINE)
    table = {key: default.strip() for key, default in rows}
    defaults = {field.name: f"`{field.default}`" if field.default != "" else "" for field in fields(Settings)}
    assert table == defaults


@pytest.mark.parametrize(
    "path",
    [
        *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/operations.md", "docs/scaling.md"),
        *("clickhouse/README.md", "collector/README.md", "grafana/README.md", "grafana/RUNBOOK.md"),
    ],
)
def test_links_lead_somewhere(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (ROOT / path).parent.joinpath(link).exists(), link


def test_the_example_of_policies_routes_the_alerts_that_there_are() -> None:
    text = (ROOT / "grafana/README.md").read_text(encoding="utf-8")
    notify, _ = (yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    alerts = yaml.safe_load((ROOT / "grafana/provisioning/alerting/otel_intel.yaml").read_text(encoding="utf-8"))
    labels = [rule["labels"] for group in alerts["groups"] for rule in group["rules"]]
    [policy] = notify["policies"]
    [route] = policy["routes"]
    routed = [found for found in labels if all(found[name] == value for name, _, value in route["object_matchers"])]
    assert 0 < len(routed) < len(labels)
    assert {policy["receiver"], route["receiver"]} == {point["name"] for point in notify["contactPoints"]}


def test_the_tested_clickhouse_is_the_one_that_is_stated(clickhouse: ClickHouse) -> None:
    version = clickhouse_connect.get_client(dsn=clickhouse.url("reader"), autogenerate_session_id=False).server_version
    assert f"ClickHouse {'.'.join(version.split('.')[:2])}" in README
