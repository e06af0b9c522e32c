"""What is kept of a day and what has landed of it: the queries of ``verify``."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta, tzinfo
from fractions import Fraction
from typing import Any, Final, NamedTuple

from clickhouse_connect.driver.client import Client

from otel_intel.events import CATALOGUE, Event, of_kind
from otel_intel.exceptions import OtelIntelError
from otel_intel.schema.cluster import Cluster, local_table, whole_table
from otel_intel.schema.connection import read_rows
from otel_intel.schema.ledger import FIRST_DAY, last_run
from otel_intel.schema.rebuild import FACTS, typed_events

from .days import midnight
from .reference import Fact, Numbers, Table

PATIENCE: Final = 60.0
"""Seconds to wait for a moment in which no run of the refresh is at work on a day."""

DIMENSIONS: Final = {
    **dict.fromkeys((*FACTS, "decisions", "outcomes"), ("event_id",)),
    "days": ("kind", "service_name", "engine_version", "recommendation_type", "confidence"),
    "days_admins": ("kind", "admin_id", "service_name", "engine_version", "recommendation_type", "confidence"),
    "days_engagement": ("service_name", "engine_version", "admin_id", "view_kind"),
}
_VALUES: Final = {
    "decisions": "decision_time_ms",
    "outcomes": "is_first",
    "days": "counts, sum_ms, sum_hours, milliseconds, times",
    "days_admins": "counts, sum_ms, 0., milliseconds, times",
    "days_engagement": "events",
}
# What a day's row has if anything of it is left.
_BY_DAY: Final = {
    **dict.fromkeys(("days", "days_admins"), "arraySum(mapValues(counts)) > 0"),
    "days_engagement": "events > 0",
}
_BY_TIME: Final = (*FACTS, "decisions", "outcomes")

_START: Final = "fromUnixTimestamp64Nano({start:Int64}, 'UTC')"
_END: Final = "fromUnixTimestamp64Nano({end:Int64}, 'UTC')"
_IN_DAY: Final = f"timestamp >= {_START} AND timestamp < {_END}"
_VIEWED_IN_DAY: Final = (
    "risk_signal_id GLOBAL IN"
    f" (SELECT risk_signal_id FROM intel.recommendation_events WHERE action = 'VIEWED' AND {_IN_DAY})"
)

# In the order of the fields of Fact, then the time of arrival.
_COMMON: Final = (
    "toUnixTimestamp64Nano(timestamp), service_name, engine_version, ifNull(risk_signal_id, ''), ifNull(admin_id, '')"
)
_INGESTED: Final = "toUnixTimestamp64Nano(ingested_at)"
_FACT_COLUMNS: Final = {
    "recommendation_events": f"event_id, 'recommendation.' || lower(action), {_COMMON},"
    f" recommendation_type, confidence, decision_time_ms, '', NULL, {_INGESTED}",
    "signal_outcomes": f"event_id, 'signal.outcome_recorded', {_COMMON},"
    f" '', '', NULL, outcome_status, resolution_time_hours, {_INGESTED}",
    "admin_views": f"event_id, view_kind, {_COMMON}, '', '', NULL, '', NULL, {_INGESTED}",
}
_TYPED_COLUMNS: Final = (
    f"event_id, substring(event_name, length('intel.') + 1), {_COMMON},"
    " if(kind = 'recommendation', recommendation_type, ''), if(kind = 'recommendation', confidence, ''),"
    " if(kind = 'recommendation', decision_time_ms, NULL), if(kind = 'outcome', outcome_status, ''),"
    f" if(kind = 'outcome', resolution_time_hours, NULL), {_INGESTED}"
)


def _names(events: Iterable[Event]) -> str:
    return f"({', '.join(repr(event.name) for event in events)})"


_SIGNAL: Final = "LogAttributes['intel.risk_signal.id']"
_PAIR: Final = f"{_SIGNAL}, LogAttributes['intel.admin.id']"
_LANDED_IN_DAY: Final = f"Timestamp >= {_START} AND Timestamp < {_END}"
_IS_RECOMMENDATION: Final = f"EventName IN {_names(of_kind('recommendation'))}"
_IS_DECISION: Final = f"EventName IN {_names(event for event in CATALOGUE.values() if event.is_decision)}"
_IS_OUTCOME: Final = f"EventName IN {_names(of_kind('outcome'))}"
_IS_VIEW: Final = "EventName = 'intel.recommendation.viewed'"
# The events of the day; what the decisions of the day may be paired with; earlier outcomes of its signals; all events
# of the signals that were viewed on it.
_IDS: Final = f"""
SELECT EventId FROM LANDING WHERE {_LANDED_IN_DAY}
UNION ALL
SELECT EventId FROM LANDING
WHERE {_IS_RECOMMENDATION} AND Timestamp < {_START} AND Timestamp >= {_START} - INTERVAL 7 DAY
    AND ({_PAIR}) GLOBAL IN (SELECT {_PAIR} FROM LANDING WHERE {_IS_DECISION} AND {_LANDED_IN_DAY})
