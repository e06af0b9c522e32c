"""Two real servers as the two shards of one cluster."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from otel_intel.resources import folder
from otel_intel.schema.cluster import Cluster
from otel_intel.schema.migrate import migrate, require_nodes
from otel_intel.server import embedded
from tests.servers import ClickHouse, kill

CLUSTER = Cluster("intel")
SERVER = folder("clickhouse") / "server"


class Node:
    """One shard: it keeps its data and ports over restarts."""

    def __init__(self, directory: Path) -> None:
        server, self.process = embedded.start(directory, http_port=0, native_port=0)
        self.server = server
        self.clickhouse = ClickHouse(server)

    def kill(self) -> None:
        """Kill it at once, whatever it is doing; a second call does no harm."""
        self.clickhouse.close()
        kill(self.server, self.process)

    def start(self) -> None:
        """Start it again, with its current passwords."""
        server, self.process = embedded.start(self.server.directory)
        self.server = server
        self.clickhouse.server, self.clickhouse.url, self.clickhouse.variables = server, server.url, server.variables


def join(node: Node, ports: list[int], passwords: Mapping[str, str]) -> None:
    """Give a node the example's files, with these ports instead of its hosts, and the passwords of all nodes."""
    directory = node.server.directory
    state = directory / "otel-intel.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "passwords": dict(passwords)}))
    (directory / "config.d").mkdir()
    config = (SERVER / "cluster.xml").read_text()
    for number, port in enumerate(ports, 1):
        config = config.replace(
            f"<host>clickhouse-{number}</host><port>9000</port>", f"<host>127.0.0.1</host><port>{port}</port>"
        )
    assert not re.search("clickhouse-[0-9]<", config)
    (directory / "config.d" / "otel_intel_cluster.xml").write_text(config)
    shutil.copy(SERVER / "cluster_users.xml", directory / "users.d" / "otel_intel_cluster.xml")


@contextlib.contextmanager
def run_cluster(directory: Path) -> Iterator[list[Node]]:
    """Run two shards with the schema in place."""
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        passed_on = ("INTEL_CLUSTER_PASSWORD", "INTEL_REPLICA", "INTEL_SHARD")
        patch.setattr(embedded, "ENVIRONMENT", (*embedded.ENVIRONMENT, *passed_on))
        patch.setenv("INTEL_CLUSTER_PASSWORD", secrets.token_hex(8))
        patch.setenv("INTEL_REPLICA", "1")
        nodes: list[Node] = []
        for name in ("one", "two"):
            patch.setenv("INTEL_SHARD", name)
            nodes.append(Node(directory / name))
            stack.callback(nodes[-1].kill)
        for node in nodes:
            node.kill()
            join(node, [node.server.native_port for node in nodes], nodes[0].server.passwords)
            node.start()
        admins = [node.clickhouse.client("admin") for node in nodes]
        require_nodes(admins, CLUSTER)
        for admin in admins:
            migrate(admin, lambda line: None, cluster=CLUSTER)
        for node in nodes:
            node.clickhouse.nodes, node.clickhouse.cluster = [node.clickhouse for node in nodes], CLUSTER
        yield nodes
