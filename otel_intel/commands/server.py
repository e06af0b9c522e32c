"""up, down and env: the embedded server, and the Collector in front of it."""

from __future__ import annotations

import contextlib
import shlex
import time
from pathlib import Path

import click

from otel_intel.schema.connection import connect
from otel_intel.schema.migrate import migrate
from otel_intel.server import collector, embedded, landlock, refresher
from otel_intel.server.processes import LOOPBACK, stop_child, tell_service_manager, write_private

from . import env_file as files
from .options import DATA, data_option, errors, stopped_by_signals

_UNCONFINED = (
    "Warning: this system cannot confine the server (Landlock of Linux 5.19 or later):"
    " whoever can log in to it can read this user's files, including the server's passwords."
)


@click.command()
@data_option
@click.option(
    "--http-port",
    type=click.IntRange(0, 65535),
    help="The port for HTTP; 0 takes a free one. By default the port of the last start; for the first start 8123.",
)
@click.option(
    "--native-port",
    type=click.IntRange(0, 65535),
    help="The port for the native protocol; 0 takes a free one."
    " By default the port of the last start; for the first start 9000.",
)
@click.option(
    "--env-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the variables into this file instead of printing them: they contain passwords."
    " A file that holds anything else is refused.",
)
@click.option("--detach", is_flag=True, help="Return when the server is ready; otel-intel down stops it.")
@click.option("--collector", "with_collector", is_flag=True, help="Run an OpenTelemetry Collector in front, too.")
@click.option(
    "--collector-binary",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The collector's program; by default the one that `make collector` built.",
)
@click.option(
    "--new-passwords",
    is_flag=True,
    help="Make new passwords, and with a Collector a new token: those of earlier starts stop working.",
)
def up_command(
    data: Path,
    http_port: int | None,
    native_port: int | None,
    env_file: Path | None,
    detach: bool,
    with_collector: bool,
    collector_binary: Path | None,
    new_passwords: bool,
) -> None:
    """Start the embedded ClickHouse on loopback and bring its schema up to date.

    Data, passwords and ports are kept in the directory between runs.

    \b
    otel-intel up                                        in the foreground; Ctrl-C stops it
    otel-intel up --http-port 0 --native-port 0          on free ports
    otel-intel up --detach --env-file .env.telemetry     in the background
    otel-intel up --collector                            applications send to a Collector, as in production
    """
    with errors(), stopped_by_signals():
        variables = files.target(env_file, data.resolve()) if env_file else None
        binary = collector.find_binary(collector_binary) if with_collector or collector_binary else None
        if not landlock.supported():
            click.echo(_UNCONFINED, err=True)
        if binary and detach and embedded.running(data.resolve()) and not collector.running(data.resolve()):
            _start_collector_again(data, binary)
            return
        server, process = embedded.start(
            data.resolve(), http_port, native_port, detach=detach, new_passwords=new_passwords
        )
        parts = {"ClickHouse": (process, "server.log")}  # in the order in which they are stopped
        refreshing = None
        try:
            with connect(server.url("admin")) as client:
                applied = migrate(client, lambda line: None, again=False)
            if applied:
                click.echo(
                    f"Applied {applied} statement{'s' if applied > 1 else ''} to bring the schema up to date.", err=True
                )
            refreshing = refresher.start(server, detach=detach)
            if binary:
                in_front = collector.start(server, binary, detach=detach, new_token=new_passwords)[1]
                parts = {"The Collector": (in_front, "collector.log"), **parts}
            elif warning := collector.left(data.resolve()):
                click.echo(warning, err=True)
            text = _lines(server)
            if variables:
                write_private(variables, text)
                click.echo(f"The variables for applications are in {env_file}.", err=True)
            else:
                click.echo(text, nl=False)
        except BaseException:
            for part in (refreshing, *(part for part, _ in parts.values())):
                if part:
                    stop_child(part)
            raise
        addition = ", with a Collector in front" if binary else ""
        ready = f"ClickHouse is ready on {LOOPBACK}:{server.http_port}{addition}"
        if detach:
            of = "" if data == DATA else f" --data {shlex.quote(str(data))}"
            click.echo(f"{ready}; stop it with otel-intel down{of}", err=True)
            return
        with contextlib.suppress(KeyboardInterrupt):
            click.echo(f"{ready}; Ctrl-C stops it.", err=True)
            tell_service_manager("READY=1")
            told, begun = 0, time.monotonic()
            # A Collector that `down` stopped exits with 0: the server then keeps running.
            while process.poll() is None and not any(part.poll() for part, _ in parts.values()):
                time.sleep(0.05)
                if refreshing.poll() is not None and time.monotonic() > begun + 1:  # somebody killed it
                    refreshing, begun = refresher.start(server), time.monotonic()
                for line in embedded.restarts(data)[told:]:
                    click.echo(line, err=True)
                    told += 1
        stop_child(refreshing)
        ended = {name: stop_child(part) for name, (part, _) in parts.items()}
    for name, code in ended.items():
        if code:
            raise click.ClickException(f"{name} ended with exit code {code}: see {data / parts[name][1]}")


def _start_collector_again(data: Path, binary: Path) -> None:
    """Start the Collector that has ended in front of a server that still runs."""
    server = embedded.load(data.resolve())
    collector.start(server, binary, detach=True)
    click.echo(f"The Collector runs again in front of ClickHouse on {LOOPBACK}:{server.http_port}.", err=True)


@click.command()
@data_option
def down_command(data: Path) -> None:
    """Stop the embedded ClickHouse and the Collector in front of it, if one runs; the data stays.

    \b
    otel-intel down
    otel-intel down --data /srv/telemetry
    """
    with errors():
        embedded.load(data.resolve())
        collector.stop(data.resolve())
        refresher.stop(data.resolve())
        embedded.stop(data.resolve())
    click.echo("ClickHouse has stopped; its data stays.", err=True)


@click.command()
@data_option
@click.option("--role", type=click.Choice(embedded.ROLES), help="Print this role's ClickHouse URL instead.")
def env_command(data: Path, role: str | None) -> None:
    """Print the variables that make an application use the embedded ClickHouse.

    \b
    eval "$(otel-intel env | sed 's/^/export /')"        set them in this shell
    CLICKHOUSE_URL=$(otel-intel env --role admin)        an administrator's URL, for migrate and rebuild
    """
    with errors():
        server = embedded.load(data.resolve())
    click.echo(server.url(role) + "\n" if role else _lines(server), nl=False)


def _lines(server: embedded.Server) -> str:
    in_front = collector.running(server.directory)
    variables = in_front.variables(server) if in_front else server.variables()
    return "".join(f"{key}={shlex.quote(value)}\n" for key, value in variables.items())
