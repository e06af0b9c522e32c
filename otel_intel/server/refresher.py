"""The process that keeps the numbers of the embedded server up to date: `otel-intel refresh`."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from .embedded import Server
from .processes import Lock, start_beside, stop_holder

_PID: Final = "refresher.pid"
LOG: Final = "refresher.log"


def start(server: Server, *, detach: bool = False) -> subprocess.Popen[bytes]:
    """Start it for a running server; it tries again for as long as the server does not answer.

    Args:
        server: The server.
        detach: True if it must keep running after this process has ended.
    """
    stop(server.directory)  # an older one may have outlived its server
    # The URL is not an argument: other users see those.
    environment = {**os.environ, "CLICKHOUSE_URL": server.url("admin")}
    command = [sys.executable, "-m", "otel_intel", "refresh"]
    with contextlib.closing(Lock(server.directory / _PID)) as lock:
        return start_beside(command, environment, lock, server.directory / LOG, detach=detach)


def has_ended(directory: Path) -> bool:
    """Tell whether a directory's server runs without it, or never had it."""
    return Lock.holder(directory / _PID) is None


def stop(directory: Path) -> None:
    """Stop that of a directory, if one runs, and return when it has ended."""
    stop_holder("refresher", directory / _PID)
