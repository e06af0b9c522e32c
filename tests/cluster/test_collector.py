"""A real Collector in front of two shards: it uses both; while one is down, nothing is lost or counted twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.nodes import Node, run_cluster
from tests.collector.process import Collector
from tests.otlp import event
from tests.waiting import poll_until

FACTS = "SELECT count() FROM metrics.recommendation_events"


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[Node]]:
    """Two shards."""
    with run_cluster(tmp_path / "cluster") as nodes:
        yield nodes


@pytest.fixture
def collector(nodes: list[Node], tmp_path: Path) -> Iterator[Collector]:
    """A collector that was given both nodes, as docs/scaling.md says."""
    with Collector(tmp_path / "collector", nodes[0].server) as collector:
        one, two = (f"127.0.0.1:{node.server.native_port}" for node in nodes)
        collector.settings["CLICKHOUSE_ENDPOINT"] = f"tcp://{one},{two}?connection_open_strategy=round_robin"
        yield collector.start()


def test_both_nodes_are_used_and_a_dead_node_loses_nothing(nodes: list[Node], collector: Collector) -> None:
    sent = 0

    def send() -> None:
        nonlocal sent
        collector.send([event("recommendation.viewed") for _ in range(1000)])
        sent += 1000

    def landed(node: Node) -> int:
        return int(node.clickhouse.value("SELECT count() FROM intel.otel_logs", "admin"))

    def both() -> bool:
        send()
        return all(landed(node) for node in nodes)

    assert poll_until(both, 30)
    nodes[1].kill()
    for _ in range(5):
        send()
    nodes[1].start()
    assert poll_until(lambda: nodes[0].clickhouse.value(FACTS) >= sent, 60)
    assert [node.clickhouse.value(FACTS) for node in nodes] == [sent, sent]