UNION ALL
SELECT EventId FROM LANDING
WHERE {_IS_OUTCOME} AND Timestamp < {_START}
    AND {_SIGNAL} GLOBAL IN (SELECT {_SIGNAL} FROM LANDING WHERE {_IS_OUTCOME} AND {_LANDED_IN_DAY})
UNION ALL
SELECT EventId FROM LANDING
WHERE ({_IS_RECOMMENDATION} OR {_IS_OUTCOME})
    AND {_SIGNAL} GLOBAL IN (SELECT {_SIGNAL} FROM LANDING WHERE {_IS_VIEW} AND {_LANDED_IN_DAY})
"""


class VerificationError(OtelIntelError):
    """The numbers cannot be compared now; the message says what to do."""


class Copy(NamedTuple):
    """An event as it arrived, or as a fact."""

    fact: Fact
    ingested_ns: int


@dataclass(frozen=True)
class Snapshot:
    """What the tables said of a day in one moment, how far each node's refresh had come, and which copies waited."""

    facts: Mapping[str, Sequence[Copy]]
    numbers: Mapping[str, Table]
    seen: Sequence[int]
    waiting: set[tuple[str, int]]


class DayRows:
    """The rows of one day."""

    def __init__(
        self, clients: Sequence[Client], cluster: Cluster | None, day: date, zone: tzinfo, landing_begins: int
    ) -> None:
        self._clients = clients
        self._client = clients[0]
        self._landing = whole_table("otel_logs", cluster)
        self._arrivals = local_table("arrivals", cluster)
        self.day = day
        self._zone = zone
        self._start, self._end = midnight(day, zone), midnight(day + timedelta(days=1), zone)
        self.landing_begins = landing_begins

    def has(self, fact: Fact) -> bool:
        """Tell whether it happened on this day."""
        return self._start <= fact.time_ns < self._end

    def _rows(self, client: Client, sql: str, **parameters: object) -> Sequence[Sequence[Any]]:
        values = {"start": self._start, "end": self._end, "day": self.day, "begin": self.landing_begins}
        return read_rows(client, sql, {**values, **parameters})

    def kept(self) -> Snapshot:
        """Read facts and numbers of one moment: one in which no run is half done with what the day follows from."""
        deadline = time.monotonic() + PATIENCE
        while True:
            runs = [last_run(client) for client in self._clients]
            if not all(run.cycle for run in runs):
                raise VerificationError("Nothing is in the numbers yet: run otel-intel refresh first")
            seen = [run.seen for run in runs]
            kept = Snapshot(self.facts(_IN_DAY), self._numbers(), seen, self.waiting(seen))
            if all(run.is_complete for run in runs) and not self._changed_after(min(run.cycle for run in runs)):
                return kept
            if time.monotonic() > deadline:
                raise VerificationError(
                    f"otel-intel refresh is not done with {self.day} after {PATIENCE:.0f} s: see that it runs,"
                    " and verify again"
                )
            time.sleep(0.1)

    def _changed_after(self, cycle: int) -> bool:
        """Tell whether a run after this one has written anything that the day's numbers follow from, or are."""
        facts = (
            f"SELECT count() AS n FROM intel.{table} WHERE cycle > {cycle} AND timestamp < {_END}" for table in _BY_TIME
        )
        days = (f"SELECT count() FROM intel.{table} WHERE cycle > {cycle} AND day = {{day:Date}}" for table in _BY_DAY)
        [(changed,)] = self._rows(self._client, f"SELECT sum(n) FROM ({' UNION ALL '.join((*facts, *days))})")
        return bool(changed)

    def facts(self, condition: str, **parameters: object) -> dict[str, list[Copy]]:
        """Return the facts of each table that a condition holds for."""
        return {
            table: [
                _copy(row)
                for row in self._rows(
                    self._client, f"SELECT {columns} FROM intel.{table} FINAL WHERE {condition}", **parameters
                )
            ]
            for table, columns in _FACT_COLUMNS.items()
        }

    def _numbers(self) -> dict[str, Table]:
        found: dict[str, Table] = {}
        for table, values in _VALUES.items():
            dimensions = DIMENSIONS[table]
            condition = f"day = {{day:Date}} AND {_BY_DAY[table]}" if table in _BY_DAY else _IN_DAY
            rows = self._rows(
                self._client, f"SELECT {', '.join(dimensions)}, {values} FROM intel.{table} FINAL WHERE {condition}"
            )
            found[table] = {tuple(row[: len(dimensions)]): _value(table, row[len(dimensions) :]) for row in rows}
        return found

    def waiting(self, seen: Sequence[int]) -> set[tuple[str, int]]:
        """Return the copies that were not in the numbers when the refresh had come so far: id and time of arrival.

        A table that was emptied before its server started again counts its blocks from the beginning.
        """
        return {
            (str(uid), int(ingested_ns))
            for client, block in zip(self._clients, seen, strict=True)
            for uid, ingested_ns in self._rows(
                client,
                f"SELECT event_id, toUnixTimestamp64Nano(ingested_at) FROM {self._arrivals}"
                f" WHERE _block_number > {{seen:UInt64}} OR (SELECT max(_block_number) FROM {self._arrivals})"
                " < {seen:UInt64}",
                seen=block,
            )
        }

    def landed(self) -> dict[str, list[Copy]]:
        """Return all copies of the events that the day's numbers follow from, by id."""
        ids = _IDS.replace("LANDING", self._landing)
        rows = typed_events(self._client, f"(SELECT * FROM {self._landing} WHERE EventId GLOBAL IN ({ids}))")
        landed: dict[str, list[Copy]] = {}
        # Judged here: as a condition, ClickHouse would judge the whole landing before it looks at the ids.
        for *row, is_accepted in self._rows(
            self._client, f"SELECT {_TYPED_COLUMNS}, rejected_reason = '' AND kind != 'internal' FROM ({rows})"
        ):
            if is_accepted:
                copy = _copy(row)
                landed.setdefault(copy.fact.uid, []).append(copy)
        return landed

    def known_from_facts_only(self, landed: Mapping[str, object]) -> list[Fact]:
        """Return earlier facts that the landing does not have any more.

        Those that arrived before it begins, and outcomes whose admin was erased (docs/how-to/erase.md).
        """
        before = "ingested_at < fromUnixTimestamp64Nano({begin:Int64}, 'UTC')"
        ended = (
            f"timestamp < {_END} AND risk_signal_id GLOBAL IN"
            f" (SELECT risk_signal_id FROM intel.signal_outcomes WHERE {_IN_DAY})"
        )
        paired = f"timestamp < {_START} AND timestamp >= {_START} - INTERVAL 7 DAY"
        conditions = {
            "recommendation_events": f"({paired} OR {_VIEWED_IN_DAY}) AND {before}",
            "signal_outcomes": f"({ended} OR {_VIEWED_IN_DAY}) AND ({before} OR isNull(admin_id))",
        }
        return [
            copy.fact
            for table, condition in conditions.items()
            for row in self._rows(
                self._client, f"SELECT {_FACT_COLUMNS[table]} FROM intel.{table} FINAL WHERE {condition}"
            )
            if (copy := _copy(row)).fact.uid not in landed
        ]

    def first_viewed_before(self, day: date) -> set[str]:
        """Return the signals viewed on the day whose first view was before another day: it may be deleted."""
        if day >= self.day or day == FIRST_DAY:
            return set()
        rows = self._rows(
            self._client,
            f"SELECT risk_signal_id FROM intel.signals WHERE {_VIEWED_IN_DAY}"
            " GROUP BY risk_signal_id HAVING min(first_viewed_at) < fromUnixTimestamp64Nano({limit:Int64}, 'UTC')",
            limit=midnight(day, self._zone),
        )
        return {str(signal) for (signal,) in rows}


