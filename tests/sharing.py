"""Distribute the tests over worker processes, each with its own servers: see ``make test``."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence

import execnet
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# The slowest tests run first, and the fastest ones fill the gaps at the end.
LAST = ("grafana", "sql", "pipeline", "docs", "unit")
# Tests that share something that takes seconds to make stay on one worker.
TOGETHER = {
    "sixty days of events": r"tests/grafana/.*\[sixty_days",
    "the dashboards' server": r"tests/grafana/",
    "the demo": r"tests/browser/test_demo\.py",
    "the cluster": r"tests/cluster/test_shards\.py",
    # Each takes the Collector's default ports if they are free; two at once could both find them free.
    "the Collector's ports": r"tests/(collector/test_up\.py|generate/|wheel/)",
    "streams": r"tests/sql/test_(metrics|overviews)\.py",
    "a stream for trends": r"tests/sql/test_trends\.py",
    "a server as in production": r"tests/sql/test_server_configuration\.py",
    "the site of the documentation": r"tests/docs/test_site\.py",
}


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return two workers for each processor: tests wait for servers most of the time."""
    return min(8, 2 * (os.cpu_count() or 1))


def pytest_xdist_setupnodes(config: pytest.Config, specs: Sequence[execnet.XSpec]) -> None:
    """Run the workers in Python's development mode, if this process is."""
    if sys.flags.dev_mode:
        for spec in specs:
            spec.python = f"{sys.executable} -X dev"


class Scheduler(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types for it
    """Hand out tests one by one, and each group of TOGETHER as one."""

    def _split_scope(self, nodeid: str) -> str:
        return next((name for name, pattern in TOGETHER.items() if re.match(pattern, nodeid)), nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduler:
    """Group tests by their ids: ``--dist loadgroup`` changes the ids, which pytest 9.2 no longer allows."""
    return Scheduler(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests in the order in which they are handed out; within a folder the order stays random."""
    items.sort(key=lambda item: LAST.index(folder(item)) if folder(item) in LAST else -1)


def folder(item: pytest.Item) -> str:
    """Return the folder of ``tests`` that a test is in."""
    parts = item.path.parts
    return parts[parts.index("tests") + 1] if "tests" in parts else ""
