"""How long ClickHouse keeps what arrived, facts and numbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from clickhouse_connect.driver.client import Client

from otel_intel.exceptions import OtelIntelError

from .cluster import Cluster, local_table
from .connection import read_rows, require_space

# Rejected events are kept as long as the landing: a rebuild can reject or accept them again only from there.
TABLES: Final = {
    "landing": {"otel_logs": "IngestedAt", "rejected_events": "ingested_at"},
    "quarantine": {"quarantine_logs": "IngestedAt"},
    # Not the outcomes: of each signal, only all of them say which one was the first.
    "facts": {"recommendation_events": "timestamp", "decisions": "timestamp", "admin_views": "timestamp"},
    "numbers": {"days": "day", "days_admins": "day", "days_engagement": "day"},
}
FOR_EVER: Final = "FOR EVER"

_PERIOD = re.compile(r"([1-9]\d{0,4})\s*(DAY|WEEK|MONTH|YEAR)S?", re.IGNORECASE)


class RetentionError(OtelIntelError):
    """A period cannot be understood; the message names the setting."""


def retain(
    client: Client, what: str, period: str, report: Callable[[str], object], cluster: Cluster | None = None
) -> None:
    """Keep arrived data for a period after its arrival; changes the TTL of this server's tables.

    Args:
        client: Connected as an administrator.
        what: A key of TABLES.
        period: Such as "13 MONTH", "400 days" or "for ever".
        report: Called with one line per table that changes; ClickHouse deletes older rows in the background.
        cluster: The cluster that the server is a node of.

    Raises:
        RetentionError: If the period cannot be understood.
        NoSpaceError: If the disk is nearly full; then nothing was changed.
    """
    changes = retention_changes(client, what, period, cluster)
    if changes:
        require_space(client)
    for table, statement in changes.items():
        report(f"{table}: kept {_in_words(period)}")
        # Without waiting for the parts to be written anew, which may take long.
        client.command(statement, settings={"alter_sync": 0})


def retention_changes(client: Client, what: str, period: str, cluster: Cluster | None = None) -> dict[str, str]:
    """Return the statements that ``retain`` would run, by table; arguments and errors as there."""
    forever = period.strip().upper() == FOR_EVER
    match = _PERIOD.fullmatch(period.strip())
    if not match and not forever:
        setting = f"--retention-{what} (OTEL_INTEL_RETENTION_{what.upper()})"
        raise RetentionError(
            f"{setting} must be a number of days, weeks, months or years, for example '13 MONTH',"
            f" or 'for ever', not {period!r}"
        )
    changes = {}
    for name, column in TABLES[what].items():
        table = local_table(name, cluster)
        if not match:
            if " TTL " in _definition(client, table):
                changes[table] = f"ALTER TABLE {table} REMOVE TTL"
            continue
        wanted = f"toDateTime({column}) + toInterval{match[2].capitalize()}({match[1]})"
        if f"TTL {wanted} " not in f"{_definition(client, table)} ":
            changes[table] = f"ALTER TABLE {table} MODIFY TTL {wanted}"
    return changes


def _in_words(period: str) -> str:
    words = period.strip().lower()
    return words if words == FOR_EVER.lower() else f"for {words.removesuffix('s')}s"


def _definition(client: Client, table: str) -> str:
    database, _, name = table.partition(".")
    rows = read_rows(
        client,
        "SELECT engine_full FROM system.tables WHERE database = {database:String} AND name = {name:String}",
        {"database": database, "name": name},
    )
    return str(rows[0][0])
