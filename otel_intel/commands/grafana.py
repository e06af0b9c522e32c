"""grafana: dashboards and alerts for your own Grafana."""

from __future__ import annotations

from pathlib import Path

import click

from . import grafana_files
from .options import errors


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="A directory; created if missing."
)
@click.option(
    "--clickhouse-url",
    metavar="URL",
    help="ClickHouse, as Grafana reaches it: tcp://host:9000, tcp://host:9440?secure=true, http:// or https://."
    " By default tcp://clickhouse:9000, as in docker-compose.yml.",
)
@click.option(
    "--datasource-uid",
    metavar="UID",
    help=f"The uid of the data source that dashboards and alerts use; by default {grafana_files.DATASOURCE_UID}."
    " Without --clickhouse-url it must be an existing ClickHouse data source, and none is written.",
)
@click.option(
    "--site-url", default=grafana_files.SITE_URL, show_default=True, help="The site's root, without /telemetry/."
)
@click.option("--runbook-url", default=grafana_files.RUNBOOK, metavar="URL", help="Where you publish DIR/RUNBOOK.md.")
@click.option("--folder", default=grafana_files.FOLDER, show_default=True, help="The folder's title in Grafana.")
@click.option(
    "--dashboards-path", metavar="PATH", help="Where Grafana sees DIR/dashboards; its absolute path by default."
)
@click.option(
    "--time-zone",
    default="utc",
    show_default=True,
    metavar="NAME",
    help="The time zone of the graphs: give the one that you gave to `otel-intel migrate`.",
)
def grafana_command(
    out: Path,
    clickhouse_url: str | None,
    datasource_uid: str | None,
    site_url: str,
    runbook_url: str,
    folder: str,
    dashboards_path: str | None,
    time_zone: str,
) -> None:
    """Write dashboards, alerts and the data source for your own Grafana, as files that it reads when it starts.

    \b
    otel-intel grafana --out my-grafana --clickhouse-url tcp://clickhouse:9000
    otel-intel grafana --out my-grafana --datasource-uid my-clickhouse --folder Risk --site-url https://intranet.example
    otel-intel grafana --out my-grafana --runbook-url https://wiki.example/otel-intel
    otel-intel grafana --out my-grafana --dashboards-path /var/lib/grafana/dashboards      where they are mounted
    """
    with errors():
        is_there = datasource_uid is not None and clickhouse_url is None
        url = "tcp://clickhouse:9000" if clickhouse_url is None else clickhouse_url
        source = None if is_there else grafana_files.parse_source(url)
        written = grafana_files.write(
            out,
            source=source,
            datasource_uid=grafana_files.DATASOURCE_UID if datasource_uid is None else datasource_uid,
            site_url=site_url,
            runbook_url=runbook_url,
            folder_title=folder,
            dashboards_path=dashboards_path,
            time_zone=time_zone,
        )
    for path, replaced in written:
        click.echo(f"{'replaced' if replaced else 'written'} {path}")
    for line in grafana_files.next_steps(out, source, dashboards_path or ""):
        click.echo(line, err=True)
