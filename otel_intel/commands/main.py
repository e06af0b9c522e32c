"""The command ``otel-intel``."""

from __future__ import annotations

import contextlib
import json
import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import click
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error as ClickHouseError

from otel_intel.conf import get_settings
from otel_intel.exceptions import OtelIntelError
from otel_intel.reading import doctor as examination
from otel_intel.reading import export as exports
from otel_intel.reading import health
from otel_intel.schema import migrate as schema
from otel_intel.schema import rebuild as facts
from otel_intel.schema.cluster import Cluster
from otel_intel.schema.retention import retain
from otel_intel.server import collector as collectors
from otel_intel.server import embedded, landlock

from . import grafana_files as dashboards

_DATA = Path(".otel-intel")

_data = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=_DATA,
    show_default=True,
    help="The server's directory.",
)
_urls = click.option(
    "--url",
    "urls",
    envvar="CLICKHOUSE_URL",
    required=True,
    multiple=True,
    metavar="URL",
    help="An administrator's ClickHouse URL, http://user:password@host:8123; on a cluster one for each node;"
    " also CLICKHOUSE_URL, with spaces between.",
)
_cluster = click.option(
    "--cluster",
    "cluster_name",
    envvar="OTEL_INTEL_CLUSTER",
    metavar="NAME",
    help="The name in remote_servers of the cluster whose nodes the URLs are; also OTEL_INTEL_CLUSTER.",
)

_UNCONFINED = (
    "Warning: this system cannot confine the server (Landlock of Linux 5.19 or later):"
    " whoever has a log-in can read this user's files, the server's passwords among them."
)


def _retention(what: str, default: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    variable = f"OTEL_INTEL_RETENTION_{what.upper()}"
    text = f"How long the {what} is kept: {default} at first, then as it is; also {variable}."
    return click.option(f"--retention-{what}", envvar=variable, metavar="PERIOD", help=text)


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except OtelIntelError as error:
        raise click.ClickException(str(error)) from error
    except ClickHouseError as error:
        raise click.ClickException(f"ClickHouse refused: {str(error).splitlines()[0]}") from error
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from error


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="otel-intel")
def main() -> None:
    """Events of staff decisions in ClickHouse: run a server, bring its schema up to date, take data out.

    \b
    otel-intel up --detach --env-file .env.telemetry     a ClickHouse of one's own, ready to receive
    set -a; . ./.env.telemetry; set +a                   the variables for the application
    otel-intel down                                      stop it; the data stays
    """


@main.command()
@_data
@click.option("--http-port", type=click.IntRange(0, 65535), help="0 takes a free one; at first 8123.")
@click.option("--native-port", type=click.IntRange(0, 65535), help="0 takes a free one; at first 9000.")
@click.option("--env-file", type=click.Path(path_type=Path, dir_okay=False), help="Write the variables there, too.")
@click.option("--detach", is_flag=True, help="Return when the server is ready; otel-intel down stops it.")
@click.option("--collector", "with_collector", is_flag=True, help="Run an OpenTelemetry Collector in front, too.")
@click.option(
    "--collector-binary",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The collector; by default what make collector built.",
)
def up(
    data: Path,
    http_port: int | None,
    native_port: int | None,
    env_file: Path | None,
    detach: bool,
    with_collector: bool,
    collector_binary: Path | None,
) -> None:
    """Start the embedded ClickHouse on loopback and bring its schema up to date.

    Data, passwords and ports are kept in the directory between runs.

    \b
    otel-intel up                                        in the foreground; Ctrl-C stops it
    otel-intel up --http-port 0 --native-port 0          on free ports
    otel-intel up --detach --env-file .env.telemetry     in the background
    otel-intel up --collector                            applications send to a Collector, as in production
    """
    with _errors():
        binary = collectors.find_binary(collector_binary) if with_collector or collector_binary else None
        if not landlock.supported():
            click.echo(_UNCONFINED, err=True)
        server, process = embedded.start(data.resolve(), http_port, native_port, detach=detach)
        parts = {"ClickHouse": (process, "server.log")}  # in the order in which they are stopped
        try:
            with schema.connect(server.url("admin")) as client:
                schema.migrate(client, lambda line: click.echo(line, err=True))
            if binary:
                parts = {
                    "The Collector": (collectors.start(server, binary, detach=detach)[1], "collector.log"),
                    **parts,
                }
            elif warning := collectors.left(data.resolve()):
                click.echo(warning, err=True)
            text = _lines(server)
            if env_file:
                embedded.write_private(env_file, text)
            click.echo(text, nl=False)
        except BaseException:
            for part, _ in parts.values():
                embedded.stop_process(part)
            raise
        if detach:
            return
        with contextlib.suppress(KeyboardInterrupt):
            in_front = ", and a Collector in front" if binary else ""
            click.echo(f"ClickHouse is ready{in_front}; Ctrl-C stops it.", err=True)
            told = 0
            # A Collector that was asked to stop (down) leaves the server alone.
            while process.poll() is None and not any(part.poll() for part, _ in parts.values()):
                time.sleep(0.05)
                for line in embedded.restarts(data)[told:]:
                    click.echo(line, err=True)
                    told += 1
        ended = {name: embedded.stop_process(part) for name, (part, _) in parts.items()}
    for name, code in ended.items():
        if code:
            raise click.ClickException(f"{name} ended with exit code {code}: see {data / parts[name][1]}")


