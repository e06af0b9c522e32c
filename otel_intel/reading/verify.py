"""Compare what the refresh keeps of a day with the slow definition, computed from the landing.

The numbers of a day are read in one moment in which no run of the refresh changes them. What had not been taken in by
then is left out of the definition.
"""

from __future__ import annotations

import math
import time
from collections.abc import Container, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from typing import Final, NamedTuple

from clickhouse_connect.driver.client import Client

from otel_intel.schema.cluster import Cluster
from otel_intel.schema.connection import read_rows
from otel_intel.schema.ledger import kept_since, last_run
from otel_intel.schema.rebuild import FACTS

from .day_rows import DIMENSIONS, Copy, DayRows, landing_begins
from .days import named_zone
from .reference import Fact, Numbers, Table, decision_times, first_outcomes, is_rounded, numbers, signals

SETTLED: Final = 1.0
"""Seconds until a day that differs is looked at again: an insert reaches the landing a moment before the arrivals."""

_NOTHING: Final = "no row"


class Difference(NamedTuple):
    """A row of a table that is not what the definition says."""

    day: date
    table: str
    dimensions: tuple[Hashable, ...]
    found: object
    right: object

    @property
    def is_fact(self) -> bool:
        """Whether a fact differs, not only a number."""
        return self.table in FACTS

    def __str__(self) -> str:
        named = zip(DIMENSIONS[self.table], self.dimensions, strict=True)
        dimensions = ", ".join(f"{name}={value!r}" for name, value in named)
        found, right = _described(self.found, self.right), _described(self.right, self.found)
        return f"{self.day}  intel.{self.table} ({dimensions}): {found}, by the definition {right}"


@dataclass(frozen=True)
class Verdict:
    """What was found of a day."""

    day: date
    events: int = 0
    waiting: int = 0
    differences: Sequence[Difference] = ()
    unknown: str = ""
    """Why the day cannot be verified."""

    def __str__(self) -> str:
        if self.unknown:
            return f"{self.day}  cannot be verified: {self.unknown}"
        found = f"{len(self.differences):,} differences" if self.differences else "equal"
        left_out = f"; {self.waiting:,} more wait for the refresh" if self.waiting else ""
        return f"{self.day}  {self.events:,} events: {found}{left_out}"


def time_zone(client: Client) -> tzinfo:
    """Return the time zone whose days the numbers are counted by."""
    [(name,)] = read_rows(client, "SELECT time_zone FROM metrics.last_refresh")
    return named_zone(str(name))


def verify(clients: Sequence[Client], days: Sequence[date], cluster: Cluster | None = None) -> Iterator[Verdict]:
    """Compare the numbers of days, one by one; nothing is changed.

    Args:
        clients: Connected as an administrator, to each node of the cluster or to the one server.
        days: Days of the time zone that the numbers are counted by.
        cluster: The cluster that the servers are the nodes of.

    Raises:
        VerificationError: If the refresh has never run, or does not come to an end.
    """
    begin = landing_begins(clients[0], cluster)
    zone = time_zone(clients[0])
    counted = kept_since(clients[0], [last_run(client) for client in clients])
    [(kept,)] = read_rows(clients[0], "SELECT kept_since FROM metrics.retention WHERE what = 'numbers'")
    for day in days:
        if day < counted:
            yield Verdict(day, unknown="events that it follows from are deleted (migrate --retention-facts)")
            continue
        if kept and day < kept:
            yield Verdict(day, unknown="its numbers are deleted (migrate --retention-numbers)")
            continue
        rows = DayRows(clients, cluster, day, zone, begin)
        verdict = _verdict(rows, counted)
        if verdict.differences:
            time.sleep(SETTLED)
            verdict = _verdict(rows, counted)
        yield verdict


