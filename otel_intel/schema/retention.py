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
FOR_EVER: Final = "for ever"

# What ClickHouse's TTL counts by ends in 2106: a longer period would reach beyond, and delete everything.
_YEARS: Final = 50
_DAYS_OF: Final = {"DAY": 1, "WEEK": 7, "MONTH": 30, "YEAR": 365}
# Numbers of the last 10 days of the period are not computed anew (refresh.py), and events may be late.
_FEWEST_DAYS: Final = {"facts": 30}

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
    interval = interval_of(what, period)
    changes = {}
    for name, column in TABLES[what].items():
        table = local_table(name, cluster)
        definition = f"{_definition(client, table)} "
        wanted = f"TTL toDateTime({column}) + {interval}"
        if not interval and " TTL " in definition:
            changes[table] = f"ALTER TABLE {table} REMOVE TTL"
        elif interval and f"{wanted} " not in definition:
            changes[table] = f"ALTER TABLE {table} MODIFY {wanted}"
    return changes


def interval_of(what: str, period: str) -> str:
    """Return a period as ClickHouse writes it, '' for ever; arguments and errors as of ``retain``."""
    if period.strip().lower() == FOR_EVER:
        return ""
    match = _PERIOD.fullmatch(period.strip())
    if not match:
        raise RetentionError(
            f"{_setting(what)} must be a number of days, weeks, months or years, for example '13 MONTH',"
            f" or '{FOR_EVER}', not {period!r}"
        )
    fewest = _FEWEST_DAYS.get(what, 1)
    if not fewest <= int(match[1]) * _DAYS_OF[match[2].upper()] <= _YEARS * 365:
        raise RetentionError(
            f"{_setting(what)} must be {fewest} days to {_YEARS} years, or '{FOR_EVER}', not {period!r}"
        )
    return f"toInterval{match[2].capitalize()}({match[1]})"


def _setting(what: str) -> str:
    return f"--retention-{what} (OTEL_INTEL_RETENTION_{what.upper()})"


def _in_words(period: str) -> str:
    words = period.strip().lower()
    return words if words == FOR_EVER else f"for {words.removesuffix('s')}{'' if words[:2] == '1 ' else 's'}"


def _definition(client: Client, table: str) -> str:
    database, _, name = table.partition(".")
    rows = read_rows(
        client,
        "SELECT engine_full FROM system.tables WHERE database = {database:String} AND name = {name:String}",
        {"database": database, "name": name},
    )
    return str(rows[0][0])