@main.command()
@_data
def down(data: Path) -> None:
    """Stop the embedded ClickHouse and the Collector in front of it, if one runs; the data stays.

    \b
    otel-intel down
    otel-intel down --data /srv/telemetry
    """
    with _errors():
        embedded.load(data.resolve())
        collectors.stop(data.resolve())
        embedded.stop(data.resolve())


@main.command()
@_data
@click.option("--role", type=click.Choice(embedded.ROLES), help="Print this role's ClickHouse URL instead.")
def env(data: Path, role: str | None) -> None:
    """Print the variables that make an application use the embedded ClickHouse.

    \b
    eval "$(otel-intel env | sed 's/^/export /')"        set them in this shell
    CLICKHOUSE_URL=$(otel-intel env --role admin)        an administrator's URL, for migrate and rebuild
    """
    with _errors():
        server = embedded.load(data.resolve())
    click.echo(server.url(role) + "\n" if role else _lines(server), nl=False)


@main.command()
@_urls
@click.option("--plan", is_flag=True, help="Only show what would run.")
@_retention("landing", "13 MONTH")
@_retention("quarantine", "30 DAY")
@_cluster
@click.option(
    "--replicated",
    envvar="OTEL_INTEL_REPLICATED",
    is_flag=True,
    help="The cluster has a Keeper: make Replicated tables; also OTEL_INTEL_REPLICATED.",
)
def migrate(
    urls: tuple[str, ...],
    plan: bool,
    retention_landing: str | None,
    retention_quarantine: str | None,
    cluster_name: str | None,
    replicated: bool,
) -> None:
    """Bring a ClickHouse server's schema up to date; running it again does no harm.

    \b
    otel-intel migrate --url http://admin:secret@clickhouse:8123
    CLICKHOUSE_URL=http://admin:secret@clickhouse:8123 otel-intel migrate --plan
    otel-intel migrate --cluster intel --url http://admin:secret@one:8123 --url http://admin:secret@two:8123
    """
    with _errors(), _nodes(urls, cluster_name, replicated) as (clients, cluster):
        if plan:
            for step in schema.pending(clients[0]):
                for statement in schema.on_node(step, cluster):
                    click.echo(f"-- {step.file} step {step.number}\n{statement};\n")
            click.echo("-- then the views, as always")
            return
        for client in clients:
            schema.migrate(client, click.echo, cluster=cluster)
            for what, period in (("landing", retention_landing), ("quarantine", retention_quarantine)):
                if period:
                    retain(client, what, period, click.echo, cluster)


@contextlib.contextmanager
def _nodes(
    urls: tuple[str, ...], cluster_name: str | None, replicated: bool = False
) -> Iterator[tuple[list[Client], Cluster | None]]:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(schema.connect(url)) for url in urls]
        if not cluster_name:
            if len(urls) > 1 or replicated:
                raise schema.MigrationError("Several URLs, or replicated, need the cluster's name: --cluster")
            yield clients, None
            return
        cluster = Cluster(cluster_name, replicated)
        schema.require_nodes(clients, cluster)
        yield clients, cluster


@main.command()
@_urls
@_cluster
def rebuild(urls: tuple[str, ...], cluster_name: str | None) -> None:
    """Refill the facts from the landing with the views as they are now; the application may go on meanwhile.

    \b
    CLICKHOUSE_URL=$(otel-intel env --role admin) otel-intel rebuild
    """
    with _errors(), _nodes(urls, cluster_name) as (clients, cluster):
        facts.rebuild(clients, click.echo, cluster)


@main.command()
@click.argument("view", type=click.Choice(tuple(exports.VIEWS)))
@click.option("--format", "file_format", type=click.Choice(tuple(exports.FORMATS)), default="csv", show_default=True)
@click.option("--days", type=click.IntRange(1, 3650), help="Today (UTC) and the days before it; everything by default.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Standard output by default.")
@click.option(
    "--url",
    envvar="OTEL_INTEL_CLICKHOUSE_URL",
    required=True,
    metavar="URL",
    help="A reader's ClickHouse URL, http://user:password@host:8123; also OTEL_INTEL_CLICKHOUSE_URL.",
)
def export(view: str, file_format: str, days: int | None, out: Path | None, url: str) -> None:
    """Write a view of metrics to a file, oldest rows first.

    \b
    otel-intel export decisions --days 90 --format parquet --out decisions.parquet
    otel-intel export signal_outcomes --format jsonl > outcomes.jsonl
    """
    with _errors(), schema.connect(url) as client, exports.whole_file(out) as stream:
        exports.export(client, view, file_format, days, stream)


