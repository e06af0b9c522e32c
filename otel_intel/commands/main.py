"""The command ``otel-intel``."""

from __future__ import annotations

import click

from .grafana import grafana_command
from .reading import doctor_command, export_command, status_command
from .schema import migrate_command, rebuild_command, refresh_command
from .server import down_command, env_command, up_command
from .verify import verify_command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="otel-intel")
def main() -> None:
    """Events of staff decisions in ClickHouse: run a server, bring its schema up to date, take data out.

    \b
    otel-intel up --detach --env-file .env.telemetry     start a local ClickHouse, ready to receive
    set -a; . ./.env.telemetry; set +a                   the variables for the application
    otel-intel down                                      stop it; the data stays
    """


for command in (
    *(up_command, down_command, env_command),
    *(migrate_command, refresh_command, rebuild_command, verify_command),
    *(doctor_command, status_command, export_command),
    grafana_command,
):
    main.add_command(command)
