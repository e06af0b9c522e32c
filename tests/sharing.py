"""How a run is spread over worker processes, of which each has servers of its own: see ``make test``."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence

import execnet
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# What takes long goes first, and what takes no time fills the gaps at the end.
LAST = ("grafana", "sql", "pipeline", "docs", "unit")
# Tests that share something which takes seconds to make: they stay on one worker.
TOGETHER = {
    "sixty days of events": r"tests/grafana/.*\[sixty_days",
    "the dashboards' server": r"tests/grafana/",
    "the demo": r"tests/browser/test_demo\.py",
    "the cluster": r"tests/cluster/test_shards\.py",
    # Each would take the Collector's usual ports if they are free, and two at once can find them so.
    "the Collector's ports": r"tests/(collector/test_up\.py|generate/|wheel/)",
    "streams": r"tests/sql/test_(metrics|overviews)\.py",
}


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return one worker more than there are processors: tests wait for servers much of the time."""
    return min(8, (os.cpu_count() or 1) + 1)


def pytest_xdist_setupnodes(config: pytest.Config, specs: Sequence[execnet.XSpec]) -> None:
    """Run the workers in Python's development mode, if this process is."""
    if sys.flags.dev_mode:
        for spec in specs:
            spec.python = f"{sys.executable} -X dev"


class Scheduler(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types for it
    """Hand out tests one by one, but those that stay together as one."""

    def _split_scope(self, nodeid: str) -> str:
        return next((name for name, pattern in TOGETHER.items() if re.match(pattern, nodeid)), nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduler:
    """Spread the tests; by their ids, as ``--dist loadgroup`` fails with pytest 9.2, which made ids unchangeable."""
    return Scheduler(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests in the order in which they are handed out; within a folder it stays random."""
    items.sort(key=lambda item: LAST.index(folder(item)) if folder(item) in LAST else -1)


def folder(item: pytest.Item) -> str:
    """Return the folder of ``tests`` that a test is in."""
    parts = item.path.parts
    return parts[parts.index("tests") + 1] if "tests" in parts else ""
