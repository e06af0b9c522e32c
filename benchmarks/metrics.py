"""Measure what numbers cost: filling, the refresh, each metric, and how soon an event is in them.

History of 90 days with all that is hard: skewed admins, 5 % of the events again in a later batch, 2 % late by hours,
repeated decisions, second outcomes. Run ``make bench-metrics EVENTS=10000000``; ``--shards``: on two shards;
``--kills 3``: the server is killed in the middle of so many refreshes; ``--verify``: compare days with slow Python.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from clickhouse_connect.driver.exceptions import Error as ClickHouseError
from django.conf import settings
from uuid_utils import uuid7

from benchmarks.dashboards import UID
from otel_intel.pages.summary import Summary
from otel_intel.reading import metrics, trends
from otel_intel.reading.reader import Reader
from otel_intel.schema.refresh import RefreshError
from tests.cluster.nodes import run_cluster
from tests.otlp import event, logs_request, post
from tests.processes import running
from tests.servers import ClickHouse, engine_pid, run_clickhouse, signal_engine
from tests.waiting import poll_until

DAYS = 90
BATCH = 250_000
REPEATS = 50
# Twelve events a signal: views, an explanation, a decision (one in five is repeated), an outcome (one in ten has two).
FILL = (
    """
INSERT INTO intel.otel_logs (Timestamp, ServiceName, TraceId, EventName, LogAttributes)
WITH
    intDiv(number, 12) AS signal,
    number % 12 AS step,
    sipHash64(signal) AS habit,
    toInt64(1e9 * ({start} + {seconds} * signal / {signals}
        + [0, 1, 2, 3, 5, 6, 15, 30, 40, 60, 700, 9000][step + 1] * (1 + habit % 20) * 0.5)) AS at,
"""
    + UID
    + """
    multiIf(signal < 0.5 * {signals}, 'v1', signal > 0.85 * {signals} AND habit % 3 = 0, 'v3', 'v2') AS version,
    ['recommendation.accepted', 'recommendation.accepted', 'recommendation.ignored', 'recommendation.overridden']
        AS ends,
    concat('intel.', ['dashboard.opened', 'signal.detail_opened', 'recommendation.viewed', 'explanation.expanded',
        'signal.detail_opened', 'recommendation.viewed', ends[habit % 4 + 1], 'recommendation.viewed', 'note.created',
        'signal.outcome_recorded', if(habit % 5 = 0, ends[habit % 3 + 2], 'dashboard.opened'),
        if(habit % 10 = 0, 'signal.outcome_recorded', 'signal.detail_opened')][step + 1]) AS name
SELECT
    fromUnixTimestamp64Nano(at, 'UTC') AS Timestamp,
    ['shop', 'desk'][habit % 2 + 1],
    lower(hex(sipHash128(signal))),
    name,
    mapFilter((k, v) -> v != '', map(
        'log.record.uid', uid, 'intel.schema.version', '1', 'intel.engine.version', version,
        'intel.risk_signal.id', if(name = 'intel.dashboard.opened', '', toString(signal)),
        'intel.admin.id', toString(toUInt32(pow(habit % 10000 / 10000, 3) * 2500)),
        'intel.recommendation.type', if(name LIKE '%recommendation%', concat('TYPE_', toString(habit % 5)), ''),
        'intel.recommendation.confidence',
            if(name LIKE '%recommendation%', ['HIGH', 'MEDIUM', 'LOW'][habit % 3 + 1], ''),
        'intel.outcome.status', if(name LIKE '%outcome%',
            ['RESOLVED', 'RESOLVED', 'ESCALATED', 'NO_ACTION', 'FALSE_POSITIVE'][(habit + step) % 5 + 1], ''),
        'intel.outcome.resolution_time_hours', if(name LIKE '%outcome%', toString(habit % 200 / 4), '')))
