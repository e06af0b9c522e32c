"""The overview's cards: what stands below a number."""

from __future__ import annotations

import pytest

from otel_intel.pages import overview
from otel_intel.pages.summary import Numbers


@pytest.mark.parametrize(
    ("count", "texts"),
    [
        (1, ["1 accepted of 1 viewed", "average of 1 decision", "1 of 1 decision", "1 of 1 outcome"]),
        (2, ["2 accepted of 2 viewed", "average of 2 decisions", "2 of 2 decisions", "2 of 2 outcomes"]),
    ],
)
def test_the_base_of_a_metric_is_counted_in_words(count: int, texts: list[str]) -> None:
    columns = ("accepted", "viewed", "samples", "overridden", "decisions", "false_positive", "outcomes")
    numbers = Numbers(dict.fromkeys(columns, count))
    assert [metric.base(numbers) for metric in overview._METRICS] == texts
