"""How each statement of the SQL files changes for a cluster."""

from __future__ import annotations

import re

import pytest

from otel_intel.resources import folder
from otel_intel.schema.cluster import LANDING, OWN, SHARDED, Cluster, ClusterError, local_table
from otel_intel.schema.migrate import Step, read_steps

SQL = folder("clickhouse")
TABLES = [step for step in read_steps(SQL / "migrations") if re.search(r"^ENGINE = \w*MergeTree", step.statement, re.M)]
STORED = [step for step in TABLES if not step.title.endswith(OWN)]
CLUSTER = Cluster("blue")


@pytest.mark.parametrize("step", STORED, ids=lambda step: step.title.split(".")[-1])
def test_stored_table_is_a_local_and_a_distributed_one(step: Step) -> None:
    local, distributed = CLUSTER.statements(step.statement)
    name = step.title.split("intel.")[1]
    assert f"CREATE TABLE IF NOT EXISTS {local_table(name, CLUSTER)}\n" in local
    assert "Distributed" not in local
    key = f", cityHash64({SHARDED[name]})" if name in SHARDED else ""
    stored = local_table(name, CLUSTER).removeprefix("intel.")
    assert f"ENGINE = Distributed('blue', 'intel', '{stored}'{key})\n" in distributed
    # Columns, order and retention are those of one server.
    kept = re.search(r"\n\(.*\n\)\n", step.statement, re.DOTALL)
    assert kept is not None
    assert kept[0] in local
    for clause in re.findall(r"^(?:ORDER BY|PARTITION BY|TTL) .*", step.statement, re.MULTILINE):
        assert clause in local


def test_every_stored_table_has_its_place() -> None:
    assert sorted(step.title.split("intel.")[1] for step in TABLES) == sorted([*SHARDED, *LANDING, *OWN])


def test_each_node_has_its_own_ledger_of_refreshes() -> None:
    [step] = [step for step in TABLES if step.title.endswith(".refreshes")]
    assert CLUSTER.statements(step.statement) == [step.statement]


def test_arrivals_are_never_replicated() -> None:
    [step] = [step for step in TABLES if step.title.endswith(".arrivals")]
    local, _ = Cluster("blue", replicated=True).statements(step.statement)
    assert "ENGINE = MergeTree()\n" in local


def test_new_events_are_those_of_the_node() -> None:
    [view] = [step.statement for step in read_steps(SQL / "views") if "VIEW intel.new_events" in step.statement]
    [statement] = CLUSTER.statements(view)
    assert re.findall(r"FROM (intel\.\w+)", statement) == [
        *("intel.arrivals_local", "intel.recommendation_events_local"),
        *("intel.signal_outcomes_local", "intel.admin_views_local", "intel.arrivals_local"),
    ]


def test_replicated_tables_keep_their_version_column() -> None:
    [step] = [step for step in STORED if step.title.endswith(".signal_outcomes")]
    local, _ = Cluster("blue", replicated=True).statements(step.statement)
    path = "'/clickhouse/tables/{shard}/intel/signal_outcomes_local', '{replica}'"
    assert f"ENGINE = ReplicatedReplacingMergeTree({path}, version)\n" in local


def test_tables_that_store_nothing_stay() -> None:
    statement = "CREATE TABLE IF NOT EXISTS intel.ingest\n(\n    a UInt8\n)\nENGINE = Null\nCOMMENT 'Ingest'"
    assert CLUSTER.statements(statement) == [statement]


def test_views_read_the_landing_of_all_nodes_and_materialized_views_their_own() -> None:
    views = [statement for step in read_steps(SQL / "views") for statement in CLUSTER.statements(step.statement)]
    [health] = [view for view in views if "VIEW metrics.ingest_health" in view]
    [typed] = [view for view in views if "intel.typed_events_mv" in view]
    assert "FROM intel.otel_logs_all\n" in health
    assert "FROM intel.otel_logs" in typed
    assert "_all" not in typed


def test_new_column_goes_to_both_tables_and_an_index_to_the_local_one() -> None:
    assert CLUSTER.statements("ALTER TABLE intel.admin_views ADD COLUMN IF NOT EXISTS a UInt8") == [
        "ALTER TABLE intel.admin_views_local ADD COLUMN IF NOT EXISTS a UInt8",
        "ALTER TABLE intel.admin_views ADD COLUMN IF NOT EXISTS a UInt8",
    ]
    assert CLUSTER.statements("ALTER TABLE intel.otel_logs ADD INDEX IF NOT EXISTS i a TYPE minmax") == [
        "ALTER TABLE intel.otel_logs ADD INDEX IF NOT EXISTS i a TYPE minmax"
    ]


def test_a_table_without_a_place_is_an_error() -> None:
    statement = "CREATE TABLE IF NOT EXISTS intel.other\n(\n    a UInt8\n)\nENGINE = MergeTree\nORDER BY a\nCOMMENT 'x'"
    with pytest.raises(ClusterError, match=r"intel\.other: .* does not say how to spread it"):
        CLUSTER.statements(statement)


def test_one_servers_table_has_its_own_name() -> None:
    assert local_table("admin_views", None) == "intel.admin_views"
