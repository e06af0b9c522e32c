"""verify: compare the numbers with their slow definition."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final

import click

from otel_intel.reading.days import MAX_DAYS, first_day
from otel_intel.reading.verify import time_zone, verify

from .options import cluster_option, errors, nodes, urls_option

SHOWN: Final = 20
"""Differences that are printed."""

_DAY: Final = click.DateTime(["%Y-%m-%d"])


@click.command()
@urls_option
@cluster_option
@click.option(
    "--days",
    type=click.IntRange(1, MAX_DAYS),
    help="Today and the days before it; 8 by default: 7 that are over and today.",
)
@click.option("--since", type=_DAY, metavar="DAY", help="The first day, such as 2026-03-01, instead of --days.")
@click.option("--until", type=_DAY, metavar="DAY", help="The last day; today by default.")
def verify_command(
    urls: tuple[str, ...],
    cluster_name: str | None,
    days: int | None,
    since: datetime | None,
    until: datetime | None,
) -> None:
    """Compare all numbers with their slow definition, which is computed from the landing; nothing is changed.

    Prints a line for each day, and the first differences. Ends with 0 if all is equal, and with 1 if not: then the last
    line says what to do. Events that wait for the refresh are left out. Days are those of the numbers
    (`otel-intel migrate --time-zone`).

    \b
    CLICKHOUSE_URL=$(otel-intel env --role admin) otel-intel verify
    CLICKHOUSE_URL=$(otel-intel env --role admin) otel-intel verify --days 30
    otel-intel verify --since 2026-03-01 --until 2026-03-31 --url http://admin:secret@clickhouse:8123
    """
    if until and not since:
        raise click.UsageError("--until needs --since, the first day.")
    if days and since:
        raise click.UsageError("Give --days, or --since and --until, not both.")
    with errors(), nodes(urls, cluster_name) as (clients, cluster):
        today = datetime.now(time_zone(clients[0])).date()
        last = until.date() if until else today
        first = since.date() if since else first_day(days or 8, last)
        if not date(1970, 1, 2) <= first <= last <= today + timedelta(days=1):
            raise click.UsageError(
                f"{first} to {last} cannot be compared: give a --since after 1970-01-01, and an --until that is not"
                " before it and not after today."
            )
        differ = numbers_differ = 0
        for verdict in verify(clients, [first + timedelta(days=n) for n in range((last - first).days + 1)], cluster):
            click.echo(verdict)
            for difference in verdict.differences[: max(SHOWN - differ, 0)]:
                click.echo(difference)
            differ += len(verdict.differences)
            numbers_differ += sum(not difference.is_fact for difference in verdict.differences)
    if differ > SHOWN:
        click.echo(f"{differ - SHOWN:,} more differences are not shown")
    if differ:
        facts = "The facts are not what the landing says: run otel-intel rebuild"
        numbers = "The facts are right, the numbers are not: run otel-intel rebuild --numbers"
        click.echo(numbers if differ == numbers_differ else facts)
        raise click.exceptions.Exit(1)
