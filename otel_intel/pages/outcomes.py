"""How signals ended and how long that took: the first outcome of each signal, as the metrics count it."""

from __future__ import annotations

from typing import Final, NamedTuple

from django.http import QueryDict

from otel_intel.events import OUTCOME_STATUSES
from otel_intel.reading.reader import Parameter, Reader

from .charts import Chart, Series
from .filters import Filters
from .format import hours, number, percent, tone, words
from .log import Context
from .rows import link
from .tables import Cell, Header, Table

_BUCKETS: Final = (
    ("under 1 hour", 0, 1),
    ("1 to 4 hours", 1, 4),
    ("4 to 24 hours", 4, 24),
    ("1 to 3 days", 24, 72),
    ("3 to 7 days", 72, 168),
    ("over 7 days", 168, float("inf")),
)


class _Status(NamedTuple):
    outcome_status: str
    outcomes: int
    samples: int
    average_hours: float | None
    p50_hours: float | None
    p90_hours: float | None
    buckets: list[int]


def outcomes_context(reader: Reader, filters: Filters, query: QueryDict) -> Context:
    """Return the distribution and the times to resolution, for the range and the engine version."""
    rows = {row.outcome_status: row for row in _statuses(reader, filters)}
    statuses = [rows.get(status) or _Status(status, 0, 0, None, None, None, [0] * len(_BUCKETS))
                for status in OUTCOME_STATUSES]  # fmt: skip
    tones = [tone(status.outcome_status) for status in statuses]
    return {
        "distribution": _distribution(statuses, link(query, csv="outcome-distribution")),
        "shares": Chart(
            "outcomes",
            "Outcomes",
            "bar",
            "count",
            "Outcome",
            [words(status.outcome_status) for status in statuses],
            [Series("signals", [status.outcomes for status in statuses], tones)],
            link(query, csv="outcomes"),
        ),
        "resolution": Chart(
            "time-to-resolution",
            "Time to resolution",
            "stacked",
            "count",
            "Time",
            [title for title, _, _ in _BUCKETS],
            [
                Series(words(status.outcome_status), status.buckets, [colour])
                for status, colour in zip(statuses, tones, strict=True)
            ],
            link(query, csv="time-to-resolution"),
        ),
    }


def _statuses(reader: Reader, filters: Filters) -> list[_Status]:
    value = "assumeNotNull(resolution_time_hours)"
    given = "isNotNull(resolution_time_hours)"
    buckets = ", ".join(f"countIf({given} AND {value} >= {low} AND {value} < {high})" for _, low, high in _BUCKETS)
    parameters: dict[str, Parameter] = {
        "start": filters.start, "end": filters.end, "version": filters.equal.get("version", "")
    }  # fmt: skip
    return reader.rows(
        _Status,
        # nearest rank, as everywhere; NULL without a sample
        f"SELECT outcome_status, count() AS outcomes, countIf({given}) AS samples,"
        " avg(resolution_time_hours) AS average_hours,"
        f" if(samples = 0, NULL, quantileExactWeighted(0.5)({value}, toUInt8({given}))) AS p50_hours,"
        f" if(samples = 0, NULL, quantileExactWeighted(0.9)({value}, toUInt8({given}))) AS p90_hours,"
        f" [{buckets}] AS buckets"
        " FROM metrics.signal_outcomes WHERE is_first"
        " AND timestamp >= fromUnixTimestamp64Nano({start:Int64}, 'UTC')"
        " AND timestamp < fromUnixTimestamp64Nano({end:Int64}, 'UTC')"
        " AND ({version:String} = '' OR engine_version = {version:String}) GROUP BY outcome_status",
        parameters,
    )


def _distribution(statuses: list[_Status], csv_url: str) -> Table:
    total = sum(status.outcomes for status in statuses)
    rows = [
        [
            Cell(row.outcome_status, words(row.outcome_status), f"badge {tone(row.outcome_status)}"),
            Cell(row.outcomes, number(row.outcomes), "number"),
            Cell(share := row.outcomes / total if total else None, percent(share), "number"),
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
