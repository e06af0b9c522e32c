"""The dashboards' numbers are the Python API's, the staff pages', and those of the slow reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from pytest_django import Settings

from otel_intel import get_telemetry
from otel_intel.events import DROP_REASONS
from otel_intel.pages.summary import Summary
from otel_intel.reading.days import today
from otel_intel.reading.reader import Reader
from tests.grafana.datasets import CANARY, CURRENT, SECOND, TYPES, Dataset, valid
from tests.grafana.files import dashboards, panels
from tests.grafana.macros import Context, expand
from tests.grafana.queries import run
from tests.servers import ClickHouse
from tests.sql.reference import VIEW_KINDS, Reference, Window

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
    """The panels of the dashboards, asked over a range and with values of the variables."""

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

    def by_day(self, dashboard: str, title: str, variables: Mapping[str, str] | None = None) -> dict[date, Any]:
        """Return the rows of a daily series by their day."""
        rows = self.rows(dashboard, title, variables)
        assert all(row["time"] == datetime.combine(row["time"].date(), datetime.min.time()) for row in rows)
        return {row.pop("time").date(): row for row in rows}


@pytest.fixture
def asking(dataset: Dataset, grafana_server: ClickHouse, settings: Settings) -> Asking:
    """The panels on a dataset; the Python API reads the same."""
    settings.OTEL_INTEL = {"CLICKHOUSE_URL": grafana_server.url("reader"), "QUERY_TIMEOUT": 20.0}
    return Asking(grafana_server, dataset)


def python_api(days: int, filters: Mapping[str, str]) -> dict[str, float | None]:
    """Return the headline numbers as the Python API has them; a rate of nothing is 0 there, and no number here."""
    telemetry = get_telemetry()
    version = {"engine_version": filters.get("engine_version")}
    both = {**version, "recommendation_type": filters.get("recommendation_type")}
    acceptance = telemetry.get_recommendation_acceptance_rate(days, **both)
    false_positives = telemetry.get_false_positive_rate(days, **version)
    overrides = telemetry.get_override_rate(days, **both)
    return {
        "acceptance_share": acceptance["acceptance_share"] if acceptance["decisions"] else None,
        "acceptance_rate": acceptance["acceptance_rate"] if acceptance["viewed"] else None,
        "override_rate": overrides["override_rate"] if overrides["decisions"] else None,
        "average_ms": telemetry.get_average_decision_time(days, **both)["average_ms"],
        "false_positive_rate": false_positives["false_positive_rate"] if false_positives["outcomes"] else None,
    }


def time_unit(time_ms: float) -> tuple[int, str]:
    """Return milliseconds and name of the unit that Grafana shows a time in."""
    units = ((3_600_000, "hours"), (MINUTE_MS, "mins"), (1000, "s"), (1, "ms"))
    return next((size, name) for size, name in units if time_ms >= size or size == 1)


def slow_count(reference: Reference, window: Window) -> dict[str, float | None]:
    """Return the headline numbers by the definitions."""
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
    def test_now_is_the_python_api_s(self, asking: Asking, days: int, filters: dict[str, str]) -> None:
        expected = python_api(days, filters)
        counted = slow_count(asking.reference, Window(today() - timedelta(days=days - 1), today(), **filters))
        for title, name in HEADLINES.items():
            now = asking.row("overview", title, {"window": str(days), **filters})["now"]
            assert now == expected[name]
            assert now == pytest.approx(counted[name]) or now is counted[name] is None

    def test_change_is_against_as_many_days_before(self, asking: Asking, days: int, filters: dict[str, str]) -> None:
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

    def test_outcome_distribution_is_the_python_api_s(self, asking: Asking, days: int, filters: dict[str, str]) -> None:
        version = filters.get("engine_version")
        expected = get_telemetry().get_outcome_distribution(days, engine_version=version)
        shares = asking.row("overview", "Outcome distribution", {"window": str(days), **filters})
        wanted = {status.lower(): share for status, share in expected["shares"].items()}
        assert {status: share or 0 for status, share in shares.items()} == wanted


@pytest.mark.parametrize("days", [7, 30])
def test_headlines_are_the_staff_pages(asking: Asking, days: int) -> None:
    summary = Summary(Reader(), today())
    summary.wait()
    numbers = summary.window(days)
    for title, name in HEADLINES.items():
        assert asking.row("overview", title, {"window": str(days)})["now"] == numbers.value(name)


@pytest.mark.parametrize("filters", FILTERS, ids=["all", "version", "version and type"])
class TestGraphs:
    def window(self, day: date, filters: dict[str, str]) -> Window:
        return Window(day, day, **filters)

    def test_volume(self, asking: Asking, filters: dict[str, str]) -> None:
        found = asking.by_day("overview", "Recommendation events", filters)
        counted = {
            day: asking.reference.acceptance_rate(self.window(day, filters))
            for day in (asking.first_day + timedelta(days=i) for i in range(60))
        }
        names = ("viewed", "accepted", "ignored", "overridden")
        expected = {day: {name: row[name] for name in names} for day, row in counted.items()}
        assert found == {day: row for day, row in expected.items() if any(row.values())}

    def test_decision_times(self, asking: Asking, filters: dict[str, str]) -> None:
        for dashboard in ("overview", "recommendations"):
            for day, row in asking.by_day(dashboard, "Decision time", filters).items():
                counted = asking.reference.decision_time(self.window(day, filters))
                times = {name: counted[f"{name}_ms"] for name in ("average", "p50", "p90")}
                in_minutes = {name: time / MINUTE_MS for name, time in times.items() if time is not None}
                assert row == pytest.approx(in_minutes)

    def test_shares(self, asking: Asking, filters: dict[str, str]) -> None:
        for dashboard in ("overview", "recommendations"):
            for day, row in asking.by_day(dashboard, "Acceptance share and override rate", filters).items():
                counted = slow_count(asking.reference, self.window(day, filters))
                wanted = (counted["acceptance_share"], counted["override_rate"])
                assert (row["acceptance_share"], row["override_rate"]) == wanted


def test_outcomes(asking: Asking) -> None:
    whole = Window(asking.first_day, asking.last_day)
    counted = {one["outcome_status"].lower(): one for one in asking.reference.outcome_distribution(whole)}
    assert asking.row("outcomes", "Outcome distribution") == {name: one["share"] for name, one in counted.items()}
    by_day = asking.by_day("outcomes", "Outcomes by status").values()
    assert {name: sum(row[name] for row in by_day) for name in counted} == {
        name: one["count"] for name, one in counted.items()
    }
    later = len(asking.reference.outcomes) - len(asking.reference.first_outcomes)
    assert asking.row("outcomes", "Later outcomes")["later"] == later


def test_engagement(asking: Asking) -> None:
    expected = Counter({kind.replace(".", "_"): 0 for kind in VIEW_KINDS})
    for counts in asking.reference.engagement_daily().values():
        expected.update({kind.replace(".", "_"): n for kind, n in zip(VIEW_KINDS, counts, strict=True)})
    by_day = asking.by_day("admin_activity", "Engagement by kind").values()
    assert {name: sum(row[name] for row in by_day) for name in expected} == expected


@pytest.mark.parametrize(
    ("title", "key"), [("type", "type"), ("confidence", "confidence"), ("engine version", "version")]
)
def test_decisions_by(asking: Asking, title: str, key: str) -> None:
    actions: dict[str, Counter[str]] = {}
    for fact in asking.reference.recommendations:
        actions.setdefault(getattr(fact, key), Counter())[fact.action] += 1
    rows = {row["name"]: row for row in asking.rows("recommendations", f"Decisions by {title}")}
    assert rows.keys() == actions.keys()
    for name, n in actions.items():
        decided = n["ACCEPTED"] + n["IGNORED"] + n["OVERRIDDEN"]
        assert (rows[name]["views"], rows[name]["decisions"]) == (n["VIEWED"], decided)
        assert rows[name]["acceptance_share"] == (n["ACCEPTED"] / decided if decided else None)
        assert rows[name]["override_rate"] == (n["OVERRIDDEN"] / decided if decided else None)


@pytest.mark.parametrize("days", [7, 30, 90])
def test_versions_in_numbers_are_the_python_api_s(asking: Asking, days: int) -> None:
    variables = {"window": str(days), "version_a": CURRENT, "version_b": CANARY}
    rows = asking.rows("engine_versions", "Both versions in numbers", variables)
    assert [(row["role"], row["name"]) for row in rows] == [("A", CURRENT), ("B", CANARY)]
    for row in rows:
        expected = python_api(days, {"engine_version": row["name"]})
        names = ("acceptance_share", "override_rate", "average_ms", "false_positive_rate")
        assert {name: row[name] for name in names} == {name: expected[name] for name in names}


def test_pipeline(asking: Asking, dataset: Dataset) -> None:
    facts = len(asking.reference.recommendations) + len(asking.reference.outcomes) + len(asking.reference.views)
    senders = asking.row("pipeline_health", "What the senders count")
    if dataset.name == "empty":
        assert set(senders.values()) <= {0, None}
        return
    # The second process says that it delivered one event of each of three kinds more, and drops 1, 2, … of each.
    assert (senders["delivered"], senders["missing"]) == (facts + 3, 3)
    dropped = asking.row("pipeline_health", "Dropped by reason")
    assert dropped == {reason: 3 * number for number, reason in enumerate(DROP_REASONS, 1)}
    assert senders["lost"] + senders["no_admin"] == sum(dropped.values())
    assert asking.row("pipeline_health", "Not counted") == {"rejected": 4, "quarantined": 1}
    arrivals = asking.rows("pipeline_health", "Arrivals")
    of_uid = [(one.record.attributes["log.record.uid"], one) for one in dataset.landed if valid(one.record)]
    first = dict(reversed(of_uid))
    since, until = int(asking.context_start.timestamp()), int(asking.end.timestamp())
    arrived = sum(since * SECOND <= landed.ingested_ns <= until * SECOND for landed in first.values())
    assert sum(row["recommendations"] + row["outcomes"] + row["views"] for row in arrivals) == arrived
    uids = [landed.record.attributes.get("log.record.uid") for landed in dataset.landed]
    copies = asking.by_day("pipeline_health", "Repeated deliveries").values()
    assert sum(row["duplicates"] for row in copies) == len(uids) - len(set(uids))