@main.command()
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="A directory; made where it is not."
)
@click.option(
    "--clickhouse-url",
    metavar="URL",
    help="ClickHouse, as Grafana reaches it: tcp://host:9000, tcp://host:9440?secure=true, http:// or https://."
    " At first tcp://clickhouse:9000, as in docker-compose.yml.",
)
@click.option(
    "--datasource-uid",
    metavar="UID",
    help=f"What dashboards and alerts refer to; at first {dashboards.DATASOURCE_UID}."
    " Without --clickhouse-url: of a ClickHouse data source that is there already, so none is written.",
)
@click.option(
    "--site-url", default=dashboards.SITE_URL, show_default=True, help="The site's root, without /telemetry/."
)
@click.option("--runbook-url", default=dashboards.RUNBOOK, metavar="URL", help="Where you publish DIR/RUNBOOK.md.")
@click.option("--folder", default=dashboards.FOLDER, show_default=True, help="The folder's title in Grafana.")
@click.option(
    "--dashboards-path", metavar="PATH", help="Where Grafana sees DIR/dashboards; its absolute path by default."
)
def grafana(
    out: Path,
    clickhouse_url: str | None,
    datasource_uid: str | None,
    site_url: str,
    runbook_url: str,
    folder: str,
    dashboards_path: str | None,
) -> None:
    """Write dashboards, alerts and the data source for a Grafana of your own, as files that it reads at its start.

    \b
    otel-intel grafana --out my-grafana --clickhouse-url tcp://clickhouse:9000
    otel-intel grafana --out my-grafana --datasource-uid my-clickhouse --folder Risk --site-url https://intranet.example
    otel-intel grafana --out my-grafana --runbook-url https://wiki.example/otel-intel
    otel-intel grafana --out my-grafana --dashboards-path /var/lib/grafana/dashboards      where they are mounted
    """
    with _errors():
        is_there = datasource_uid is not None and clickhouse_url is None
        url = "tcp://clickhouse:9000" if clickhouse_url is None else clickhouse_url
        source = None if is_there else dashboards.parse_source(url)
        written = dashboards.write(
            out,
            source=source,
            datasource_uid=dashboards.DATASOURCE_UID if datasource_uid is None else datasource_uid,
            site_url=site_url,
            runbook_url=runbook_url,
            folder_title=folder,
            dashboards_path=dashboards_path,
        )
    for path, replaced in written:
        click.echo(f"{'replaced' if replaced else 'written'} {path}")
    for line in dashboards.next_steps(out, source, dashboards_path or ""):
        click.echo(line, err=True)


def _lines(server: embedded.Server) -> str:
    collector = collectors.running(server.directory)
    variables = collector.variables(server) if collector else server.variables()
    return "".join(f"{key}={shlex.quote(value)}\n" for key, value in variables.items())


@main.command()
@click.option("--wait", default=examination.VISIBLE_WITHIN, show_default=True, help="Seconds to wait for the probe.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a hop, for programs.")
def doctor(wait: float, as_json: bool) -> None:
    """Send a probe the whole way, show each hop with its time, and say what to fix.

    Uses the environment as an application would, and Django's settings where DJANGO_SETTINGS_MODULE is set.

    \b
    set -a; . ./.env.telemetry; set +a; otel-intel doctor
    DJANGO_SETTINGS_MODULE=shop.settings otel-intel doctor
    """
    failed = False
    for hop in examination.examine(wait):
        failed |= hop.state == "failed"
        if as_json:
            click.echo(json.dumps(asdict(hop)))
            continue
        sign, colour = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "red")}[hop.state]
        click.echo(f"{click.style(sign, fg=colour)} {hop.name:<12}{hop.milliseconds:>9.1f} ms  {hop.detail}")
        if hop.fix:
            click.echo(f"{'':<26}→ {hop.fix}")
    if failed:
        raise click.exceptions.Exit(1)


@main.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"Ask the server that up started there; by default the one of OTEL_INTEL_CLICKHOUSE_URL, or of {_DATA}.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def status(data: Path | None, as_json: bool) -> None:
    """Show what has arrived, how fresh it is, what was lost or rejected in the last 7 days, and the server's crashes.

    \b
    otel-intel status
    otel-intel status --json | jq .rejected
    otel-intel status --data /srv/telemetry
    """
    with _errors():
        server = embedded.load(data.resolve()) if data else _own_server()
        restarts = embedded.restarts(server.directory) if server else []
        if restarts and not as_json:  # also where the server does not answer
            click.echo("Crashes of the server since it was started")
            for line in restarts[-5:]:
                click.echo(f"  {line}")
        found = health.read(server.url("reader") if server else "")
    if as_json:
        click.echo(json.dumps({**asdict(found), "server_restarts": restarts}, default=str))
        return
    for line in health.describe(found):
        click.echo(line)


def _own_server() -> embedded.Server | None:
    """Return the server that was set up in this directory, if it is the one that is read here."""
    if not _DATA.exists():
        return None
    server = embedded.load(_DATA.resolve())
    return server if get_settings().CLICKHOUSE_URL in ("", server.url("reader")) else None
