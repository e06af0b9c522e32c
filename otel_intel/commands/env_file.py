"""The file for ``up --env-file``: it may replace what an earlier ``up`` wrote, and nothing that people wrote."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Final

from otel_intel.server.processes import EmbeddedError

VARIABLES: Final = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_INTEL_CLICKHOUSE_URL",
)
"""All variables that ``up`` writes, with a Collector and without."""

_OURS: Final = re.compile(rf"(?:{'|'.join(VARIABLES)})=.*|\s*")


def target(given: Path, data: Path) -> Path:
    """Return the file to write; raise EmbeddedError if it cannot be written or holds something else.

    Args:
        given: As the user named it; a symbolic link stays, and the file that it names is written.
        data: The server's directory, which the start makes.
    """
    if given == Path():
        raise EmbeddedError("--env-file is empty: name a file, such as .env.telemetry")
    path = Path(os.path.realpath(given))
    try:
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
    except OSError as error:
        raise EmbeddedError(f"{given} cannot be read: {error.strerror}") from error
    except ValueError:  # it is no text
        text = "?"
    if not all(_OURS.fullmatch(line) for line in text.splitlines()):
        raise EmbeddedError(
            f"{given} holds more than the variables that up writes, and would be replaced:"
            " choose another --env-file, such as .env.telemetry"
        )
    if path.parent != data and (reason := _obstacle(path)):
        raise EmbeddedError(f"{given} cannot be written: {os.strerror(reason)}")
    return path


def _obstacle(path: Path) -> int:
    """Return the system's number of what is in the way of a file; 0 if nothing is."""
    if not path.parent.exists():
        return errno.ENOENT
    if not path.parent.is_dir():
        return errno.ENOTDIR
    if os.path.lexists(path) and not path.is_file():
        return errno.EEXIST
    return 0 if os.access(path.parent, os.W_OK | os.X_OK) else errno.EACCES
