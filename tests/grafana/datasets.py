"""What dashboards and alerts are tried on: nothing, one day, and sixty days with all that can go wrong."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from otel_intel.events import CATALOGUE, CONFIDENCES, DROP_REASONS, OUTCOME_STATUSES, PROCESS_ID_KEY
from tests.otlp import Record, event, report
from tests.servers import ClickHouse
from tests.sql.reference import Reference

MILLISECOND = 10**6
SECOND = 10**9
TYPES = ("EXPIRING_SOON", "LONG_PENDING", "BUYER'S CHOICE")
SERVICES = ("shop", "buyer's desk")
ADMINS = ("north", "south", "east", "west", "night", "o'clock")
OLD, CURRENT, CANARY = "1.4", "2.0", "2.1-o'clock"
DECISIONS = ("accepted", "accepted", "accepted", "ignored", "overridden")


@dataclass(frozen=True)
class Landed:
    """A record and when it arrived, in nanoseconds since 1970."""

    record: Record
    ingested_ns: int


@dataclass
class Dataset:
    """Landed records up to a moment."""

    name: str
    now: datetime
    landed: list[Landed] = field(default_factory=list)

    @property
    def deliveries(self) -> list[Record]:
        """Valid events in the order of their arrival, for the reference."""
        by_arrival = sorted(self.landed, key=lambda landed: landed.ingested_ns)
        return [landed.record for landed in by_arrival if valid(landed.record)]

    @cached_property
    def reference(self) -> Reference:
        """The slow count of it, made once."""
        return Reference(self.deliveries)


def valid(record: Record) -> bool:
    """Say whether a record of this module becomes a fact."""
    return "intel.risk_signal.id" in record.attributes or record.name == "intel.dashboard.opened"


def land(clickhouse: ClickHouse, landed: Iterable[Landed]) -> None:
    """Put records into the landing with the time at which they arrived; the facts follow."""
    admin = clickhouse.client("admin")
    rows: dict[str, list[tuple[object, ...]]] = {"otel_logs": [], "quarantine_logs": []}
    for one in landed:
        record = one.record
        table = "otel_logs" if record.name.startswith("intel.") else "quarantine_logs"
        rows[table].append(
            (
                record.time_ns,
                record.trace_id.hex(),
                record.span_id.hex(),
                record.resource["service.name"],
                dict(record.resource),
                {key: str(value) for key, value in record.attributes.items()},
                record.name,
                one.ingested_ns,
            )
        )
    columns = [
        *("Timestamp", "TraceId", "SpanId", "ServiceName", "ResourceAttributes", "LogAttributes", "EventName"),
        "IngestedAt",
    ]
    for table, values in rows.items():
        if values:
            admin.insert(f"intel.{table}", values, column_names=columns)


def nanoseconds(at: datetime) -> int:
    """Return nanoseconds since 1970, exactly."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def process(service: str) -> str:
    """Return the id of a service's process, the only one."""
    return f"process of {service}"


def _ids(landed: list[Landed], service: str, kind: str) -> set[str]:
    records = (one.record for one in landed if one.record.resource["service.name"] == service)
    return {record.attributes["log.record.uid"] for record in records if CATALOGUE[record.name].kind == kind}


def empty(now: datetime) -> Dataset:
    """Return a server that nothing was ever sent to."""
    return Dataset("empty", now)


def one_day(now: datetime) -> Dataset:
    """Return events of today (UTC) only."""
    return _history("one day", now, 1)


def sixty_days(now: datetime) -> Dataset:
    """Return events of today (UTC) and the 59 days before."""
    return _history("sixty days", now, 60)


ALL = (empty, one_day, sixty_days)