FROM numbers({first}, {count})
WHERE {which}
SETTINGS max_partitions_per_insert_block = 0
"""
)
# Late: a fiftieth of the batch before, for the first time. Again: a twentieth of it, for the second time.
NOW = "sipHash64(number, 1) % 50 != 0"
BEFORE = "sipHash64(number, 1) % 50 = 0 OR sipHash64(number, 2) % 20 = 0"


FILTERS: dict[str, dict[str, Any]] = {
    "": {},
    ", version": {"engine_version": "v2"},
    ", type": {"recommendation_type": "TYPE_1"},
    ", confidence": {"confidence": "HIGH"},
    ", service": {"service_name": "shop"},
    ", all four": {
        "engine_version": ["v1", "v2"], "recommendation_type": "TYPE_1", "confidence": "HIGH", "service_name": "shop"
    },
}  # fmt: skip


class Cost(NamedTuple):
    """Milliseconds."""

    p50: float
    p95: float


def fill(clickhouse: ClickHouse, events: int, kills: int) -> None:
    """Fill a server batch by batch and refresh it after each; tell the progress."""
    batches = -(-events // BATCH)
    fatal = {(kill + 1) * batches // (kills + 1) for kill in range(kills)}
    admin, started, refreshing = clickhouse.client("admin"), time.monotonic(), 0.0
    values = {"start": time.time() - DAYS * 86400, "seconds": DAYS * 86400 - 86400, "signals": events // 12}
    for first in range(0, events, BATCH):
        admin.command(FILL.format(**values, first=first, count=min(BATCH, events - first), which=NOW))
        if first:
            admin.command(FILL.format(**values, first=first - BATCH, count=BATCH, which=BEFORE))
        before = time.monotonic()
        if first // BATCH in fatal:
            kill_in_a_refresh(clickhouse)
        clickhouse.refresh()
        refreshing += time.monotonic() - before
        if sys.stderr.isatty():
            print(f"\r{first + BATCH:,} of {events:,} events", end="", file=sys.stderr)
    took = time.monotonic() - started
    print(f"\nfilled {events:,} events in {took:.0f} s, {refreshing:.0f} s of them refreshing")


def kill_in_a_refresh(clickhouse: ClickHouse) -> None:
    """Kill the engine a moment after a refresh has begun; wait until its successor answers."""

    def refresh() -> None:
        with contextlib.suppress(RefreshError):
            clickhouse.refresh()

    refresher = threading.Thread(target=refresh)
    refresher.start()
    time.sleep(random.uniform(0.05, 0.5))
    signal_engine(clickhouse.server, signal.SIGKILL)
    refresher.join()

    def answers() -> bool:
        with contextlib.suppress(ClickHouseError):
            return bool(clickhouse.value("SELECT 1"))
        return False

    assert poll_until(answers, 60)
    [[waiting]] = clickhouse.client("reader").query("SELECT waiting FROM metrics.freshness").result_rows
    print(f"\nkilled in a refresh; {waiting:,} events still wait")


def measure(call: Callable[[], object]) -> Cost:
    """Return what a call costs when it is warm."""
    times = []
    for _ in range(REPEATS + 5):
        started = time.perf_counter()
        call()
        times.append((time.perf_counter() - started) * 1000)
    ordered = sorted(times[5:])
    return Cost(statistics.median(ordered), ordered[REPEATS * 95 // 100])


def calls() -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield each number with its filters."""
    yield "SELECT 1", lambda: Reader().rows(dict, "SELECT 1")
    for days in (7, 30, 90):
        for name, filters in FILTERS.items():
            for get in (
                metrics.get_recommendation_acceptance_rate,
                metrics.get_average_decision_time,
                metrics.get_override_rate,
            ):
                yield f"{get.__name__}({days}{name})", partial(get, days, **filters)
        for name in ("", ", version", ", service"):
            for outcomes in (metrics.get_false_positive_rate, metrics.get_outcome_distribution):
                yield f"{outcomes.__name__}({days}{name})", partial(outcomes, days, **FILTERS[name])
        yield f"get_metrics({days})", partial(trends.get_metrics, days)
        yield f"get_trend(acceptance_rate, {days})", partial(trends.get_trend, "acceptance_rate", days)
    yield "overview", lambda: Summary(Reader(), datetime.now(UTC).date()).wait()


def cpu_seconds(pids: list[int]) -> float:
    """Return the processor time that processes have used so far."""
    used = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        used += int(fields[11]) + int(fields[12])
    return used / os.sysconf("SC_CLK_TCK")


