"""Find and end the processes of a run of the tests. As a script: when standard input ends, as the run itself has."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

MARK = "TESTS_OF_DIRECTORY"
"""The variable with a run's directory, for processes that are not told of a path below it."""


def processes_of(directory: str) -> dict[int, str]:
    """Return the commands of the processes that know a directory, by arguments or environment, but for this process."""
    below, mark = f"{directory}/".encode(), f"{MARK}={directory}".encode()
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = _command(process)
            environment = (process / "environ").read_bytes()
        except OSError:  # it has ended, or is another user's
            continue
        if command and (below in command or below in environment or mark in environment.split(b"\0")):
            found[int(process.name)] = command.replace(b"\0", b" ").decode(errors="replace").strip()
    return {pid: command for pid, command in found.items() if pid != os.getpid()}


def _command(process: Path) -> bytes:
    """Return the arguments, empty for a process that has ended; one that is just starting has none for a moment."""
    deadline = time.monotonic() + 5
    while not (command := (process / "cmdline").read_bytes()) and time.monotonic() < deadline:
        (process / "exe").readlink()  # fails for one that has ended, and for the kernel's
        time.sleep(0.01)
    return command


def end(directory: str) -> None:
    """Kill the processes that know a directory until there are none."""
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
