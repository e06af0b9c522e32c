"""A ClickHouse HTTP and native TCP server out of the ``chdb-core`` wheel, as a process of its own.

Started by ``otel_intel.embedded`` as a script. On loopback, for development, tests and small installs.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import runpy
import signal
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

_STOP = frozenset({signal.SIGTERM, signal.SIGINT})
_ENDED = signal.SIGUSR1

_WRITTEN: Final = ("data", "logs", "tmp", "__cache__")  # the last holds the door's schema; its name is the engine's
_CONFIGURATION: Final = ("config.xml", "config.d", "users.xml", "users.d")
# What libc and the engine read of the system. Not all of /proc: command lines of other processes may hold secrets.
_SYSTEM: Final = (
    *("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo"),
    *("/etc/ld.so.cache", "/etc/localtime", "/etc/timezone", "/etc/ssl", "/etc/pki"),
    *("/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/services"),
    *("/dev/null", "/dev/urandom", "/dev/random", "/sys"),
    *("/proc/self", "/proc/cpuinfo", "/proc/loadavg", "/proc/meminfo", "/proc/mounts", "/proc/pressure", "/proc/stat"),
    *("/proc/sys", "/proc/uptime", "/proc/version"),
)


def main() -> None:
    """Serve the data directory until TERM, INT or (with ``--stdin-eof``) the end of stdin; exit 1 if it cannot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, help="holds config.xml and the data")
    parser.add_argument("--stdin-eof", action="store_true", help="stop when stdin ends: the parent is gone")
    arguments = parser.parse_args()
    directory: Path = arguments.directory.resolve()
    # Inherited by every thread of the engine, so that sigwait() below is the only one to see them.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP | {_ENDED})
    _confine(directory)
    engine = _Engine(directory)
    engine.start()
    if arguments.stdin_eof:
        threading.Thread(target=_await_stdin_end, daemon=True).start()
    received = signal.sigwait(_STOP | {_ENDED})
    engine.stop()
    if engine.error:
        sys.stderr.write(engine.error + "\n")
    sys.stderr.flush()
    # Skips the interpreter's tear-down: it takes a second and runs nothing that the engine needs.
    os._exit(1 if received == _ENDED or engine.error else 0)


def _confine(directory: Path) -> None:
    """Keep the engine, which reads files for whoever has a log-in, from all files but its own; before any thread."""
    for name in _WRITTEN:
        (directory / name).mkdir(exist_ok=True)
    # The engine looks for a configuration at home, and opens a first, empty database in the folder for temporary files.
    os.environ.update(HOME=str(directory), TMPDIR=str(directory / "tmp"))
    # By its path: the package's folder is not on this process's path.
    confinement = runpy.run_path(str(Path(__file__).with_name("confinement.py")))
    if confinement["supported"]():
        read = [*map(Path, _SYSTEM), *_python(), *(directory / name for name in _CONFIGURATION)]
        confinement["confine"](read, [directory / name for name in _WRITTEN])


def _python() -> Iterator[Path]:
    """Yield where modules are imported from; not sys.prefix, which may be a project's folder."""
    yield Path(sys.base_prefix) / "lib"
    paths = sysconfig.get_paths()
    yield from (Path(paths[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    chdb = importlib.util.find_spec("chdb")
    if chdb and chdb.origin:  # may be elsewhere: of this user alone, or a path of PYTHONPATH
        yield from Path(chdb.origin).parent.parent.glob("chdb*")


class _Engine:
    def __init__(self, directory: Path) -> None:
        self.error = ""
        self._stopping = False
        self._data = str(directory / "data")
        # Importing chdb opens an engine that reads ./config.xml: there must be none yet.
        with tempfile.TemporaryDirectory() as empty:
            os.chdir(empty)
            from chdb import _chdb

            # The served engine reads ./config.xml, too: its only way to be configured.
            os.chdir(directory)
        self._query: Callable[..., Any] = _chdb.query  # type: ignore[attr-defined]
        self._read, self._write = os.pipe()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        os.close(self._write)
        self._thread.join(60)

    def _run(self) -> None:
        # The last statement reads a pipe until its end: closing it is a clean stop, without polling.
        wait = f"SELECT * FROM file('/dev/fd/{self._read}', 'LineAsString', 'l String') FORMAT Null"
        try:
            # chdb.connect() cannot start listeners; this private entry point can, hence the pinned version.
            # Its format becomes the listeners' default format.
            result = self._query(
                f"SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP; {wait}", "TabSeparated", path=self._data
            )
            self.error = result.error_message() or ""
        except Exception as error:  # noqa: BLE001 (whatever it is, the process must end and say so)
            self.error = str(error)
        if not self._stopping:
            os.kill(os.getpid(), _ENDED)


def _await_stdin_end() -> None:
    while os.read(0, 4096):
        continue
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
