"""A ClickHouse server (HTTP and native TCP) from the ``chdb-core`` wheel, restarted when it crashes.

``otel_intel.server.embedded`` runs it as a script. On loopback, for development, tests and small installations.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import importlib.util
import os
import resource
import runpy
import select
import signal
import socket
import stat
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NoReturn

_RESTARTS: Final = "restarts.log"
_STOP: Final = frozenset({signal.SIGTERM, signal.SIGINT})
_STABLE: Final = 2.0  # seconds; an engine that crashes sooner will probably crash again: the pause then grows
_FIRST_PAUSE: Final = 0.1  # seconds
_LONGEST_PAUSE: Final = 30.0  # seconds
_ANSWER_TIMEOUT: Final = 5.0  # seconds
_STOP_TIMEOUT: Final = 50.0  # seconds; less than the 60 that the caller waits for the stop

_WRITTEN: Final = ("data", "logs", "tmp", "__cache__")  # __cache__ contains otlp.proto; the engine requires the name
_CONFIGURATION: Final = ("config.xml", "config.d", "users.xml", "users.d")
# System files that libc and the engine read. Not all of /proc: other processes' command lines may contain secrets.
_SYSTEM: Final = (
    *("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo"),
    *("/etc/ld.so.cache", "/etc/localtime", "/etc/timezone", "/etc/ssl", "/etc/pki"),
    *("/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/services"),
    *("/dev/null", "/dev/urandom", "/dev/random", "/sys"),
    *("/proc/self", "/proc/cpuinfo", "/proc/loadavg", "/proc/meminfo", "/proc/mounts", "/proc/pressure", "/proc/stat"),
    *("/proc/sys", "/proc/uptime", "/proc/version"),
)


def main() -> None:
    """Serve the data directory until TERM, INT or (with ``--stdin-eof``) the end of stdin; exit 1 on failure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, help="holds config.xml and the data")
    parser.add_argument("--stdin-eof", action="store_true", help="stop when stdin ends: the parent is gone")
    arguments = parser.parse_args()
    sys.exit(_supervise(arguments.directory.resolve(), _Wait(stdin_eof=arguments.stdin_eof)))


