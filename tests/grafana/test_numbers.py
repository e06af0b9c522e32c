"""The dashboards' headline numbers equal those of the Python API, the staff pages and a slow count."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from pytest_django import Settings

from otel_intel import get_telemetry
from otel_intel.pages.summary import Summary
from otel_intel.reading.days import today
from otel_intel.reading.reader import Reader
from tests.grafana.datasets import CANARY, CURRENT, TYPES, Dataset
from tests.grafana.files import dashboards, panels
from tests.grafana.macros import Context, expand
from tests.grafana.queries import run
from tests.servers import ClickHouse
from tests.sql.reference import Reference, Window

DASHBOARDS = dashboards()
FILTERS: tuple[dict[str, str], ...] = (
    {},
    {"engine_version": CURRENT},
    {"engine_version": CANARY, "recommendation_type": TYPES[-1]},
)
MINUTE_MS = 60_000
HEADLINES = {
    "Acceptance share": "acceptance_share",
    "Acceptance rate": "acceptance_rate",
    "Override rate": "override_rate",
    "Average decision time": "average_ms",
    "False positive rate": "false_positive_rate",
}


class Asking:
    """The panels of the dashboards, queried with a time range and values of the variables."""

    def __init__(self, clickhouse: ClickHouse, dataset: Dataset) -> None:
        self.clickhouse = clickhouse
        self.context_start, self.end = dataset.now - timedelta(days=59), dataset.now
        self.first_day, self.last_day = self.context_start.date(), self.end.date()
        self.reference = dataset.reference

    def rows(self, dashboard: str, title: str, variables: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """Return the rows of a panel's first query."""
        by_title = {panel["title"]: panel for panel in panels(DASHBOARDS[dashboard])}
        assert title in by_title, f"This test knows the panels by their titles: {', '.join(by_title)}"
        panel = by_title[title]
        values = dict.fromkeys(("engine_version", "recommendation_type", "confidence", "service"), "")
        context = Context(self.context_start, self.end, timedelta(hours=2), {**values, **(variables or {})})
        answer = run(self.clickhouse, expand(panel["targets"][0]["rawSql"], context))
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]

    def row(self, dashboard: str, title: str, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the only row of a panel's first query."""
        [row] = self.rows(dashboard, title, variables)
        return row


@pytest.fixture
def asking(dataset: Dataset, grafana_server: ClickHouse, settings: Settings) -> Asking:
    """The panels on a dataset; the Python API reads the same."""
    settings.OTEL_INTEL = {"CLICKHOUSE_URL": grafana_server.url("reader"), "QUERY_TIMEOUT": 20.0}
    return Asking(grafana_server, dataset)


def python_api(days: int, filters: Mapping[str, str]) -> dict[str, float | None]:
    """Return the headline numbers of the Python API; its rate of 0 without events is None here."""
    telemetry = get_telemetry()
    of_filters = telemetry.get_metrics(
        days, engine_version=filters.get("engine_version"), recommendation_type=filters.get("recommendation_type")
    )
    acceptance = of_filters["acceptance_rate"]
    false_positives = of_filters["false_positive_rate"]
    overrides = of_filters["override_rate"]
    return {
        "acceptance_share": acceptance["acceptance_share"] if acceptance["decisions"] else None,
        "acceptance_rate": acceptance["acceptance_rate"] if acceptance["viewed"] else None,
        "override_rate": overrides["override_rate"] if overrides["decisions"] else None,
        "average_ms": of_filters["decision_time"]["average_ms"],
        "false_positive_rate": false_positives["false_positive_rate"] if false_positives["outcomes"] else None,
    }


def time_unit(time_ms: float) -> tuple[int, str]:
    """Return the unit in which Grafana shows a time: its length in milliseconds and its name."""
    units = ((3_600_000, "hours"), (MINUTE_MS, "mins"), (1000, "s"), (1, "ms"))
    return next((size, name) for size, name in units if time_ms >= size or size == 1)


def slow_count(reference: Reference, window: Window) -> dict[str, float | None]:
    """Return the headline numbers, computed from their definitions."""
    every_type = Window(window.first_day, window.last_day, window.engine_version)
    return {
        **reference.acceptance_rate(window),
        **reference.override_rate(window),
        **reference.decision_time(window),
        **reference.false_positive_rate(every_type),
    }


@pytest.mark.parametrize("days", [7, 30, 90])
@pytest.mark.parametrize("filters", FILTERS, ids=["all", "version", "version and type"])
class TestHeadlines:
    def test_current_number_equals_the_python_api(self, asking: Asking, days: int, filters: dict[str, str]) -> None:
        expected = python_api(days, filters)
        counted = slow_count(asking.reference, Window(today() - timedelta(days=days - 1), today(), **filters))
        for title, name in HEADLINES.items():
            now = asking.row("overview", title, {"window": str(days), **filters})["now"]
            assert now == expected[name]
            assert now == pytest.approx(counted[name]) or now is counted[name] is None

    def test_change_compares_with_as_many_days_before(self, asking: Asking, days: int, filters: dict[str, str]) -> None:
        now = slow_count(asking.reference, Window(today() - timedelta(days=days - 1), today(), **filters))
        last = today() - timedelta(days=days)
        before = slow_count(asking.reference, Window(last - timedelta(days=days - 1), last, **filters))
        for title, name in HEADLINES.items():
            row = asking.row("overview", title, {"window": str(days), **filters})
            change = row["change"]
            assert row["before"] == pytest.approx(before[name]) or row["before"] is before[name] is None
            value, value_before = now[name], before[name]
            if value is None or value_before is None:
                assert change is None
                continue
            difference = value - value_before
            assert change[0] == ("▲" if difference > 0 else "▼" if difference < 0 else "=")
            scale, unit = time_unit(value) if name == "average_ms" else (0.01, "pts")
            number, _, change_unit = change[2:].partition(" ")
            assert float(number) == pytest.approx(abs(difference) / scale, abs=0.051 if scale != 1 else 0.51)
            assert change_unit == unit

    def test_outcome_distribution_equals_the_python_api(
        self, asking: Asking, days: int, filters: dict[str, str]
    ) -> None:
        version = filters.get("engine_version")
        expected = get_telemetry().get_outcome_distribution(days, engine_version=version)
        shares = asking.row("overview", "Outcome distribution", {"window": str(days), **filters})
        wanted = {status.lower(): share for status, share in expected["shares"].items()}
        assert {status: share or 0 for status, share in shares.items()} == wanted


@pytest.mark.parametrize("days", [7, 30])
def test_headline_numbers_equal_the_staff_pages(asking: Asking, days: int) -> None:
    summary = Summary(Reader(), today())
    summary.wait()
    numbers = summary.window(days)
    for title, name in HEADLINES.items():
        assert asking.row("overview", title, {"window": str(days)})["now"] == numbers.value(name)


@pytest.mark.parametrize("days", [7, 30, 90])
def test_numbers_of_versions_equal_the_python_api(asking: Asking, days: int) -> None:
    variables = {"window": str(days), "version_a": CURRENT, "version_b": CANARY}
    rows = asking.rows("engine_versions", "Both versions in numbers", variables)
    assert [(row["role"], row["name"]) for row in rows] == [("A", CURRENT), ("B", CANARY)]
    for row in rows:
        expected = python_api(days, {"engine_version": row["name"]})
        names = ("acceptance_share", "override_rate", "average_ms", "false_positive_rate")
        assert {name: row[name] for name in names} == {name: expected[name] for name in names}
