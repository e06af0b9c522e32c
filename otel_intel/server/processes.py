"""Shared by the embedded server and the Collector: the directory's lock, ports, waiting, stopping, last log lines."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from otel_intel.exceptions import OtelIntelError

LOOPBACK: Final = "127.0.0.1"

_START_TIMEOUT: Final = 60.0
_STOP_TIMEOUT: Final = 60.0
_PR_SET_PDEATHSIG: Final = 1


class EmbeddedError(OtelIntelError):
    """The embedded server cannot be started, stopped or found; the message says what to do."""


class Lock:
    """The lock of a running process: the open file holds it, child processes inherit it, and it ends with the last.

    Args:
        path: The file; it contains the process's id.

    Raises:
        BlockingIOError: If somebody holds it.
    """

    def __init__(self, path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> None:
        self.descriptor = os.open(path, flags, 0o600)
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise

    def write(self, text: str) -> None:
        """Replace the file's content."""
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, text.encode(), 0)

    def close(self) -> None:
        """Release it in this process; a process that inherited it still holds it."""
        os.close(self.descriptor)

    @classmethod
    def holder(cls, path: Path) -> int | None:
        """Return the id of the process that holds the lock; None if none does, or it is still starting."""
        if not path.exists():
            return None
        try:
            cls(path, os.O_RDONLY).close()  # the file system may be read-only
        except BlockingIOError:
            pid = path.read_text()
            return int(pid) if pid else None
        return None


def bind(port: int) -> int:
    """Return the loopback port, or a free port for 0; raise OSError if it cannot be used."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((LOOPBACK, port))
        return int(probe.getsockname()[1])


def await_answer(
    what: str, port: int, path: str, process: subprocess.Popen[bytes], last_lines: Callable[[], str]
) -> None:
    """Return when a started process answers; raise EmbeddedError with its last log lines if it does not."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # http_proxy is not for this machine
    deadline = time.monotonic() + _START_TIMEOUT
    while True:
        if process.poll() is not None:
            raise EmbeddedError(f"The {what} did not start: {last_lines()}")
        try:
            with direct.open(f"http://{LOOPBACK}:{port}/{path}", timeout=1):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"The {what} did not answer within {_START_TIMEOUT:.0f} s: {last_lines()}"
                ) from None
        time.sleep(0.02)


def stop_child(process: subprocess.Popen[bytes]) -> int:
    """Stop a process that this one started and return its exit code."""
    process.terminate()
    try:
        return process.wait(_STOP_TIMEOUT)
    finally:
        if process.stdin:
            process.stdin.close()


def stop_holder(what: str, path: Path) -> bool:
    """Stop the process that holds a lock and wait until it has ended; return False if there was none."""
    pid = Lock.holder(path)
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_TIMEOUT
    while Lock.holder(path) is not None:
        if time.monotonic() > deadline:
            raise EmbeddedError(f"The {what} (process {pid}) did not stop within {_STOP_TIMEOUT:.0f} s")
        time.sleep(0.02)
    return True


def start_beside(
    command: Sequence[str], environment: Mapping[str, str], lock: Lock, log: Path, *, detach: bool
) -> subprocess.Popen[bytes]:
    """Start a companion of the server, which holds the lock for as long as it runs.

    Args:
        command: The program and its arguments.
        environment: All of its variables.
        lock: The process inherits it; its id is written into it.
        log: What it prints; that of the last start is kept beside it.
        detach: True if it must keep running after this process has ended.
    """
    keep_last(log)
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[lock.descriptor],
            start_new_session=True,
            preexec_fn=None if detach else _end_with_parent,
        )
    lock.write(str(process.pid))
    return process


def _end_with_parent() -> None:
    # The server stops when its standard input ends, but its companions do not watch theirs.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def tell_service_manager(state: str) -> None:
    """Tell systemd, if it started this process and asks for it (Type=notify), such as that the server is ready."""
    # The protocol: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
    if address := os.environ.get("NOTIFY_SOCKET"):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.connect("\0" + address[1:] if address.startswith("@") else address)
            manager.send(state.encode())


def keep_last(path: Path) -> None:
    """Rename a log of the last start, so that a new one begins; the one before that goes."""
    if path.exists():
        path.replace(path.with_name(path.name + ".1"))


def last_lines(path: Path, *, without: str = "") -> str:
    """Return the exception that a log ends with, or its last five lines, without those that contain a text."""
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    told = [line for line in lines if not (without and without in line)]
    said = [line.strip()[:500] for line in told if "Exception:" in line]  # stack traces may follow it
    return "\n".join(said[-1:] or told[-5:]) or "it ended without a message"


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read; replace an existing file atomically."""
    temporary = path.with_name(path.name + ".new")
    try:
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise EmbeddedError(f"{path} cannot be written: {error.strerror}") from error
