"""Count what has arrived and what was lost, for ``otel-intel status``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from otel_intel.events import DROP_REASONS

from .reader import Reader

LOW_SHARE: Final = 0.15
"""A disk with less than this part of it free is low: merges need room."""
LOW_DAYS: Final = 14
MANY_DAYS: Final = 3650
LATE: Final = timedelta(seconds=60)
"""What waits longer for the refresh says that none is running, or that it fails."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """The events of one kind: how many in total, and when the last one happened."""

    kind: str
    events: int
    last: datetime | None

    def age_seconds(self, now: datetime) -> float | None:
        """Return how long ago the last one happened."""
        # The driver returns UTC times without a time zone.
        return None if self.last is None else (now - self.last.replace(tzinfo=UTC)).total_seconds()


@dataclass(frozen=True, slots=True)
class Rejected:
    """Events of the last 7 days that did not fit the catalogue, by reason."""

    reason: str
    events: int


@dataclass(frozen=True, slots=True)
class Day:
    """How a day's events arrived: delays in milliseconds, and copies that did not count."""

    day: date
    events: int
    duplicates: int
    conflicting: int
    delay_p50_ms: float | None
    delay_p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk of ClickHouse: free and total bytes, and in how many days it is full (None if nothing arrives)."""

    disk: str
    free_bytes: int
    total_bytes: int
    days_left: int | None

    @property
    def is_low(self) -> bool:
        """True if somebody should do something about it."""
        few_days = self.days_left is not None and self.days_left < LOW_DAYS
        return few_days or self.free_bytes < LOW_SHARE * self.total_bytes

    def __str__(self) -> str:
        days = ""
        if self.days_left is not None:
            left = f"{self.days_left:,} days" if self.days_left <= MANY_DAYS else "more than 10 years"
            days = f", full in {left} as things arrive now"
        return f"{self.disk}: {_size(self.free_bytes)} of {_size(self.total_bytes)} free{days}"


def _size(count: int) -> str:
    power = min(4, (len(str(count)) - 1) // 3)
    return f"{count / 1000**power:,.0f} {('bytes', 'KB', 'MB', 'GB', 'TB')[power]}"


@dataclass(frozen=True, slots=True)
class Freshness:
    """Until when what arrived is in the numbers, and how many rows wait for the refresh since when."""

    as_of: datetime | None
    waiting: int
    waiting_since: datetime | None
    time_zone: str
    is_recomputing: bool

    def is_late(self, now: datetime) -> bool:
        """True if something waits for so long that the refresh cannot be running."""
        return self.waiting_since is not None and now - self.waiting_since.replace(tzinfo=UTC) > LATE

    def __str__(self) -> str:
        of = "none yet" if self.as_of is None else f"as of {self.as_of:%Y-%m-%d %H:%M:%S} UTC"
        zone = f"days of {self.time_zone}{', being computed anew' if self.is_recomputing else ''}"
        return f"{of}, {self.waiting:,} arrived since, {zone}"


@dataclass(frozen=True, slots=True)
class Health:
    """Arrivals, the last days, rejections, and the processes' own counters of the last 7 days."""

    freshness: Freshness
    arrived: list[Arrived]
    days: list[Day]
    rejected: list[Rejected]
    pipeline: dict[str, int]
    disks: list[Disk]


_ARRIVED = " UNION ALL ".join(
    f"SELECT '{kind}' AS kind, count() AS events, if(count() = 0, NULL, max(timestamp)) AS last FROM metrics.{view}"
    for kind, view in (
        ("recommendation", "recommendation_events"),
        ("outcome", "signal_outcomes"),
        ("view", "admin_views"),
    )
)
_COUNTERS = (
    "emitted",
    "delivered",
    "queued",
    "invalid_optional",
    "missing",
    *(f"dropped_{reason}" for reason in DROP_REASONS),
)


