"""Measure coverage in every Python process of ``make coverage``, which puts this folder on the PYTHONPATH.

Python imports this module at its start: before pytest imports the package's plugin, and also in child processes that
get none of coverage's own variables.
"""

from __future__ import annotations

import sys
from pathlib import Path

import coverage

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / ".coverage-data"


def data_file() -> Path:
    """Return the path of this process's data file, without the suffix."""
    for position, argument in enumerate(sys.orig_argv):
        if argument.endswith("/engine.py"):
            # The server may write only into its own folders; run.py collects the files from there.
            return Path(sys.orig_argv[position + 1]) / "logs" / "measured"
    return DATA / "measured"


coverage.Coverage(
    data_file=str(data_file()),
    data_suffix=True,
    auto_data=True,
    config_file=str(ROOT / "pyproject.toml"),
    source=[str(ROOT / "otel_intel")],
).start()
