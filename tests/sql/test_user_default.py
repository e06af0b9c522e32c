"""The embedded server starts itself as user default, who has no password: nobody else can log in as this user."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import clickhouse_driver
import clickhouse_driver.errors
import pytest
import requests

from otel_intel.server import embedded
from otel_intel.server.processes import stop_child
from tests.otlp import event, send
from tests.servers import ClickHouse, engine_pid, kill, run_clickhouse, signal_engine
from tests.waiting import poll_until

MARKER = "signal-of-someone"

STATEMENTS = [
    "SELECT 1",
    "SELECT file('users.xml')",
    "SELECT length(file('/proc/self/environ'))",
    "SELECT toUInt8(file('users.xml'))",  # the error message would show the content
    "SELECT (SELECT groupArray(l) FROM file('users.xml', 'RawBLOB', 'l String'))",
    "SELECT (SELECT groupArray(l) FROM file('data/**', 'RawBLOB', 'l String'))",
    "SELECT * FROM file('data/**', 'RawBLOB', 'l String')",
    "SELECT * FROM intel.recommendation_events",
    "SELECT * FROM metrics.recommendation_events",
    "SELECT * FROM merge('intel', '.*')",
    "SELECT * FROM system.users",
    "SELECT * FROM python('x')",
    "SELECT count() FROM numbers_mt(1000000000000) WHERE sipHash64(number) = 1",
    "DESCRIBE TABLE file('users.xml')",
    "SHOW TABLES FROM intel",
    "SHOW PROCESSLIST",
    "SET max_ast_elements = 50000",
    "CREATE TEMPORARY TABLE t ENGINE = Memory AS SELECT file('users.xml') AS l",
    "INSERT INTO FUNCTION file('data/x.csv', 'CSV', 'l String') VALUES ('x')",
    "INSERT INTO FUNCTION null() FROM INFILE 'users.xml' FORMAT TSV",  # as short as the server's own statement
    "KILL QUERY WHERE 1",
    "SYSTEM STOP LISTEN HTTP",
    "SYSTEM SHUTDOWN",
]


@dataclass(frozen=True)
class Http:
    """One way to send a request as user default, or without a user, over HTTP."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    basic: tuple[str, str] | None = None

    def ask(self, server: embedded.Server, method: str, statement: str) -> requests.Response:
        """Send a statement and return the answer."""
        parameters, basic = dict(self.parameters), self.basic
        if basic == ("reader", ""):
            basic = ("intel_reader", server.passwords["reader"])
        if method == "GET":
            parameters["query"] = statement
        return requests.request(
            method,
            f"http://127.0.0.1:{server.http_port}/",
            params=parameters,
            data=statement if method == "POST" else None,
            headers=self.headers,
            auth=basic or _no_authentication,
            timeout=30,
        )


