"""Bring a ClickHouse server's schema up to date: numbered migrations with a ledger, then the views.

Every statement can run again without harm. So no lock is needed, even if a run was interrupted or two run at once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error as ClickHouseError

from otel_intel.exceptions import OtelIntelError
from otel_intel.resources import folder

from .cluster import Cluster
from .connection import first_line, read_rows, require_space

OWNER = "intel_owner"
ROLES = ("intel_ingest", "intel_metrics")

_LEDGER = (
    "CREATE DATABASE IF NOT EXISTS intel",
    "CREATE DATABASE IF NOT EXISTS metrics",
    "CREATE TABLE IF NOT EXISTS intel.schema_migrations (file String, step UInt16, sha256 FixedString(64),"
    " applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'))"
    " ENGINE = ReplacingMergeTree ORDER BY (file, step) COMMENT 'Ledger of the applied migrations'",
)
_RENAMED = "0003_create_door.sql"  # used by development versions before 0.1.0; their tables are the same
_VIEWS = "views"  # in the ledger: the checksum of all of them, as step 0
# Another run has replaced the view after this statement had found it: the statement is for its successor, too.
_TABLE_IS_DROPPED = 218
_TRIES = 20
_MATERIALIZED = re.compile(r"CREATE MATERIALIZED VIEW IF NOT EXISTS (?P<name>\S+).*?\nAS\n(?P<select>.*)", re.DOTALL)


class MigrationError(OtelIntelError):
    """The schema cannot be brought up to date; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Step:
    """One statement of a SQL file; ``number`` counts from 1 within the file."""

    file: str
    number: int
    statement: str

    @property
    def sha256(self) -> str:
        """The statement's checksum, as the ledger keeps it."""
        return hashlib.sha256(self.statement.encode()).hexdigest()

    @property
    def title(self) -> str:
        """The statement's first line that is not a comment."""
        lines = (line for line in self.statement.splitlines() if not line.startswith("--"))
        return next((line for line in lines if line.strip()), "")


def read_steps(directory: Path) -> list[Step]:
    """Return the statements of all ``*.sql`` files of a directory in the order of their names."""
    steps: list[Step] = []
    for path in sorted(directory.glob("*.sql")):
        parts = re.split(r";[ \t]*(?:\n|$)", path.read_text(encoding="utf-8"))
        statements = [part.strip() for part in parts if part.strip()]
        steps += [Step(path.name, number, statement) for number, statement in enumerate(statements, 1)]
    return steps


def migrate(
    client: Client,
    report: Callable[[str], object],
    sql: Path | None = None,
    cluster: Cluster | None = None,
    *,
    again: bool = True,
) -> int:
    """Apply the missing migrations, then all views; return how many statements of migrations were missing.

    On a cluster, call it once for each node.

    Args:
        client: Connected as a user who may create databases, tables and views for the owner.
        report: Called with one line per statement of a migration, before it runs.
        sql: The folder with ``migrations`` and ``views``; the package's own by default.
        cluster: The cluster that the server is a node of.
        again: Apply the views also if they are those of the last run.

    Raises:
        MigrationError: If the schema cannot be brought up to date.
        NoSpaceError: If the disk is nearly full; then nothing was changed.
    """
    _require_owner(client)
    sql = sql or folder("clickhouse")
    views = _Views(sql / "views", cluster)
    if not again and not pending(client, sql) and views.are_applied(client):
        return 0
    require_space(client)
    for statement in _LEDGER:
        client.command(statement)
    _refuse_another_layout(client, cluster)
    if client.command(f"SELECT count() FROM intel.schema_migrations WHERE file = '{_RENAMED}'"):
        report("The schema was made before 0.1.0: every migration runs again, which does not change existing tables")
        client.command("TRUNCATE TABLE intel.schema_migrations")
    missing = pending(client, sql)
    for step in missing:
        report(f"{step.file} step {step.number}: {step.title}")
        for statement in on_node(step, cluster):
            _run(client, step, statement)
        _record(client, step.file, step.number, step.sha256)
    _refuse_tables_of_others(client)
    for step, statement in views.statements:
        _run(client, step, statement)
    _require_grants(client)
    _record(client, _VIEWS, 0, views.sha256)
    return len(missing)


def _record(client: Client, file: str, number: int, sha256: str) -> None:
    client.command(
        "INSERT INTO intel.schema_migrations (file, step, sha256)"
        " VALUES ({file:String}, {step:UInt16}, {sha256:String})",
        parameters={"file": file, "step": number, "sha256": sha256},
    )


class _Views:
    """The statements that make the views, and whether a server has run just these."""

    def __init__(self, directory: Path, cluster: Cluster | None) -> None:
        self.statements = [
            (step, part)
            for step in read_steps(directory)
            for statement in on_node(step, cluster)
            for part in _view_statements(statement)
        ]
        self.sha256 = hashlib.sha256("".join(part for _, part in self.statements).encode()).hexdigest()

    def are_applied(self, client: Client) -> bool:
        return _applied(client).get((_VIEWS, 0)) == self.sha256


