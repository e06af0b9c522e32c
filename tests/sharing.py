"""How a run is spread over worker processes, of which each has servers of its own: see ``make test``."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Sequence

import execnet
import pytest

# What takes long goes first, and what takes no time fills the gaps at the end.
LAST = ("grafana", "sql", "pipeline", "docs", "unit")


# Fixtures that take seconds to make, by what shares one: a folder, or a file.
BY_FOLDER = {"grafana_server"}
BY_FILE = {"demo", "installed", "loaded", "nodes"}


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return one worker more than there are processors: tests wait for servers much of the time."""
    return min(8, (os.cpu_count() or 1) + 1)


def pytest_xdist_setupnodes(config: pytest.Config, specs: Sequence[execnet.XSpec]) -> None:
    """Run the workers in Python's development mode, if this process is."""
    if sys.flags.dev_mode:
        for spec in specs:
            spec.python = f"{sys.executable} -X dev"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, None, None]:
    """Keep the tests of a costly fixture on one worker, and put the others in the order in which they are handed out.

    Within a folder it stays random.
    """
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if fixtures & BY_FOLDER:
            item.add_marker(pytest.mark.xdist_group(folder(item)))
        elif fixtures & BY_FILE:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
    yield
    items.sort(key=lambda item: LAST.index(folder(item)) if folder(item) in LAST else -1)


def folder(item: pytest.Item) -> str:
    """Return the folder of ``tests`` that a test is in."""
    parts = item.path.parts
    return parts[parts.index("tests") + 1] if "tests" in parts else ""