def _no_authentication(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Stop requests from reading ~/.netrc."""
    return request


# Settings whose value is an expression or reads a file.
EXPRESSIONS = {"additional_result_filter": "toUInt8(file('users.xml'))"}
LIFTED = {"max_sessions_for_user": "0", "max_ast_elements": "50000"}
WAYS = {
    "nobody": Http(),
    "nobody, by parameter": Http({"user": ""}),
    "nobody, by header": Http(headers={"X-ClickHouse-User": ""}),
    "nobody, basic": Http(basic=("", "")),
    "a key alone": Http(headers={"X-ClickHouse-Key": "x"}),
    "header": Http(headers={"X-ClickHouse-User": "default"}),
    "header and key": Http(headers={"X-ClickHouse-User": "default", "X-ClickHouse-Key": ""}),
    "basic": Http(basic=("default", "")),
    "parameter": Http({"user": "default"}),
    "parameters": Http({"user": "default", "password": ""}),
    "basic of the reader, and a parameter": Http({"user": "default"}, basic=("reader", "")),
    "basic of the reader, and a header": Http(headers={"X-ClickHouse-User": "default"}, basic=("reader", "")),
    "a header of the reader, and a parameter": Http({"user": "default"}, {"X-ClickHouse-User": "intel_reader"}),
    "a parameter of the reader, and a header": Http({"user": "intel_reader"}, {"X-ClickHouse-User": "default"}),
    "a session": Http({"session_id": "mine", "session_timeout": "60"}, {"X-ClickHouse-User": "default"}),
    "its settings lifted": Http({"user": "default", **LIFTED}),
    "expressions": Http({"user": "default", **EXPRESSIONS}),
    "a file as a format": Http(
        {"user": "default", "default_format": "Template", "format_template_resultset": "users.xml"}
    ),
    "a query as a schema": Http(
        {
            "user": "default",
            "default_format": "ProtobufSingle",
            "format_schema_source": "query",
            "format_schema": "SELECT file('users.xml')",
            "format_schema_message_name": "x",
        }
    ),
    "another profile": Http({"user": "default", "profile": "default"}),
    "a role": Http({"user": "default", "role": "intel_metrics"}),
    "another quota": Http({"user": "default", "quota_key": "mine"}),
    "another address": Http({"user": "default"}, {"X-Forwarded-For": "10.0.0.1", "Forwarded": "for=10.0.0.1"}),
    "a certificate": Http(headers={"X-ClickHouse-User": "default", "X-ClickHouse-SSL-Certificate-Auth": "on"}),
    "a token": Http(headers={"Authorization": "Bearer default"}),
}
NATIVE = ["default", "", "intel_owner", "nobody"]


def ask_natively(server: embedded.Server, user: str, statement: str, **settings: object) -> str:
    """Send a statement over the native protocol and return the error or the answer."""
    client = clickhouse_driver.Client(
        "127.0.0.1", port=server.native_port, user=user, password="", connect_timeout=10, send_receive_timeout=30
    )
    try:
        return f"answered: {client.execute(statement, settings=settings)}"
    except clickhouse_driver.errors.Error as error:
        # 210: nothing listens on the port.
        return f"not reached: {error}" if error.code == 210 else f"Code: {error.code}. {error}"
    except (EOFError, OSError) as error:
        return f"not reached: {error}"
    finally:
        client.disconnect()


@contextlib.contextmanager
def run_changed(directory: Path, old: str, new: str) -> Iterator[ClickHouse]:
    """Run a server without one of its locks, and with an event."""
    write_configuration = embedded.write_configuration

    def write_changed(server: embedded.Server) -> None:
        write_configuration(server)
        users = server.directory / "users.xml"
        locked = users.read_text()
        assert old in locked
        users.write_text(locked.replace(old, new))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "write_configuration", write_changed)
        running = run_clickhouse(directory)
        clickhouse = running.__enter__()
    try:
        send(clickhouse, event("recommendation.viewed", **{"intel.risk_signal.id": MARKER}))
        yield clickhouse
    finally:
        running.__exit__(None, None, None)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Switch off the driver's warning for each refused connection."""
    caplog.set_level(logging.CRITICAL, "clickhouse_driver")


@pytest.fixture(scope="module")
def filled(clickhouse_server: ClickHouse) -> ClickHouse:
    """A server with an event."""
    clickhouse_server.empty()
    send(clickhouse_server, event("recommendation.viewed", **{"intel.risk_signal.id": MARKER}))
    return clickhouse_server


def assert_nothing_leaks(text: str) -> None:
    for secret in (MARKER, "password_sha256_hex", "<clickhouse>", "PATH=", "HOME=", "recommendation_events\n"):
        assert secret not in text


def cpu_seconds(pid: int | None) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("way", WAYS)
def test_over_http_nobody_gets_in(filled: ClickHouse, way: str, method: str) -> None:
    for statement in STATEMENTS:
        answer = WAYS[way].ask(filled.server, method, statement)
        assert answer.status_code in (401, 403, 500), (statement, answer.text)
        assert re.search("USER_SESSION_LIMIT_EXCEEDED|AUTHENTICATION_FAILED", answer.text), (statement, answer.text)
        assert_nothing_leaks(answer.text)


@pytest.mark.parametrize("user", NATIVE)
def test_over_the_native_protocol_nobody_gets_in(filled: ClickHouse, user: str) -> None:
    for statement in STATEMENTS:
        said = ask_natively(filled.server, user, statement)
        # 101: no user was named.
        assert re.match(r"Code: (700|516|101)\.", said), (statement, said)
        assert_nothing_leaks(said)
    assert ask_natively(filled.server, user, "SELECT 1", **LIFTED).startswith("Code: ")


def test_over_the_native_protocol_nobody_gets_in_as_a_server_of_a_cluster(filled: ClickHouse) -> None:
    """Servers of a cluster log in with the cluster's secret instead of a user."""

    def greet(user: str, *more: str) -> bytes:
        texts = [bytes([len(text)]) + text.encode() for text in ("tests", "", user, *more)]
        version = b"\x1a\x09\xc7\xa9\x03"  # 26.9, protocol 54471
        with socket.create_connection(("127.0.0.1", filled.server.native_port), timeout=10) as connection:
            connection.sendall(b"\x00" + texts[0] + version + b"".join(texts[1:]))
            return connection.recv(1)

    assert greet("intel_reader", filled.server.passwords["reader"]) == b"\x00"  # a greeting
    for cluster in ("", "default", "intel"):
        assert greet(" INTERSERVER SECRET ", "", cluster, "salt") in (b"", b"\x02")  # dropped, or an exception


def test_no_query_runs_for_a_user_who_is_refused(filled: ClickHouse) -> None:
    before = cpu_seconds(engine_pid(filled.server))
    burn = next(statement for statement in STATEMENTS if "sipHash64" in statement)
    for way in WAYS.values():
        way.ask(filled.server, "POST", burn)
    assert cpu_seconds(engine_pid(filled.server)) - before < 10  # one of these alone would take hours


@pytest.mark.parametrize("page", ["play", "dashboard", "binary", "merges", "jemalloc", "webterminal", "js/uplot.js"])
def test_the_engines_pages_are_not_served(filled: ClickHouse, page: str) -> None:
    """The last but one is a client that runs inside the server."""
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "eA==",
    }
    for headers in ({}, upgrade):
        answer = requests.get(f"http://127.0.0.1:{filled.server.http_port}/{page}", headers=headers, timeout=10)
        assert answer.status_code == 404


