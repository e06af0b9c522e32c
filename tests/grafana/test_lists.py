"""Lists with a limit: which rows are left out if there are too many."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.grafana.datasets import SECOND, Landed, land, nanoseconds
from tests.grafana.files import dashboards, panels
from tests.grafana.macros import Context, expand
from tests.grafana.queries import run
from tests.otlp import Record, event, report
from tests.servers import ClickHouse

NUMBERS = range(101)
NOW = datetime.now(UTC).replace(microsecond=0)


def of_each(name: str, **attributes: str) -> Iterable[Record]:
    """Yield an event for each of 101 values; {} in a value is replaced by its number."""
    for number in NUMBERS:
        values: dict[str, Any] = {key: value.format(f"{number:03}") for key, value in attributes.items()}
        yield event(name, nanoseconds(NOW) - number * SECOND, **values)


def reports() -> Iterable[Record]:
    for number in NUMBERS:
        counts = {"process__pid": number}
        yield report(f"p{number:03}", "view", nanoseconds(NOW) - number * SECOND, **counts)


def unknown() -> Iterable[Record]:
    for number in NUMBERS:
        for copy in range(2 if number else 1):  # the first value is the rarest
            yield event(f"unknown{number:03}", nanoseconds(NOW) - copy)


TYPES = [*of_each("recommendation.accepted", **{"intel.recommendation.type": "type {}"})]
VERSIONS = [*of_each("recommendation.accepted", **{"intel.engine.version": "{}"})]
OUTCOMES = [*of_each("signal.outcome_recorded", **{"intel.engine.version": "{}", "intel.risk_signal.id": "s{}"})]


@pytest.mark.parametrize(
    ("records", "dashboard", "id", "column", "left_out"),
    [
        (TYPES, "recommendations", 1, "name", "type 100"),
        (VERSIONS, "recommendations", 3, "name", "000"),
        (OUTCOMES, "outcomes", 6, "name", "000"),
        ([*reports()], "pipeline_health", 8, "pid", "100"),
        ([*unknown()], "pipeline_health", 7, "name", "intel.unknown000"),
    ],
    ids=["types", "versions", "versions of outcomes", "processes", "reasons"],
)
def test_a_hundred_rows(
    clickhouse: ClickHouse, records: Iterable[Record], dashboard: str, id: int, column: str, left_out: str
) -> None:
    sent = [replace(record, time_ns=record.time_ns - 2 * SECOND) for record in records]
    land(clickhouse, [Landed(record, record.time_ns + SECOND) for record in sent])
    [panel] = [panel for panel in panels(dashboards()[dashboard]) if panel["id"] == id]
    nothing = dict.fromkeys(("engine_version", "recommendation_type", "confidence", "service"), "")
    context = Context(NOW - timedelta(days=1), NOW, variables=nothing)
    answer = run(clickhouse, expand(panel["targets"][0]["rawSql"], context))
    found = {row[list(answer.columns).index(column)] for row in answer.rows}
    assert len(answer.rows) == len(found) == 100
    assert left_out not in found
