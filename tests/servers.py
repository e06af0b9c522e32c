"""Fixtures with a real ClickHouse: one server for the whole run, emptied for each test that uses it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import clickhouse_connect
import pytest
from click.testing import CliRunner
from clickhouse_connect.driver.client import Client

from otel_intel.commands.main import main
from otel_intel.resources import folder
from otel_intel.schema import migrate, refresh
from otel_intel.schema.cluster import Cluster
from otel_intel.server import embedded
from otel_intel.server.processes import stop_child
from tests.waiting import poll_until

_ORIGINAL = "TESTS_ORIGINAL_WITH_SCHEMA"
"""The variable with the folder of what ``with_schema`` copies."""


class ClickHouse:
    """A running server with the schema in place; ``variables()`` and ``url(role)`` as in ``embedded.Server``."""

    def __init__(self, server: embedded.Server) -> None:
        self.server = server
        self.url = server.url
        self.variables = server.variables
        self.nodes: Sequence[ClickHouse] = (self,)
        self.cluster: Cluster | None = None
        self._clients: dict[str, Client] = {}

    def client(self, role: str) -> Client:
        """Return the run's client of a role."""
        if role not in self._clients:
            self._clients[role] = clickhouse_connect.get_client(dsn=self.url(role), autogenerate_session_id=False)
        return self._clients[role]

    def refresh(self) -> None:
        """Take everything that has arrived into the numbers; wait for another process that does the same."""

        def nothing_left() -> bool:
            try:
                run = refresh.refresh([node.client("admin") for node in self.nodes], self.cluster)
                return run is None or run.is_complete
            except refresh.AnotherRefreshError:
                return False

        assert poll_until(nothing_left, 60, 0.001)

    def rows(
        self, sql: str, parameters: Mapping[str, object] | None = None, role: str = "reader"
    ) -> list[dict[str, Any]]:
        """Return the rows of a query as dicts, of ``metrics`` with everything that has arrived."""
        if "metrics." in sql:
            self.refresh()
        return list(self.client(role).query(sql, parameters=dict(parameters or {})).named_results())

    def value(self, sql: str, role: str = "reader") -> Any:
        """Return the only value of a query, of ``metrics`` with everything that has arrived."""
        if "metrics." in sql:
            self.refresh()
        [row] = self.client(role).query(sql).result_rows
        return row[0]

    def tables_with(self, marker: str) -> list[str]:
        """Return every table of ``intel`` that has the marker anywhere in a row."""
        tables = self.rows(
            "SELECT name FROM system.tables WHERE database = 'intel' AND engine LIKE '%MergeTree' ORDER BY name",
            role="admin",
        )
        found = "SELECT count() FROM intel.{} WHERE position(toString(tuple(*)), '{}') > 0"
        return [table["name"] for table in tables if self.value(found.format(table["name"], marker), role="admin")]

    def empty(self) -> None:
        """Delete all rows of all tables except the ledgers."""
        admin = self.client("admin")
        filled = admin.query(
            "SELECT DISTINCT table FROM system.parts"
            " WHERE active AND database = 'intel' AND table NOT IN ('schema_migrations', 'refreshes')"
        )
        for (table,) in filled.result_rows:
            admin.command(f"TRUNCATE TABLE intel.{table}")

    def close(self) -> None:
        """Close the clients; a later query makes new ones."""
        while self._clients:
            _, client = self._clients.popitem()
            client.close_connections()  # idle connections would delay the stop of the server
            client.close()


def kill(server: embedded.Server, process: subprocess.Popen[bytes]) -> None:
    """Kill a server and its engine at once, like a power failure; a second call does no harm."""
    # If the process ended long ago, another process may have its id now.
    if process.poll() is None or embedded.running(server.directory) is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert poll_until(lambda: embedded.running(server.directory) is None)


def engine_pid(server: embedded.Server) -> int | None:
    """Return the id of the process of a running server's engine, or None while there is none."""
    supervisor = (server.directory / "server.pid").read_text()
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return int(children[0]) if children else None


def signal_engine(server: embedded.Server, number: signal.Signals) -> None:
    """Send a signal to a running server's engine, once there is one that counts as up."""
    pid = poll_until(lambda: engine_pid(server) if _has_taken_its_byte(server) else None, 30)
    assert pid  # 0 would be this process's whole group
    os.kill(pid, number)


def _has_taken_its_byte(server: embedded.Server) -> bool:
    """Tell whether the engine has read what its supervisor wrote: it answers a moment before.

    An engine that ends before that is not started again.
    """
    for descriptor in pipes_of(int((server.directory / "server.pid").read_text())):
        with contextlib.suppress(OSError):  # it was closed meanwhile
            pipe = os.open(descriptor, os.O_RDONLY | os.O_NONBLOCK)
            waiting = fcntl.ioctl(pipe, termios.FIONREAD, bytes(4))
            os.close(pipe)
            if any(waiting):
                return False
    return True


def pipes_of(pid: int) -> list[Path]:
    """Return a process's descriptors that are pipes."""
    found = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # it was closed meanwhile
            if os.readlink(descriptor).startswith("pipe:"):
                found.append(descriptor)
    return found