def test_users_with_a_password_get_in_over_every_protocol(filled: ClickHouse) -> None:
    """Without this, the tests above could pass because the server refuses everybody."""
    server, password = filled.server, filled.server.passwords["reader"]
    ways = [
        Http({"user": "intel_reader", "password": password}),
        Http(headers={"X-ClickHouse-User": "intel_reader", "X-ClickHouse-Key": password}),
        Http(basic=("intel_reader", password)),
    ]
    for way, method in itertools.product(ways, ("GET", "POST")):
        assert way.ask(server, method, "SELECT currentUser()").text == "intel_reader\n"
    client = clickhouse_driver.Client("127.0.0.1", port=server.native_port, user="intel_reader", password=password)
    assert client.execute("SELECT currentUser()") == [("intel_reader",)]
    client.disconnect()


def test_nobody_gets_in_while_users_come_and_go(filled: ClickHouse) -> None:
    for role in embedded.ROLES:
        name, password = f"intel_{role}", filled.server.passwords[role]
        client = clickhouse_driver.Client("127.0.0.1", port=filled.server.native_port, user=name, password=password)
        client.execute("SELECT 1")
        for _ in range(2):
            assert ask_natively(filled.server, "default", "SELECT 1").startswith("Code: 700")
            assert "USER_SESSION_LIMIT_EXCEEDED" in WAYS["header"].ask(filled.server, "POST", "SELECT 1").text
            client.disconnect()


