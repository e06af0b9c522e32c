"""The overview: five metrics compared with the window before, trends, engine versions, and the latest events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple

from django.http import QueryDict

from otel_intel.events import OUTCOME_STATUSES, of_kind
from otel_intel.reading.health import read_disks
from otel_intel.reading.reader import Reader

from . import keyset, trends
from .charts import Chart
from .context import Context
from .filters import Filters
from .format import NONE, counted, duration, number, percent, tone, words
from .links import page_link
from .log_tables import log_table
from .logs import EVENTS, OUTCOMES, VIEWS, Log
from .summary import WINDOWS, Change, Numbers, Summary, change
from .tables import Cell, Header, Table

RECENT: Final = 8
BAR: Final = 1000
"""Width of a bar of shares, in units of its SVG drawing."""

_ACTIONS: Final = [event.column for event in of_kind("recommendation")]
# Only these two statuses are good (True) or bad (False) by themselves.
_WELCOME: Final = {"RESOLVED": True, "FALSE_POSITIVE": False}


@dataclass(frozen=True, slots=True)
class _Metric:
    title: str
    column: str
    shown: Callable[[float | None], str]
    base: Callable[[Numbers], str]
    relative: bool = False
    more_is_good: bool = False


def _of(part: str, noun: str) -> Callable[[Numbers], str]:
    return lambda numbers: f"{number(numbers.count(part))} of {counted(numbers.count(f'{noun}s'), noun)}"


_METRICS: Final = (
    _Metric(
        "Acceptance rate",
        "acceptance_rate",
        percent,
        lambda numbers: f"{number(numbers.count('accepted'))} accepted of {number(numbers.count('viewed'))} viewed",
        more_is_good=True,
    ),
    _Metric(
        "Decision time",
        "average_ms",
        duration,
        lambda numbers: f"average of {counted(numbers.count('samples'), 'decision')}",
        relative=True,
    ),
    _Metric("Override rate", "override_rate", percent, _of("overridden", "decision")),
    _Metric("False positive rate", "false_positive_rate", percent, _of("false_positive", "outcome")),
)


class Figure(NamedTuple):
    """A metric over one window, as shown."""

    days: int
    value: str
    change: Change
    base: str
    more: str


class Part(NamedTuple):
    """One status of a distribution, as shown; x and width are in units of BAR."""

    name: str
    tone: str
    x: int
    width: int
    share: str
    signals: str
    change: Change


@dataclass(frozen=True, slots=True)
class OverviewContext(Context):
    """The variables of overview.html.

    Args:
        is_empty: True if no event has arrived in the last 60 days: the page then says what to do.
        last: The last day of every window.
        low_disks: A line for each disk of ClickHouse that is nearly full.
        cards: Title and figures of each metric.
        distributions: Days and parts of the outcomes in each window.
        metrics: The five metrics as a table to download.
        versions: Engine versions in the longer window.
        events: The latest recommendation events.
        outcomes: The latest outcomes.
        activity: The latest view events.
        rates: Acceptance and override rate by day.
        times: Average decision time by day.
        actions: Recommendation events by day.
        endings: Outcomes by day.
    """

    is_empty: bool
    last: str
    low_disks: list[str]
    cards: list[tuple[str, list[Figure]]]
    distributions: list[tuple[int, list[Part]]]
    metrics: Table
    versions: Table
    events: Table
    outcomes: Table
    activity: Table
    rates: Chart
    times: Chart
    actions: Chart
    endings: Chart


def overview_context(reader: Reader, last: date) -> OverviewContext:
    """Return the overview's variables for the windows that end with ``last``."""
    summary = Summary(reader, last)
    disks = read_disks(reader)
    events = _recent(reader, EVENTS, "Latest recommendation events", summary)
    outcomes = _recent(reader, OUTCOMES, "Latest outcomes", summary)
    activity = _recent(reader, VIEWS, "Latest activity", summary)
    summary.wait()
    return OverviewContext(
        is_empty=summary.is_empty and not activity.rows and not events.rows,
        last=str(last),
        low_disks=[str(disk) for disk in disks() if disk.is_low],
        cards=[(metric.title, _figures(metric, summary)) for metric in _METRICS],
        distributions=[(days, _distribution(summary, days)) for days in WINDOWS],
        metrics=_metrics_table(summary),
        versions=_versions(summary),
        events=events,
        outcomes=outcomes,
        activity=activity,
        rates=trends.rates_chart(summary),
        times=trends.times_chart(summary),
        actions=trends.actions_chart(summary),
        endings=trends.outcomes_chart(summary),
    )


