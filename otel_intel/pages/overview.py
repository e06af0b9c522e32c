"""The overview: five metrics against the window before, trends, engine versions, and what happened last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse

from otel_intel.events import OUTCOME_STATUSES
from otel_intel.reading.days import first_day
from otel_intel.reading.reader import Reader

from .filters import Filters
from .format import NONE, duration, number, percent, tone, words
from .keyset import EVENTS, OUTCOMES, VIEWS, Log
from .log import Context
from .rows import log_table
from .summary import WINDOWS, Change, Summary, Totals, change
from .tables import Cell, Header, Table
from .trends import trend_charts

RECENT: Final = 8
BAR: Final = 1000
"""Width of a bar of shares in its drawing's units."""


@dataclass(frozen=True, slots=True)
class _Metric:
    title: str
    value: Callable[[Totals], float | None]
    shown: Callable[[float | None], str]
    base: Callable[[Totals], str]
    relative: bool = False
    more_is_good: bool = False


_METRICS: Final = (
    _Metric(
        "Acceptance rate",
        lambda totals: totals.acceptance_rate,
        percent,
        lambda totals: f"{number(totals.accepted)} accepted of {number(totals.viewed)} viewed",
        more_is_good=True,
    ),
    _Metric(
        "Decision time",
        lambda totals: totals.average_ms,
        duration,
        lambda totals: f"average of {number(totals.samples)} decisions",
        relative=True,
    ),
    _Metric(
        "Override rate",
        lambda totals: totals.override_rate,
        percent,
        lambda totals: f"{number(totals.overridden)} of {number(totals.decisions)} decisions",
    ),
    _Metric(
        "False positive rate",
        lambda totals: totals.false_positive_rate,
        percent,
        lambda totals: f"{number(totals.false_positive)} of {number(totals.outcomes)} outcomes",
    ),
)


class Figure(NamedTuple):
    """Hold a metric over one window, as shown."""

    days: int
    value: str
    change: Change
    base: str
    more: str


class Part(NamedTuple):
    """Hold one status of a distribution, as shown; x and width of BAR."""

    name: str
    tone: str
    x: int
    width: int
    share: str
    signals: str
    change: Change


def overview_context(reader: Reader, last: date) -> Context:
    """Return what the overview shows for the windows that end with ``last``."""
    summary = Summary(reader, first_day(2 * WINDOWS[-1], last), last)
    events = _recent(reader, EVENTS, "recommendation-events", "Latest recommendation events", summary)
    outcomes = _recent(reader, OUTCOMES, "outcome-snapshots", "Latest outcomes", summary)
    activity = _recent(reader, VIEWS, "view-telemetry", "Latest activity", summary)
    summary.wait()
    if summary.is_empty and not activity.rows:
        return {"is_empty": True}
    return {
        "is_empty": False,
        "last": str(last),
        "cards": [(metric.title, _figures(metric, summary)) for metric in _METRICS],
        "distributions": [(days, _distribution(summary, days)) for days in WINDOWS],
        "metrics": _metrics_table(summary),
        "versions": _versions(summary),
        "events": events,
        "outcomes": outcomes,
        "activity": activity,
        **trend_charts(summary),
    }


def _figures(metric: _Metric, summary: Summary) -> list[Figure]:
    figures = []
    for days in WINDOWS:
        now, before = summary.window(days), summary.window(days, before=1)
        moved = change(metric.value, now, before, relative=metric.relative, more_is_good=metric.more_is_good)
        more = ""
        if metric.shown is duration:
            spread = summary.quantiles[days]
            more = f"half in {duration(spread.p50_ms)}, 90 % in {duration(spread.p90_ms)}"
        figures.append(Figure(days, metric.shown(metric.value(now)), moved, metric.base(now), more))
    return figures


