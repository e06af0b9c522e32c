"""No function, table function, format or nesting that a ClickHouse user can send crashes the embedded server."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import logging
from collections.abc import Callable, Iterator

import clickhouse_driver
import clickhouse_driver.errors
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from otel_intel.server import embedded
from tests.otlp import deliver, event
from tests.servers import ClickHouse, engine_pid

ROLES = ("writer", "reader", "dashboard")
Ask = Callable[[str], None]


@contextlib.contextmanager
def ask_by_http(server: embedded.Server, role: str) -> Iterator[Ask]:
    """Send statements; whatever is answered, something is answered."""
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=30)
    headers = {"X-ClickHouse-User": f"intel_{role}", "X-ClickHouse-Key": server.passwords[role]}

    def ask(statement: str) -> None:
        connection.request("POST", "/?wait_end_of_query=1", statement.encode(), headers)
        connection.getresponse().read()

    with contextlib.closing(connection):
        yield ask


@contextlib.contextmanager
def ask_natively(server: embedded.Server, role: str) -> Iterator[Ask]:
    """Send statements; whatever is answered, something is answered."""
    client = clickhouse_driver.Client(
        "127.0.0.1",
        port=server.native_port,
        user=f"intel_{role}",
        password=server.passwords[role],
        send_receive_timeout=30,
        settings={"strings_as_bytes": True},
    )

    def ask(statement: str) -> None:
        with contextlib.suppress(clickhouse_driver.errors.ServerException, clickhouse_driver.errors.UnknownTypeError):
            client.execute(statement)

    yield ask
    client.disconnect()


PROTOCOLS = {"http": ask_by_http, "native": ask_natively}
COMBINATIONS = list(itertools.product(ROLES, PROTOCOLS))

# Each role and protocol tests different arguments: together they cover all arguments, and the run stays short.
ARGUMENTS = ["", "1", "'x'", "1, 1", "'x', 'y'", "[1, 2], [3]"]
TABLE_ARGUMENTS = [
    *ARGUMENTS,
    "x",
    "SELECT 1",
    "intel.otel_logs",
    "'intel', 'otel_logs'",
    "'a UInt8'",
    "'users.xml', 'RawBLOB', 'l String'",
    "'http://127.0.0.1:1/x', 'CSV', 'l String'",
    "'127.0.0.1:1', 'a', 'b', 'c', 'd'",
]


@pytest.fixture(autouse=True)
def unharmed(clickhouse_server: ClickHouse, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Check that the server is the same process before and after, and still has its data."""
    caplog.set_level(logging.CRITICAL, "clickhouse_driver")
    clickhouse_server.empty()
    deliver(clickhouse_server, event("recommendation.viewed"))
    before = engine_pid(clickhouse_server.server)
    yield
    assert clickhouse_server.value("SELECT count() FROM metrics.recommendation_events") == 1
    assert engine_pid(clickhouse_server.server) == before


def names(clickhouse: ClickHouse, table: str, where: str = "1") -> list[str]:
    rows = clickhouse.rows(f"SELECT DISTINCT name FROM system.{table} WHERE {where} ORDER BY name", role="admin")
    return [str(row["name"]) for row in rows]


@pytest.mark.parametrize(("role", "protocol"), COMBINATIONS)
def test_functions(clickhouse_server: ClickHouse, role: str, protocol: str) -> None:
    arguments = ARGUMENTS[COMBINATIONS.index((role, protocol))]
    # Without the two functions that only wait.
    functions = names(clickhouse_server, "functions", "name NOT IN ('sleep', 'sleepEachRow')")
    assert len(functions) > 1500
    with PROTOCOLS[protocol](clickhouse_server.server, role) as ask:
        for function in functions:
            ask(f"SELECT `{function}`({arguments}) FORMAT Null")


@pytest.mark.parametrize(("role", "protocol"), COMBINATIONS)
def test_table_functions(clickhouse_server: ClickHouse, role: str, protocol: str) -> None:
    functions = names(clickhouse_server, "table_functions")
    assert {"python", "arrowstream", "file"} <= set(functions)  # the wheel adds the first two to ClickHouse
    with PROTOCOLS[protocol](clickhouse_server.server, role) as ask:
        for function, arguments in itertools.product(functions, TABLE_ARGUMENTS):
            ask(f"SELECT * FROM `{function}`({arguments}) LIMIT 3 FORMAT Null")


@pytest.mark.parametrize(("role", "protocol"), COMBINATIONS)
def test_python_function_is_refused_everywhere(clickhouse_server: ClickHouse, role: str, protocol: str) -> None:
    with PROTOCOLS[protocol](clickhouse_server.server, role) as ask:
        for statement in (
            "SELECT * FROM python('x')",
            "SELECT * FROM Python(x)",
            "SELECT * FROM x",  # the wheel looks for a Python variable with that name
            "SELECT * FROM python('x') SETTINGS allow_python_table_function = 1",
            "SELECT * FROM python('x') SETTINGS profile = 'intel_owner'",
            "SET allow_python_table_function = 1",
            "DESCRIBE TABLE python('x')",
            "EXPLAIN SELECT * FROM python('x')",
            "INSERT INTO FUNCTION python('x') VALUES (1)",
            "SELECT 1 IN (SELECT * FROM python('x'))",
            "SELECT * FROM view(SELECT * FROM python('x'))",
            "SELECT * FROM loop(python('x'))",
            "SELECT * FROM remote('127.0.0.1', python('x'))",
            "SELECT * FROM eval('SELECT * FROM python(1)') SETTINGS allow_experimental_eval_table_function = 1",
            "CREATE TEMPORARY TABLE t (a UInt8) ENGINE = Python('x')",
            "CREATE TEMPORARY TABLE t AS python('x')",
            "SET profile = 'bootstrap'",  # forbids most statements, so it comes near the end
            "SELECT * FROM python('x')",
        ):
            ask(statement)
    with pytest.raises(DatabaseError, match="FUNCTION_NOT_ALLOWED"):
        clickhouse_server.client(role).query("SELECT * FROM python('x')")


@pytest.mark.parametrize("role", ROLES)
def test_formats(clickhouse_server: ClickHouse, role: str) -> None:
    with ask_by_http(clickhouse_server.server, role) as ask:
        for name in names(clickhouse_server, "formats"):
            ask(f"SELECT 1 AS a, 'x' AS b FORMAT {name}")
            for content in ("''", "'1,2'", "'{}'", "unhex('0a0b0c00ff')"):
                ask(f"SELECT * FROM format({name}, 'a UInt8, b String', {content})")
            ask(f"INSERT INTO intel.otel_traces FORMAT {name} {{}}")


@pytest.mark.parametrize("role", ROLES)
def test_deep_nesting(clickhouse_server: ClickHouse, role: str) -> None:
    with ask_by_http(clickhouse_server.server, role) as ask:
        for depth in (5_000, 100_000):
            for left, right in (("(", ")"), ("[", "]"), ("(SELECT ", ")"), ("NOT ", ""), ("1 + ", "")):
                statement = f"SELECT {left * depth}1{right * depth}"
                ask(statement)
                ask(f"{statement} SETTINGS max_parser_depth = 0, max_ast_depth = 0, max_ast_elements = 0")
            ask(f"SELECT match('a', '{'(' * depth}a{')' * depth}')")
            ask(f"SELECT '{'[' * depth}'::JSON")
