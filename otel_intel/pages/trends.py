"""The overview's charts: the numbers of each day of the longer window."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from otel_intel.events import OUTCOME_STATUSES, of_kind

from .charts import Chart, Kind, Series, Unit
from .format import tone, words
from .summary import Numbers, Summary


def rates_chart(summary: Summary) -> Chart:
    """Return acceptance and override rate by day."""
    lines = (
        ("accepted per viewed", "accepted", "acceptance_rate"),
        ("overridden per decision", "overridden", "override_rate"),
    )
    return _chart(summary, "rates-by-day", "Acceptance and override rate", "line", "percent", lines, Numbers.value)


def times_chart(summary: Summary) -> Chart:
    """Return the average decision time by day."""
    lines = (("average", "time", "average_ms"),)
    return _chart(summary, "decision-times-by-day", "Average decision time", "line", "ms", lines, Numbers.value)


def actions_chart(summary: Summary) -> Chart:
    """Return recommendation events by day and action."""
    bars = [(words(event.value), tone(event.value), event.column) for event in of_kind("recommendation")]
    return _chart(summary, "actions-by-day", "Recommendation events a day", "stacked", "count", bars, Numbers.count)


def outcomes_chart(summary: Summary) -> Chart:
    """Return first outcomes by day and status."""
    bars = [(words(status), tone(status), status.lower()) for status in OUTCOME_STATUSES]
    return _chart(summary, "outcomes-by-day", "Outcomes a day", "stacked", "count", bars, Numbers.count)


def _chart(
    summary: Summary,
    name: str,
    title: str,
    kind: Kind,
    unit: Unit,
    series: Iterable[tuple[str, str, str]],
    read: Callable[[Numbers, str], float | None],
) -> Chart:
    days = summary.by_day()
    return Chart(
        name,
        title,
        kind,
        unit,
        "Day",
        [str(day) for day, _ in days],
        [Series(label, [read(numbers, column) for _, numbers in days], [colour]) for label, colour, column in series],
        f"?csv={name}",
    )
