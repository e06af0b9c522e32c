"""Start processes in tests: none of them survives its test, or the run, however that ends."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

Command = Sequence[str | os.PathLike[str]]

UP = ("up", "--http-port", "0", "--native-port", "0")


def otel_intel(data: Path, command: str, *options: str) -> list[str]:
    """Return a command of otel-intel about the server of a directory."""
    return [sys.executable, "-m", "otel_intel", command, "--data", str(data), *options]


def run_otel_intel(data: Path, command: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a command of otel-intel about the server of a directory, whatever its exit code."""
    command_line = otel_intel(data, command, *options)
    return subprocess.run(command_line, capture_output=True, text=True, timeout=60, check=False)


def free_port() -> int:
    """Return a port that nobody listens on, below those that the system gives to connections of other processes."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def running(
    command: Command,
    *,
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.PIPE,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """Run a command in its own process group; at the end, send TERM, then kill what is left of the group."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env=env,
        cwd=cwd,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def with_ignored_signals(command: Command) -> list[str | os.PathLike[str]]:
    """Return the command started with INT and TERM ignored, as in a script's background job."""
    return ["sh", "-c", 'trap "" INT TERM; exec "$@"', "sh", *command]
