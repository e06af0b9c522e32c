"""Find and kill the processes of a test run. As a script, do so when standard input ends, because the run has ended."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

MARK = "TESTS_OF_DIRECTORY"
"""The variable with a run's directory: it marks processes that have no path below the directory in their command."""


def processes_of(directory: str) -> dict[int, str]:
    """Return the other processes with a directory in their arguments or environment, with their commands."""
    below, mark = f"{directory}/".encode(), f"{MARK}={directory}".encode()
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = _command(process)
            environment = (process / "environ").read_bytes()
        except OSError:  # it has ended, or it belongs to another user
            continue
        if command and (below in command or below in environment or mark in environment.split(b"\0")):
            found[int(process.name)] = command.replace(b"\0", b" ").decode(errors="replace").strip()
    return {pid: command for pid, command in found.items() if pid != os.getpid()}


def _command(process: Path) -> bytes:
    """Return a process's arguments; wait for them if it is just starting. A process that has ended has none."""
    deadline = time.monotonic() + 5
    while not (command := (process / "cmdline").read_bytes()) and time.monotonic() < deadline:
        (process / "exe").readlink()  # fails for a process that has ended, and for a kernel thread
        time.sleep(0.01)
    return command


def end(directory: str) -> None:
    """Kill the processes that have a directory in their arguments or environment, until there are none."""
    while found := processes_of(directory):
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)


if __name__ == "__main__":
    sys.stdin.read()
    end(sys.argv[1])
