"""Run every query of the dashboards as Grafana's user and as a reader: it returns rows that a panel can show."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.grafana.datasets import CANARY, CURRENT, OLD, SERVICES, TYPES, Dataset
from tests.grafana.files import Target, dashboards, panels, targets, variables
from tests.grafana.macros import Context, expand
from tests.grafana.queries import Answer, run
from tests.servers import ClickHouse

DASHBOARDS = dashboards()
TARGETS = [target for name, dashboard in DASHBOARDS.items() for target in targets(name, dashboard)]
ALL = dict.fromkeys(("engine_version", "recommendation_type", "confidence", "service"), "")
SELECTIONS = {
    "all": {**ALL, "version_a": OLD, "version_b": CURRENT, "window": "30"},
    "one value": {
        "engine_version": CURRENT, "recommendation_type": TYPES[0], "confidence": "HIGH", "service": SERVICES[0],
        "version_a": CURRENT, "version_b": CURRENT, "window": "90",
    },
    "apostrophe": {
        **ALL, "engine_version": CANARY, "recommendation_type": TYPES[-1], "service": SERVICES[-1],
        "version_a": CANARY, "version_b": CANARY, "window": "7",
    },
    "nothing to choose from": {**ALL, "version_a": "", "version_b": "", "window": "7"},
}  # fmt: skip
EMPTY_HANDED = {"all", "nothing to choose from"}
SPANS = {"empty": 30, "one day": 1, "sixty days": 60}


def answer(clickhouse: ClickHouse, target: Target, dataset: Dataset, selection: str, role: str = "dashboard") -> Answer:
    """Run a query in the dataset's range."""
    start = dataset.now - timedelta(days=SPANS[dataset.name])
    context = Context(start, dataset.now, timedelta(hours=2), SELECTIONS[selection])
    return run(clickhouse, expand(target.sql, context), role)


def check_columns(target: Target, found: Answer) -> None:
    """Check that the panel can show the columns."""
    kinds = dict(zip(found.columns, found.kinds(), strict=True))
    assert set(kinds.values()) <= {"time", "number", "text"}
    match target.shape:
        case "series":
            assert next(iter(kinds)) == "time"
            assert list(kinds.values()).count("time") == 1
            assert "number" in kinds.values()
        case "table":
            assert "number" in kinds.values() or "text" in kinds.values()
        case "variable":
            assert list(kinds.items()) in ([("value", "text"), ("text", "text")], [("value", "text")])
        case "annotation":
            assert kinds["time"] == "time"
            assert kinds["text"] == "text"
            assert kinds.keys() <= {"time", "timeEnd", "text", "title", "tags"}


def check_rows(target: Target, found: Answer) -> None:
    """Check that the rows are in order, and contain only values that a panel can show."""
    for row in found.rows:
        assert all(math.isfinite(value) for value in row if isinstance(value, float))
    places = [number for number, kind in enumerate(found.kinds()) if kind != "number"]
    keys = [tuple(row[place] for place in places) for row in found.rows]
    if target.shape == "series":
        assert [row[0] for row in found.rows] == sorted(row[0] for row in found.rows)
        assert len(set(keys)) == len(keys), "two values of one series at one time"
    if target.shape == "variable":
        assert None not in [value for row in found.rows for value in row]
        assert len({row[0] for row in found.rows}) == len(found.rows)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: f"{target.dashboard} {target.place}")
