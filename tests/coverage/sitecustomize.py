"""Measure every Python process of a run of ``make coverage``, which has this folder on its PYTHONPATH.

Python imports it at its start: before pytest imports the plugin of the package, and in children whose environment holds
nothing of coverage's own.
"""

from __future__ import annotations

import sys
from pathlib import Path

import coverage

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / ".coverage-data"


def data_file() -> Path:
    """Return where this process writes what it has measured, but for the suffix."""
    for position, argument in enumerate(sys.orig_argv):
        if argument.endswith("/engine.py"):
            # It is confined to folders of its own; run.py collects what it leaves there.
            return Path(sys.orig_argv[position + 1]) / "logs" / "measured"
    return DATA / "measured"


coverage.Coverage(
    data_file=str(data_file()),
    data_suffix=True,
    auto_data=True,
    config_file=str(ROOT / "pyproject.toml"),
    source=[str(ROOT / "otel_intel")],
).start()
