"""A separate server, filled once for each dataset: to fill it for each query would take minutes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.grafana.datasets import ALL, Dataset, land
from tests.servers import ClickHouse, run_clickhouse


@pytest.fixture(scope="session")
def grafana_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """The server for the datasets."""
    with run_clickhouse(tmp_path_factory.mktemp("grafana")) as clickhouse:
        yield clickhouse


@pytest.fixture(scope="session", params=ALL, ids=lambda make: make.__name__)
def dataset(request: pytest.FixtureRequest, grafana_server: ClickHouse) -> Dataset:
    """One of the datasets, loaded into the server."""
    # Whole seconds, like $__timeFilter: otherwise events in the last part of a second would sometimes be outside.
    made: Dataset = request.param(datetime.now(UTC).replace(microsecond=0))
    grafana_server.empty()
    land(grafana_server, made.landed)
    return made
