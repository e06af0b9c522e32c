"""The refresh's ledger, ``intel.refreshes``: how far the runs have come, and the turns that their statements take."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error as ClickHouseError

from .connection import DISTRIBUTED, read_rows

PATIENCE: Final = 60.0
"""Seconds that a statement waits for one of another process."""

NEVER: Final = datetime.fromtimestamp(0, UTC)
FIRST_DAY: Final = NEVER.date()
"""Of ClickHouse's Date."""

# The server refuses a query whose id is that of a running one: so only one statement runs at a time.
_QUERY_ID = "otel-intel-refresh"
IS_RUNNING = 216

# What is computed from facts, and which of its rows a computation of all leaves behind: older ones, but for those whose
# facts may be deleted.
DERIVED: Final = {
    "decisions": "cycle < {cycle:UInt32} AND toDate(timestamp, {time_zone:String}) >= {kept:Date}",
    "outcomes": "cycle < {cycle:UInt32}",
    "signals": "generation < {cycle:UInt32}",
    "days": "cycle < {cycle:UInt32} AND (day >= {kept:Date} OR kind = 'outcomes')",
    "days_admins": "cycle < {cycle:UInt32} AND day >= {kept:Date}",
    "days_engagement": "cycle < {cycle:UInt32} AND day >= {kept:Date}",
}


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last row of a node's ledger; the columns are explained where the table is made."""

    cycle: int = 0
    seen: int = 0
    as_of: datetime = NEVER
    time_zone: str = "UTC"
    is_complete: bool = True
    computed: int = 0
    kept: date = FIRST_DAY


def last_run(client: Client) -> LastRun:
    """Return the last row of a node's ledger."""
    rows = read_rows(
        client,
        "SELECT cycle, seen, as_of, time_zone, is_complete, computed, kept FROM intel.refreshes"
        " ORDER BY cycle DESC, finished_at DESC LIMIT 1",
    )
    return LastRun(*rows[0]) if rows else LastRun()


def time_zone_of(before: Sequence[LastRun]) -> str:
    """Return the time zone that was set last: a node that was down meanwhile has an older one."""
    return max(before, key=lambda last: last.cycle).time_zone


def kept_since(client: Client, before: Sequence[LastRun]) -> date:
    """Return the first day whose numbers follow from facts that were always kept: also of the 7 days before it."""
    [(kept,)] = read_rows(client, "SELECT kept_since FROM metrics.retention WHERE what = 'facts'")
    return max(kept + timedelta(days=8) if kept else FIRST_DAY, *(last.kept for last in before))


def next_cycle(client: Client, before: Sequence[LastRun]) -> int:
    """Return a number above those of all runs: a row with a smaller one would not replace the row of a run."""
    newest = max(last.cycle for last in before)
    if not newest:  # also if somebody has emptied the ledger
        parts = (f"SELECT max(cycle) AS cycle FROM intel.{table}" for table in DERIVED)
        [(newest,)] = read_rows(client, f"SELECT max(cycle) FROM ({' UNION ALL '.join(parts)})")
    return int(newest) + 1


def write(client: Client, last: LastRun) -> None:
    """Add a row to a node's ledger."""
    command(
        client,
        "INSERT INTO intel.refreshes (cycle, seen, as_of, time_zone, is_complete, computed, kept) VALUES"
        " ({cycle:UInt32}, {seen:UInt64}, {as_of:DateTime64(3, 'UTC')}, {time_zone:String}, {is_complete:Bool},"
        " {computed:UInt32}, {kept:Date})",
        asdict(last),
    )


def reserve(clients: Sequence[Client], before: Sequence[LastRun], **changes: object) -> int:
    """Write the last row again under a new number, with changes, and return the number."""
    # A run that is under way has the next number; when it is done, it must not count as the last one.
    cycle = next_cycle(clients[0], before) + 1
    for client, last in zip(clients, before, strict=True):
        write(client, replace(last, cycle=cycle, **changes))  # type: ignore[arg-type]
    return cycle


def command(client: Client, statement: str, parameters: Mapping[str, object]) -> None:
    """Run a statement when no other one of a refresh or rebuild runs; wait up to PATIENCE for that."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            client.command(statement, parameters=dict(parameters), settings={"query_id": _QUERY_ID, **DISTRIBUTED})
            return
        except ClickHouseError as error:
            if error.code != IS_RUNNING or time.monotonic() > deadline:
                raise
        time.sleep(0.02)
