"""Connections of an administrator, and of exports; pages and metrics read through reading.reader."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error as ClickHouseError

from otel_intel.conf import parse_url
from otel_intel.exceptions import OtelIntelError


class ClickHouseUnreachable(OtelIntelError):
    """ClickHouse cannot be reached under a URL; the message says why."""


@contextlib.contextmanager
def connect(url: str) -> Iterator[Client]:
    """Give a client for an administrator's URL; raise ClickHouseUnreachable when the server does not answer."""
    try:
        parse_url(url)  # the driver would take anything, and fall back to localhost
    except ValueError:
        raise ClickHouseUnreachable(
            "That is no ClickHouse URL; it looks like http://admin:password@host:8123"
        ) from None
    try:
        client = clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False)
    except ClickHouseError as error:
        raise ClickHouseUnreachable(f"ClickHouse does not answer: {first_line(error)}") from error
    try:
        yield client
    finally:
        # Idle connections would hold up the stop of a server for seconds.
        client.close_connections()
        client.close()


def first_line(error: Exception) -> str:
    """Return the first line of an error of ClickHouse, which may be followed by a stack trace."""
    return str(error).strip().splitlines()[0][:500]
