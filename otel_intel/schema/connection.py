"""Connections for administrators and exports; pages and metrics use reading.reader."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error as ClickHouseError
from clickhouse_connect.driver.httputil import get_pool_manager_options
from urllib3 import PoolManager

from otel_intel.conf import is_loopback, parse_url
from otel_intel.exceptions import OtelIntelError


class ClickHouseUnreachable(OtelIntelError):
    """ClickHouse cannot be used at a URL; the message says whether it refused or did not answer, and why."""


MIN_FREE: Final = 64_000_000
"""Bytes that a change of the schema needs; much more than it takes, because events go on to come."""

# The driver asks the server to keep an answer on its disk until it is complete. With a full disk the server then says
# 200 and sends nothing, as if there were no rows.
AT_ONCE: Final = {"wait_end_of_query": "0"}

# On a cluster: wait until a row is on its shard; and let this node put the rows of all shards together before it
# inserts them. By default each shard inserts what follows from its own rows.
DISTRIBUTED: Final = {"distributed_foreground_insert": 1, "parallel_distributed_insert_select": 0}


@contextlib.contextmanager
def connect(url: str) -> Iterator[Client]:
    """Give a client for an administrator's URL; raise ClickHouseUnreachable if that is impossible."""
    try:
        address = parse_url(url)  # the driver accepts anything, and then connects to localhost
    except ValueError as error:
        raise ClickHouseUnreachable(
            f"The ClickHouse URL {error}; it must look like http://admin:password@host:8123"
        ) from None
    try:
        client = clickhouse_connect.get_client(
            dsn=url,
            interface=address.scheme,  # the driver ignores the URL's: it sent passwords in plain text for https://
            pool_mgr=direct_pool(address.hostname),
            autogenerate_session_id=False,
        )
    except ClickHouseError as error:
        # Only an answer has a code, as for a wrong password.
        problem = "does not answer" if error.code is None else "refused"
        raise ClickHouseUnreachable(f"ClickHouse {problem}: {first_line(error)}") from error
    try:
        yield client
    finally:
        # Open idle connections would delay the stop of a server by seconds.
        client.close_connections()
        client.close()


def direct_pool(host: str | None) -> PoolManager | None:
    """Return connections that no proxy of the environment is in the way of, if the host is this one; else None."""
    return PoolManager(**get_pool_manager_options()) if is_loopback(host) else None


def read_rows(client: Client, sql: str, parameters: Mapping[str, object] | None = None) -> Sequence[Sequence[Any]]:
    """Return the rows of a query, also if the server's disk is full."""
    return client.query(sql, parameters=dict(parameters or {}), settings=AT_ONCE).result_rows


class NoSpaceError(OtelIntelError):
    """ClickHouse's disk is too full for a change of the schema or of facts; the message says what to do."""


def require_space(client: Client) -> None:
    """Raise NoSpaceError if a disk of the server is nearly full.

    It writes the definitions of tables and views, and mutations, without looking whether they fit. On a full disk it
    leaves empty files, says that all went well, and cannot be started again.
    """
    for name, free in read_rows(client, "SELECT name, free_space FROM system.disks"):
        if free < MIN_FREE:
            raise NoSpaceError(
                f"ClickHouse's disk {name} has {free / 1e6:.0f} MB free. A change of the schema or of facts needs"
                f" {MIN_FREE / 1e6:.0f} MB, or could leave files half written. Nothing was changed. Free space first:"
                " see clickhouse-disk in the runbook"
            )


def first_line(error: Exception) -> str:
    """Return the first line of an error of ClickHouse, without the stack trace that may follow."""
    return str(error).strip().splitlines()[0][:500]