def landing_begins(client: Client, cluster: Cluster | None) -> int:
    """Return from when on all that arrived is in the landing, in nanoseconds; what is older may be deleted."""
    definition = read_rows(
        client, "SELECT engine_full FROM system.tables WHERE database = 'intel' AND name = 'otel_logs'"
    )
    if not definition:
        raise VerificationError("intel.otel_logs cannot be seen: give an administrator's --url (CLICKHOUSE_URL)")
    kept = re.search(r"TTL toDateTime\(IngestedAt\) \+ (toInterval\w+\(\d+\))", str(definition[0][0]))
    expired = f"now64(9, 'UTC') - {kept[1]}" if kept else "fromUnixTimestamp64Nano(0, 'UTC')"
    [(begin,)] = read_rows(
        client,
        f"SELECT toUnixTimestamp64Nano(greatest(min(IngestedAt), {expired})) FROM {whole_table('otel_logs', cluster)}",
    )
    return int(begin)


def _copy(row: Sequence[Any]) -> Copy:
    return Copy(Fact(*row[:-1]), row[-1])


def _value(table: str, row: Sequence[Any]) -> object:
    """Return what the numbers say in a row, as the definition says it."""
    if table in ("days", "days_admins"):
        counts, sum_ms, sum_hours, milliseconds, times = row
        steps = sorted(zip(milliseconds, times, strict=True))
        return Numbers(
            {name: count for name, count in counts.items() if count},
            sum_ms,
            sum_hours,
            sum(times),
            _rank(steps, Fraction(1, 2)),
            _rank(steps, Fraction(9, 10)),
        )
    return bool(row[0]) if table == "outcomes" else row[0]


def _rank(steps: Sequence[tuple[int, int]], q: Fraction) -> int | None:
    """Return the nearest rank of values that occur so and so often; None if there are none."""
    left = math.ceil(q * sum(count for _, count in steps))
    for value, count in steps:
        left -= count
        if left <= 0:
            return value
    return None
