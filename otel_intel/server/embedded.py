"""The embedded server: one directory with its data, passwords and ports, started and stopped by ``otel-intel``."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import secrets
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final
from xml.sax.saxutils import escape

from otel_intel.resources import folder

from .processes import (
    LOOPBACK,
    EmbeddedError,
    Lock,
    await_answer,
    bind,
    keep_last,
    last_lines,
    stop_child,
    stop_holder,
    write_private,
)

ROLES: Final = ("admin", "writer", "reader", "dashboard")
HTTP_PORT: Final = 8123
NATIVE_PORT: Final = 9000
CHDB: Final = "chdb-core==26.9.0"
"""The server's wheel, as pyproject.toml pins it."""

_STATE: Final = "otel-intel.json"
_PID: Final = "server.pid"
_OUTPUT: Final = "server.log"
_RESTARTS: Final = "restarts.log"  # written by engine.py
# The only variables that the server gets. Its users can read its environment, so no secrets: only what Python needs.
ENVIRONMENT: Final = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "TZ")


@dataclass(frozen=True, slots=True)
class Server:
    """An embedded server's directory, ports and passwords by role."""

    directory: Path
    http_port: int
    native_port: int
    passwords: Mapping[str, str]

    def url(self, role: str) -> str:
        """Return the ClickHouse URL of one of ROLES, password included."""
        return f"http://intel_{role}:{self.passwords[role]}@{LOOPBACK}:{self.http_port}"

    def variables(self) -> dict[str, str]:
        """Return the environment variables that make an application send here and read from here."""
        return {
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": self._ingest_url("intel.otlp_logs", "ExportLogsServiceRequest"),
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": self._ingest_url("intel.otlp_traces", "ExportTraceServiceRequest"),
            "OTEL_EXPORTER_OTLP_HEADERS": (
                f"x-clickhouse-user=intel_writer,x-clickhouse-key={self.passwords['writer']}"
            ),
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_INTEL_CLICKHOUSE_URL": self.url("reader"),
        }

    def _ingest_url(self, table: str, message: str) -> str:
        query = {
            "query": f"INSERT INTO {table} FORMAT ProtobufSingle",
            "format_schema_message_name": message,
        }
        return f"http://{LOOPBACK}:{self.http_port}/?{urllib.parse.urlencode(query)}"


def load(directory: Path) -> Server:
    """Return the server that was set up in a directory, running or not; raise EmbeddedError if there is none."""
    try:
        state = json.loads((directory / _STATE).read_text(encoding="utf-8"))
        return Server(directory, state["http_port"], state["native_port"], state["passwords"])
    except FileNotFoundError:
        raise EmbeddedError(f"{directory} holds no otel-intel server: start one with otel-intel up") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EmbeddedError(f"{directory / _STATE} cannot be read: {error}") from error


def start(
    directory: Path,
    http_port: int | None = None,
    native_port: int | None = None,
    *,
    detach: bool = False,
    new_passwords: bool = False,
) -> tuple[Server, subprocess.Popen[bytes]]:
    """Start the server of a directory and return when it answers.

    Args:
        directory: Created if it does not exist; otherwise it must be empty or set up by an earlier start.
        http_port: 0 takes a free port; None takes the port of the last start, or 8123 for the first start.
        native_port: The same for the native protocol, with 9000 for the first start.
        detach: True if the server must keep running after this process has ended; otherwise it stops with it.
        new_passwords: True if no password of an earlier start may log in any more.
    """
    if importlib.util.find_spec("chdb") is None:
        # Its own dependencies, pandas and pyarrow, are for its Python API.
        raise EmbeddedError(f"The embedded server needs chdb-core: pip install --no-deps {CHDB}")
    before = _inspect(directory)
    if http_port and http_port == native_port:
        raise EmbeddedError(f"--http-port and --native-port are both {http_port}: choose two ports")
    server = Server(
        directory,
        _port("--http-port", http_port, before.http_port if before else HTTP_PORT),
        _port("--native-port", native_port, before.native_port if before else NATIVE_PORT),
        before.passwords if before and not new_passwords else {role: secrets.token_urlsafe(24) for role in ROLES},
    )
    with contextlib.closing(claim(directory)) as lock:
        lock.write("")  # forget the last server's process id: `stop` must not signal that process
        try:
            write_configuration(server)
        except (EmbeddedError, OSError):
            if before is None:  # otherwise the next start would take the directory for somebody else's
                _empty(directory)
            raise
        process = _spawn(server, lock, detach)
        lock.write(str(process.pid))
    try:
        await_answer("server", server.http_port, "ping", process, lambda: last_lines(directory / _OUTPUT))
    except BaseException:
        stop_child(process)
        raise
    return server, process


