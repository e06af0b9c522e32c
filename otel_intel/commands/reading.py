"""doctor, status and export: what has arrived, and what it says."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from otel_intel.conf import get_settings
from otel_intel.reading.doctor import VISIBLE_WITHIN, examine
from otel_intel.reading.export import FORMATS, VIEWS, export, whole_file
from otel_intel.reading.health import describe, read_health
from otel_intel.schema.connection import connect
from otel_intel.server import collector, embedded

from .options import DATA, errors

_MAX_WAIT: Final = 3600


def _seconds(context: click.Context, parameter: click.Parameter, value: float) -> float:
    if 0 <= value <= _MAX_WAIT:  # click's own FloatRange takes nan
        return value
    raise click.BadParameter(f"{value} is not a number of seconds from 0 to {_MAX_WAIT}.")


@click.command()
@click.option(
    "--wait",
    default=VISIBLE_WITHIN,
    show_default=True,
    callback=_seconds,
    help=f"Seconds to wait for the probe, {_MAX_WAIT} at most.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each hop, for programs.")
def doctor_command(wait: float, as_json: bool) -> None:
    """Send a probe event from here to the views, show each hop with its time, and say what to fix.

    Uses the environment as an application would, and Django's settings where DJANGO_SETTINGS_MODULE is set.

    \b
    set -a; . ./.env.telemetry; set +a; otel-intel doctor
    DJANGO_SETTINGS_MODULE=shop.settings otel-intel doctor
    """
    failed = False
    for hop in examine(wait):
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


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Ask the server that `up` started in this directory;"
    f" by default the one of OTEL_INTEL_CLICKHOUSE_URL, or of {DATA}.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def status_command(data: Path | None, as_json: bool) -> None:
    """Show what has arrived, how fresh it is, what was lost or rejected in the last 7 days, and the server's crashes.

    \b
    otel-intel status
    otel-intel status --json | jq .rejected
    otel-intel status --data /srv/telemetry
    """
    with errors():
        server = embedded.load(data.resolve()) if data else _own_server()
        restarts = embedded.restarts(server.directory) if server else []
        if restarts and not as_json:  # also if the server does not answer
            click.echo("Crashes of the server since it was started")
            for line in restarts[-5:]:
                click.echo(f"  {line}")
        found = read_health(server.url("reader") if server else "")
    ended = server is not None and collector.has_ended(server.directory)
    if as_json:
        now = datetime.now(UTC)
        click.echo(
            json.dumps(
                {
                    "now": now,
                    **asdict(found),
                    "arrived": [{**asdict(kind), "age_seconds": kind.age_seconds(now)} for kind in found.arrived],
                    "freshness": {**asdict(found.freshness), "is_late": found.freshness.is_late(now)},
                    "disks": [{**asdict(disk), "is_low": disk.is_low} for disk in found.disks],
                    "server_restarts": restarts,
                    "collector_has_ended": ended,
                },
                default=lambda value: f"{value.isoformat()}{'' if getattr(value, 'tzinfo', value) else 'Z'}",
            )
        )
        return
    for line in describe(found):
        click.echo(line)
    if ended:
        click.echo("The Collector has ended: `otel-intel up --collector --detach` starts it again")


def _own_server() -> embedded.Server | None:
    """Return the server that was set up in this directory, if it is the one that is asked."""
    if not DATA.exists():
        return None
    server = embedded.load(DATA.resolve())
    return server if get_settings().CLICKHOUSE_URL in ("", server.url("reader")) else None


@click.command()
@click.argument("view", type=click.Choice(tuple(VIEWS)))
@click.option(
    "--format",
    "file_format",
    type=click.Choice(tuple(FORMATS)),
    help="By default the one that the file's name ends in, or csv.",
)
@click.option("--days", type=click.IntRange(1, 3650), help="Today and the days before it; everything by default.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="The file; standard output by default, or for -.",
)
@click.option(
    "--url",
    envvar="OTEL_INTEL_CLICKHOUSE_URL",
    required=True,
    metavar="URL",
    help="A reader's ClickHouse URL, http://user:password@host:8123; also OTEL_INTEL_CLICKHOUSE_URL.",
)
def export_command(view: str, file_format: str | None, days: int | None, out: Path | None, url: str) -> None:
    """Write a view of metrics to a file, oldest rows first.

    In CSV, NULL is a backslash and an N. Cells are not escaped for spreadsheets, where one that begins with = is a
    formula: take the CSV of the staff pages for those.

    \b
    otel-intel export decisions --days 90 --out decisions.parquet
    otel-intel export signal_outcomes --format jsonl > outcomes.jsonl
    """
    if file_format is None:
        ending = out.suffix.removeprefix(".").lower() if out else ""
        file_format = ending if ending in FORMATS else "csv"
        if ending and file_format != ending:
            raise click.BadParameter(f"{out} ends in no format: add --format {'|'.join(FORMATS)}", param_hint="--out")
    with errors(), connect(url) as client, whole_file(None if out == Path("-") else out) as stream:
        export(client, view, file_format, days, stream)
