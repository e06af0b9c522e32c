"""The demo's folder: of one demo at a time, and deleted only where the demo made it."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from otel_intel.server import embedded
from otel_intel.server.processes import Lock

MARKER = "otel-intel-demo"
COMPLETE = "history-is-complete"


def claim(state: Path) -> Lock:
    """Make and lock the folder; empty it if an earlier start was interrupted.

    Raises:
        click.ClickException: If another demo runs on it, or it holds something else.
    """
    marker, complete = state / MARKER, state / COMPLETE
    try:
        state.mkdir(parents=True, exist_ok=True)
        # A folder of a demo from before there were markers has its history.
        if not (marker.exists() or complete.exists()) and any(state.iterdir()):
            raise click.ClickException(f"{state} is not empty and was not made by the demo: choose another --state.")
        lock = Lock(marker)
    except BlockingIOError:
        raise click.ClickException(
            f"A demo is already running on {state}: stop it, or choose another --state."
        ) from None
    except OSError as error:
        raise click.ClickException(f"{state} cannot be used: {error.strerror}.") from error
    try:
        if not complete.exists():
            _empty(state)
    except BaseException:
        lock.close()
        raise
    return lock


def _empty(state: Path) -> None:
    """Delete everything but the marker, whose lock is held."""
    left = [path for path in state.iterdir() if path.name != MARKER]
    if not left:
        return
    if pid := embedded.running(state / "clickhouse"):  # it outlives a demo that was killed
        raise click.ClickException(
            f"The ClickHouse of an interrupted start (process {pid}) is running:"
            f" stop it with otel-intel down --data {state / 'clickhouse'}"
        )
    click.secho("▸ An earlier start was interrupted; starting again from the beginning.", bold=True)
    for path in left:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
