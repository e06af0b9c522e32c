"""Run the whole demo with one command: ClickHouse, schema, history and the site. Ctrl-C stops everything."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

import click
from click.core import ParameterSource

from demo.state import COMPLETE, claim
from otel_intel.server import embedded

ROOT = Path(__file__).resolve().parent.parent
PASSWORD = "demo"  # noqa: S105 (the demo site listens on loopback and has no real data)


@click.command()
@click.option(
    "--state", type=click.Path(path_type=Path, file_okay=False), default=ROOT / ".demo", help="Where data is kept."
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=8000,
    show_default=True,
    help="The site's port; the next free one is taken.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 365),
    default=60,
    show_default=True,
    help="Days of history that the first start fills in.",
)
@click.option("--collector", is_flag=True, help="Send through an OpenTelemetry Collector, as in production.")
@click.option("--stack", is_flag=True, help="Use the servers named in the environment; start no ClickHouse.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.pass_context
def main(context: click.Context, state: Path, port: int, days: int, collector: bool, stack: bool, host: str) -> None:
    """Start the demo site with its own ClickHouse; a second start keeps the data of the first."""
    started = time.monotonic()
    state = state.resolve()
    lock = claim(state)
    complete = state / COMPLETE
    if complete.exists() and context.get_parameter_source("days") is ParameterSource.COMMANDLINE:
        _say(f"The history exists already, so --days does nothing; delete {state} to make another.")
    signal.signal(signal.SIGTERM, _interrupt)
    # In a script's background process SIGINT is ignored, and child processes inherit that, but SIGINT must stop them.
    signal.signal(signal.SIGINT, _interrupt)
    # Drop endpoints that the shell has set: they would replace the demo's own.
    environment = {name: value for name, value in os.environ.items() if stack or not name.startswith("OTEL_EXPORTER_")}
    environment |= {"DEMO_STATE": str(state), "DJANGO_SETTINGS_MODULE": "demo.settings"}
    environment.setdefault("OTEL_SERVICE_NAME", "otel-intel-demo")
    with contextlib.closing(lock), contextlib.ExitStack() as parts:
        try:
            if not stack:
                environment |= _start_clickhouse(state, collector, parts)
            _say("Preparing the site's database")
            _manage(environment, "migrate", "--verbosity=0")
            if not complete.exists():
                _manage(environment, "shell", "--verbosity=0", "-c", _USERS)
                _manage(environment, "fill_history", f"--days={days}")
                complete.touch()
            port = _free_port(port)
            # With its own session, Ctrl-C reaches only this process, which then stops the parts in order.
            command = [sys.executable, "-m", "django", "runserver", "--noreload", f"{host}:{port}"]
            site = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)  # noqa: S603
            parts.callback(stop, site)
            _await_port(port, site)
            _say(f"Ready after {time.monotonic() - started:.0f} s")
            click.echo(_WELCOME.format(url=f"http://127.0.0.1:{port}", password=PASSWORD, state=state))
            told = 0
            while site.poll() is None:
                time.sleep(0.1)
                for line in embedded.restarts(state / "clickhouse")[told:]:
                    _say(line)
                    told += 1
        except KeyboardInterrupt:
            _say("Stopping")


_USERS = f"""
from django.contrib.auth.models import User
from demo.risk.management.commands.fill_history import STAFF
User.objects.create_superuser("demo", password={PASSWORD!r}, first_name="Demo", last_name="Admin")
for name in STAFF:
    User.objects.create_user(name, is_staff=True, first_name=name.title(), last_name="Desk")
"""

_WELCOME = """
  Risk signals   {url}/
  Telemetry      {url}/telemetry/
  Log in as      demo / {password}

  Data is kept in {state}; Ctrl-C stops everything.
"""


def _say(text: str) -> None:
    click.secho(f"▸ {text}", bold=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _ignore_signals()
    raise KeyboardInterrupt


def _ignore_signals() -> None:
    """Let a second Ctrl-C not interrupt the stop: a part would be left running."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _start_clickhouse(state: Path, collector: bool, parts: contextlib.ExitStack) -> dict[str, str]:
    """Start ClickHouse, to be stopped with the other parts, and return the variables for the site."""
    _say("Starting ClickHouse and the Collector" if collector else "Starting ClickHouse")
    variables = state / "telemetry.env"
    variables.unlink(missing_ok=True)
    ports = [] if (state / "clickhouse").exists() else ["--http-port=0", "--native-port=0"]
    command = [sys.executable, "-m", "otel_intel", "up", f"--data={state / 'clickhouse'}", f"--env-file={variables}"]
    if collector:
        command.append("--collector")
    with (state / "clickhouse.log").open("wb") as log:
        process = subprocess.Popen([*command, *ports], stdout=log, stderr=log, start_new_session=True)  # noqa: S603
    parts.callback(stop, process)
    while not variables.exists():
        if process.poll() is not None:
            said = (state / "clickhouse.log").read_text(encoding="utf-8").strip().removeprefix("Error: ")
            raise click.ClickException(f"{said}\nTo start from the beginning, delete {state}.")
        time.sleep(0.05)
    return _variables(variables)


def _variables(path: Path) -> dict[str, str]:
    pairs = (shlex.split(line)[0].partition("=") for line in path.read_text(encoding="utf-8").splitlines())
    return {name: value for name, _, value in pairs}


def _manage(environment: dict[str, str], *arguments: str) -> None:
    command = [sys.executable, "-m", "django", *arguments]
    if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode:  # noqa: S603
        raise click.ClickException(f"{' '.join(arguments[:1])} failed")


def _free_port(port: int) -> int:
    for candidate in range(port, min(port + 50, 65536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if probe.connect_ex(("127.0.0.1", candidate)):
                return candidate
    raise click.ClickException(f"No free port from {port} on: choose one with --port.")


def _await_port(port: int, site: subprocess.Popen[bytes]) -> None:
    while True:
        if site.poll() is not None:
            raise click.ClickException("The site did not start.")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a process as Ctrl-C does, so that it can deliver or save its data first; nothing interrupts the wait."""
    _ignore_signals()
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


if __name__ == "__main__":
    main()
