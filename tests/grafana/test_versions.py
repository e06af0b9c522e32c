"""The sentence that compares two engine versions, checked with statistics computed by hand."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.grafana.datasets import Landed, land, nanoseconds
from tests.grafana.files import dashboards, panels
from tests.grafana.macros import Context, expand
from tests.grafana.queries import run
from tests.otlp import event
from tests.servers import ClickHouse

A, B = "v1", "v2-o'clock"


def decided(version: str, decisions: int, accepted: int) -> Iterator[Landed]:
    """Yield decisions made a moment ago."""
    at = nanoseconds(datetime.now(UTC))
    for number in range(decisions):
        action = "accepted" if number < accepted else "ignored"
        yield Landed(event(f"recommendation.{action}", at, **{"intel.engine.version": version}), at)


def verdict(clickhouse: ClickHouse, a: str = A, b: str = B) -> str:
    """Return the dashboard's sentence."""
    [panel] = [panel for panel in panels(dashboards()["engine_versions"]) if panel["title"] == "Verdict"]
    now = datetime.now(UTC)
    context = Context(now - timedelta(days=30), now, variables={"version_a": a, "version_b": b, "window": "7"})
    [[sentence]] = run(clickhouse, expand(panel["targets"][0]["rawSql"], context)).rows
    return str(sentence)


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ((100, 50), (100, 80), f"{B} is better than {A}: "),
        ((100, 80), (100, 50), f"{B} is worse than {A}: "),
        ((100, 50), (100, 55), f"{B} is not distinguishable from {A}: "),
        ((1000, 500), (1000, 543), f"{B} is not distinguishable from {A}: "),  # p just above 0.05
        ((1000, 500), (1000, 544), f"{B} is better than {A}: "),  # and just below
    ],
)
def test_verdict(clickhouse: ClickHouse, a: tuple[int, int], b: tuple[int, int], words: str) -> None:
    land(clickhouse, [*decided(A, *a), *decided(B, *b)])
    (n_a, accepted_a), (n_b, accepted_b) = a, b
    share_a, share_b = accepted_a / n_a, accepted_b / n_b
    difference, pooled = share_b - share_a, (accepted_a + accepted_b) / (n_a + n_b)
    z = difference / math.sqrt(pooled * (1 - pooled) * (1 / n_a + 1 / n_b))
    margin = 1.959964 * math.sqrt(share_a * (1 - share_a) / n_a + share_b * (1 - share_b) / n_b)
    p = math.erfc(abs(z) / math.sqrt(2))
    sentence = verdict(clickhouse)
    assert sentence.startswith(words)
    assert sentence.endswith(". Unit = decision, each counted once.")
    found = re.search(r"share ([-+.\d]+) points, 95 % interval ([-+.\d]+) to ([-+.\d]+), p = ([.\d]+)\.", sentence)
    assert found
    expected = (100 * difference, 100 * (difference - margin), 100 * (difference + margin))
    assert [float(value) for value in found.groups()[:3]] == pytest.approx(expected, abs=0.0501)
    assert float(found[4]) == pytest.approx(p, abs=0.000501)


def test_few_decisions_are_a_hint_at_most(clickhouse: ClickHouse) -> None:
    land(clickhouse, [*decided(A, 500, 100), *decided(B, 49, 40)])
    assert "few decisions, a hint at most" in verdict(clickhouse)
    land(clickhouse, decided(B, 1, 1))
    assert "few decisions" not in verdict(clickhouse)


def test_all_accepted_by_both_has_no_p(clickhouse: ClickHouse) -> None:
    land(clickhouse, [*decided(A, 60, 60), *decided(B, 60, 60)])
    sentence = verdict(clickhouse)
    assert sentence.startswith(f"{B} is not distinguishable from {A}: acceptance share +0.0 points")
    assert "nan" not in sentence


@pytest.mark.parametrize(("versions", "missing"), [((A,), B), ((B,), A), ((), A)])
def test_nothing_to_compare_with(clickhouse: ClickHouse, versions: tuple[str, ...], missing: str) -> None:
    for version in versions:
        land(clickhouse, decided(version, 10, 5))
    assert verdict(clickhouse) == f"No comparison: nothing was decided with {missing}."


def test_one_version_gives_no_comparison(clickhouse: ClickHouse) -> None:
    assert verdict(clickhouse, A, A) == "Choose two different versions."
