"""The overview's numbers: daily totals, added up over windows. Rates are of sums, so every window is exact."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from typing import Final, NamedTuple

from otel_intel.reading.days import first_day
from otel_intel.reading.reader import Parameter, Reader

WINDOWS: Final = (7, 30)

_ACTIONS: Final = ("viewed", "accepted", "ignored", "overridden")
_STATUSES: Final = ("resolved", "escalated", "no_action", "false_positive")


def _sums(view: str, *columns: str) -> str:
    sums = ", ".join(f"toInt64(sum({column})) AS {column}" for column in columns)
    return (
        f"SELECT day, engine_version, {sums} FROM metrics.{view}"
        " WHERE day BETWEEN {first:Date} AND {last:Date} GROUP BY day, engine_version"
    )


def _times() -> str:
    # One pass over the decisions: the totals of each day, and in one more row the windows' quantiles by nearest rank.
    time_ms = "assumeNotNull(decision_time_ms)"
    quantiles = ", ".join(
        f"quantilesExactWeightedIf(0.5, 0.9)({time_ms}, 1, day >= {{first_{days}:Date}})" for days in WINDOWS
    )
    return (
        "SELECT toDate(timestamp, 'UTC') AS day, engine_version, grouping(day) AS is_total,"
        f" toInt64(count()) AS samples, toFloat64(sum(toInt128({time_ms}))) AS sum_ms, [{quantiles}] AS quantiles"
        " FROM metrics.decisions_between(first_day = {first:Date}, last_day = {last:Date})"
        " WHERE isNotNull(decision_time_ms) GROUP BY GROUPING SETS ((day, engine_version), ())"
    )


class Totals(NamedTuple):
    """Add up what happened in some days."""

    viewed: int = 0
    accepted: int = 0
    ignored: int = 0
    overridden: int = 0
    samples: int = 0
    sum_ms: float = 0.0  # a sum of 64-bit numbers may be longer than 64 bits
    resolved: int = 0
    escalated: int = 0
    no_action: int = 0
    false_positive: int = 0

    @property
    def decisions(self) -> int:
        """Recommendations that were decided on."""
        return self.accepted + self.ignored + self.overridden

    @property
    def outcomes(self) -> int:
        """Signals that got their outcome."""
        return self.resolved + self.escalated + self.no_action + self.false_positive

    def by_status(self, status: str) -> int:
        """Return the outcomes of one status."""
        return {
            "RESOLVED": self.resolved,
            "ESCALATED": self.escalated,
            "NO_ACTION": self.no_action,
            "FALSE_POSITIVE": self.false_positive,
        }[status]

    @property
    def acceptance_rate(self) -> float | None:
        """Accepted per viewed; None without views."""
        return _ratio(self.accepted, self.viewed)

    @property
    def acceptance_share(self) -> float | None:
        """Accepted per decision; None without decisions."""
        return _ratio(self.accepted, self.decisions)

    @property
    def override_rate(self) -> float | None:
        """Overridden per decision; None without decisions."""
        return _ratio(self.overridden, self.decisions)

    @property
    def average_ms(self) -> float | None:
        """Average decision time in milliseconds; None without samples."""
        return _ratio(self.sum_ms, self.samples)

    @property
    def false_positive_rate(self) -> float | None:
        """False positives per outcome; None without outcomes."""
        return _ratio(self.false_positive, self.outcomes)


class Quantiles(NamedTuple):
    """Hold the spread of decision times in a window, in milliseconds; None without samples."""

    p50_ms: float | None = None
    p90_ms: float | None = None


class _Key(NamedTuple):
    day: date
    engine_version: str


class Summary:
    """Read the daily totals of some days, by engine version: three queries start at once, ``wait`` ends them.

    Args:
        reader: Answers them.
        first: First UTC day.
        last: Last UTC day.
    """

    def __init__(self, reader: Reader, first: date, last: date) -> None:
        self.first, self.last = first, last
        self.quantiles: dict[int, Quantiles] = {days: Quantiles() for days in WINDOWS}
        self._totals: dict[_Key, list[Totals]] = defaultdict(list)
        parameters: dict[str, Parameter] = {"first": first, "last": last}
        self._answers = (
            reader.start(self._add, _sums("recommendations_daily", *_ACTIONS), parameters),
            reader.start(self._add, _sums("outcomes_daily", *_STATUSES), parameters),
            reader.start(
                self._add_times,
                _times(),
                parameters | {f"first_{days}": first_day(days, last) for days in WINDOWS},
            ),
        )

    def wait(self) -> None:
        """Wait for the totals; nothing else works before."""
        for answer in self._answers:
            answer()
        for days in WINDOWS:
            if not self.window(days).samples:
                self.quantiles[days] = Quantiles()  # ClickHouse's quantile of nothing is a number

    def _add(self, day: date, engine_version: str, **counts: int) -> None:
        self._totals[_Key(day, engine_version)].append(Totals(**counts))

    def _add_times(
        self, day: date, engine_version: str, is_total: int, quantiles: list[list[float]], **counts: int
    ) -> None:
        if is_total:
            for days, values in zip(WINDOWS, quantiles, strict=True):
                self.quantiles[days] = Quantiles(*values)
        else:
            self._add(day, engine_version, **counts)

    @property
    def is_empty(self) -> bool:
        """True if nothing happened at all."""
        return not self._totals

    def between(self, first: date, last: date) -> Totals:
        """Return the totals of some days, both included."""
        return _sum(totals for key, parts in self._totals.items() if first <= key.day <= last for totals in parts)

    def window(self, days: int, *, before: int = 0) -> Totals:
        """Return the totals of a window: the last ``days`` days, or the ``before``-th such window before it."""
        last = self.last - timedelta(days=days * before)
        return self.between(first_day(days, last), last)

    def by_version(self, days: int) -> list[tuple[str, Totals]]:
        """Return the totals of the last ``days`` days for each engine version, the busiest first."""
        first = first_day(days, self.last)
        versions: dict[str, list[Totals]] = defaultdict(list)
        for key, parts in self._totals.items():
            if key.day >= first:
                versions[key.engine_version] += parts
        totals = [(version, _sum(parts)) for version, parts in versions.items()]
        return sorted(totals, key=lambda item: (-item[1].viewed - item[1].decisions, item[0]))

    def by_day(self, days: int) -> list[tuple[date, Totals]]:
        """Return the totals of each of the last ``days`` days, in order."""
        by_day: dict[date, list[Totals]] = defaultdict(list)
        for key, parts in self._totals.items():
            by_day[key.day] += parts
        all_days = [self.last - timedelta(days=back) for back in range(days - 1, -1, -1)]
        return [(day, _sum(by_day[day])) for day in all_days]


class Change(NamedTuple):
    """Hold how a number moved against the window before.

    Args:
        text: The difference.
        tone: "good", "bad" or "" for neither.
    """

    text: str
    tone: str


def change(
    metric: Callable[[Totals], float | None], now: Totals, before: Totals, *, relative: bool, more_is_good: bool
) -> Change:
    """Compare two windows.

    Args:
        metric: What is compared.
        now: The window.
        before: The window before.
        relative: True for percent of the number before, False for the difference in percentage points.
        more_is_good: True if a rise is welcome.
    """
    value, old = metric(now), metric(before)
    if value is None or old is None or (relative and not old):
        return Change("nothing to compare", "")
    difference = round((value - old) / old * 100 if relative else (value - old) * 100, 1)
    if not difference:
        return Change("no change", "")
    sign = "▲ +" if difference > 0 else "▼ \N{MINUS SIGN}"
    unit = " %" if relative else " pp"
    return Change(f"{sign}{abs(difference):.1f}{unit}", "good" if (difference > 0) == more_is_good else "bad")


def _sum(totals: Iterable[Totals]) -> Totals:
    return Totals(*map(sum, zip(*totals, strict=True)))


def _ratio(part: float, whole: int) -> float | None:
    return part / whole if whole else None
