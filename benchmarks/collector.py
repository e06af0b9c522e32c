"""Measure the throughput through the Collector: real collector, real ClickHouse, disk queue with fsync, one machine.

Prints events per second (acknowledged, readable in ``metrics.*``), the collector's memory, the time from acknowledged
to readable, and whether 100,000 events of the Python pipeline arrive once each. Run ``make bench-collector``;
``EVENTS=30000`` changes the number of events of the first measurement.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import tempfile
import threading
import time
from pathlib import Path
from statistics import median, quantiles

import requests

from otel_intel import Telemetry
from tests.collector.process import TOKEN, Collector
from tests.collector.traffic import IDS
from tests.otlp import event, logs_request
from tests.servers import ClickHouse, run_clickhouse

CLIENTS, REQUEST = 3, 1000
PIPELINE_EVENTS = 100_000
PROBES = 200


def wait(clickhouse: ClickHouse, count: int) -> float:
    """Wait until that many events have become facts; ClickHouse answers this count without reading rows."""
    while int(clickhouse.value("SELECT count() FROM intel.recommendation_events", "admin")) < count:
        time.sleep(0.02)
    return time.perf_counter()


def throughput(collector: Collector, clickhouse: ClickHouse, events: int) -> None:
    """Send prepared requests from several clients at once, as fast as the Collector accepts them."""
    bodies = [
        logs_request([event("recommendation.accepted") for _ in range(REQUEST)]).SerializeToString()
        for _ in range(events // REQUEST)
    ]

    def client(share: list[bytes]) -> None:
        session = requests.Session()
        headers = {"Content-Type": "application/x-protobuf", "Authorization": f"Bearer {TOKEN}"}
        for body in share:
            while session.post(f"{collector.url}/v1/logs", data=body, headers=headers, timeout=30).status_code != 200:
                time.sleep(0.05)

    threads = [threading.Thread(target=client, args=(bodies[number::CLIENTS],)) for number in range(CLIENTS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    acknowledged = time.perf_counter() - started
    readable = wait(clickhouse, events) - started
    print(f"{events:,} events, {CLIENTS} clients, {REQUEST:,} a request:")
    print(f"  acknowledged {events / acknowledged:>9,.0f} events/s")
    print(f"  readable     {events / readable:>9,.0f} events/s")


def memory(collector: Collector) -> int:
    """Return the collector's largest resident memory so far in MB."""
    assert collector.process
    status = Path(f"/proc/{collector.process.pid}/status").read_text(encoding="utf-8")
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) // 1000


def delay(collector: Collector, clickhouse: ClickHouse) -> None:
    """Send one event at a time and poll until it can be read."""
    rng = random.Random(1)
    reader = clickhouse.client("reader")
    found = "SELECT count() FROM metrics.admin_views WHERE event_id = {id:String}"
    delays, requests_took = [], []
    for _ in range(PROBES):
        record = event("dashboard.opened")
        before = time.perf_counter()
        collector.send([record])
        acknowledged = time.perf_counter()
        while not reader.query(found, parameters={"id": record.attributes["log.record.uid"]}).result_rows[0][0]:
            time.sleep(0.002)
        delays.append((time.perf_counter() - acknowledged) * 1000)
        requests_took.append((acknowledged - before) * 1000)
        time.sleep(rng.random() / 20)
    print(f"one event at a time, {PROBES} times:")
    for name, values in (("until acknowledged", requests_took), ("acknowledged to readable", delays)):
        print(f"  {name:<25} p50 {median(values):>6.1f} ms   p99 {quantiles(values, n=100)[98]:>6.1f} ms")


def pipeline(collector: Collector, clickhouse: ClickHouse, protocol: str) -> None:
    """Send from the Python pipeline, never faster than its queue accepts events."""
    os.environ |= {**collector.variables(protocol), "OTEL_INTEL_ENGINE_VERSION": "1"}
    telemetry = Telemetry()
    started = time.perf_counter()
    for number in range(PIPELINE_EVENTS):
        if number % 500 == 0:
            while telemetry.status()["queued"] > 5000:
                time.sleep(0.005)
        telemetry.track_recommendation_accept(number, 1, "EXPIRING_SOON", "HIGH")
    assert telemetry.flush(60)
    wait(clickhouse, PIPELINE_EVENTS)
    took = time.perf_counter() - started
    telemetry.shutdown()
    distinct = clickhouse.value(f"SELECT uniqExact(event_id) FROM ({IDS})")
    rate = f"{PIPELINE_EVENTS / took:,.0f} events/s"
    print(f"Python pipeline, {protocol}: {distinct:,} of {PIPELINE_EVENTS:,} events, {rate}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.collector", description=__doc__)
    parser.add_argument(
        "events", nargs="?", type=int, default=300_000, help="number of prepared events; default 300,000"
    )
    events: int = parser.parse_args().events
    if events < REQUEST or events % REQUEST:
        parser.error(f"events must be a multiple of {REQUEST:,}, the number of events in a request")
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, {platform.python_implementation()} {platform.python_version()}"
    )
    with tempfile.TemporaryDirectory() as directory, run_clickhouse(Path(directory) / "clickhouse") as clickhouse:
        collector = Collector(Path(directory) / "collector", clickhouse.server).start()
        try:
            delay(collector, clickhouse)
            for protocol in ("http/protobuf", "grpc"):
                clickhouse.empty()
                pipeline(collector, clickhouse, protocol)
            clickhouse.empty()
            throughput(collector, clickhouse, events)
            print(f"collector's memory at most {memory(collector)} MB")
        finally:
            collector.stop()


if __name__ == "__main__":
    main()
