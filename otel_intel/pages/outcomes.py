"""How signals ended and how long that took: the first outcome of each signal, as the metrics count it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from django.http import QueryDict

from otel_intel.reading.reader import Parameter, Reader

from .charts import Chart, Series
from .context import Context
from .filters import Filters
from .format import hours, number, percent, tone, words
from .links import link
from .tables import Cell, Header, Table


@dataclass(frozen=True, slots=True)
class _Status:
    outcome_status: str
    count: int
    share: float | None
    samples: int
    average_hours: float | None
    p50_hours: float | None
    p90_hours: float | None
    from_hours: list[int]
    histogram: list[int]


@dataclass(frozen=True, slots=True)
class OutcomesContext(Context):
    """The variables of outcomes.html besides those of the log.

    Args:
        distribution: Counts, shares and times of each status.
        shares: The counts as a chart.
        resolution: The times as a chart.
    """

    distribution: Table
    shares: Chart
    resolution: Chart


def outcomes_context(reader: Reader, filters: Filters, query: QueryDict) -> OutcomesContext:
    """Return the distribution and the times to resolution, for the range and the engine version."""
    parameters: dict[str, Parameter] = {
        "first": filters.first_day,
        "last": filters.last_day,
        "version": filters.equal.get("version", ""),
    }
    statuses = reader.rows(
        _Status,
        "SELECT * FROM metrics.resolution_times_between(first_day = {first:Date}, last_day = {last:Date},"
        " engine_version = {version:String})",
        parameters,
    )
    names = [words(status.outcome_status) for status in statuses]
    tones = [tone(status.outcome_status) for status in statuses]
    return OutcomesContext(
        distribution=_distribution(statuses, link(query, csv="outcome-distribution")),
        shares=Chart(
            "outcomes",
            "Outcomes",
            "bar",
            "count",
            "Outcome",
            names,
            [Series("signals", [status.count for status in statuses], tones)],
            link(query, csv="outcomes"),
        ),
        resolution=Chart(
            "time-to-resolution",
            "Time to resolution",
            "stacked",
            "count",
            "Time",
            _ranges(statuses[0].from_hours),
            [
                Series(name, status.histogram, [colour])
                for name, status, colour in zip(names, statuses, tones, strict=True)
            ],
            link(query, csv="time-to-resolution"),
        ),
    )


def _ranges(from_hours: list[int]) -> list[str]:
    """Return names for the ranges that begin at these hours; the last range has no end."""
    ranges = []
    for low, high in pairwise(from_hours):
        in_days = low >= 24
        unit = "day" if in_days else "hour"
        end = high // 24 if in_days else high
        start = low // 24 if in_days else low
        ranges.append(f"{start} to {end} {unit}s" if low else f"under {end} {unit}{'' if end == 1 else 's'}")
    return [*ranges, f"over {from_hours[-1] // 24} days"]


def _distribution(statuses: list[_Status], csv_url: str) -> Table:
    rows = [
        [
            Cell(row.outcome_status, words(row.outcome_status), f"badge {tone(row.outcome_status)}"),
            Cell(row.count, number(row.count), "number"),
            Cell(row.share, percent(row.share), "number"),
            Cell(row.average_hours, hours(row.average_hours), "number"),
            Cell(row.p50_hours, hours(row.p50_hours), "number"),
            Cell(row.p90_hours, hours(row.p90_hours), "number"),
        ]
        for row in statuses
    ]
    heads = ("Signals", "Share", "Average time", "Half within", "90 % within")
    return Table(
        "outcome-distribution",
        "Outcomes and time to resolution",
        [Header("Outcome"), *(Header(head, "number") for head in heads)],
        rows,
        csv_url,
    )
