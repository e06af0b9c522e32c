"""An OpenTelemetry Collector in front of the embedded server: the same path as in production, on one machine."""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import secrets
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from otel_intel.resources import folder

from .embedded import Server
from .processes import (
    LOOPBACK,
    EmbeddedError,
    Lock,
    await_answer,
    bind,
    last_lines,
    start_beside,
    stop_child,
    stop_holder,
    write_private,
)

_STATE: Final = "collector.json"
_PID: Final = "collector.pid"
_LOG: Final = "collector.log"
_PORTS: Final = {"http": 4318, "grpc": 4317, "metrics": 8888, "health": 13133}


@dataclass(frozen=True, slots=True)
class Collector:
    """A collector's loopback ports and the token that it requires."""

    ports: dict[str, int]
    token: str

    def variables(self, server: Server) -> dict[str, str]:
        """Return the environment variables that make an application send here and read from the server."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{LOOPBACK}:{self.ports['http']}",
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{self.token}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_INTEL_CLICKHOUSE_URL": server.url("reader"),
        }


def find_binary(given: Path | None = None) -> Path:
    """Return the collector's binary, the given one or the one that ``make collector`` built; raise EmbeddedError."""
    script = folder("collector") / "build.py"
    binary = given or Path(runpy.run_path(str(script))["cached_binary"]())
    if binary.is_file() and os.access(binary, os.X_OK):
        return binary
    if given:
        raise EmbeddedError(f"{given} is not a program: give --collector-binary the path of a collector")
    raise EmbeddedError(
        f"The collector is not built yet: run make collector (or python {script}), or give --collector-binary PATH"
    )


def start(
    server: Server, binary: Path, *, detach: bool = False, new_token: bool = False
) -> tuple[Collector, subprocess.Popen[bytes]]:
    """Start a collector that writes into a running server and return when it takes requests.

    The server's directory keeps the token, the ports and the queue of data that is not written yet.

    Args:
        server: The server that it writes to.
        binary: The program, as find_binary returns it.
        detach: True if it must keep running after this process has ended.
        new_token: True if the token of an earlier start may not send any more.
    """
    stop(server.directory)  # an older collector may have outlived its server
    before = _load(server.directory)
    collector = Collector(
        {name: _free_port(port) for name, port in (before.ports if before else _PORTS).items()},
        before.token if before and not new_token else secrets.token_urlsafe(24),
    )
    log = server.directory / _LOG
    configs = [f"--config={folder('collector') / name}" for name in ("config.yaml", "allowed.yaml")]
    with contextlib.closing(Lock(server.directory / _PID)) as lock:
        write_private(server.directory / _STATE, json.dumps(asdict(collector), indent=2) + "\n")
        process = start_beside([str(binary), *configs], _settings(server, collector), lock, log, detach=detach)
    try:
        await_answer("collector", collector.ports["health"], "", process, lambda: last_lines(log, without="\tinfo\t"))
    except BaseException:
        stop_child(process)
        raise
    return collector, process


def left(directory: Path) -> str:
    """Return a warning if a directory's server is started without the collector that it had before; else ''."""
    before = _load(directory)
    if before is None:
        return ""
    return (
        "This directory was used with --collector before: applications that still send to port"
        f" {before.ports['http']} reach nothing, and what waits in its queue stays there. Add --collector, or set these"
        " variables for the applications."
    )


def has_ended(directory: Path) -> bool:
    """Tell whether a directory's server had a collector in front of it that does not run."""
    return _load(directory) is not None and running(directory) is None


def running(directory: Path) -> Collector | None:
    """Return the collector that runs in front of a directory's server, if one does."""
    return _load(directory) if Lock.holder(directory / _PID) else None


def stop(directory: Path) -> None:
    """Stop the collector of a directory, if one runs, and return when it has ended; its queue is kept."""
    stop_holder("collector", directory / _PID)


def _settings(server: Server, collector: Collector) -> dict[str, str]:
    return {
        "OTLP_INGEST_TOKEN": collector.token,
        "OTLP_HTTP_ENDPOINT": f"{LOOPBACK}:{collector.ports['http']}",
        "OTLP_GRPC_ENDPOINT": f"{LOOPBACK}:{collector.ports['grpc']}",
        "METRICS_PORT": str(collector.ports["metrics"]),
        "HEALTH_ENDPOINT": f"{LOOPBACK}:{collector.ports['health']}",
        "CLICKHOUSE_ENDPOINT": f"tcp://{LOOPBACK}:{server.native_port}",
        "CLICKHOUSE_PASSWORD": server.passwords["writer"],
        "QUEUE_DIR": str(server.directory / "collector-queue"),
    }


def _load(directory: Path) -> Collector | None:
    try:
        state = json.loads((directory / _STATE).read_text(encoding="utf-8"))
        return Collector({name: state["ports"][name] for name in _PORTS}, state["token"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EmbeddedError(f"{directory / _STATE} cannot be read: {error}") from error


def _free_port(wanted: int) -> int:
    try:
        return bind(wanted)
    except OSError:
        return bind(0)
