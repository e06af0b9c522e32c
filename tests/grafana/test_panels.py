"""Compare every row of every query of the dashboards with a slow count."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from tests.grafana import slow_decisions as decisions
from tests.grafana import slow_rest as rest
from tests.grafana.datasets import CANARY, CURRENT, OLD, SERVICES, TYPES, Dataset, nanoseconds
from tests.grafana.files import Target, dashboards, targets
from tests.grafana.macros import Context, expand
from tests.grafana.queries import Answer, run
from tests.grafana.slow import Row, Rows, Slow
from tests.servers import ClickHouse

TARGETS = [target for name, dashboard in dashboards().items() for target in targets(name, dashboard)]
Count = Callable[[Slow], Rows]


def choices(**dimensions: str) -> dict[str, Count]:
    """Return the slow counts of the variables whose values come from events in the range."""
    return {
        f"variable {name}": partial(decisions.choices, dimension=dimension) for name, dimension in dimensions.items()
    }


VERSION = choices(engine_version="version")
TYPE = choices(recommendation_type="type")
CONFIDENCE = choices(confidence="confidence")
SERVICE: dict[str, Count] = {"variable service": rest.services}
MARKS: dict[str, Count] = {"annotation": decisions.new_versions}
# By dashboard and panel id: an id never changes, a title may.
COUNTS: dict[str, dict[str, Count]] = {
    "overview": {
        "1": decisions.acceptance_share_now,
        "2": decisions.acceptance_rate_now,
        "3": decisions.override_rate_now,
        "4": decisions.decision_time_now,
        "5": decisions.false_positive_rate_now,
        "6": decisions.distribution_now,
        "7": partial(decisions.shares_by_day, filters=decisions.OVERVIEW),
        "8": partial(decisions.times_by_day, filters=decisions.OVERVIEW),
        "9": decisions.volume,
        "10": decisions.funnel,
        **VERSION,
        **TYPE,
        **MARKS,
    },
    "recommendations": {
        "1": partial(decisions.decisions_by, dimension="type"),
        "2": partial(decisions.decisions_by, dimension="confidence"),
        "3": partial(decisions.decisions_by, dimension="version"),
        "4": partial(decisions.shares_by_day, filters=decisions.RECOMMENDATIONS),
        "5": partial(decisions.times_by_day, filters=decisions.RECOMMENDATIONS),
        "6": decisions.time_buckets,
        "7": decisions.recent,
        **VERSION,
        **TYPE,
        **CONFIDENCE,
        **SERVICE,
        **MARKS,
    },
    "outcomes": {
        "1": rest.outcomes_in_numbers,
        "2": rest.distribution,
        "3": rest.later,
        "4": rest.by_status,
        "5": rest.false_positives_by_day,
        "6": rest.outcomes_by_version,
        "7": rest.resolution_by_day,
        "8": rest.later_events,
        **VERSION,
        **SERVICE,
        **MARKS,
    },
    "admin_activity": {
        "1": rest.activity_in_numbers,
        "2": partial(rest.views_by_day, count=rest._kinds),
        "3": partial(rest.views_by_day, count=rest._use),
        "4": rest.hours_of_the_week,
        "5": rest.top_admins,
        "6": partial(rest.views_by_day, count=rest.admins),
        **VERSION,
        **SERVICE,
    },
    "engine_versions": {
        "1": decisions.verdict,
        "2": decisions.difference,
        "3": decisions.both_in_numbers,
        "4": partial(decisions.of_both, kind="shares"),
        "5": partial(decisions.of_both, kind="decisions"),
        "6": partial(decisions.of_both, kind="times"),
        "7": partial(decisions.of_both, kind="false positives"),
        "variable version_a": partial(decisions.versions, first=1),
        "variable version_b": partial(decisions.versions, first=0),
    },
    "pipeline_health": {
        "1": rest.senders,
        "2": rest.arrivals,
        "3": rest.delays,
        "4": rest.not_counted,
        "5": rest.drops,
        "6": rest.copies,
        "7": rest.why_not_counted,
        "8": rest.processes,
        **SERVICE,
    },
}
# These depend on the server's clock and disk; the last tests of this module cover them.
OF_NOW = {("overview", "11"), ("pipeline_health", "9"), ("pipeline_health", "10")}

ALL = dict.fromkeys(("engine_version", "recommendation_type", "confidence", "service"), "")
# The range's ends in days before now, and the variables' values: first all events, then every filter in a past range.
RANGES: dict[str, tuple[float, float, Mapping[str, str]]] = {
    "all": (45.3, 0, {**ALL, "version_a": OLD, "version_b": CURRENT, "window": "30"}),
    "chosen": (
        30.3,
        5.4,
        {
            "engine_version": CURRENT, "recommendation_type": TYPES[-1], "confidence": "MEDIUM",
            "service": SERVICES[-1], "version_a": CURRENT, "version_b": CANARY, "window": "7",
        },
    ),
}  # fmt: skip


def place(target: Target) -> str:
    """Return a target's key in COUNTS: for a panel, its id."""
    return target.place if target.shape == "variable" else target.place.split()[0]