def test_nobody_gets_in_just_after_the_start(tmp_path: Path) -> None:
    with run_clickhouse(tmp_path) as clickhouse:
        server, said = clickhouse.server, []
        for _ in range(3):
            signal_engine(server, signal.SIGKILL)
            refused, deadline = 0, time.monotonic() + 30
            while refused < 40 and time.monotonic() < deadline:  # send requests during the whole start
                with contextlib.suppress(requests.ConnectionError):
                    said.append(WAYS["header"].ask(server, "POST", "SELECT file('users.xml')").text)
                    refused += 1
                native = ask_natively(server, "default", "SELECT file('users.xml')")
                if not native.startswith("not reached"):
                    said.append(native)
                    refused += 1
            assert refused >= 40
    for answer in said:
        assert re.search("USER_SESSION_LIMIT_EXCEEDED|Code: 700", answer), answer


def hammer(server: embedded.Server, said: list[str]) -> None:
    """Send requests as user default until the port is closed, over new connections and over an open one."""
    parameters = {"user": "default", "query": "SELECT 1", **EXPRESSIONS}
    url = f"http://127.0.0.1:{server.http_port}/?{urlencode(parameters)}"
    with requests.Session() as kept:
        kept.trust_env = False
        while True:
            with contextlib.suppress(requests.exceptions.RequestException):
                said.append(kept.get(url, timeout=30).text)
            try:
                said.append(requests.get(url, timeout=30, auth=_no_authentication).text)
            except requests.exceptions.RequestException:
                if not server_listens(server):
                    return
            native = ask_natively(server, "default", "SELECT 1")
            if not native.startswith("not reached"):
                said.append(native)


def server_listens(server: embedded.Server) -> bool:
    """Tell whether the port accepts a connection."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", server.http_port)) == 0


def test_nobody_gets_in_while_the_server_stops(tmp_path: Path) -> None:
    said: list[str] = []
    for number in range(3):
        server, process = embedded.start(tmp_path / str(number), 0, 0)
        try:
            hammers = [threading.Thread(target=hammer, args=(server, said)) for _ in range(6)]
            for thread in hammers:
                thread.start()
            asked = len(said)
            assert poll_until(lambda asked=asked: len(said) > asked + 100)  # type: ignore[misc]
            assert stop_child(process) == 0
            for thread in hammers:
                thread.join()
        finally:
            kill(server, process)
    assert len(said) > 300
    for answer in said:
        # Empty if the connection was closed before the answer.
        assert re.search("USER_SESSION_LIMIT_EXCEEDED|Code: 700|^$", answer), answer


LOCKS = {
    "sessions": ("<max_sessions_for_user>1</max_sessions_for_user>", ""),
    "statements": ("<max_ast_elements>4</max_ast_elements>", ""),
}


@pytest.mark.parametrize("lock", LOCKS)
def test_each_lock_is_enough_alone(tmp_path: Path, lock: str) -> None:
    with run_changed(tmp_path, *LOCKS[lock]) as clickhouse:
        server, said = clickhouse.server, []
        for statement in STATEMENTS:
            said += [
                *(way.ask(server, method, statement).text for way in WAYS.values() for method in ("GET", "POST")),
                ask_natively(server, "default", statement),
                ask_natively(server, "default", statement, **LIFTED),
            ]
        codes = {found[1] for text in said if (found := re.search(r"Code: (\d+)\.", text))}
        assert all("Code: " in text for text in said)
        for text in said:
            assert_nothing_leaks(text)
        # The server has not stopped or restarted.
        assert clickhouse.value("SELECT count() FROM metrics.recommendation_events") == 1
        assert embedded.restarts(server.directory) == []
    assert ("168" in codes) == (lock == "sessions")  # TOO_BIG_AST: the other lock was reached
