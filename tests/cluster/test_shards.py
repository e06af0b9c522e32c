"""Two shards get a stream at random, and one is killed in the middle: every metric is the same as on one server."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest
import requests
from click.testing import CliRunner
from clickhouse_connect.driver.exceptions import DatabaseError

from otel_intel.commands.main import main
from otel_intel.schema.rebuild import rebuild
from otel_intel.schema.refresh import recompute_all
from tests.cluster.nodes import CLUSTER, Node, run_cluster
from tests.otlp import Record, logs_request, post
from tests.servers import ClickHouse
from tests.sql.reference import Reference
from tests.sql.streams import FIRST_DAY, make_stream
from tests.sql.test_metrics import (  # noqa: F401 (collected here, too, with the fixture below)
    test_decision_times_daily,
    test_decisions,
    test_each_event_once_in_the_logs,
    test_engagement_daily,
    test_false_positive_rate,
    test_first_outcome_of_a_signal,
    test_number_about_recommendations,
    test_outcome_distribution,
    test_outcomes_daily,
    test_recommendations_daily,
)
from tests.waiting import poll_until


def offer(node: Node, batch: list[Record]) -> bool:
    """Send a request to a node; return True if it was accepted."""
    try:
        return post(node.clickhouse, logs_request(batch).SerializeToString()).status_code == 200
    except requests.ConnectionError:
        return False


def offer_any(nodes: list[Node], batch: list[Record], rng: random.Random) -> bool:
    """Send a request to a random node; return True if it was accepted."""
    return offer(rng.choice(nodes), batch)


def deliver(nodes: list[Node], batches: list[list[Record]], rng: random.Random) -> None:
    """Send each batch to random nodes until one accepts it, and half of the batches to the other node as well."""
    for batch in batches:
        for _ in range(1 + (rng.random() < 0.5)):
            assert poll_until(partial(offer_any, nodes, batch, rng), 30)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    """Two shards."""
    with run_cluster(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes


@pytest.fixture(scope="module")
def delivered(nodes: list[Node]) -> Reference:
    """The expected metrics of a stream that was sent to both nodes, of which one was killed half-way."""
    stream = make_stream(5)
    rng = random.Random(5)
    half = len(stream.batches) // 2
    deliver(nodes, stream.batches[:half], rng)
    nodes[1].kill()
    refused = half
    # Some small requests contain only events of the shard that is alive.
    while offer(nodes[0], stream.batches[refused]):
        refused += 1
    nodes[1].start()
    deliver(nodes, stream.batches[refused:], rng)
    nodes[0].clickhouse.refresh()
    return Reference(stream.deliveries)


@pytest.fixture(scope="module", params=[0, 1], ids=["asked-one", "asked-two"])
def loaded(request: pytest.FixtureRequest, nodes: list[Node], delivered: Reference) -> tuple[ClickHouse, Reference]:
    """A server and its expected answers, as the tests of the metrics need them."""
    return nodes[request.param].clickhouse, delivered


def test_both_shards_hold_facts_and_no_event_is_on_two(nodes: list[Node], delivered: Reference) -> None:
    for table, facts in (("recommendation_events", delivered.recommendations), ("admin_views", delivered.views)):
        sql = f"SELECT DISTINCT event_id FROM intel.{table}_local"
        one, two = ({row["event_id"] for row in node.clickhouse.rows(sql, role="admin")} for node in nodes)
        assert one
        assert two
        assert not one & two
        assert len(one | two) == len(facts)


def test_repeated_deliveries_are_seen_across_nodes(nodes: list[Node], delivered: Reference) -> None:
    events = len(delivered.recommendations) + len(delivered.outcomes) + len(delivered.views)
    for node in nodes:
        [health] = node.clickhouse.rows("SELECT sum(events) AS n, sum(duplicates) AS d FROM metrics.ingest_health")
        assert health["n"] == events
        assert health["d"] > 0


def test_a_shard_reads_its_own_rows_only(nodes: list[Node], delivered: Reference) -> None:
    """Each shard reads only its part: the rows read by all shards are the rows of the table."""
    for node in nodes:  # or a merge between the two queries would make fewer
        node.clickhouse.client("admin").command("OPTIMIZE TABLE intel.decisions_local FINAL")
    stored = [int(node.clickhouse.value("SELECT count() FROM intel.decisions_local", "admin")) for node in nodes]
    asked = nodes[0].clickhouse.client("reader").query("SELECT count(), sum(decision_time_ms) FROM metrics.decisions")
    assert int(asked.summary["read_rows"]) == sum(stored)
    assert max(stored) < 0.8 * sum(stored)


def test_a_dead_shard_gives_an_error_not_a_smaller_number(nodes: list[Node], delivered: Reference) -> None:
    nodes[1].kill()
    try:
        with pytest.raises(DatabaseError, match="ALL_CONNECTION_TRIES_FAILED"):
            nodes[0].clickhouse.client("reader").query("SELECT count() FROM metrics.decisions")
    finally:
        nodes[1].start()


def test_rebuild_gives_the_same_answers(nodes: list[Node], loaded: tuple[ClickHouse, Reference]) -> None:
    admins = [node.clickhouse.client("admin") for node in nodes]
    for admin in admins:
        admin.command("TRUNCATE TABLE intel.recommendation_events_local")
    rebuild(admins, lambda line: None, CLUSTER)
    test_decisions(loaded)
    test_first_outcome_of_a_signal(loaded)


def test_verify_compares_all_shards(nodes: list[Node], delivered: Reference) -> None:
    environment = {
        "CLICKHOUSE_URL": " ".join(node.clickhouse.url("admin") for node in nodes),
        "OTEL_INTEL_CLUSTER": "intel",
    }
    first, last = FIRST_DAY + timedelta(days=8), FIRST_DAY + timedelta(days=11)  # a second or two each
    facts = [
        fact
        for fact in (*delivered.recommendations, *delivered.outcomes, *delivered.views)
        if first <= fact.day <= last
    ]
    decisions = [fact for fact, _ in delivered.decisions if first <= fact.day <= last]
    arguments = ["verify", "--since", str(first), "--until", str(last)]
    found = CliRunner().invoke(main, arguments, env=environment)
    assert found.exit_code == 0, found.output
    assert sum(int(line.split()[1]) for line in found.output.splitlines()) == len(facts)
    admins = [node.clickhouse.client("admin") for node in nodes]
    for admin in admins:
        admin.command("ALTER TABLE intel.decisions_local DELETE WHERE 1", settings={"mutations_sync": 2})
    try:
        found = CliRunner().invoke(main, arguments, env=environment)
    finally:
        recompute_all(admins, lambda line: None, CLUSTER)
    assert found.exit_code == 1
    assert found.output.splitlines()[-1].endswith("run otel-intel rebuild --numbers")
    lines = [line for line in found.output.splitlines() if "differences" in line and "events:" in line]
    assert sum(int(line.split()[3]) for line in lines) == len(decisions) > 0


def test_migrate_needs_every_node(nodes: list[Node]) -> None:
    environment = {"CLICKHOUSE_URL": nodes[0].clickhouse.url("admin"), "OTEL_INTEL_CLUSTER": "intel"}
    found = CliRunner().invoke(main, ["migrate"], env=environment)
    assert found.exit_code == 1
    assert "has 2 nodes" in found.output
    assert "but 1 URLs are given" in found.output


def test_migrate_without_the_clusters_name_is_refused(nodes: list[Node]) -> None:
    found = CliRunner().invoke(main, ["migrate"], env={"CLICKHOUSE_URL": nodes[0].clickhouse.url("admin")})
    assert found.exit_code == 1
    assert "are a cluster's: name it, OTEL_INTEL_CLUSTER" in found.output


def test_migrate_again_changes_only_what_is_asked_for(nodes: list[Node]) -> None:
    environment = {
        "CLICKHOUSE_URL": " ".join(node.clickhouse.url("admin") for node in nodes),
        "OTEL_INTEL_CLUSTER": "intel",
        "OTEL_INTEL_RETENTION_LANDING": "400 DAY",
    }
    assert CliRunner().invoke(main, ["migrate"], env=environment).output.splitlines() == 2 * [
        "intel.otel_logs: kept for 400 days",
        "intel.rejected_events_local: kept for 400 days",
    ]


def test_a_span_on_two_nodes_counts_once(nodes: list[Node]) -> None:
    now = time.time_ns()
    for node in nodes:
        # As the Collector's exporter inserts them: with columns that the table does not store.
        node.clickhouse.client("writer").insert(
            "intel.otel_traces",
            [[now, f"{number:032x}", f"{number:016x}", [1], ["exception"]] for number in range(20)],
            column_names=["Timestamp", "TraceId", "SpanId", "Events.Timestamp", "Events.Name"],
        )
    assert [node.clickhouse.value("SELECT count() FROM metrics.spans") for node in nodes] == [20, 20]