def _figures(metric: _Metric, summary: Summary) -> list[Figure]:
    figures = []
    for days in WINDOWS:
        now, before = summary.window(days), summary.window(days, is_before=True)
        value = now.value(metric.column)
        moved = change(value, before.value(metric.column), relative=metric.relative, more_is_good=metric.more_is_good)
        more = ""
        if metric.shown is duration:
            more = f"half in {duration(now.value('p50_ms'))}, 90 % in {duration(now.value('p90_ms'))}"
        figures.append(Figure(days, metric.shown(value), moved, metric.base(now), more))
    return figures


def _distribution(summary: Summary, days: int) -> list[Part]:
    now, before = summary.window(days), summary.window(days, is_before=True)
    parts: list[Part] = []
    x = 0.0
    for status in OUTCOME_STATUSES:
        column = status.lower()
        share = now.value(f"{column}_share")
        moved = change(share, before.value(f"{column}_share"), relative=False, more_is_good=_WELCOME.get(status))
        width = (share or 0.0) * BAR
        edge = round(x + width)
        parts.append(
            Part(
                words(status), tone(status), round(x), edge - round(x), percent(share), number(now.count(column)), moved
            )
        )
        x += width
    return parts


def _recent(reader: Reader, log: Log, caption: str, summary: Summary) -> Table:
    rows, _ = keyset.page(log, reader, Filters(summary.first, summary.last), RECENT)
    without = () if log is EVENTS else ("is_first", "trace_id")  # two tables stand side by side
    return log_table(log, rows, caption, QueryDict(), page=page_link(log.url_name), without=without)


# Each row of the download, with its column in metrics.overview if that has another name.
_ROWS: Final = (
    *((action, action) for action in _ACTIONS),
    *((rate, rate) for rate in ("acceptance_rate", "acceptance_share", "override_rate")),
    ("decision_time_samples", "samples"),
    ("decision_time_average_ms", "average_ms"),
    ("outcomes", "outcomes"),
    *((status.lower(), status.lower()) for status in OUTCOME_STATUSES),
    ("false_positive_rate", "false_positive_rate"),
    ("decision_time_p50_ms", "p50_ms"),
    ("decision_time_p90_ms", "p90_ms"),
)
_MEASURED: Final = ("rate", "share", "ms")


def _metrics_table(summary: Summary) -> Table:
    windows = [(days, is_before) for days in WINDOWS for is_before in (False, True)]
    rows = []
    for title, column in _ROWS:
        read = Numbers.value if column.endswith(_MEASURED) else Numbers.count
        cells = [Cell(read(summary.window(days, is_before=is_before), column)) for days, is_before in windows]
        rows.append([Cell(title), *cells])
    heads = [Header(f"{'before_' if is_before else ''}last_{days}_days") for days, is_before in windows]
    return Table("metrics", "The five metrics", [Header("metric"), *heads], rows, "?csv=metrics")


def _versions(summary: Summary) -> Table:
    columns: tuple[tuple[str, str, Callable[[float | None], str]], ...] = (
        *((words(action).capitalize(), action, number) for action in _ACTIONS),
        ("Acceptance rate", "acceptance_rate", percent),
        ("Acceptance share", "acceptance_share", percent),
        ("Override rate", "override_rate", percent),
        ("Decision time", "average_ms", duration),
        ("Outcomes", "outcomes", number),
        ("False positives", "false_positive_rate", percent),
    )
    rows = []
    for version, numbers in summary.by_version():
        cells = [
            Cell(value, shown(value), "number")
            for _, column, shown in columns
            for value in [numbers.count(column) if shown is number else numbers.value(column)]
        ]
        link = page_link(EVENTS.url_name, version=version)
        rows.append([Cell(version, version or NONE, "version", link), *cells])
    heads = [Header("Engine"), *(Header(title, "number") for title, _, _ in columns)]
    return Table("engine-versions", f"Last {WINDOWS[-1]} days", heads, rows, "?csv=engine-versions")
