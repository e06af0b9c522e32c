"""Take what has arrived into the facts and into all numbers: a run is a fixed list of statements (clickhouse/refresh).

A run that ends half-way is simply run again: only its last statement says that it is done.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NoReturn

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error as ClickHouseError

from otel_intel.exceptions import OtelIntelError

from . import ledger
from .cluster import Cluster, local_table
from .connection import first_line, read_rows, require_space
from .stages import MAX_EVENTS, Days, compute, compute_all, new_windows, take_in

PAUSE: Final = 1.0
"""Seconds from one run to the next."""

KEPT: Final = 60
"""Seconds that arrivals stay after they were taken in: until then merges have made fewer parts to delete of them."""

MAX_PAUSE: Final = 30.0
"""Seconds between two attempts while the server does not answer."""


class RefreshError(OtelIntelError):
    """A statement of the refresh failed; the numbers stay as they are, and the next run tries again."""


class AnotherRefreshError(RefreshError):
    """Another process refreshes this server at this moment."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a run of the refresh did: complete if all that had arrived before is in the numbers."""

    events: int
    is_complete: bool


def refresh(clients: Sequence[Client], cluster: Cluster | None = None) -> Run | None:
    """Take in what has arrived since the last run, at most about MAX_EVENTS a node; None if there is nothing.

    The first run of a server, and the one after ``set_time_zone``, computes all numbers from all facts.

    Args:
        clients: Connected as an administrator, to each node of the cluster or to the one server.
        cluster: The cluster that the servers are the nodes of.

    Raises:
        RefreshError: If a statement failed. Nothing is lost; the next run does it again.
        AnotherRefreshError: If a statement of another process takes longer than PATIENCE.
    """
    with _errors():
        now = datetime.now(UTC)
        before = [ledger.last_run(client) for client in clients]
        newest = [_newest_block(client, cluster) for client in clients]
        # A table that was emptied before its server started again counts its blocks from the beginning.
        seen = [last.seen if last.seen <= there else 0 for last, there in zip(before, newest, strict=True)]
        is_first = not any(last.cycle for last in before)
        is_complete = all(last.is_complete for last in before)
        is_computed = all(last.computed == last.cycle for last in before)
        if seen == newest and not is_first and is_complete and is_computed:
            return None
        cycle, since = ledger.next_cycle(clients[0], before), min(last.computed for last in before) + 1
        days = Days(ledger.time_zone_of(before), ledger.kept_since(clients[0], before))
        total, until = 0, list(seen)
        for number, client in enumerate(clients):
            until[number], events, kinds = _until(client, cluster, seen[number])
            total += events
            for kind in sorted(kinds):
                take_in(client, kind, cycle, seen[number], until[number])
        new = new_windows(clients[0], since, days)
        if is_first:
            compute_all(clients[0], cycle, days, lambda line: None)
        elif not is_complete:
            compute_all(clients[0], cycle, days, lambda line: None)
            _delete_older_numbers(clients, cycle, days, cluster)
        else:
            compute(clients[0], new, cycle, days, since)
        # Another process may have taken something in meanwhile, and died: then the next run computes that, too.
        computed = cycle if new_windows(clients[0], since, days) == new else since - 1
        # There may be more than at the beginning.
        is_done = all(block >= there for block, there in zip(until, newest, strict=True))
        for client, last, block in zip(clients, before, until, strict=True):
            as_of = now if is_done else last.as_of
            ledger.write(client, ledger.LastRun(cycle, block, as_of, days.time_zone, True, computed, days.kept))
            _delete_what_is_done(client, cluster, block)
    return Run(total, is_done and computed == cycle)


def keep_refreshing(
    connect: Callable[[], AbstractContextManager[tuple[list[Client], Cluster | None]]], report: Callable[[str], object]
) -> NoReturn:
    """Refresh every second for ever; after an error connect again, and tell each new error once.

    A run rests as long as it worked, so that inserts and readers keep at least half of the processor.
    """
    pause, told = PAUSE, ""
    while True:
        try:
            with connect() as (clients, cluster):
                while True:
                    started = time.monotonic()
                    run = refresh(clients, cluster)
                    pause, told = PAUSE, ""
                    worked = time.monotonic() - started
                    time.sleep(max(PAUSE - worked, worked) if run is None or run.is_complete else worked)
        except (OtelIntelError, ClickHouseError, OSError) as error:
            if str(error) != told:
                report(told := str(error))
            time.sleep(pause)
            pause = min(2 * pause, MAX_PAUSE)


def recompute_all(clients: Sequence[Client], report: Callable[[str], object], cluster: Cluster | None = None) -> None:
    """Compute all numbers from the facts anew, some weeks at a time; readers see each day's numbers, old or new.

    Running it again, or beside the refresh, does no harm.

    Args:
        clients: Connected as an administrator, to each node of the cluster or to the one server.
        report: Called with one line for some weeks of a table, after they are done.
        cluster: The cluster that the servers are the nodes of.

    Raises:
        RefreshError: If a statement failed; run it again.
        NoSpaceError: If a disk is nearly full; then nothing was changed.
    """
    for client in clients:
        require_space(client)
    with _errors():
        before = [ledger.last_run(client) for client in clients]
        days = Days(ledger.time_zone_of(before), ledger.kept_since(clients[0], before))
        cycle = ledger.reserve(clients, before)
        compute_all(clients[0], cycle, days, report)
        _delete_older_numbers(clients, cycle, days, cluster)
        after = [ledger.last_run(client) for client in clients]
        # Not if something else is to be computed meanwhile, such as the days of another time zone.
        is_done = all(last.is_complete or last.cycle == cycle for last in after)
        # What a refresh took in meanwhile is computed once more: it has seen half of this.
        computed = min(last.computed for last in before)
        ledger.reserve(clients, after, is_complete=is_done, computed=computed)


