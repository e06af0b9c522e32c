"""Refill the facts from the landing: after a view was corrected, or after a crash left rows only in the landing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from clickhouse_connect.driver.client import Client

from . import ledger
from .cluster import Cluster, local_table, whole_table
from .connection import DISTRIBUTED, read_rows, require_space
from .migrate import MigrationError
from .refresh import recompute_all
from .stages import STATEMENTS, TAKE_IN

_NEW_EVENTS = "intel.new_events(seen = {seen:UInt64}, until = {until:UInt64})"
FACTS: Final = {"recommendation_events": "recommendation", "signal_outcomes": "outcome", "admin_views": "view"}
"""The kind of the events of each table of facts."""


def rebuild(clients: Sequence[Client], report: Callable[[str], object], cluster: Cluster | None = None) -> None:
    """Read the whole landing again with the view's own query; running it again, or during inserts, does no harm.

    Facts older than the landing's retention stay as they are.

    Args:
        clients: Connected as an administrator, to each node of the cluster or to the one server.
        report: Called with one line per month of the landing, after it is done.
        cluster: The cluster that the servers are the nodes of.

    Raises:
        NoSpaceError: If a disk is nearly full; then nothing was changed.
    """
    for node in clients:
        require_space(node)
    client = clients[0]
    # The view itself handles what arrives from now on.
    until = client.command("SELECT toString(now64(9, 'UTC'))")
    landing = whole_table("otel_logs", cluster)
    parsed = f"(SELECT * FROM ({typed_events(client, landing)}) WHERE ingested_at < toDateTime64('{until}', 9, 'UTC'))"
    columns = ", ".join(str(name) for name, *_ in read_rows(client, f"DESCRIBE {parsed}"))

    rejected = local_table("rejected_events", cluster)
    for node in clients:
        node.command(f"DELETE FROM {rejected} WHERE ingested_at < toDateTime64('{until}', 9, 'UTC')")
    # Delete before the facts are written again: a first copy that is rejected now must not hide a good second copy.
    for table, kind in {**FACTS, "pipeline_reports": "internal"}.items():
        wrong = (
            "(event_id, ingested_at) IN"
            f" (SELECT event_id, ingested_at FROM {parsed} WHERE kind != '{kind}' OR rejected_reason != '')"
        )
        # A DELETE rewrites every part of the table, so run it only if there is something to delete.
        stored = local_table(table, cluster)
        for node in clients:
            if node.command(f"SELECT count() FROM {stored} WHERE {wrong}"):
                node.command(f"DELETE FROM {stored} WHERE {wrong}")
    months = f"SELECT toYYYYMM(Timestamp) AS month, count() FROM {landing} GROUP BY month ORDER BY month"
    for month, rows in read_rows(client, months):
        of_month = f"SELECT * FROM {parsed} WHERE toYYYYMM(timestamp) = {month}"
        client.command(
            f"INSERT INTO intel.typed_events ({columns})"
            f" SELECT {columns} FROM ({of_month} AND (kind = 'internal' OR rejected_reason != ''))",
            settings=DISTRIBUTED,
        )
        # Not by way of the arrivals: what is in the facts already would not be corrected.
        for file in TAKE_IN.values():
            source = f"({of_month} AND rejected_reason = '')"
            client.command(STATEMENTS[file].replace(_NEW_EVENTS, source), parameters={"cycle": 0}, settings=DISTRIBUTED)
        report(f"{month}: {rows} rows")
    _count_what_is_there_again(clients, landing)
    recompute_all(clients, lambda line: None, cluster)


def _count_what_is_there_again(clients: Sequence[Client], landing: str) -> None:
    """Let days be counted anew whose facts were deleted once, and that the landing reaches back to."""
    [(begins,)] = read_rows(
        clients[0],
        "SELECT greatest(toDate(minOrNull(IngestedAt)), ifNull((SELECT kept_since FROM metrics.retention"
        f" WHERE what = 'landing'), toDate(0))) FROM {landing}",
    )
    before = [ledger.last_run(client) for client in clients]
    if begins:
        # Decisions are paired with views of the 7 days before; and what happened on a day arrived on it or later.
        kept = max(begins + timedelta(days=9), ledger.kept_since(clients[0], [ledger.LastRun()]))
        if kept < max(last.kept for last in before):
            ledger.reserve(clients, before, kept=kept)


def typed_events(client: Client, landing: str) -> str:
    """Return the view's own query of rows of the landing, from a table or from a query in brackets."""
    found = read_rows(
        client, "SELECT as_select FROM system.tables WHERE database = 'intel' AND name = 'typed_events_mv'"
    )
    if not found:
        raise MigrationError("intel.typed_events_mv is missing: run otel-intel migrate first")
    return str(found[0][0]).replace("FROM intel.otel_logs", f"FROM {landing}")
