"""The overview's charts: the daily totals of the longer window."""

from __future__ import annotations

from collections.abc import Callable

from otel_intel.events import OUTCOME_STATUSES

from .charts import Chart, Kind, Series, Unit
from .format import tone, words
from .summary import WINDOWS, Summary, Totals


def trend_charts(summary: Summary) -> dict[str, Chart]:
    """Return the charts by the name that the template gives them."""
    return {
        "rates": _chart(
            summary,
            "rates-by-day",
            "Acceptance and override rate",
            "line",
            "percent",
            ("accepted per viewed", "accepted", lambda totals: totals.acceptance_rate),
            ("overridden per decision", "overridden", lambda totals: totals.override_rate),
        ),
        "times": _chart(
            summary,
            "decision-times-by-day",
            "Average decision time",
            "line",
            "ms",
            ("average", "time", lambda totals: totals.average_ms),
        ),
        "actions": _chart(
            summary,
            "actions-by-day",
            "Recommendation events a day",
            "stacked",
            "count",
            ("viewed", "viewed", lambda totals: totals.viewed),
            ("accepted", "accepted", lambda totals: totals.accepted),
            ("ignored", "ignored", lambda totals: totals.ignored),
            ("overridden", "overridden", lambda totals: totals.overridden),
        ),
        "endings": _chart(
            summary,
            "outcomes-by-day",
            "Outcomes a day",
            "stacked",
            "count",
            *((words(status), tone(status), _outcomes(status)) for status in OUTCOME_STATUSES),
        ),
    }


def _chart(
    summary: Summary,
    name: str,
    title: str,
    kind: Kind,
    unit: Unit,
    *series: tuple[str, str, Callable[[Totals], float | None]],
) -> Chart:
    days = summary.by_day(WINDOWS[-1])
    return Chart(
        name,
        title,
        kind,
        unit,
        "Day",
        [str(day) for day, _ in days],
        [Series(label, [value(totals) for _, totals in days], [colour]) for label, colour, value in series],
        f"?csv={name}",
    )


def _outcomes(status: str) -> Callable[[Totals], float | None]:
    return lambda totals: totals.by_status(status)
