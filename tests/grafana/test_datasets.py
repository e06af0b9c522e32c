"""The datasets contain what they promise, so a query without rows is an error of the query."""

from __future__ import annotations

from datetime import date

from tests.grafana.datasets import ADMINS, CANARY, CURRENT, OLD, SERVICES, TYPES, Dataset
from tests.servers import ClickHouse
from tests.sql.reference import ACTIONS, Window


def test_dataset_becomes_the_facts_that_the_reference_counts(dataset: Dataset, grafana_server: ClickHouse) -> None:
    reference = dataset.reference
    assert grafana_server.value("SELECT count() FROM metrics.recommendation_events") == len(reference.recommendations)
    assert grafana_server.value("SELECT countIf(is_first) FROM metrics.signal_outcomes") == len(
        reference.first_outcomes
    )
    everything = Window(date(1970, 1, 1), date(2149, 6, 5))
    [row] = grafana_server.rows(
        "SELECT * FROM metrics.decision_time_between("
        "first_day = '1970-01-01', last_day = '2149-06-05', engine_version = '',"
        " recommendation_type = '', confidence = '', service_name = '')"
    )
    expected = reference.decision_time(everything)
    assert (row["samples"], row["p50_ms"], row["p90_ms"]) == tuple(
        expected[name] for name in ("samples", "p50_ms", "p90_ms")
    )


def test_history_holds_everything_that_a_filter_can_ask_for(dataset: Dataset, grafana_server: ClickHouse) -> None:
    def distinct(column: str, view: str = "recommendation_events") -> set[str]:
        found = grafana_server.rows(f"SELECT DISTINCT {column} AS value FROM metrics.{view}")
        return {row["value"] for row in found}

    days = {"empty": 0, "one day": 1, "sixty days": 60}[dataset.name]
    assert len(distinct("toDate(timestamp)")) == days
    if days == 60:
        assert distinct("recommendation_type") == set(TYPES)
        assert distinct("engine_version") == {OLD, CURRENT, CANARY}
        assert distinct("service_name") == set(SERVICES)
        assert distinct("admin_id", "admin_views") == set(ADMINS)
        assert distinct("action") == set(ACTIONS)
    if days:
        [health] = grafana_server.rows(
            "SELECT sum(duplicates) AS duplicates, sum(conflicting) AS conflicting FROM metrics.ingest_health"
        )
        assert health["duplicates"] == 2 * health["conflicting"] > 0
        assert grafana_server.value("SELECT count() FROM metrics.rejected_events") == (20 if days == 60 else 10)
