"""Traffic with a known result: events, a sender that repeats requests, and the comparison with ClickHouse."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from otel_intel.events import CATALOGUE
from tests.collector.process import Collector
from tests.otlp import Record, event, logs_request, report
from tests.servers import ClickHouse
from tests.sql.reference import Reference, Window, assert_rounded
from tests.waiting import poll_until

IDS = (
    "SELECT event_id FROM metrics.recommendation_events UNION ALL SELECT event_id FROM metrics.signal_outcomes"
    " UNION ALL SELECT event_id FROM metrics.admin_views"
)

PROCESS = "sender"


def make_events(signals: int, seed: int = 1) -> list[Record]:
    """Return four events for each signal, shuffled; some decisions get their time from their view."""
    rng = random.Random(seed)
    now = time.time_ns()
    records = []
    for number in range(signals):
        at = now - rng.randrange(3 * 86_400) * 10**9
        about = {
            "intel.risk_signal.id": f"s{seed}-{number}",
            "intel.admin.id": f"a{number % 7}",
            "intel.pipeline.process.id": PROCESS,
        }
        decision = rng.choice(("accepted", "ignored", "overridden"))
        given = None if number % 25 == 0 else rng.randrange(60_000)
        status = rng.choice(("RESOLVED", "ESCALATED", "NO_ACTION", "FALSE_POSITIVE"))
        records += [
            event("signal.detail_opened", at, **about),
            event("recommendation.viewed", at + 10**6, **about),
            event(
                f"recommendation.{decision}", at + rng.randrange(10**12), **about, **{"intel.decision.time_ms": given}
            ),
            event("signal.outcome_recorded", at + 10**13, **about, **{"intel.outcome.status": status}),
        ]
    rng.shuffle(records)
    return records


class Sender(threading.Thread):
    """Send each request again until the answer is 200, and some requests once more after that."""

    def __init__(self, collector: Collector, records: Sequence[Record], size: int = 250) -> None:
        super().__init__(daemon=True)
        self.collector = collector
        self.requests = [records[start : start + size] for start in range(0, len(records), size)]
        self.acknowledged: list[Record] = []
        self.refusals = 0
        self.gone = threading.Event()

    def run(self) -> None:
        """Send all records."""
        for number, records in enumerate(self.requests):
            for _ in range(2 if number % 5 == 0 else 1):
                while self.collector.offer(logs_request(records)) != 200:
                    self.refusals += 1
                    if self.gone.wait(0.05):
                        return
            self.acknowledged += records

    def finish(self, timeout: float = 60) -> None:
        """Wait until all records are acknowledged."""
        self.join(timeout)
        assert not self.is_alive(), f"{len(self.acknowledged)} acknowledged, {self.refusals} refusals"


def arrived(clickhouse: ClickHouse, count: int) -> Callable[[], bool]:
    """Return a condition that is true when that many events are readable."""
    return lambda: clickhouse.value(f"SELECT count() FROM ({IDS})") >= count


def told_missing(collector: Collector, clickhouse: ClickHouse, delivered: Sequence[Record]) -> int:
    """Report delivered records as a process does, and return how many of them are missing according to ClickHouse."""
    kinds = Counter(CATALOGUE[record.name].kind for record in delivered)
    collector.send([report(PROCESS, kind, delivered=count) for kind, count in kinds.items()])
    missing = "SELECT sum(missing) FROM metrics.pipeline_health HAVING count() = {}"
    assert poll_until(lambda: clickhouse.rows(missing.format(len(kinds))), 30)
    return int(clickhouse.value(missing.format(len(kinds))))


def assert_counted_once(clickhouse: ClickHouse, records: Sequence[Record], timeout: float = 90) -> None:
    """Check that every event arrives, none counts twice, and every metric has its expected value."""
    poll_until(arrived(clickhouse, len(records)), timeout, 0.1)
    stored = [str(event_id) for (event_id,) in clickhouse.client("reader").query(IDS).result_rows]
    assert len(stored) == len(set(stored))
    missing = {str(record.attributes["log.record.uid"]) for record in records} - set(stored)
    assert not missing, f"{len(missing)} of {len(records)} are missing"
    assert len(stored) == len(records)
    reference = Reference(records)
    today = datetime.now(UTC).date()
    window = Window(today - timedelta(days=9), today + timedelta(days=1))
    between = (
        f"first_day = '{window.first_day}', last_day = '{window.last_day}', engine_version = '', service_name = ''"
    )
    by_type = f"{between}, recommendation_type = '', confidence = ''"
    for metric in ("acceptance_rate", "override_rate"):
        rows = clickhouse.rows(f"SELECT * FROM metrics.{metric}_between({by_type})")
        assert rows == [getattr(reference, metric)(window)], metric
    [row] = clickhouse.rows(f"SELECT * FROM metrics.decision_time_between({by_type})")
    assert_rounded(row, reference.decision_time(window))
    rows = clickhouse.rows(f"SELECT * FROM metrics.false_positive_rate_between({between})")
    assert rows == [reference.false_positive_rate(window)]
    rows = clickhouse.rows(f"SELECT * FROM metrics.outcome_distribution_between({between})")
    assert rows == reference.outcome_distribution(window)
    opened = clickhouse.value("SELECT toInt64(sum(signal_detail_opened)) FROM metrics.engagement_daily")
    assert opened == len(reference.views)