def _history(name: str, now: datetime, days: int) -> Dataset:
    rng = random.Random(days)
    dataset = Dataset(name, now)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for ago in reversed(range(days)):
        start = midnight - timedelta(days=ago)
        length = min(timedelta(days=1), now - start)
        for _ in range(70):
            begin = start + length * rng.random() * 0.9
            dataset.landed += _arrivals(rng, _signal(rng, begin, now, ago))
    dataset.landed += _copies(dataset.landed[0])
    end = nanoseconds(now) - SECOND
    for number, service in enumerate(SERVICES):
        counts = {f"dropped__{reason}": number * (1 + i) for i, reason in enumerate(DROP_REASONS)}
        for kind in ("recommendation", "outcome", "view"):
            delivered = len(_ids(dataset.landed, service, kind)) + number  # the second one misses an event of each kind
            sent = report(process(service), kind, end, service, delivered=delivered, **counts)
            dataset.landed.append(Landed(sent, end + 50 * MILLISECOND))
    malformed = [event("recommendation.viewed", end, **{"intel.risk_signal.id": None}) for _ in range(4)]
    for number, record in enumerate((*malformed, Record("checkout.done", {"cart": "1"}, end))):
        dataset.landed.append(Landed(replace(record, resource={"service.name": SERVICES[number % 2]}), end))
    return dataset


def _signal(rng: random.Random, begin: datetime, now: datetime, ago: int) -> Iterator[Record]:
    """Yield what happens to one signal; what would lie in the future does not happen."""
    version = CANARY if ago < 10 and rng.random() < 0.3 else CURRENT if ago < 24 else OLD
    admin, service = rng.choice(ADMINS), rng.choice(SERVICES)
    at, end = nanoseconds(begin), nanoseconds(now)
    trace = rng.randbytes(16)
    recommended = {
        "intel.recommendation.type": rng.choice(TYPES),
        "intel.recommendation.confidence": rng.choice(CONFIDENCES),
    }
    signal = str(uuid.UUID(int=rng.getrandbits(128), version=4))

    def happens(name: str, after: float, **attributes: Any) -> Iterator[Record]:
        nonlocal at
        at += round(after * SECOND)
        if at < end:
            about = {"intel.risk_signal.id": signal, "intel.admin.id": admin, "intel.engine.version": version}
            about[PROCESS_ID_KEY] = process(service)
            if name == "dashboard.opened":
                del about["intel.risk_signal.id"]
            uid = str(uuid.UUID(int=(at // 10**6) << 80 | 7 << 76 | 2 << 62 | rng.getrandbits(62)))
            made = event(name, at, uid, **{**about, **attributes})
            yield replace(made, resource={"service.name": service}, trace_id=trace, span_id=rng.randbytes(8))

    yield from happens("dashboard.opened", 0)
    yield from happens("signal.detail_opened", rng.random())
    yield from happens("recommendation.viewed", 0, **recommended)
    if rng.random() < 0.5:
        yield from happens("explanation.expanded", rng.random() * 3)
    if rng.random() < 0.9:
        given = {"intel.decision.time_ms": rng.randrange(100, 90_000)} if rng.random() < 0.3 else {}
        yield from happens(f"recommendation.{rng.choice(DECISIONS)}", rng.expovariate(1 / 40), **recommended, **given)
    if rng.random() < 0.2:
        yield from happens("note.created", 1, **{"intel.note.id": rng.randrange(1000)})
    for _ in range(rng.choice((0, 1, 1, 1, 2))):  # a second outcome does not count
        hours = {"intel.outcome.resolution_time_hours": rng.expovariate(1 / 30)} if rng.random() < 0.9 else {}
        status = {"intel.outcome.status": rng.choice(OUTCOME_STATUSES)}
        yield from happens("signal.outcome_recorded", rng.expovariate(1 / 3600), **status, **hours)


def _arrivals(rng: random.Random, records: Iterable[Record]) -> Iterator[Landed]:
    for record in records:
        delay = rng.randrange(50, 900) * MILLISECOND * rng.choice((1, 1, 1, 20))
        landed = Landed(record, record.time_ns + delay)
        yield landed
        if rng.random() < 0.05:
            yield from _copies(landed)


def _copies(landed: Landed) -> Iterator[Landed]:
    """Yield what a sender that lost the answer does, and a copy that says something else."""
    changed = replace(landed.record, attributes={**landed.record.attributes, "intel.admin.id": "somebody else"})
    yield Landed(landed.record, landed.ingested_ns + SECOND)
    yield Landed(changed, landed.ingested_ns + 2 * SECOND)
