"""What the refresh computes: the statements of clickhouse/refresh, what follows from what, and of which days."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple

from clickhouse_connect.driver.client import Client

from otel_intel.resources import folder

from . import ledger
from .connection import read_rows
from .migrate import read_steps

STATEMENTS: Final = {step.file: step.statement for step in read_steps(folder("clickhouse") / "refresh")}
"""The statement of each file of clickhouse/refresh."""

MAX_EVENTS: Final = 300_000
"""Arrived events of several inserts that one run takes in, and facts of several weeks that are recomputed at a time.

It bounds memory and time."""

TAKE_IN: Final = {
    "recommendation": "10_take_in_recommendations.sql",
    "outcome": "11_take_in_outcomes.sql",
    "view": "12_take_in_views.sql",
}
"""The files that take events into the facts, by kind."""

# What follows from each table of facts: files in the order in which they run, and for those that count days, in which
# table the run has touched the days.
_STAGES: Final = {
    "recommendation_events": {
        "20_pair_decisions.sql": "",
        "25_add_recommendations_to_signals.sql": "",
        "30_count_decision_times.sql": "decisions",
        "35_count_decision_times_of_admins.sql": "decisions",
        "60_count_recommendations.sql": "recommendation_events",
        "65_count_recommendations_of_admins.sql": "recommendation_events",
    },
    "signal_outcomes": {
        "40_find_first_outcomes.sql": "",
        "45_add_outcomes_to_signals.sql": "",
        "50_count_outcomes.sql": "outcomes",
    },
    "admin_views": {"70_count_views.sql": "admin_views"},
}
_TOUCHED: Final = {
    # Those of up to 7 days after an event may follow from it.
    "decisions": (
        "cycle = {cycle:UInt32} AND timestamp >= toStartOfMillisecond({first:DateTime64(9, 'UTC')})"
        " AND timestamp < {last:DateTime64(9, 'UTC')} + INTERVAL 8 DAY AND day >= {kept:Date}"
    ),
    "outcomes": "cycle = {cycle:UInt32}",
}
_OF_SIGNALS: Final = ("recommendation_events", "signal_outcomes")
_MAX_DAYS: Final = 1000
"""Days that a statement counts: ClickHouse limits the length of a parameter."""


class Window(NamedTuple):
    """Facts of a table: the times of the first and the last one, how many there are, and on which days that count."""

    table: str
    first: str
    last: str
    facts: int
    days: list[date]


class Days(NamedTuple):
    """Whose days are counted, and from which day on: those before it stay as they are, for their facts are deleted."""

    time_zone: str
    kept: date


def take_in(client: Client, kind: str, cycle: int, seen: int, until: int) -> None:
    """Take the events of a kind into the facts that arrived on this node after a block, up to another one."""
    ledger.command(client, STATEMENTS[TAKE_IN[kind]], {"seen": seen, "until": until, "cycle": cycle})


def compute_all(client: Client, cycle: int, days: Days, report: Callable[[str], object]) -> None:
    """Compute what follows from all facts, some weeks at a time: a longer time could need too much memory."""
    numbers = {"cycle": cycle, "since": 0, "generation": cycle}
    if days.kept > ledger.FIRST_DAY:
        ledger.command(client, STATEMENTS["05_keep_older_signals.sql"], {**numbers, **days._asdict()})
    for table in _STAGES:
        for window in _spans(client, table, days):
            _compute(client, window, days, numbers)
            report(f"{table}: {window.first[:10]} to {window.last[:10]}")
    _count_signals(client, days, numbers, "generation = {generation:UInt32}")


def compute(client: Client, new: Sequence[Window], cycle: int, days: Days, since: int) -> None:
    """Compute what follows from the facts that runs from ``since`` on have taken in."""
    if not new:
        return
    [(generation,)] = read_rows(client, "SELECT max(generation) FROM intel.signals")
    for window in new:
        _compute(client, window, days, {"cycle": cycle, "since": since, "generation": generation})
    if any(window.table in _OF_SIGNALS for window in new):
        touched = "risk_signal_id GLOBAL IN (SELECT risk_signal_id FROM intel.signals WHERE cycle = {cycle:UInt32})"
        # Of all generations: while all is computed anew, the newest is not complete.
        _count_signals(client, days, {"cycle": cycle, "generation": 0}, touched)


def _compute(client: Client, window: Window, days: Days, numbers: Mapping[str, int]) -> None:
    parameters = {**days._asdict(), **numbers, "first": window.first, "last": window.last}
    touched = {window.table: window.days}
    for file, counted in _STAGES[window.table].items():
        if not counted:
            ledger.command(client, STATEMENTS[file], parameters)
            continue
        if counted not in touched:
            day = "toDate(timestamp, {time_zone:String})"
            touched[counted] = _touched_days(client, day, counted, _TOUCHED[counted], parameters)
        for part in _parts(touched[counted], {}):
            ledger.command(client, STATEMENTS[file], {**parameters, "days": part})


def _count_signals(client: Client, days: Days, numbers: Mapping[str, int], condition: str) -> None:
    """Count the days again on which those signals were viewed that a condition holds for."""
    parameters = {**numbers, **days._asdict()}
    touched = _touched_days(
        client, "arrayJoin(view_days)", "signals", f"{condition} AND day >= {{kept:Date}}", parameters
    )
    for part in _parts(touched, _signals_by_day(client, days) if len(touched) > 1 else {}):
        ledger.command(client, STATEMENTS["80_count_signals.sql"], {**parameters, "days": part})


def _touched_days(client: Client, day: str, table: str, condition: str, parameters: Mapping[str, object]) -> list[date]:
    """Return the days of a table on which a run has computed something anew."""
    sql = f"SELECT DISTINCT {day} AS day FROM intel.{table} WHERE {condition} ORDER BY day"
    return [found for (found,) in read_rows(client, sql, parameters)]


def _signals_by_day(client: Client, days: Days) -> dict[date, int]:
    """Return about how many signals were first viewed on each day."""
    rows = read_rows(
        client,
        "SELECT toDate(first_viewed_at, {time_zone:String}) AS day, count() FROM intel.signals"
        " WHERE isNotNull(first_viewed_at) GROUP BY day",
        days._asdict(),
    )
    return {day: int(count) for day, count in rows}


def _parts(days: Sequence[date], rows: Mapping[date, int]) -> Iterator[list[date]]:
    """Yield so many days at a time as one statement can count: together they have about MAX_EVENTS rows, if known."""
    part: list[date] = []
    total = 0
    for day in days:
        more = rows.get(day, 0)
        if part and (total + more > MAX_EVENTS or len(part) == _MAX_DAYS):
            yield part
            part, total = [], 0
        part.append(day)
        total += more
    if part:
        yield part


_WINDOW = (
    "toString(min(timestamp)), toString(max(timestamp)), count() AS facts,"
    " arraySort(groupUniqArrayIf(toDate(timestamp, {time_zone:String}) AS day, day >= {kept:Date}))"
)


def _spans(client: Client, table: str, days: Days) -> list[Window]:
    """Return a window for the facts of each week, or of several weeks with few facts."""
    weeks = read_rows(
        client,
        f"SELECT {_WINDOW} FROM intel.{table} GROUP BY toMonday(timestamp) AS week ORDER BY week",
        days._asdict(),
    )
    spans: list[Window] = []
    for first, last, facts, of_week in weeks:
        before = spans[-1] if spans else None
        if before and before.facts + facts <= MAX_EVENTS:
            known = sorted({*before.days, *of_week})  # a week and the next one can share a day: weeks are those of UTC
            spans[-1] = before._replace(last=str(last), facts=before.facts + int(facts), days=known)
        else:
            spans.append(Window(table, str(first), str(last), int(facts), list(of_week)))
    return spans


def new_windows(client: Client, since: int, days: Days) -> list[Window]:
    """Return the window of each table of facts that runs from ``since`` on have filled."""
    parts = [
        f"SELECT '{table}' AS table, {_WINDOW} FROM intel.{table} WHERE cycle >= {{since:UInt32}} HAVING facts > 0"
        for table in _STAGES
    ]
    # Sorted: rows of a UNION come in any order, and the lists of two calls are compared.
    return sorted(
        Window(str(table), str(first), str(last), int(facts), list(of_window))
        for table, first, last, facts, of_window in read_rows(
            client, " UNION ALL ".join(parts), {"since": since, **days._asdict()}
        )
    )