def require_nodes(clients: Sequence[Client], cluster: Cluster) -> None:
    """Raise MigrationError unless the clients are connected to each node of the cluster."""
    for client in clients:
        rows = read_rows(
            client,
            "SELECT host_name, port FROM system.clusters WHERE cluster = {name:String}",
            {"name": cluster.name},
        )
        if not rows:
            raise MigrationError(
                f"This ClickHouse knows no cluster {cluster.name}: see remote_servers in its configuration,"
                " clickhouse/server/cluster.xml is an example"
            )
        if len(rows) != len(clients):
            nodes = ", ".join(f"{host}:{port}" for host, port in rows)
            raise MigrationError(
                f"Cluster {cluster.name} has {len(rows)} nodes ({nodes}), but {len(clients)} URLs are given:"
                " give one for each node"
            )


def pending(client: Client, sql: Path | None = None) -> list[Step]:
    """Return the steps that ``migrate`` would run; raise MigrationError for a changed or unknown migration."""
    steps = read_steps((sql or folder("clickhouse")) / "migrations")
    applied = _applied(client)
    known = {(step.file, step.number) for step in steps} | {(_VIEWS, 0)}
    for file, number in sorted(applied.keys() - known):
        raise MigrationError(
            f"{file} step {number} is applied in this database but not part of this version of otel-intel:"
            " install the newer version, or restore the file"
        )
    for step in steps:
        if applied.get((step.file, step.number), step.sha256) != step.sha256:
            raise MigrationError(
                f"{step.file} was changed after step {step.number} had been applied:"
                " restore the file and put the change into a new migration"
            )
    return [step for step in steps if (step.file, step.number) not in applied]


def setup_script() -> str:
    """Return the SQL that creates the owner, the roles and the settings profiles on the user's own server."""
    sql = folder("clickhouse")
    proto = sql.joinpath("otlp.proto").read_text(encoding="utf-8").replace("\\", "\\\\").replace("'", "\\'")
    return Template(sql.joinpath("setup.sql").read_text(encoding="utf-8")).substitute(otlp_proto=proto)


def _applied(client: Client) -> dict[tuple[str, int], str]:
    if not client.command("EXISTS TABLE intel.schema_migrations"):
        return {}
    rows = read_rows(client, "SELECT file, step, toString(sha256) FROM intel.schema_migrations FINAL")
    applied = {(str(file), int(step)): str(sha256) for file, step, sha256 in rows}
    return {} if (_RENAMED, 1) in applied else applied


def _require_owner(client: Client) -> None:
    users = _names(client, "SELECT name FROM system.users WHERE name = {name:String}", OWNER)
    missing = [] if users else [f"user {OWNER}"]
    for role in ROLES:
        if not _names(client, "SELECT name FROM system.roles WHERE name = {name:String}", role):
            missing.append(f"role {role}")
    if missing:
        raise MigrationError(
            f"This ClickHouse has no {', no '.join(missing)}."
            f" Run this once as an administrator, then migrate again:\n\n{setup_script()}"
        )


def _require_grants(client: Client) -> None:
    """Stop if the owner lacks a grant that this version needs: otherwise a view would fail only when it is read."""
    try:
        client.command("SELECT count() FROM metrics.storage")
    except ClickHouseError as error:
        raise MigrationError(
            f"{first_line(error)}\nThe owner's grants are those of an older version. Start the server with this"
            " version's clickhouse/access.xml or, where users are managed by SQL, run this once as an administrator:"
            f"\n\n{setup_script()}"
        ) from error


def on_node(step: Step, cluster: Cluster | None) -> list[str]:
    """Return the statements of a step for one server, or for each node of a cluster."""
    return cluster.statements(step.statement) if cluster else [step.statement]


def _refuse_another_layout(client: Client, cluster: Cluster | None) -> None:
    """Stop if the tables are those of a single server and a cluster is asked for, or the other way round."""
    engine = read_rows(client, "SELECT engine FROM system.tables WHERE database = 'intel' AND name = 'signal_outcomes'")
    if engine and (engine[0][0] == "Distributed") != bool(cluster):
        raise MigrationError(
            "The tables of this ClickHouse are "
            + ("one server's, not a cluster's" if cluster else "a cluster's: name it, OTEL_INTEL_CLUSTER")
        )


def _refuse_tables_of_others(client: Client) -> None:
    """Stop if ``metrics`` contains tables of others: CREATE OR REPLACE VIEW could replace one."""
    rows = read_rows(client, "SELECT name FROM system.tables WHERE database = 'metrics' AND engine != 'View'")
    if rows:
        names = ", ".join(f"metrics.{name}" for (name,) in rows)
        raise MigrationError(f"{names}: not made by otel-intel, which keeps only views there. Move it.")


def _names(client: Client, sql: str, name: str) -> Sequence[Sequence[object]]:
    try:
        return read_rows(client, sql, {"name": name})
    except ClickHouseError as error:
        raise MigrationError(f"This user may not see users and roles: {first_line(error)}") from error


def _view_statements(statement: str) -> Iterator[str]:
    yield statement
    # MODIFY QUERY replaces the query at once; between DROP and CREATE, inserted rows would be lost.
    if match := _MATERIALIZED.search(statement):
        yield f"ALTER TABLE {match['name']} MODIFY QUERY {match['select']}"


def _run(client: Client, step: Step, statement: str) -> None:
    for tries_left in reversed(range(_TRIES)):
        try:
            client.command(statement)
            return
        except ClickHouseError as error:
            if error.code != _TABLE_IS_DROPPED or not tries_left:
                raise MigrationError(f"{step.file} step {step.number} failed: {first_line(error)}") from error
