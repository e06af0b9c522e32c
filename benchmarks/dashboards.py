"""Measure the cost of dashboards and alerts: each query with its default range and variables, as Grafana's user.

The events (10 million by default) are spread over 60 days. Run ``make bench-dashboards EVENTS=1000000``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.grafana.files import Dashboard, dashboards, provisioning, targets, variables
from tests.grafana.macros import Context, expand, expand_macros
from tests.servers import ClickHouse, run_clickhouse

DAYS = 60
BATCHES = 20
REPEATS = 5
# The id of an event: a UUIDv7 of the time `at`, the same one each time for a number.
UID = """    leftPad(lower(hex(toUInt64(intDiv(at, 1000000)))), 12, '0') AS time_part,
    lower(hex(sipHash128(number))) AS random_part,
    concat(substring(time_part, 1, 8), '-', substring(time_part, 9, 4), '-7', substring(random_part, 1, 3), '-8',
        substring(random_part, 4, 3), '-', substring(random_part, 7, 12)) AS uid,"""
# Ten events for each signal, one signal after the other: an admin's actions within minutes, and the outcome.
FILL = (
    """
INSERT INTO intel.otel_logs (Timestamp, ServiceName, TraceId, EventName, LogAttributes, IngestedAt)
WITH
    intDiv(number, 10) AS signal,
    number % 10 AS step,
    sipHash64(signal) AS habit,
    toInt64(1e9 * ({start} + {seconds} * signal / {signals}
        + [0, 1, 2, 3, 5, 6, 15, 30, 40, 60][step + 1] * (1 + habit % 20) * 0.5)) AS at,
"""
    + UID
    + """
    multiIf(signal < 0.5 * {signals}, 'v1', signal > 0.85 * {signals} AND habit % 3 = 0, 'v3', 'v2') AS version,
    ['recommendation.accepted', 'recommendation.accepted', 'recommendation.ignored', 'recommendation.overridden']
        [habit % 4 + 1] AS decision,
    concat('intel.', ['dashboard.opened', 'signal.detail_opened', 'recommendation.viewed', 'explanation.expanded',
        'signal.detail_opened', 'recommendation.viewed', decision, 'note.created', 'dashboard.opened',
        'signal.outcome_recorded'][step + 1]) AS name
SELECT
    fromUnixTimestamp64Nano(at, 'UTC') AS Timestamp,
    ['shop', 'desk'][habit % 2 + 1],
    lower(hex(sipHash128(signal))),
    name,
    mapFilter((k, v) -> v != '', map(
        'log.record.uid', uid, 'intel.schema.version', '1', 'intel.engine.version', version,
        'intel.risk_signal.id', if(name = 'intel.dashboard.opened', '', toString(signal)),
        'intel.admin.id', concat('admin ', toString(habit % 50)),
        'intel.recommendation.type', if(name LIKE '%recommendation%', concat('TYPE_', toString(habit % 6)), ''),
        'intel.recommendation.confidence',
            if(name LIKE '%recommendation%', ['HIGH', 'MEDIUM', 'LOW'][habit % 3 + 1], ''),
        'intel.outcome.status', if(name LIKE '%outcome%',
            ['RESOLVED', 'RESOLVED', 'ESCALATED', 'NO_ACTION', 'FALSE_POSITIVE'][habit % 5 + 1], ''),
        'intel.outcome.resolution_time_hours', if(name LIKE '%outcome%', toString(habit % 200 / 4), ''),
        'intel.pipeline.process.id', concat('process ', toString(habit % 2)))),
    Timestamp + toIntervalMillisecond(50 + number % 800)
