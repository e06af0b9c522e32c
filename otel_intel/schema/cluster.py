"""The same schema on a cluster of shards: turn a statement for one server into the statements for each node.

Each table becomes a local table and a ``Distributed`` table over the local tables of all nodes. One of them keeps the
table's name, so writers and readers need no change: for facts the ``Distributed`` table, which brings all copies of an
event to one node; for the landing the local table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from otel_intel.exceptions import OtelIntelError

# All copies of an event, conflicting ones included, must be on one shard. They have only the id in common. And all rows
# that replace each other, or are merged: those of a day, or of a signal.
SHARDED: Final = {
    "recommendation_events": "event_id",
    "signal_outcomes": "event_id",
    "admin_views": "event_id",
    "pipeline_reports": "event_id",
    "rejected_events": "event_id",
    "arrivals": "event_id",
    "decisions": "event_id",
    "outcomes": "event_id",
    "signals": "risk_signal_id",
    "days": "day",
    "days_admins": "day",
    "days_engagement": "day",
    "otel_traces": "TraceId",
}
# These tables say what is true of one node.
OWN: Final = ("refreshes",)
# These tables keep what arrives on the node where it arrived.
LANDING: Final = ("otel_logs", "quarantine_logs")

_TABLE = re.compile(
    r"CREATE TABLE IF NOT EXISTS intel\.(?P<name>\w+)\n(?P<columns>\(.*\n\))\n"
    r"ENGINE = (?P<engine>\w*MergeTree)(?:\((?P<arguments>\w+)\))?\n(?P<rest>.*?COMMENT (?P<comment>'[^']*'))",
    re.DOTALL,
)
_ALTER = re.compile(r"ALTER TABLE intel\.(?P<name>\w+) (?P<what>.*)", re.DOTALL)
_SHARDED = re.compile(rf"\bFROM intel\.({'|'.join(SHARDED)})\b")
_READS_LANDING = re.compile(rf"\bFROM intel\.({'|'.join(LANDING)})\b")


class ClusterError(OtelIntelError):
    """The schema cannot be spread over the cluster; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster of ``remote_servers``; ``replicated`` needs a Keeper, and the macros shard and replica on each node."""

    name: str
    replicated: bool = False

    def statements(self, statement: str) -> list[str]:
        """Return the statements that each node runs instead of one of the SQL files."""
        if table := _TABLE.search(statement):
            return self._tables(table)
        if alter := _ALTER.search(statement):
            return _alterations(alter)
        if "VIEW intel.new_events" in statement or "VIEW metrics.freshness" in statement:  # of the node's own arrivals
            return [_SHARDED.sub(r"FROM intel.\1_local", statement)]
        if "CREATE OR REPLACE VIEW metrics." in statement:
            return [_READS_LANDING.sub(r"FROM intel.\1_all", statement)]
        return [statement]

    def _tables(self, table: re.Match[str]) -> list[str]:
        name = table["name"]
        if name in OWN:
            return [table.string]
        local, everywhere = _names(name)
        key = f", cityHash64({SHARDED[name]})" if name in SHARDED else ""
        return [
            f"CREATE TABLE IF NOT EXISTS intel.{local}\n{table['columns']}\n"
            f"ENGINE = {self._engine(local, table['engine'], table['arguments'])}\n{table['rest']}",
            f"CREATE TABLE IF NOT EXISTS intel.{everywhere} AS intel.{local}\n"
            f"ENGINE = Distributed('{self.name}', 'intel', '{local}'{key})\nCOMMENT {table['comment']}",
        ]

    def _engine(self, local: str, engine: str, arguments: str | None) -> str:
        # The refresh goes by the numbers of blocks, which a Replicated table counts for each partition anew.
        if not self.replicated or local == "arrivals_local":
            return f"{engine}({arguments or ''})"
        path = f"'/clickhouse/tables/{{shard}}/intel/{local}', '{{replica}}'"
        return f"Replicated{engine}({path}{f', {arguments}' if arguments else ''})"


def local_table(name: str, cluster: Cluster | None) -> str:
    """Return the name of the table in which a node stores its rows of a table of ``intel``."""
    return f"intel.{_names(name)[0] if cluster else name}"


def whole_table(name: str, cluster: Cluster | None) -> str:
    """Return the name under which the rows of all nodes of a table of ``intel`` are read."""
    return f"intel.{_names(name)[1] if cluster else name}"


def _names(name: str) -> tuple[str, str]:
    if name in SHARDED:
        return f"{name}_local", name
    if name in LANDING:
        return name, f"{name}_all"
    raise ClusterError(f"intel.{name}: otel_intel/schema/cluster.py does not say how to spread it over a cluster")


def _alterations(alter: re.Match[str]) -> list[str]:
    """Return the change for the local table and, if it changes columns, for the Distributed table."""
    local, everywhere = _names(alter["name"])
    tables = [local, everywhere] if " COLUMN " in alter["what"] else [local]
    return [f"ALTER TABLE intel.{table} {alter['what']}" for table in tables]
