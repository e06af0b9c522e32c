"""Fixtures with a real collector."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector.process import Collector
from tests.servers import ClickHouse


@pytest.fixture
def collector(clickhouse: ClickHouse, tmp_path: Path) -> Iterator[Collector]:
    """A collector in front of the empty server; the test starts it."""
    with Collector(tmp_path / "collector", clickhouse.server) as collector:
        yield collector