def stop(directory: Path) -> None:
    """Stop the server of a directory and return when it has ended; raise EmbeddedError if none runs."""
    load(directory)
    if not stop_holder("server", directory / _PID):
        raise EmbeddedError(f"No server is running on {directory}")


def running(directory: Path) -> int | None:
    """Return the id of the process that serves a directory; None if none does, or it is still starting."""
    return Lock.holder(directory / _PID)


def restarts(directory: Path) -> list[str]:
    """Return a line for each crash and restart of a directory's server since `start`."""
    try:
        return (directory / _RESTARTS).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def _inspect(directory: Path) -> Server | None:
    """Return the server of an earlier start, or None for a new or empty directory; change nothing."""
    try:
        if not directory.exists() or not any(directory.iterdir()):
            return None
    except OSError as error:
        raise EmbeddedError(f"{directory} cannot be used: {error.strerror}") from error
    if not (directory / _STATE).exists():
        raise EmbeddedError(f"{directory} is not empty and was not made by otel-intel: choose another --data")
    server = load(directory)
    pid = running(directory)
    if pid is not None:
        raise EmbeddedError(
            f"A server (process {pid}) is already running on {directory}, port {server.http_port}:"
            " otel-intel env prints its variables, otel-intel down stops it"
        )
    return server


def claim(directory: Path) -> Lock:
    """Create a private directory for the server and lock it; raise EmbeddedError if that is impossible."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)  # the server makes its files in it readable for every user
        return Lock(directory / _PID)
    except BlockingIOError:
        raise EmbeddedError(f"Another otel-intel up is starting a server on {directory}") from None
    except OSError as error:
        raise EmbeddedError(f"{directory} cannot be used: {error.strerror}") from error


def _empty(directory: Path) -> None:
    for path in directory.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _port(option: str, wanted: int | None, default: int) -> int:
    port = default if wanted is None else wanted
    try:
        return bind(port)
    except OSError as error:
        raise EmbeddedError(
            f"Port {port} cannot be used ({error.strerror}): choose another with {option}, 0 takes a free one"
        ) from error


def write_configuration(server: Server) -> None:
    """Write the configuration that the server reads at its start into its directory."""
    sql = folder("clickhouse")
    values = {
        "http_port": str(server.http_port),
        "native_port": str(server.native_port),
        "otlp_proto": escape(sql.joinpath("otlp.proto").read_text(encoding="utf-8")),
    }
    for role, password in server.passwords.items():
        values[f"{role}_sha256"] = hashlib.sha256(password.encode()).hexdigest()
    for name in ("config.xml", "users.xml"):
        template = sql.joinpath("embedded", name).read_text(encoding="utf-8")
        write_private(server.directory / name, Template(template).substitute(values))
    access = server.directory / "users.d"  # the server merges it into users.xml
    access.mkdir(exist_ok=True)
    write_private(access / "access.xml", sql.joinpath("access.xml").read_text(encoding="utf-8"))
    _write_schema_cache(server.directory, sql.joinpath("otlp.proto").read_bytes())
    state = {
        "http_port": server.http_port,
        "native_port": server.native_port,
        "passwords": dict(server.passwords),
    }
    write_private(server.directory / ".gitignore", "*\n")
    write_private(server.directory / _STATE, json.dumps(state, indent=2) + "\n")


def _write_schema_cache(directory: Path, schema: bytes) -> None:
    """Write the OTLP schema to where the server writes it at the first insert, and takes it from ever after.

    If the disk is full then, it leaves an empty file, and refuses every request: also with space again, and after a
    restart. https://github.com/ClickHouse/ClickHouse/blob/master/src/Formats/FormatSchemaInfo.cpp
    """
    cache = directory / "__cache__"
    cache.mkdir(exist_ok=True)
    name = f"{schema[:32].hex().upper()}-{hashlib.sha256(schema).hexdigest().upper()}.proto"
    write_private(cache / name, schema.decode())


def _spawn(server: Server, lock: Lock, detach: bool) -> subprocess.Popen[bytes]:
    # Run it as a script: the server does not need the package, and -P keeps the package's modules off its path.
    command = [sys.executable, "-P", str(Path(__file__).with_name("engine.py")), str(server.directory)]
    # What the last start and its crashes told must outlive the start that repairs them.
    keep_last(server.directory / _RESTARTS)
    keep_last(server.directory / _OUTPUT)
    with (server.directory / _OUTPUT).open("wb") as output:
        return subprocess.Popen(  # noqa: S603
            command if detach else [*command, "--stdin-eof"],
            env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
            stdin=subprocess.DEVNULL if detach else subprocess.PIPE,
            stdout=output,
            stderr=output,
            pass_fds=[lock.descriptor],
            # With its own session, Ctrl-C reaches only the caller, which then stops the server.
            start_new_session=True,
        )