def _distribution(summary: Summary, days: int) -> list[Part]:
    now, before = summary.window(days), summary.window(days, before=1)
    parts: list[Part] = []
    x = 0.0
    for status in OUTCOME_STATUSES:

        def share(totals: Totals, status: str = status) -> float | None:
            return totals.by_status(status) / totals.outcomes if totals.outcomes else None

        moved = change(share, now, before, relative=False, more_is_good=status == "RESOLVED")
        width = (share(now) or 0.0) * BAR
        parts.append(
            Part(
                words(status),
                tone(status),
                round(x),
                round(x + width) - round(x),
                percent(share(now)),
                number(now.by_status(status)),
                # Of the statuses, only two are good or bad in themselves.
                moved if status in ("RESOLVED", "FALSE_POSITIVE") else Change(moved.text, ""),
            )
        )
        x += width
    return parts


def _recent(reader: Reader, log: Log, page: str, caption: str, summary: Summary) -> Table:
    rows, _ = log.page(reader, Filters(summary.first, summary.last), RECENT)
    without = () if log is EVENTS else ("is_first", "trace_id")  # two tables stand side by side
    return log_table(log, rows, caption, QueryDict(), page=reverse(page), without=without)


def _metrics_table(summary: Summary) -> Table:
    lines: list[tuple[str, Callable[[Totals], float | None]]] = [
        ("viewed", lambda totals: totals.viewed),
        ("accepted", lambda totals: totals.accepted),
        ("ignored", lambda totals: totals.ignored),
        ("overridden", lambda totals: totals.overridden),
        ("acceptance_rate", lambda totals: totals.acceptance_rate),
        ("acceptance_share", lambda totals: totals.acceptance_share),
        ("override_rate", lambda totals: totals.override_rate),
        ("decision_time_samples", lambda totals: totals.samples),
        ("decision_time_average_ms", lambda totals: totals.average_ms),
        ("outcomes", lambda totals: totals.outcomes),
        ("resolved", lambda totals: totals.resolved),
        ("escalated", lambda totals: totals.escalated),
        ("no_action", lambda totals: totals.no_action),
        ("false_positive", lambda totals: totals.false_positive),
        ("false_positive_rate", lambda totals: totals.false_positive_rate),
    ]
    windows = [(days, before) for days in WINDOWS for before in (0, 1)]
    totals = [summary.window(days, before=before) for days, before in windows]
    rows = [[Cell(title), *(Cell(value(of_window)) for of_window in totals)] for title, value in lines]
    for key in ("p50_ms", "p90_ms"):
        cells = [Cell(None if before else getattr(summary.quantiles[days], key)) for days, before in windows]
        rows.append([Cell(f"decision_time_{key}"), *cells])
    heads = [Header(f"{'before_' if before else ''}last_{days}_days") for days, before in windows]
    return Table("metrics", "The five metrics", [Header("metric"), *heads], rows, "?csv=metrics")


def _versions(summary: Summary) -> Table:
    events = reverse("recommendation-events")
    rows = [
        [
            Cell(version, version or NONE, "version", f"{events}?{urlencode({'version': version})}"),
            *(
                Cell(count, number(count), "number")
                for count in (totals.viewed, totals.accepted, totals.ignored, totals.overridden)
            ),
            Cell(totals.acceptance_rate, percent(totals.acceptance_rate), "number"),
            Cell(totals.acceptance_share, percent(totals.acceptance_share), "number"),
            Cell(totals.override_rate, percent(totals.override_rate), "number"),
            Cell(totals.average_ms, duration(totals.average_ms), "number"),
            Cell(totals.outcomes, number(totals.outcomes), "number"),
            Cell(totals.false_positive_rate, percent(totals.false_positive_rate), "number"),
        ]
        for version, totals in summary.by_version(WINDOWS[-1])
    ]
    heads = (
        *("Viewed", "Accepted", "Ignored", "Overridden", "Acceptance rate", "Acceptance share"),
        *("Override rate", "Decision time", "Outcomes", "False positives"),
    )
    return Table(
        "engine-versions",
        f"Last {WINDOWS[-1]} days",
        [Header("Engine"), *(Header(head, "number") for head in heads)],
        rows,
        "?csv=engine-versions",
    )