def _verdict(rows: DayRows, counted: date) -> Verdict:
    kept = rows.kept()
    stored = [copy for copies in kept.facts.values() for copy in copies]
    if any(copy.ingested_ns < rows.landing_begins for copy in stored):
        return Verdict(rows.day, unknown="the landing does not reach back to it")
    landed = rows.landed()
    if stored and not any(rows.has(copy.fact) for copies in landed.values() for copy in copies):
        return Verdict(rows.day, unknown="the landing has no event of it any more")
    facts, left_out = _first_copies(rows, landed, kept.waiting | rows.waiting(kept.seen))
    facts += rows.known_from_facts_only(landed)
    of_day = [fact for fact in facts if rows.has(fact)]
    times = decision_times(fact for fact in facts if fact.kind == "recommendation")
    first = {fact.uid for fact in first_outcomes(fact for fact in facts if fact.kind == "outcome")}
    right: dict[str, Table] = {
        table: {(fact.uid,): fact for fact in of_day if fact.kind == kind} for table, kind in FACTS.items()
    }
    older = rows.first_viewed_before(counted)
    viewed = [signal for signal in signals(facts) if rows.has(signal.view) and signal.view.signal not in older]
    right |= numbers(of_day, times, first, viewed)
    found: dict[str, Table] = {
        table: {(copy.fact.uid,): copy.fact for copy in copies} for table, copies in kept.facts.items()
    }
    found |= kept.numbers
    is_exact = not is_rounded(of_day, times)
    differences = [
        Difference(rows.day, table, key, said, meant)
        for table in right
        for key in sorted(found[table].keys() | right[table].keys(), key=repr)
        if not _same(
            said := found[table].get(key, _NOTHING),
            meant := right[table].get(key, _NOTHING),
            is_exact,
        )
    ]
    return Verdict(rows.day, len(of_day), left_out, differences)


def _first_copies(
    rows: DayRows, landed: Mapping[str, Sequence[Copy]], waiting: Container[tuple[str, int]]
) -> tuple[list[Fact], int]:
    """Return the copies that count, and how many events of the day wait."""
    facts: list[Fact] = []
    ties: dict[str, set[Fact]] = {}
    left_out = 0
    for uid, copies in landed.items():
        arrived = [copy for copy in copies if (uid, copy.ingested_ns) not in waiting]
        if not arrived:
            left_out += rows.has(min(copies, key=lambda copy: copy.ingested_ns).fact)
            continue
        begin = min(copy.ingested_ns for copy in arrived)
        candidates = {copy.fact for copy in arrived if copy.ingested_ns == begin}
        if len(candidates) == 1:
            facts += candidates
        else:
            ties[uid] = candidates
    # Where copies that contradict each other arrived at the same time, the refresh may have taken either.
    stored = rows.facts("event_id IN {ids:Array(String)}", ids=list(ties)) if ties else {}
    chosen = {copy.fact.uid: copy.fact for copies in stored.values() for copy in copies}
    for uid, candidates in ties.items():
        facts.append(chosen[uid] if chosen.get(uid) in candidates else min(candidates, key=repr))
    return facts, left_out


def _same(found: object, right: object, is_exact: bool) -> bool:
    """Tell whether a row is right: a sum of hours but for its last digits, quantiles but for rounding."""
    if not isinstance(found, Numbers) or not isinstance(right, Numbers):
        return found == right
    return (
        found._replace(sum_hours=0, p50_ms=None, p90_ms=None) == right._replace(sum_hours=0, p50_ms=None, p90_ms=None)
        and math.isclose(found.sum_hours, right.sum_hours)
        and all(
            one == other
            or (one is not None and other is not None and not is_exact and abs(one - other) <= max(500, 0.0075 * other))
            for one, other in zip(found[-2:], right[-2:], strict=True)
        )
    )


def _described(value: object, other: object) -> str:
    """Return a value as text: of two rows with names only what differs, of one alone what is not empty."""
    if not isinstance(value, (Fact, Numbers)):
        return str(value)
    named = _named(value)
    if isinstance(other, type(value)):
        others = _named(other)
        # A count that one row does not have is 0.
        pairs = {name: (named.get(name, 0), others.get(name, 0)) for name in others | named}
        return ", ".join(f"{name}={one!r}" for name, (one, two) in pairs.items() if one != two)
    return ", ".join(f"{name}={one!r}" for name, one in named.items() if one not in ("", None))


def _named(value: Fact | Numbers) -> dict[str, object]:
    """Return what a row says, each count by its own name."""
    named = value._asdict()
    return {**named.pop("counts", {}), **named}
