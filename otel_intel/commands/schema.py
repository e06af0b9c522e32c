"""migrate and rebuild: the tables and views of a ClickHouse server."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import click

from otel_intel.schema.migrate import migrate, on_node, pending
from otel_intel.schema.rebuild import rebuild
from otel_intel.schema.refresh import keep_refreshing, recompute_all, refresh, remember_what_is_kept, set_time_zone
from otel_intel.schema.retention import interval_of, retain, retention_changes

from .options import cluster_option, errors, nodes, stopped_by_signals, urls_option


def _retention(what: str, default: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    variable = f"OTEL_INTEL_RETENTION_{what.upper()}"
    text = (
        f"How long to keep the {what}, such as '13 MONTH' or 'for ever'; what is older is deleted."
        f" {default[0].upper() + default[1:]} by default, or what an earlier run set; also {variable}."
    )
    return click.option(f"--retention-{what}", envvar=variable, metavar="PERIOD", help=text)


@click.command()
@urls_option
@click.option("--plan", is_flag=True, help="Only show what would run.")
@_retention("landing", "13 MONTH")
@_retention("quarantine", "30 DAY")
@_retention("facts", "for ever")
@_retention("numbers", "for ever")
@click.option(
    "--time-zone",
    envvar="OTEL_INTEL_TIME_ZONE",
    metavar="NAME",
    help="Whose days the numbers are counted by, such as Asia/Kolkata: UTC, or what an earlier run set. Another one has"
    " all numbers computed anew; also OTEL_INTEL_TIME_ZONE.",
)
@cluster_option
@click.option(
    "--replicated",
    envvar="OTEL_INTEL_REPLICATED",
    is_flag=True,
    help="The cluster has a Keeper: make Replicated tables; also OTEL_INTEL_REPLICATED.",
)
def migrate_command(
    urls: tuple[str, ...],
    plan: bool,
    retention_landing: str | None,
    retention_quarantine: str | None,
    retention_facts: str | None,
    retention_numbers: str | None,
    time_zone: str | None,
    cluster_name: str | None,
    replicated: bool,
) -> None:
    """Bring a ClickHouse server's schema up to date; running it again does no harm.

    \b
    otel-intel migrate --url http://admin:secret@clickhouse:8123
    CLICKHOUSE_URL=http://admin:secret@clickhouse:8123 otel-intel migrate --plan
    otel-intel migrate --cluster intel --url http://admin:secret@one:8123 --url http://admin:secret@two:8123
    otel-intel migrate --time-zone Asia/Kolkata
    """
    given = {
        "landing": retention_landing,
        "quarantine": retention_quarantine,
        "facts": retention_facts,
        "numbers": retention_numbers,
    }
    periods = {what: period for what, period in given.items() if period}
    with errors(), nodes(urls, cluster_name, replicated) as (clients, cluster):
        if plan:
            for step in pending(clients[0]):
                for statement in on_node(step, cluster):
                    click.echo(f"-- {step.file} step {step.number}\n{statement};\n")
            click.echo("-- then the views, as always")
            if time_zone:
                click.echo(f"-- then days of {time_zone}; another time zone has all numbers computed anew")
            for what, period in periods.items():
                for statement in retention_changes(clients[0], what, period, cluster).values():
                    click.echo(f"\n-- retention; deletes what is older\n{statement};")
            return
        for client in clients:
            migrate(client, click.echo, cluster=cluster)
        for what, period in periods.items():
            interval_of(what, period)  # refuses a wrong period before any other is changed
        if "facts" in periods:
            remember_what_is_kept(clients)
        for client in clients:
            for what, period in periods.items():
                retain(client, what, period, click.echo, cluster)
        if time_zone and set_time_zone(clients, time_zone):
            click.echo(f"otel-intel refresh now computes all numbers by the days of {time_zone}")


@click.command()
@urls_option
@cluster_option
@click.option(
    "--numbers", is_flag=True, help="Only compute the numbers from the facts anew; leave the facts as they are."
)
def rebuild_command(urls: tuple[str, ...], cluster_name: str | None, numbers: bool) -> None:
    """Refill the facts from the landing with the current views, and compute all numbers from them.

    The application may keep sending meanwhile.

    \b
    CLICKHOUSE_URL=$(otel-intel env --role admin) otel-intel rebuild
    CLICKHOUSE_URL=$(otel-intel env --role admin) otel-intel rebuild --numbers
    """
    with errors(), nodes(urls, cluster_name) as (clients, cluster):
        if numbers:
            recompute_all(clients, click.echo, cluster)
        else:
            rebuild(clients, click.echo, cluster)


@click.command()
@urls_option
@cluster_option
@click.option("--once", is_flag=True, help="End when everything that has arrived is in the numbers.")
def refresh_command(urls: tuple[str, ...], cluster_name: str | None, once: bool) -> None:
    """Take what arrives into the facts and all numbers, every second, until it is stopped.

    `otel-intel up` runs it; run it yourself beside a ClickHouse of your own. Without it events still arrive and are
    kept, and are taken in later. A second one beside the first does no harm.

    \b
    CLICKHOUSE_URL=http://admin:secret@clickhouse:8123 otel-intel refresh
    """
    if not once:
        with stopped_by_signals(), contextlib.suppress(KeyboardInterrupt):
            keep_refreshing(lambda: nodes(urls, cluster_name), click.echo)
        return
    with errors(), nodes(urls, cluster_name) as (clients, cluster):
        while run := refresh(clients, cluster):
            click.echo(f"{run.events} events")
