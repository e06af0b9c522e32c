"""Every step of a trend equals the number of its days in slow Python."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from tests.otlp import deliver
from tests.servers import ClickHouse
from tests.sql.reference import STATUSES, Reference, Window
from tests.sql.streams import DAYS, FIRST_DAY, TYPES, VERSIONS, make_stream

FILTERS = ("engine_version", "recommendation_type", "confidence", "service_name")
FIRST, LAST = FIRST_DAY - timedelta(days=2), FIRST_DAY + timedelta(days=DAYS + 2)


@pytest.fixture(scope="module")
def loaded(clickhouse_server: ClickHouse) -> tuple[ClickHouse, Reference]:
    """A server with a stream of events, and its expected numbers."""
    stream = make_stream(11)
    clickhouse_server.empty()
    for batch in stream.batches:
        deliver(clickhouse_server, *batch)
    return clickhouse_server, Reference(stream.deliveries)


def expected(reference: Reference, first: date, last: date, *filters: str) -> dict[str, object]:
    """Return the row of a step."""
    of_recommendations = Window(first, last, *filters)
    of_outcomes = Window(first, last, of_recommendations.engine_version, "", "", of_recommendations.service_name)
    outcomes = {row["outcome_status"].lower(): row for row in reference.outcome_distribution(of_outcomes)}
    false_positives = reference.false_positive_rate(of_outcomes)
    return {
        "first_day": first,
        "last_day": last,
        **reference.acceptance_rate(of_recommendations),
        "override_rate": reference.override_rate(of_recommendations)["override_rate"],
        **reference.decision_time(of_recommendations),
        **{status.lower(): outcomes[status.lower()]["count"] for status in STATUSES},
        **{f"{status.lower()}_share": outcomes[status.lower()]["share"] for status in STATUSES},
        "outcomes": false_positives["outcomes"],
        "false_positive_rate": false_positives["false_positive_rate"],
    }


@pytest.mark.parametrize("step", [1, 7])
@pytest.mark.parametrize(
    "filters",
    [
        ("", "", "", ""),
        (VERSIONS[0], "", "", ""),
        ("", TYPES[0], "", ""),
        ("", "", "HIGH\nLOW", ""),
        ("", "", "", "shop"),
        ("\n".join(VERSIONS[1:]), TYPES[1], "MEDIUM", "shop\nbilling"),
    ],
    ids=["all", "version", "type", "confidences", "service", "each"],
)
def test_every_step(loaded: tuple[ClickHouse, Reference], step: int, filters: tuple[str, ...]) -> None:
    clickhouse, reference = loaded
    arguments = ", ".join(f"{name} = {{{name}:String}}" for name in FILTERS)
    rows = clickhouse.rows(
        f"SELECT * FROM metrics.trend_between(first_day = '{FIRST}', last_day = '{LAST}', step = {step}, {arguments})",
        dict(zip(FILTERS, filters, strict=True)),
    )
    assert rows == [expected(reference, *days, *filters) for days in steps(step)]


def steps(step: int) -> list[tuple[date, date]]:
    """Return the first and the last day of each step, oldest first."""
    found, end = [], LAST
    while end >= FIRST:
        found.append((max(FIRST, end - timedelta(days=step - 1)), end))
        end -= timedelta(days=step)
    return found[::-1]


@pytest.mark.parametrize("step", [1, 7, 100])
@pytest.mark.parametrize(
    "filters",
    [
        ("", "", "", "", "a1"),
        ("", "", "", "", "a1\na2\n"),
        (VERSIONS[0], "", "HIGH\nLOW", "", "a2"),
        ("\n".join(VERSIONS), TYPES[1], "", "shop\nbilling", "a1\nnobody"),
        ("", "", "", "", "nobody"),
        ("\n", "", "\n\n", "", ""),
    ],
    ids=["one", "two", "version", "each", "nobody", "all"],
)
def test_every_step_of_admins(loaded: tuple[ClickHouse, Reference], step: int, filters: tuple[str, ...]) -> None:
    clickhouse, reference = loaded
    names = (*FILTERS, "admin_id")
    arguments = ", ".join(f"{name} = {{{name}:String}}" for name in names)
    rows = clickhouse.rows(
        "SELECT * FROM metrics.trend_of_admins_between"
        f"(first_day = '{FIRST}', last_day = '{LAST}', step = {step}, {arguments})",
        dict(zip(names, filters, strict=True)),
    )
    windows = [Window(*days, *filters) for days in steps(step)]
    assert rows == [
        {
            "first_day": window.first_day,
            "last_day": window.last_day,
            **reference.acceptance_rate(window),
            "override_rate": reference.override_rate(window)["override_rate"],
            **reference.decision_time(window),
        }
        for window in windows
    ]


def test_the_first_days_that_there_are(loaded: tuple[ClickHouse, Reference]) -> None:
    clickhouse, _ = loaded
    rows = clickhouse.rows(
        "SELECT first_day, last_day FROM metrics.trend_between(first_day = '1970-01-01', last_day = '1970-01-10',"
        " step = 7, engine_version = '', service_name = '', recommendation_type = '', confidence = '')"
    )
    assert [tuple(row.values()) for row in rows] == [
        (date(1970, 1, 1), date(1970, 1, 3)),
        (date(1970, 1, 4), date(1970, 1, 10)),
    ]
