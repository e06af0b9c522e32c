"""clickhouse/README.md is the dictionary: it names what is there, column by column, and its examples run."""

from __future__ import annotations

import re
from string import Template

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from otel_intel.resources import folder
from tests.otlp import deliver, event
from tests.servers import ClickHouse

README = folder("clickhouse").joinpath("README.md").read_text(encoding="utf-8")
VALUES = {"Date": "'2026-01-01'", "String": "'v1'", "UInt16": "7"}
SECTION = re.compile(r"### `metrics\.(\w+)\(?([^)`]*)\)?`\n(.*?)(?=\n### |\Z)", re.DOTALL)
SECTIONS = {
    name: (dict(parameter.split() for parameter in parameters.split(", ") if parameter), text)
    for name, parameters, text in SECTION.findall(README)
}


def _source(name: str) -> str:
    parameters = SECTIONS[name][0]
    arguments = ", ".join(f"{parameter} = {VALUES[kind]}" for parameter, kind in parameters.items())
    return f"metrics.{name}({arguments})" if arguments else f"metrics.{name}"


def test_names_every_view_of_metrics_with_its_comment(clickhouse_server: ClickHouse) -> None:
    rows = clickhouse_server.rows("SELECT name, comment FROM system.tables WHERE database = 'metrics'", role="admin")
    assert {row["name"]: f"{row['comment']}." for row in rows} == {
        name: text.split("\n", 1)[0] for name, (_, text) in SECTIONS.items()
    }
    assert all(row["comment"] for row in rows)


@pytest.mark.parametrize("name", SECTIONS)
def test_names_every_column_with_its_type(clickhouse_server: ClickHouse, name: str) -> None:
    described = clickhouse_server.rows(f"DESCRIBE (SELECT * FROM {_source(name)})")
    assert re.findall(r"^\| `(\w+)` \| (.+?) \| .+ \|$", SECTIONS[name][1], re.MULTILINE) == [
        (row["name"], row["type"]) for row in described
    ]


def test_the_database_has_each_columns_comment(clickhouse_server: ClickHouse) -> None:
    rows = clickhouse_server.rows("SELECT table, name, comment FROM system.columns WHERE database = 'metrics'")
    assert {(row["table"], row["name"], row["comment"]) for row in rows} == {
        (view, column, re.sub(r" <!--.*-->$|`", "", meaning))
        for view, (parameters, text) in SECTIONS.items()
        if not parameters
        for column, meaning in re.findall(r"^\| `(\w+)` \| .+? \| (.+) \|$", text, re.MULTILINE)
    }


@pytest.mark.parametrize("name", SECTIONS)
def test_a_missing_parameter_is_named(clickhouse_server: ClickHouse, name: str) -> None:
    if parameters := SECTIONS[name][0]:
        with pytest.raises(DatabaseError, match=f"Substitution `({'|'.join(parameters)})` is not set"):
            clickhouse_server.rows(f"SELECT * FROM metrics.{name}()")


@pytest.mark.parametrize("name", SECTIONS)
def test_names_the_parameters(clickhouse_server: ClickHouse, name: str) -> None:
    query = clickhouse_server.value(f"SHOW CREATE VIEW metrics.{name}", role="admin")
    assert set(re.findall(r"\{(\w+):(\w+)\}", query)) == set(SECTIONS[name][0].items())


def test_names_every_table_of_intel_with_its_comment(clickhouse_server: ClickHouse) -> None:
    rows = clickhouse_server.rows(
        "SELECT name, engine, comment FROM system.tables WHERE database = 'intel' AND engine != 'MaterializedView'",
        role="admin",
    )
    assert {(row["name"], row["engine"], row["comment"]) for row in rows} == set(
        re.findall(r"^\| `intel\.(\w+)` \| (\w+) \| (.+) \|$", README, re.MULTILINE)
    )


@pytest.mark.parametrize("example", re.findall(r"^SELECT .*;$", README, re.MULTILINE))
def test_example_finds_something(clickhouse: ClickHouse, example: str) -> None:
    deliver(clickhouse, event("recommendation.viewed"), event("recommendation.accepted"))
    assert clickhouse.rows(example.rstrip(";"))


def test_the_claimed_version_is_the_tested_one(clickhouse_server: ClickHouse) -> None:
    assert f"({clickhouse_server.value('SELECT version()')})" in README.split("\n", 3)[2]


def test_clickhouse_can_parse_the_setup_script(clickhouse_server: ClickHouse) -> None:
    """The embedded server cannot manage users by SQL, but it can parse the statements."""
    script = Template(folder("clickhouse").joinpath("setup.sql").read_text(encoding="utf-8")).substitute(otlp_proto="x")
    statements = [statement for statement in re.split(r";\n", script) if statement.strip()]
    assert len(statements) > 12
    for statement in statements:
        parsed = clickhouse_server.client("admin").query("SELECT formatQuery({s:String})", parameters={"s": statement})
        assert parsed.result_rows