FROM numbers({first}, {count})
"""
)


class Cost(NamedTuple):
    """The cost of a query: milliseconds (median) and rows read."""

    dashboard: str
    place: str
    milliseconds: float
    rows: int


def fill(clickhouse: ClickHouse, events: int) -> None:
    """Insert events into the landing, in the order of time; views fill the facts from it."""
    admin = clickhouse.client("admin")
    start = time.time() - DAYS * 86400
    for batch in range(BATCHES):
        count = events // BATCHES
        admin.command(
            FILL.format(start=start, seconds=DAYS * 86400, signals=events // 10, first=batch * count, count=count),
            settings={"max_partitions_per_insert_block": 0},
        )
    facts = clickhouse.value("SELECT count() FROM metrics.arrivals")
    if facts != events // BATCHES * BATCHES:
        sys.exit(f"Only {facts:,} of {events:,} events became facts.")
    # Wait for the merges: in production they are done long before somebody looks at a day.
    deadline = time.monotonic() + 300
    while clickhouse.value("SELECT count() FROM system.merges", "admin") and time.monotonic() < deadline:
        time.sleep(0.5)


def measure(clickhouse: ClickHouse, sql: str) -> tuple[float, int]:
    """Return the median milliseconds of a query and the rows it reads."""
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        answer = clickhouse.client("dashboard").query(sql, settings={"max_execution_time": 60})
        times.append(time.perf_counter() - started)
    return median(times) * 1000, int(answer.summary["read_rows"])


def costs(clickhouse: ClickHouse) -> Iterator[Cost]:
    """Yield the cost of every query of the dashboards and alerts."""
    now = datetime.now(UTC)
    for name, dashboard in sorted(dashboards().items()):
        # now-29d/d: from the beginning of the day that was 29 days ago.
        span = timedelta(days=int(dashboard["time"]["from"].removeprefix("now-").removesuffix("d/d")) + 1)
        context = Context(now - span, now, max(span / 1000, timedelta(minutes=1)))
        context = Context(context.start, now, context.interval, values(clickhouse, dashboard, context))
        for target in targets(name, dashboard):
            yield Cost(name, target.place, *measure(clickhouse, expand(target.sql, context)))
    for group in provisioning("alerting")["groups"]:
        for rule in group["rules"]:
            query = rule["data"][0]
            context = Context(now - timedelta(seconds=query["relativeTimeRange"]["from"]), now)
            yield Cost("alerts", rule["title"], *measure(clickhouse, expand_macros(query["model"]["rawSql"], context)))


def values(clickhouse: ClickHouse, dashboard: Dashboard, context: Context) -> dict[str, str]:
    """Return the values of the variables when the dashboard is opened."""
    found = {}
    for variable in variables(dashboard):
        current = variable.get("current", {}).get("value")
        if variable["type"] == "query" and current is None:
            choices = clickhouse.client("dashboard").query(expand(variable["query"]["rawSql"], context)).result_rows
            current = choices[0][0] if choices else ""
        found[variable["name"]] = str(current or variable["query"]) if variable["type"] != "query" else str(current)
    return found


def main() -> None:
    """Fill a server, then measure."""
    parser = argparse.ArgumentParser(prog="benchmarks.dashboards", description=__doc__)
    parser.add_argument("events", nargs="?", type=int, default=10_000_000, help="number of events; default 10,000,000")
    events: int = parser.parse_args().events
    if events < 10 * BATCHES:
        parser.error(f"events must be at least {10 * BATCHES}")
    with tempfile.TemporaryDirectory() as directory, run_clickhouse(Path(directory)) as clickhouse:
        started = time.perf_counter()
        fill(clickhouse, events)
        print(f"{events:,} events over {DAYS} days, filled in {time.perf_counter() - started:.0f} s")
        measured = []
        for cost in costs(clickhouse):
            measured.append(cost)
            print(
                f"{cost.dashboard:<16} {cost.place:<48} {cost.milliseconds:8.0f} ms {cost.rows:>12,} rows", flush=True
            )
        for name in sorted({cost.dashboard for cost in measured}):
            times = [cost.milliseconds for cost in measured if cost.dashboard == name]
            print(f"{name:<16} {len(times)} queries, slowest {max(times):.0f} ms, all {sum(times):.0f} ms")


if __name__ == "__main__":
    main()
