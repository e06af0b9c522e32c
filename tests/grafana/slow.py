"""Common parts of the slow counts: the range of days, the values of the variables, the facts that they select."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import cached_property
from typing import Any

from otel_intel.events import CATALOGUE
from tests.grafana.datasets import Dataset, Landed, valid
from tests.sql.reference import Fact, nearest_rank, rate

Row = tuple[Any, ...]
Rows = list[Row]
# For each attribute of a fact, the variable that filters by it.
VARIABLES = {
    "version": "engine_version",
    "type": "recommendation_type",
    "confidence": "confidence",
    "service": "service",
}
BY_CONFIDENCE = ("HIGH", "MEDIUM", "LOW")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def midnight(day: date) -> datetime:
    """Return the time that a day's point in a graph has, as the client returns it."""
    return datetime.combine(day, datetime.min.time())


def moment(nanoseconds: int) -> datetime:
    """Return a time as the client returns it."""
    return (EPOCH + timedelta(microseconds=nanoseconds // 1000)).replace(tzinfo=None)


def average(values: Sequence[float]) -> float | None:
    """Return the mean, or None for an empty list."""
    return sum(values) / len(values) if values else None


def rank(values: Iterable[Any], percent: int) -> Any:
    """Return a quantile by nearest rank, or None for an empty list."""
    return nearest_rank(sorted(values), Fraction(percent, 100))


def share(part: Sequence[object], whole: Sequence[object]) -> float | None:
    """Return the length of one list divided by that of another."""
    return rate(len(part), len(whole))


def with_action(facts: Iterable[Fact], *actions: str) -> list[Fact]:
    """Return the recommendation events of some actions."""
    return [fact for fact in facts if fact.action in actions]


def decided(facts: Iterable[Fact]) -> list[Fact]:
    """Return the decisions among recommendation events."""
    return with_action(facts, "ACCEPTED", "IGNORED", "OVERRIDDEN")


def with_status(facts: Iterable[Fact], status: str) -> list[Fact]:
    """Return the outcomes of a status."""
    return [fact for fact in facts if fact.status == status]


def grouped(facts: Iterable[Fact], key: Callable[[Fact], Any]) -> dict[Any, list[Fact]]:
    """Return facts by a key, in the keys' order."""
    groups: dict[Any, list[Fact]] = {}
    for fact in facts:
        groups.setdefault(key(fact), []).append(fact)
    return dict(sorted(groups.items()))


@dataclass(frozen=True)
class Arrival:
    """A fact's kind and sender, its time, and the time of arrival of its first copy."""

    kind: str
    time_ns: int
    ingested_ns: int
    service: str


@dataclass(frozen=True)
class Slow:
    """A dataset, with the time picker's range and the variables' values to count it by."""

    dataset: Dataset
    start: datetime
    end: datetime
    variables: Mapping[str, str] = field(default_factory=dict)

    def chosen(self, facts: Iterable[Fact], *names: str) -> list[Fact]:
        """Return the facts of all days that have the values of these variables."""
        wanted = {name: self.variables.get(VARIABLES[name], "") for name in names}
        return [fact for fact in facts if all(value in ("", getattr(fact, name)) for name, value in wanted.items())]

    def within(self, facts: Iterable[Fact], *names: str) -> list[Fact]:
        """Return the facts within the range's UTC days that have these values."""
        first, last = self.start.date(), self.end.date()
        return [fact for fact in self.chosen(facts, *names) if first <= fact.day <= last]

    def window(self, facts: Iterable[Fact], *names: str, before: bool = False) -> list[Fact]:
        """Return the facts within the headline window, or the window before it, that have these values."""
        days = int(self.variables["window"])
        last = datetime.now(UTC).date() - timedelta(days=days if before else 0)
        return [fact for fact in self.chosen(facts, *names) if last - timedelta(days=days) < fact.day <= last]

    @cached_property
    def _took(self) -> dict[str, int]:
        return {fact.uid: ms for fact, ms in self.dataset.reference.decisions if ms is not None}

    def took(self, fact: Fact) -> int | None:
        """Return the decision time of an event in milliseconds."""
        return self._took.get(fact.uid)

    def times(self, facts: Iterable[Fact]) -> list[int]:
        """Return the decision times that these events have."""
        return [self._took[fact.uid] for fact in facts if fact.uid in self._took]

    @cached_property
    def traces(self) -> dict[str, str]:
        """The trace of each event's first copy."""
        return {
            record.attributes["log.record.uid"]: record.trace_id.hex() for record in reversed(self.dataset.deliveries)
        }

    def arrived(self, landed_ns: int, service: str) -> bool:
        """Tell whether a time is in the range, to the second, and the service is selected."""
        in_range = int(self.start.timestamp()) * 10**9 <= landed_ns <= int(self.end.timestamp()) * 10**9
        return in_range and self.variables.get("service", "") in ("", service)

    @cached_property
    def arrivals(self) -> list[Arrival]:
        """Every fact's first arrival, for all time and all services."""
        first: dict[str, Landed] = {}
        for landed in sorted(self.dataset.landed, key=lambda landed: landed.ingested_ns):
            if valid(landed.record):
                first.setdefault(landed.record.attributes["log.record.uid"], landed)
        return [
            Arrival(
                CATALOGUE[landed.record.name].kind,
                landed.record.time_ns,
                landed.ingested_ns,
                landed.record.resource["service.name"],
            )
            for landed in first.values()
        ]