class TestQuery:
    def test_answer(self, dataset: Dataset, grafana_server: ClickHouse, target: Target) -> None:
        for selection in EMPTY_HANDED if dataset.name == "empty" else SELECTIONS.keys() - EMPTY_HANDED | {"all"}:
            found = answer(grafana_server, target, dataset, selection)
            check_columns(target, found)
            check_rows(target, found)
            if dataset.name == "sixty days":
                self.check_something_is_there(target, found, selection)

    def test_reader_gets_the_same_columns(self, grafana_server: ClickHouse, target: Target) -> None:
        empty = Dataset("empty", datetime.now(UTC))
        assert (
            answer(grafana_server, target, empty, "all", "reader").columns
            == answer(grafana_server, target, empty, "all").columns
        )

    def check_something_is_there(self, target: Target, found: Answer, selection: str) -> None:
        assert found.rows
        numbers = [number for number, kind in enumerate(found.kinds()) if kind == "number"]
        if selection == "all" and numbers:
            for number in numbers:
                assert any(row[number] is not None for row in found.rows), list(found.columns)[number]


@pytest.mark.parametrize("name", DASHBOARDS)
class TestDashboard:
    def test_panels_refer_to_existing_columns(self, grafana_server: ClickHouse, name: str) -> None:
        for panel in panels(DASHBOARDS[name]):
            columns = {
                column
                for target in targets(name, {**DASHBOARDS[name], "panels": [panel], "templating": {"list": []}})
                if target.shape in ("series", "table")
                for column in self.answer(grafana_server, target).columns
            }
            named = {
                override["matcher"]["options"]
                for override in panel.get("fieldConfig", {}).get("overrides", ())
                if override["matcher"]["id"] == "byName"
            }
            named |= {panel.get("options", {}).get("xField") or next(iter(columns), "")} - {""}
            assert named <= columns, panel["title"]

    def test_texts_are_not_read_as_numbers(self, grafana_server: ClickHouse, name: str) -> None:
        """A text needs the unit string: otherwise Grafana shows version 2.0 as 2. A number must not have that unit."""
        for panel in panels(DASHBOARDS[name]):
            config = panel["fieldConfig"]
            units = {
                override["matcher"]["options"]: option["value"]
                for override in config["overrides"]
                for option in override["properties"]
                if option["id"] == "unit"
            }
            for target in targets(name, {**DASHBOARDS[name], "panels": [panel], "templating": {"list": []}}):
                if target.shape != "table":
                    continue
                answer = self.answer(grafana_server, target)
                for column, kind in zip(answer.columns, answer.kinds(), strict=True):
                    is_text = units.get(column, config["defaults"]["unit"]) == "string"
                    assert kind == "time" or is_text is (kind == "text"), f"{target.place}: {column}"

    @staticmethod
    def answer(clickhouse: ClickHouse, target: Target) -> Answer:
        now = datetime.now(UTC)
        context = Context(now - timedelta(days=1), now, variables=SELECTIONS["all"])
        return run(clickhouse, f"SELECT * FROM ({expand(target.sql, context)}) LIMIT 0")

    def test_variables_are_tried(self, name: str) -> None:
        tried = SELECTIONS["all"].keys() | {"site_url"}
        assert {variable["name"] for variable in variables(DASHBOARDS[name])} <= tried


def test_lists_of_choices_begin_with_all(dataset: Dataset, grafana_server: ClickHouse) -> None:
    for target in TARGETS:
        if target.shape == "variable" and target.place.removeprefix("variable ") in ALL:
            found = answer(grafana_server, target, dataset, "all")
            assert found.rows[0] == ("", "All")
            assert found.rows[1:] == sorted(found.rows[1:])
            assert (len(found.rows) > 1) is (dataset.name != "empty")


def test_chosen_values_make_a_difference(dataset: Dataset, grafana_server: ClickHouse) -> None:
    if dataset.name != "sixty days":
        return
    for target in TARGETS:
        for variable in ALL:
            if target.shape in ("series", "table") and f"${{{variable}:" in target.sql:
                nothing: dict[str, Any] = {**SELECTIONS["all"], variable: "no such value"}
                start = dataset.now - timedelta(days=60)
                context = Context(start, dataset.now, timedelta(hours=2), nothing)
                filtered = run(grafana_server, expand(target.sql, context)).rows
                assert filtered != answer(grafana_server, target, dataset, "all").rows, f"{target.place}: {variable}"
