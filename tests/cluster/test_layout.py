"""What migrate refuses on a cluster. Replicated tables are only parsed here, not created."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from otel_intel.commands.main import main
from otel_intel.resources import folder
from otel_intel.schema.cluster import Cluster
from otel_intel.schema.migrate import MigrationError, migrate, read_steps, require_nodes
from tests.servers import ClickHouse


def test_clickhouse_can_parse_replicated_statements(clickhouse_server: ClickHouse) -> None:
    """The embedded server has no Keeper: it can parse these tables but not create them."""
    cluster = Cluster("intel", replicated=True)
    steps = [step for name in ("migrations", "views") for step in read_steps(folder("clickhouse") / name)]
    found = 0
    for statement in (statement for step in steps for statement in cluster.statements(step.statement)):
        sql = "SELECT formatQuery({statement:String})"
        [[parsed]] = clickhouse_server.client("admin").query(sql, parameters={"statement": statement}).result_rows
        found += "ENGINE = Replicated" in parsed
    assert found == 14


def test_a_cluster_that_the_server_does_not_know(clickhouse_server: ClickHouse) -> None:
    with pytest.raises(MigrationError, match="knows no cluster blue: see remote_servers"):
        require_nodes([clickhouse_server.client("admin")], Cluster("blue"))


def test_migrate_refuses_a_cluster_for_the_tables_of_one_server(clickhouse_server: ClickHouse) -> None:
    with pytest.raises(MigrationError, match="one server's, not a cluster's"):
        migrate(clickhouse_server.client("admin"), print, cluster=Cluster("intel"))


def test_several_urls_without_a_cluster(clickhouse_server: ClickHouse) -> None:
    url = clickhouse_server.url("admin")
    found = CliRunner().invoke(main, ["migrate"], env={"CLICKHOUSE_URL": f"{url} {url}"})
    assert found.exit_code == 1
    assert "need the cluster's name: add --cluster" in found.output