def set_time_zone(clients: Sequence[Client], time_zone: str) -> bool:
    """Let the next run of the refresh compute all numbers by the days of a time zone; False if they are already.

    Until it has, some days are still those of the old one.

    Args:
        clients: Connected as an administrator, to each node of the cluster or to the one server.
        time_zone: A name of the IANA database, such as Asia/Kolkata.

    Raises:
        RefreshError: If ClickHouse does not know it, or if facts of counted days were deleted.
    """
    with _errors():
        if not read_rows(
            clients[0], "SELECT 1 FROM system.time_zones WHERE time_zone = {name:String}", {"name": time_zone}
        ):
            raise RefreshError(f"ClickHouse knows no time zone {time_zone}: give a name such as Europe/Berlin or UTC")
        before = [ledger.last_run(client) for client in clients]
        if all(last.time_zone == time_zone for last in before):
            return False
        kept = ledger.kept_since(clients[0], before)
        [(older,)] = read_rows(
            clients[0],
            "SELECT (SELECT count() FROM intel.days WHERE day < {kept:Date} AND kind != 'outcomes')"
            " + (SELECT count() FROM intel.days_engagement WHERE day < {kept:Date})",
            {"kept": kept},
        )
        if older:
            raise RefreshError(
                f"Days before {kept} cannot be counted by {time_zone}: events that they follow from are deleted"
                " (otel-intel migrate --retention-facts). Where what arrived is kept longer, keep facts for ever, and"
                " run otel-intel rebuild"
            )
        ledger.reserve(clients, before, time_zone=time_zone, is_complete=False)
    return True


def remember_what_is_kept(clients: Sequence[Client]) -> None:
    """Write down since when facts are kept. Call it before their period becomes longer: what is deleted stays so.

    Args:
        clients: Connected as an administrator, to each node of the cluster or to the one server.
    """
    with _errors():
        before = [ledger.last_run(client) for client in clients]
        kept = ledger.kept_since(clients[0], before)
        if kept > max(last.kept for last in before):
            ledger.reserve(clients, before, kept=kept)


def _delete_older_numbers(clients: Sequence[Client], cycle: int, days: Days, cluster: Cluster | None) -> None:
    """Delete what a run over all facts has not written: of facts and of days that are not there any more."""
    for client in clients:
        for table, condition in ledger.DERIVED.items():
            client.command(
                f"DELETE FROM {local_table(table, cluster)} WHERE {condition}",
                parameters={"cycle": cycle, **days._asdict()},
            )


def _newest_block(client: Client, cluster: Cluster | None) -> int:
    [(newest,)] = read_rows(
        client,
        "SELECT max(max_block_number) FROM system.parts"
        " WHERE active AND database = 'intel' AND 'intel.' || table = {arrivals:String}",
        {"arrivals": local_table("arrivals", cluster)},
    )
    return int(newest)


def _until(client: Client, cluster: Cluster | None, seen: int) -> tuple[int, int, set[str]]:
    """Return the last block of this run, how many rows its blocks have, and their kinds."""
    rows = read_rows(
        client,
        "SELECT _block_number AS block, count(), groupUniqArray(toString(kind))"
        f" FROM {local_table('arrivals', cluster)}"
        " WHERE _block_number > {seen:UInt64} GROUP BY block ORDER BY block",
        {"seen": seen},
    )
    until, events, found = seen, 0, set[str]()
    for block, count, kinds in rows:
        if events and events + count > MAX_EVENTS:
            break
        until, events = int(block), events + int(count)
        found.update(kinds)
    return until, events, found


def _delete_what_is_done(client: Client, cluster: Cluster | None, seen: int) -> None:
    """Delete the arrivals that are in the facts, part by part; the newest part stays, as it has the largest block."""
    arrivals = local_table("arrivals", cluster)
    rows = read_rows(
        client,
        "SELECT name FROM (SELECT name, modification_time, max_block_number, max(max_block_number) OVER () AS newest"
        " FROM system.parts WHERE active AND database = 'intel' AND 'intel.' || table = {arrivals:String})"
        " WHERE max_block_number <= {seen:UInt64} AND max_block_number < newest"
        " AND modification_time <= now() - {kept:UInt32}",
        {"arrivals": arrivals, "seen": seen, "kept": KEPT},
    )
    for (name,) in rows:
        with contextlib.suppress(ClickHouseError):  # merged meanwhile: the next run deletes what it became
            client.command(f"ALTER TABLE {arrivals} DROP PART '{name}'")


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except ClickHouseError as error:
        if error.code == ledger.IS_RUNNING:
            raise AnotherRefreshError(
                f"Another process has been refreshing this ClickHouse for {ledger.PATIENCE:.0f} s: try again later"
            ) from error
        raise RefreshError(f"The numbers were not refreshed: {first_line(error)}") from error
