"""Measure the cost of a metric on one server and on two shards: time, rows read in total and by each shard.

Both shards run on this machine. So the times show the overhead of two shards, and the rows show the work saved on each.
Run as ``python -m benchmarks.shards [EVENTS]``.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.cluster.nodes import run_cluster
from tests.servers import ClickHouse, run_clickhouse

FILL = """
INSERT INTO intel.recommendation_events (event_id, timestamp, ingested_at, risk_signal_id, admin_id, action,
    recommendation_type, confidence, engine_version, service_name)
SELECT
    toString(generateUUIDv7(number)), now64(9, 'UTC') - toIntervalSecond(intHash64(number) % 7776000) AS at, at,
    's' || toString(number % {signals}), 'a' || toString(intHash64(number) % 2500),
    ['VIEWED', 'VIEWED', 'ACCEPTED', 'IGNORED'][number % 4 + 1], 'EXPIRING_SOON', 'HIGH', 'v' || toString(number % 3),
    'shop'
FROM numbers_mt({events})
SETTINGS distributed_foreground_insert = 1, max_partitions_per_insert_block = 0
"""
OUTCOMES = """
INSERT INTO intel.signal_outcomes (event_id, timestamp, ingested_at, risk_signal_id, outcome_status, engine_version)
SELECT toString(generateUUIDv7(number)), now64(9, 'UTC') - toIntervalSecond(intHash64(number) % 7776000) AS at, at,
    's' || toString(number), ['RESOLVED', 'FALSE_POSITIVE'][number % 2 + 1], 'v1'
FROM numbers_mt({signals})
SETTINGS distributed_foreground_insert = 1
"""
METRICS = ("acceptance_rate", "override_rate", "decision_time", "false_positive_rate")


def measure(name: str, clickhouse: ClickHouse, events: int) -> None:
    """Insert events, then query each metric five times."""
    admin = clickhouse.client("admin")
    for sql in (FILL, OUTCOMES):
        admin.command(sql.format(events=events, signals=events // 5))
    for metric in METRICS:
        times = []
        for _ in range(5):
            started = time.perf_counter()
            answer = clickhouse.client("reader").query(f"SELECT * FROM metrics.{metric}(days = 30)")
            times.append(time.perf_counter() - started)
        print(f"{name}  {metric:<20} {median(times) * 1000:7.0f} ms  {int(answer.summary['read_rows']):>9,} rows read")


def main() -> None:
    """Measure one server, then two shards."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as directory:
        with run_clickhouse(Path(directory) / "one") as clickhouse:
            measure("one server", clickhouse, events)
        with run_cluster(Path(directory) / "two") as nodes:
            measure("two shards", nodes[0].clickhouse, events)
            for node in nodes:
                for table in ("recommendation_events", "signal_outcomes"):
                    rows = node.clickhouse.value(f"SELECT count() FROM intel.{table}_local", "admin")
                    print(f"{node.server.directory.name}: intel.{table}_local has {rows:,} rows")


if __name__ == "__main__":
    main()