def _supervise(directory: Path, wait: _Wait) -> int:
    """Run the engine, start it again when it crashes, and return the exit code.

    An engine that fails before it is up is not started again, unless one was up before.
    """
    crashed, pause = False, 0.0
    while True:
        engine, begun = _Engine(directory, wait), time.monotonic()
        while not engine.ended():
            if wait.for_stop():
                return engine.stop()
        if engine.code == 0:
            return 0
        how = f"was ended by {signal.Signals(-engine.code).name}" if engine.code < 0 else "failed"
        crashed = crashed or engine.was_up
        if not crashed:
            if engine.code < 0:  # otherwise the engine has written the reason itself
                sys.stderr.write(f"ClickHouse {how} before it was up\n")
            return 1
        _tell(directory, f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: ClickHouse {how}; starting it again\n")
        stable = time.monotonic() - begun >= _STABLE
        pause = _FIRST_PAUSE if stable else min(_LONGEST_PAUSE, max(_FIRST_PAUSE, 2 * pause))
        if wait.for_stop(pause):
            return 0


_untold: Final[list[str]] = []


def _tell(directory: Path, line: str) -> None:
    _untold.append(line)
    with contextlib.suppress(OSError):  # a full disk must not end this process: it is told when there is space
        with (directory / _RESTARTS).open("a", encoding="utf-8") as file:
            file.write("".join(_untold))
        os.write(sys.stderr.fileno(), "".join(_untold).encode())
        _untold.clear()


class _Wait:
    """Wait for TERM, INT or, with ``stdin_eof``, the end of stdin."""

    def __init__(self, *, stdin_eof: bool) -> None:
        self._signals, self._written = socket.socketpair()
        self._written.setblocking(False)
        signal.set_wakeup_fd(self._written.fileno())
        for number in (*_STOP, signal.SIGCHLD):
            signal.signal(number, lambda number, frame: None)
        self._watched = [self._signals.fileno(), sys.stdin.fileno()] if stdin_eof else [self._signals.fileno()]

    def for_stop(self, seconds: float | None = None) -> bool:
        """Return True when the server has to stop; False when the engine has ended or the time is up."""
        ready, _, _ = select.select(self._watched, [], [], seconds)
        signals = self._signals.recv(4096) if self._signals.fileno() in ready else b""
        return not _STOP.isdisjoint(signals) or (sys.stdin.fileno() in ready and not os.read(sys.stdin.fileno(), 4096))

    def forget(self) -> None:
        """Undo all of this in a child process."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._signals.close()
        self._written.close()


class _Engine:
    """The engine, in a child process that stops when this process closes its socket or ends."""

    def __init__(self, directory: Path, wait: _Wait) -> None:
        self.code = 0
        self.was_up = False
        # A socket, because a ClickHouse user can open the engine's pipes with file('/proc/self/fd/…'), but no socket.
        self._control, control = socket.socketpair()
        self._waits, ends = os.pipe()
        os.write(ends, b"1\n")  # the engine's last statement reads it; by then the engine listens
        self._pid = os.fork()
        if not self._pid:
            self._control.close()
            wait.forget()
            _run_engine(directory, control, self._waits, ends)
        control.close()
        os.close(ends)

    def ended(self) -> bool:
        """Return True, once, when the engine has ended; set ``was_up`` and ``code`` (negative for a signal)."""
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if pid:
            self.code = os.waitstatus_to_exitcode(status)
            self.was_up = not os.read(self._waits, 1)
            os.close(self._waits)
            self._control.close()
        return bool(pid)

    def stop(self) -> int:
        """Let the engine finish its work and return its exit code; 1 if it had to be killed."""
        self._control.close()
        deadline = time.monotonic() + _STOP_TIMEOUT
        while not self.ended():
            if time.monotonic() > deadline:
                os.kill(self._pid, signal.SIGKILL)
            time.sleep(0.01)
        return min(1, abs(self.code))


def _run_engine(directory: Path, control: socket.socket, waits: int, ends: int) -> NoReturn:
    """Serve until the other end of ``control`` is closed, then exit; call it in a process with only one thread.

    ``waits`` and ``ends`` are the ends of the pipe that the engine's session reads.
    """
    # A service manager sends TERM and INT to all processes; only the parent decides when to stop. Threads inherit this.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    # No core dump: it would contain events, and writing it takes time.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        with open(os.devnull) as nothing:
            os.dup2(nothing.fileno(), sys.stdin.fileno())
        _confine(directory)
        error = _serve(directory, control, waits, ends)
    except Exception as failure:  # noqa: BLE001 (after any error, the process must report it and end)
        error = str(failure)
    if error:
        sys.stderr.write(error + "\n")
        sys.stderr.flush()
    # Skip the interpreter's shutdown: it takes a second and does nothing that the engine needs.
    os._exit(1 if error else 0)


def _serve(directory: Path, control: socket.socket, waits: int, ends: int) -> str:
    """Run the engine until the other end of ``control`` is closed and return its error, if any."""
    # The import of chdb starts an engine that reads ./config.xml: import it in an empty directory.
    with tempfile.TemporaryDirectory() as empty:
        os.chdir(empty)
        # The engine imports them if they are there, maybe in a folder that is closed to it. It needs neither.
        sys.modules.update(dict.fromkeys(("pandas", "pyarrow"), None))  # type: ignore[arg-type]
        from chdb import _chdb

        # The engine that serves reads ./config.xml as well; there is no other way to configure it.
        os.chdir(directory)
    threading.Thread(target=_stop_when_asked, args=(control, waits, ends), daemon=True).start()
    # The last statement waits for the end of the pipe. All three run in the only session that user default may have;
    # users.xml also limits their number and size. INFILE needs no grant to read files; null() stores nothing.
    statements = (
        "SYSTEM START LISTEN TCP",
        "SYSTEM START LISTEN HTTP",
        f"INSERT INTO FUNCTION null() FROM INFILE '/dev/fd/{waits}' FORMAT TSV",
    )
    # chdb.connect() cannot start listeners, but this private function can; that is why the version is pinned.
    # The format given here becomes the listeners' default format.
    query = _chdb.query  # type: ignore[attr-defined]
    result = query("; ".join(statements), "TabSeparated", path=str(directory / "data"))
    return result.error_message() or ""


def _stop_when_asked(control: socket.socket, waits: int, ends: int) -> None:
    """Wait until the other end of ``control`` is closed; end all connections, then the session by closing the pipe."""
    while select.select([waits], [], [], 0)[0]:
        time.sleep(0.01)
    _crash_at_once()
    control.recv(1)
    _end_connections()
    os.close(ends)


def _crash_at_once() -> None:
    """Remove the engine's handlers of fatal signals: with them, a crashed server hangs for four seconds.

    https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/SignalHandlers.cpp
    """
    libc = ctypes.CDLL(None)  # the signal module's functions are for the main thread
    for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE):
        libc.signal(number, signal.SIG_DFL)


def _end_connections() -> None:
    """Accept no more connections; end idle ones at once, others after their answer or after a timeout."""
    nothing, _keeps_it_open = socket.socketpair()
    deadline = time.monotonic() + _ANSWER_TIMEOUT
    while (found := _tcp_sockets()) and time.monotonic() < deadline:
        for descriptor, copy in found:
            with contextlib.suppress(OSError), copy:  # the connection may have ended meanwhile
                if copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    # Replace the listening socket with one that nobody connects to; the engine does not notice.
                    os.dup2(nothing.fileno(), descriptor)
                else:
                    copy.shutdown(socket.SHUT_RD)
        time.sleep(0.01)
    for _, copy in found:
        with contextlib.suppress(OSError), copy:
            copy.shutdown(socket.SHUT_RDWR)


def _tcp_sockets() -> list[tuple[int, socket.socket]]:
    """Return this process's TCP sockets by their descriptors, as copies."""
    found = []
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):  # it may have been closed meanwhile
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                copy = socket.socket(fileno=os.dup(int(name)))
                if copy.family == socket.AF_INET:
                    found.append((int(name), copy))
                else:
                    copy.close()
    return found


def _confine(directory: Path) -> None:
    """Deny the engine all files but its own: its users can read files through it. Call before any thread starts."""
    for name in _WRITTEN:
        (directory / name).mkdir(exist_ok=True)
    # The engine looks for a configuration in HOME, and opens a first, empty database in TMPDIR.
    os.environ.update(HOME=str(directory), TMPDIR=str(directory / "tmp"))
    # Load it by its file name: the package is not on this process's sys.path.
    landlock = runpy.run_path(str(Path(__file__).with_name("landlock.py")))
    if landlock["supported"]():
        read = [*map(Path, _SYSTEM), *_python(), *(directory / name for name in _CONFIGURATION)]
        landlock["confine"](read, [directory / name for name in _WRITTEN])


def _python() -> Iterator[Path]:
    """Yield the folders that modules are imported from; not sys.prefix, which may be a project's folder."""
    yield Path(sys.base_prefix) / "lib"
    paths = sysconfig.get_paths()
    yield from (Path(paths[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    chdb = importlib.util.find_spec("chdb")
    if chdb and chdb.origin:  # it may be in the user's site-packages or on PYTHONPATH
        yield from Path(chdb.origin).parent.parent.glob("chdb*")


if __name__ == "__main__":
    main()
