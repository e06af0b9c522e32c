"""The query that a view is made of, as readers ask it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from otel_intel.exceptions import TelemetryUnavailable
from otel_intel.reading import definitions, metrics
from otel_intel.reading.reader import Reader
from tests.otlp import event, send
from tests.pipeline.test_metrics import numbers
from tests.servers import ClickHouse

VIEW = "CREATE OR REPLACE VIEW metrics.for_a_test AS SELECT {{number:UInt8}} + {} AS answer"


@pytest.fixture
def changing(reading: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClickHouse]:
    """A server with one more view, which answers with the number and 1."""
    monkeypatch.setattr(definitions, "definitions", {})
    reading.client("admin").command(VIEW.format(1))
    yield reading
    reading.client("admin").command("DROP VIEW metrics.for_a_test")


def answer() -> int:
    reader = Reader()
    sql = f"SELECT answer FROM ({definitions.definition(reader, 'for_a_test')})"
    [row] = reader.rows(dict[str, int], sql, {"number": 5})
    return row["answer"]


def test_it_has_the_views_parameters(changing: ClickHouse) -> None:
    assert answer() == 6


def test_it_is_remembered_for_a_minute(changing: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    assert answer() == 6
    changing.client("admin").command(VIEW.format(2))
    assert answer() == 6
    monkeypatch.setattr(definitions, "REMEMBERED", 0.0)
    assert answer() == 7


def test_a_view_that_is_missing_is_named(reading: ClickHouse) -> None:
    with pytest.raises(TelemetryUnavailable, match=r"no metrics\.nothing: run `otel-intel migrate`"):
        definitions.definition(Reader(), "nothing")


def test_a_number_and_its_view_are_equal(reading: ClickHouse) -> None:
    send(reading, *(event(f"recommendation.{name}") for name in ("viewed", "accepted", "ignored")))
    [row] = reading.rows("SELECT * FROM metrics.acceptance_rate(days = 1)")
    found = metrics.get_recommendation_acceptance_rate(1)
    assert row == {name: value for name, value in found.items() if name in row}


def test_a_user_who_may_read_the_views_alone_gets_the_same(reading: ClickHouse, settings: Settings) -> None:
    send(reading, event("recommendation.viewed"), event("recommendation.accepted"))
    right = metrics.get_recommendation_acceptance_rate(1), metrics.get_override_rate(1, admin_id="a1")
    settings.OTEL_INTEL = {"CLICKHOUSE_URL": reading.url("dashboard"), "QUERY_TIMEOUT": 20.0}
    assert "FROM metrics.acceptance_rate_between(" in definitions.definition(Reader(), "acceptance_rate_between")
    found = metrics.get_recommendation_acceptance_rate(1), metrics.get_override_rate(1, admin_id="a1")
    assert [numbers(one) for one in found] == [numbers(one) for one in right]
    assert found[0]["viewed"] == 1