def read_health(url: str = "") -> Health:
    """Read the health as the reader role.

    Args:
        url: The reader's ClickHouse URL, OTEL_INTEL['CLICKHOUSE_URL'] by default.

    Raises:
        TelemetryUnavailable: If ClickHouse cannot answer.
    """
    reader = Reader(url=url)
    sums = ", ".join(f"toUInt64(sum({name})) AS {name}" for name in _COUNTERS)
    pipeline: dict[str, int]
    [pipeline] = reader.rows(
        dict,
        f"SELECT {sums} FROM metrics.pipeline_health WHERE reported_at > now() - INTERVAL 7 DAY",
        never_empty=True,
    )
    return Health(
        freshness=read_freshness(reader),
        arrived=reader.rows(Arrived, f"{_ARRIVED} ORDER BY kind"),
        days=reader.rows(
            Day,
            "SELECT day, events, duplicates, conflicting, delay_p50_ms, delay_p99_ms"
            " FROM metrics.ingest_health WHERE day > toDate(now(), 'UTC') - 7 ORDER BY day DESC",
        ),
        rejected=reader.rows(
            Rejected,
            "SELECT reason, count() AS events FROM metrics.rejected_events"
            " WHERE ingested_at > now() - INTERVAL 7 DAY GROUP BY reason ORDER BY events DESC, reason",
        ),
        pipeline=pipeline,
        disks=read_disks(reader)(),
    )


def read_freshness(reader: Reader) -> Freshness:
    """Return how fresh the numbers are."""
    [freshness] = reader.rows(
        Freshness,
        "SELECT as_of, waiting, waiting_since, time_zone, is_recomputing FROM metrics.freshness",
        never_empty=True,
    )
    return freshness


def read_disks(reader: Reader) -> Callable[[], list[Disk]]:
    """Start the query for the disks; the returned function waits for it."""
    return reader.start(Disk, "SELECT disk, free_bytes, total_bytes, days_left FROM metrics.disks ORDER BY disk")


def describe(health: Health) -> Iterator[str]:
    """Yield the health as lines of text."""
    now = datetime.now(UTC)
    yield "Events"
    for arrived in health.arrived:
        age = arrived.age_seconds(now)
        last = "" if age is None else f", the last {timedelta(seconds=int(age))} ago"
        yield f"  {arrived.kind:<16}{arrived.events:>12,}{last}"
    late = health.freshness.is_late(now)
    yield f"Numbers: {health.freshness}{' — LATE: is otel-intel refresh running?' if late else ''}"
    yield "Days (by arrival)"
    for day in health.days:
        copies = f"{day.duplicates:,} duplicates, {day.conflicting:,} conflicting copies"
        delay = f"delay p50 {day.delay_p50_ms or 0:,.0f} ms, p99 {day.delay_p99_ms or 0:,.0f} ms"
        yield f"  {day.day!s:<16}{day.events:>12,}  {copies}, {delay}"
    yield "Rejected in 7 days"
    for rejected in health.rejected:
        yield f"  {rejected.events:>12,}  {rejected.reason}"
    if not health.rejected:
        yield "  none"
    yield "Processes that reported in 7 days"
    counters = health.pipeline
    yield "  " + ", ".join(f"{name} {counters[name]:,}" for name in ("emitted", "delivered", "queued"))
    if counters["invalid_optional"]:
        yield f"  {counters['invalid_optional']:,} events lost an optional value because it was wrong"
    if counters["missing"]:
        yield f"  {counters['missing']:,} of the delivered are not here: in the Collector's queue, or lost behind it"
    dropped = [f"{reason} {count:,}" for reason in DROP_REASONS if (count := counters[f"dropped_{reason}"])]
    yield f"  dropped: {', '.join(dropped) or 'none'}"
    yield "Disk of ClickHouse"
    for disk in health.disks:
        yield f"  {disk}{' — LOW: see the runbook, clickhouse-disk' if disk.is_low else ''}"