def probe(clickhouse: ClickHouse, number: int) -> float:
    """Send one event and return the seconds from its acknowledgement until it is in the numbers."""
    version = f"probe {number}"
    sent = event("recommendation.accepted", None, str(uuid7()), **{"intel.engine.version": version})
    assert post(clickhouse, logs_request([sent]).SerializeToString()).status_code == 200
    acknowledged = time.monotonic()
    assert poll_until(lambda: metrics.get_override_rate(1, engine_version=version)["decisions"], 60)
    return time.monotonic() - acknowledged


def freshness(clickhouse: ClickHouse, seconds: float = 30.0) -> None:
    """Print what the refresh takes when nothing arrives, and how old numbers are while 1,000 events/s arrive."""
    command = [sys.executable, "-m", "otel_intel", "refresh"]
    engine = engine_pid(clickhouse.server) or 0

    def share(pids: list[int]) -> float:
        before = cpu_seconds(pids)
        time.sleep(seconds)
        return (cpu_seconds(pids) - before) / seconds

    alone = share([engine])
    with running(command, env={**os.environ, "CLICKHOUSE_URL": clickhouse.url("admin")}) as process:
        probe(clickhouse, 0)
        idle = share([process.pid, engine])
        print(f"idle: {idle - alone:.1%} of a core for the refresh, {alone:.1%} for ClickHouse itself")
        stop = threading.Event()

        def send() -> None:
            due = time.monotonic()
            while not stop.is_set():
                batch = [
                    event("recommendation.viewed", None, str(uuid7()), **{"intel.risk_signal.id": str(n)})
                    for n in range(100)
                ]
                post(clickhouse, logs_request(batch).SerializeToString())
                due += 0.1
                time.sleep(max(0.0, due - time.monotonic()))

        sender = threading.Thread(target=send)
        sender.start()
        ages = sorted(probe(clickhouse, number) for number in range(1, 41))
        stop.set()
        sender.join()
        print(f"acknowledged to readable: p50 {statistics.median(ages):.2f} s, max {ages[-1]:.2f} s")


def main() -> None:
    """Fill, then measure."""
    parser = argparse.ArgumentParser(prog="benchmarks.metrics", description=__doc__)
    parser.add_argument("events", nargs="?", type=int, default=1_000_000, help="number of events; default 1,000,000")
    parser.add_argument("--shards", action="store_true", help="on two shards of this machine")
    parser.add_argument("--kills", type=int, default=0, help="kill the server in so many refreshes while filling")
    parser.add_argument(
        "--verify",
        type=int,
        nargs="?",
        const=DAYS + 2,
        metavar="DAYS",
        help="at the end, compare the last days with the slow definition; all days if you give no number",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        if options.shards:
            with run_cluster(Path(directory)) as nodes:
                report(nodes[0].clickhouse, options)
        else:
            with run_clickhouse(Path(directory)) as clickhouse:
                report(clickhouse, options)


def report(clickhouse: ClickHouse, options: argparse.Namespace) -> None:
    """Print everything about one server or cluster."""
    settings.configure(OTEL_INTEL={"CLICKHOUSE_URL": clickhouse.url("reader")}, USE_TZ=True)
    fill(clickhouse, options.events, options.kills)
    for row in clickhouse.rows("SELECT table, rows, bytes FROM metrics.storage ORDER BY bytes DESC LIMIT 10"):
        print(f"{row['table']:<24}{row['rows']:>12,} rows{row['bytes'] / max(row['rows'], 1):>8.1f} bytes each")
    for name, call in calls():
        cost = measure(call)
        print(f"{name:<60}{cost.p50:>8.1f}{cost.p95:>8.1f} ms")
    if len(clickhouse.nodes) == 1:
        freshness(clickhouse)
    if options.verify:
        clickhouse.refresh()
        command = [sys.executable, "-m", "otel_intel", "verify", "--days", str(options.verify)]
        subprocess.run(command, env={**os.environ, "CLICKHOUSE_URL": clickhouse.url("admin")}, check=True)


if __name__ == "__main__":
    main()
