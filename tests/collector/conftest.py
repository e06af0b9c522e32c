"""Fixtures with a real collector."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector.process import Collector
from tests.servers import ClickHouse


@pytest.fixture
def collector(clickhouse: ClickHouse, tmp_path: Path) -> Iterator[Collector]:
    """A collector in front of the empty server; not started yet."""
    collector = Collector(tmp_path / "collector", clickhouse.server)
    yield collector
    collector.stop(signal.SIGKILL)