def ask(clickhouse: ClickHouse, target: Target, slow: Slow) -> Answer:
    """Return the answer to a query in a range."""
    context = Context(slow.start, slow.end, rest.INTERVAL, slow.variables)
    return run(clickhouse, expand(target.sql, context))


def slow_count(dataset: Dataset, name: str) -> Slow:
    """Return the dataset in one of the ranges."""
    back, until, variables = RANGES[name]
    return Slow(dataset, dataset.now - timedelta(days=back), dataset.now - timedelta(days=until), variables)


def same(found: Row, expected: Row) -> bool:
    """Compare two rows; averages may differ in the last digits, because they are summed in another order."""
    return len(found) == len(expected) and all(
        math.isclose(a, b, rel_tol=1e-9) if isinstance(a, float) and isinstance(b, float | int) else a == b
        for a, b in zip(found, expected, strict=True)
    )


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: f"{target.dashboard} {target.place}")
def test_rows_equal_a_slow_count(dataset: Dataset, grafana_server: ClickHouse, target: Target, name: str) -> None:
    if (target.dashboard, place(target)) in OF_NOW:
        return
    slow = slow_count(dataset, name)
    expected = COUNTS[target.dashboard][place(target)](slow)
    found = ask(grafana_server, target, slow).rows
    differing = [rows for rows in zip(found, expected, strict=False) if not same(*rows)]
    assert not differing, f"{len(differing)} rows differ, the first: {differing[0][0]} != {differing[0][1]}"
    assert len(found) == len(expected)


def of_now(dashboard: str, *ids: str) -> list[Target]:
    """Return the targets of panels that show the present state."""
    return [target for target in TARGETS if target.dashboard == dashboard and place(target) in ids]


@pytest.mark.parametrize("target", of_now("overview", "11"), ids=lambda target: target.place)
def test_age_of_the_last_event(dataset: Dataset, grafana_server: ClickHouse, target: Target) -> None:
    slow = slow_count(dataset, "all")
    last_ns = max((one.ingested_ns for one in slow.arrivals), default=None)
    before = time.time_ns()
    [(age,)] = ask(grafana_server, target, slow).rows
    if last_ns is None:
        assert age is None
    else:
        assert (before - last_ns) // 10**9 <= age <= (time.time_ns() - last_ns) // 10**9 + 1


@pytest.mark.parametrize("target", of_now("pipeline_health", "9", "10"), ids=lambda target: target.place)
def test_storage(dataset: Dataset, grafana_server: ClickHouse, target: Target) -> None:
    """Compare with the server's own lists; a merge between two queries would change them, so try twice."""
    slow = slow_count(dataset, "all")
    for _ in range(20):
        before = stored(grafana_server)
        found = ask(grafana_server, target, slow).rows
        if before == stored(grafana_server):
            break
    if place(target) == "10":
        assert found == sorted(before, key=lambda row: (-row[3], row[0]))
        return
    [(free_share, free, days, parts)] = found
    [[free_now, total]] = (
        grafana_server.client("admin").query("SELECT free_space, total_space FROM system.disks").result_rows
    )
    per_day = bytes_per_day(dataset, before)
    assert days == (free // per_day if per_day else None)
    assert parts == sum(row[2] for row in before)
    assert free_share * total == pytest.approx(free)
    assert free == pytest.approx(free_now, rel=0.05)


def bytes_per_day(dataset: Dataset, tables: list[tuple[str, int, int, int]]) -> int:
    """Return how many bytes of all tables a day takes: by the last week's part of the landing."""
    landed = {name: rows for name, rows, _, _ in tables}.get("otel_logs", 0)
    now = datetime.now(UTC)
    week, fortnight = nanoseconds(now - timedelta(days=7)), nanoseconds(now - timedelta(days=14))
    arrived = sum(
        one.record.name.startswith("intel.") and one.ingested_ns > week and one.record.time_ns > fortnight
        for one in dataset.landed
    )
    return round(sum(size for *_, size in tables) * arrived / 7 / landed) if landed else 0


def stored(clickhouse: ClickHouse) -> list[tuple[str, int, int, int]]:
    """Return name, rows, parts and bytes of every table that has any."""
    sql = """SELECT table, sum(rows), count(), sum(bytes_on_disk) FROM system.parts
        WHERE active AND database = 'intel' GROUP BY table"""
    return [(str(row[0]), row[1], row[2], row[3]) for row in clickhouse.client("admin").query(sql).result_rows]
