"""Shared parts of the subcommands: options, errors as one line, connections to the nodes."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import click
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error as ClickHouseError

from otel_intel.exceptions import OtelIntelError
from otel_intel.schema.cluster import Cluster
from otel_intel.schema.connection import connect
from otel_intel.schema.migrate import MigrationError, require_nodes

DATA = Path(".otel-intel")

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=DATA,
    show_default=True,
    help="The server's directory.",
)
urls_option = click.option(
    "--url",
    "urls",
    envvar="CLICKHOUSE_URL",
    required=True,
    multiple=True,
    metavar="URL",
    help="An administrator's ClickHouse URL, http://user:password@host:8123; on a cluster one for each node;"
    " also CLICKHOUSE_URL, with spaces between.",
)
cluster_option = click.option(
    "--cluster",
    "cluster_name",
    envvar="OTEL_INTEL_CLUSTER",
    metavar="NAME",
    help="The cluster's name in remote_servers; the URLs are those of its nodes. Also OTEL_INTEL_CLUSTER.",
)


@contextlib.contextmanager
def errors() -> Iterator[None]:
    """Turn expected errors into a message of one line and exit code 1."""
    try:
        yield
    except OtelIntelError as error:
        raise click.ClickException(str(error)) from error
    except ClickHouseError as error:
        raise click.ClickException(f"ClickHouse refused: {str(error).splitlines()[0]}") from error
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from error


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let TERM and INT do what Ctrl-C does, even if they were ignored: a script's background jobs ignore INT."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def nodes(
    urls: tuple[str, ...], cluster_name: str | None, replicated: bool = False
) -> Iterator[tuple[list[Client], Cluster | None]]:
    """Connect to the nodes of a cluster, or to one server: clients and cluster."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(url)) for url in urls]
        if not cluster_name:
            if len(urls) > 1 or replicated:
                raise MigrationError("Several URLs or --replicated need the cluster's name: add --cluster")
            yield clients, None
            return
        cluster = Cluster(cluster_name, replicated)
        require_nodes(clients, cluster)
        yield clients, cluster
