"""Test data for dashboards and alerts: nothing, one day, and sixty days with everything that can go wrong."""

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
DAY = 86_400 * SECOND
KINDS = ("recommendation", "outcome", "view")
TYPES = ("EXPIRING_SOON", "LONG_PENDING", "BUYER'S CHOICE")
SERVICES = ("shop", "buyer's desk")
# More admins than the list of the most active ones shows.
ADMINS = ("north", "south", "east", "west", "night", "o'clock", *(f"admin {number}" for number in range(18)))
OLD, CURRENT, CANARY = "1.4", "2.0", "2.1-o'clock"
DECISIONS = ("accepted", "accepted", "accepted", "ignored", "overridden")


@dataclass(frozen=True)
class Landed:
    """A record and when it arrived, in nanoseconds since 1970."""

    record: Record
    ingested_ns: int


@dataclass
class Dataset:
    """Landed records up to a point in time."""

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
        """The slow count of the dataset, computed once."""
        return Reference(self.deliveries)


def valid(record: Record) -> bool:
    """Tell whether a record of this module becomes a fact."""
    return "intel.risk_signal.id" in record.attributes or record.name == "intel.dashboard.opened"


def land(clickhouse: ClickHouse, landed: Iterable[Landed]) -> None:
    """Insert records into the landing with their time of arrival, and refresh the numbers."""
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
    clickhouse.refresh()


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
    """Return a dataset without events."""
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
    dataset.landed += _reports(dataset.landed, nanoseconds(now) - SECOND, days)
    dataset.landed += _not_counted(nanoseconds(now) - SECOND)
    if days > 30:
        dataset.landed += _not_counted(nanoseconds(now - timedelta(days=9)))
        # History that was imported: it happened weeks before it arrived.
        imported = nanoseconds(now - timedelta(days=5))
        for number in range(40):
            about = {"intel.engine.version": "v1", "intel.admin.id": ADMINS[0]}
            opened = event("dashboard.opened", imported - 30 * DAY - number * SECOND, **about)
            dataset.landed.append(Landed(opened, imported + number * MILLISECOND))
        # Processes that have ended; one so long ago that the landing no longer has all of its events.
        ended = nanoseconds(now - timedelta(days=9))
        for number, service in enumerate(SERVICES, 1):
            for kind, name in enumerate(KINDS):
                started = ended - (200 if number == 2 else 2) * DAY
                counts = {"process__started_at": started, "process__pid": 40 + number, "delivered": 5 * number + kind}
                counts |= {"emitted": 90 * number + kind, "queued": 7 + number + kind, "dropped__rejected": 2 + number}
                sent = report(f"ended process of {service}", name, ended + number * SECOND, service, **counts)
                dataset.landed.append(Landed(sent, ended + 3 * SECOND))
    return dataset


def _reports(landed: list[Landed], end: int, days: int) -> Iterator[Landed]:
    """Yield two reports of each service's process and kind of event; the later one has higher counts.

    The second process reports one more delivered event of each kind than arrived.
    """
    for number, service in enumerate(SERVICES):
        for kind, name in enumerate(KINDS):
            delivered = len(_ids(landed, service, name)) + number
            for later, at in enumerate((end - 1800 * SECOND, end)):
                dropped = {f"dropped__{r}": number * (1 + i + kind + later) for i, r in enumerate(DROP_REASONS)}
                counts = {
                    **dropped,
                    "emitted": 10_000 * days + 1000 * number + 10 * kind + later,
                    "delivered": delivered - 1 + later,
                    "queued": 3 + 20 * number + 5 * kind + later,
                    "process__pid": 70 + number,
                }
                sent = report(process(service), name, at - (10 * number + kind) * SECOND, service, **counts)
                yield Landed(sent, at + 50 * MILLISECOND)


def _not_counted(end: int) -> Iterator[Landed]:
    """Yield records that are rejected for several reasons or quarantined, a different number of each."""
    no_signal: dict[str, Any] = {"intel.risk_signal.id": None}
    for service, names in enumerate(
        (
            ("recommendation.viewed",) * 4 + ("surprise",) * 2 + ("cart",) * 3,
            ("recommendation.viewed",) * 3 + ("note.created",) + ("paid",),
        )
    ):
        for number, name in enumerate(names):
            at = end - service * SECOND + number
            record = Record(f"checkout.{name}", {}, at) if name in ("cart", "paid") else event(name, at, **no_signal)
            yield Landed(replace(record, resource={"service.name": SERVICES[service]}), at)


def _signal(rng: random.Random, begin: datetime, now: datetime, ago: int) -> Iterator[Record]:
    """Yield the events of one signal; events that would be in the future are left out."""
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
    if rng.random() < 0.9:  # the others have no view, so their decision has a time only if one is given
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
    """Yield a repeated delivery, as after a lost answer, and a conflicting copy."""
    changed = replace(landed.record, attributes={**landed.record.attributes, "intel.admin.id": "somebody else"})
    yield Landed(landed.record, landed.ingested_ns + SECOND)
    yield Landed(changed, landed.ingested_ns + 2 * SECOND)