def with_schema(directory: Path) -> Path:
    """Make a directory that of a stopped server with the schema in place and passwords of its own; return it.

    It is a copy: that takes a tenth of the time of the migrations, which only the tests about them need to run. The
    original is made by the first process of the run that asks for it; outside a run, each makes its own.
    """
    with contextlib.ExitStack() as stack:
        original = Path(os.environ.get(_ORIGINAL) or stack.enter_context(tempfile.TemporaryDirectory()), "migrated")
        original.parent.mkdir(exist_ok=True)
        lock = stack.enter_context((original.parent / "lock").open("w"))
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not original.exists():
            making = original.with_name("making")
            shutil.rmtree(making, ignore_errors=True)  # whoever made it was killed
            server, process = embedded.start(making, http_port=0, native_port=0)
            stack.callback(kill, server, process)
            clickhouse = ClickHouse(server)
            migrate.migrate(clickhouse.client("admin"), lambda line: None)
            clickhouse.close()
            stop_child(process)
            making.rename(original)
        fcntl.flock(lock, fcntl.LOCK_UN)
        shutil.copytree(original, directory, symlinks=True, dirs_exist_ok=True)
    state = directory / "otel-intel.json"
    passwords = {role: secrets.token_urlsafe(24) for role in embedded.ROLES}
    state.write_text(json.dumps({**json.loads(state.read_text()), "passwords": passwords}))
    return directory


@pytest.fixture(scope="session", autouse=True)
def original_with_schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the run's processes, and the runs within it, share what ``with_schema`` copies."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(_ORIGINAL, os.environ.get(_ORIGINAL) or str(shared / "with_schema"))
        yield


@contextlib.contextmanager
def run_clickhouse(directory: Path) -> Iterator[ClickHouse]:
    """Run a server on free ports with the schema in place; stop it at the end."""
    server, process = embedded.start(with_schema(directory), http_port=0, native_port=0)
    try:
        clickhouse = ClickHouse(server)
        yield clickhouse
        clickhouse.close()
    finally:
        # Kill it: a normal stop waits for seconds for idle connections, and nobody needs the data.
        kill(server, process)


@contextlib.contextmanager
def one_server(clickhouse: ClickHouse, *modules: ModuleType) -> Iterator[None]:
    """Let tests that this process runs, and the fixtures of these modules, use a server that is already running."""

    @contextlib.contextmanager
    def run(directory: Path) -> Iterator[ClickHouse]:
        yield clickhouse

    with pytest.MonkeyPatch.context() as patch:
        for module in (sys.modules[__name__], *modules):
            patch.setattr(module, "run_clickhouse", run)
        yield


@contextlib.contextmanager
def run_as_in_production(directory: Path) -> Iterator[ClickHouse]:
    """Run a server with the files of clickhouse/server in its config.d and users.d, and without a schema."""
    write_configuration = embedded.write_configuration
    # Undo the patch right after the start: other fixtures start their own servers later.
    with pytest.MonkeyPatch.context() as patch:

        def as_in_production(server: embedded.Server) -> None:
            write_configuration(server)
            _mount(server.directory)
            for role in embedded.ROLES:
                patch.setenv(f"INTEL_{role.upper()}_PASSWORD", server.passwords[role])

        passed_on = (f"INTEL_{role.upper()}_PASSWORD" for role in embedded.ROLES)
        patch.setattr(embedded, "ENVIRONMENT", (*embedded.ENVIRONMENT, *passed_on))
        patch.setattr(embedded, "write_configuration", as_in_production)
        server, process = embedded.start(directory, http_port=0, native_port=0)
    try:
        clickhouse = ClickHouse(server)
        yield clickhouse
        clickhouse.close()
    finally:
        kill(server, process)


def _mount(directory: Path) -> None:
    """Put the files where the official image has them, as far as this server supports them."""
    files = folder("clickhouse") / "server"
    (directory / "config.d").mkdir()
    # This server is on loopback, and needs the user default to start itself.
    config = (files / "config.xml").read_text().replace(">0.0.0.0<", ">127.0.0.1<")
    (directory / "config.d" / "otel_intel.xml").write_text(config)
    users = directory / "users.xml"
    users.write_text(re.sub(r"\n *<intel_\w+>.*?</intel_\w+>", "", users.read_text(), flags=re.DOTALL))
    logins = (files / "users.xml").read_text().replace('<default remove="remove"/>', "")
    (directory / "users.d" / "otel_intel_users.xml").write_text(logins)


@pytest.fixture(scope="session")
def clickhouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """The run's server; tests use the fixture ``clickhouse``, which empties it."""
    with run_clickhouse(tmp_path_factory.mktemp("clickhouse")) as clickhouse:
        yield clickhouse


@pytest.fixture
def clickhouse(clickhouse_server: ClickHouse) -> ClickHouse:
    """A real ClickHouse with the schema in place and no rows."""
    clickhouse_server.empty()
    return clickhouse_server


@pytest.fixture
def new_data(tmp_path: Path) -> Iterator[Path]:
    """A directory, not made yet, for a server that is stopped at the end, if it runs."""
    directory = tmp_path / "data"
    yield directory
    CliRunner().invoke(main, ["down", "--data", str(directory)])


@pytest.fixture
def data(new_data: Path) -> Path:
    """The same, but ``up`` finds the schema in place."""
    return with_schema(new_data)
