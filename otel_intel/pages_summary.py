"""The overview's numbers: daily totals, added up over windows. Rates are of sums, so every window is exact."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass
from datetime import date, timedelta
from typing import Final, NamedTuple

from .metrics import first_day
from .reader import Reader

WINDOWS: Final = (7, 30)


@dataclass(frozen=True, slots=True)
class Totals:
    """Add up what happened in some days."""

    viewed: int = 0
    accepted: int = 0
    ignored: int = 0
    overridden: int = 0
    samples: int = 0
    sum_ms: int = 0
    resolved: int = 0
    escalated: int = 0
    no_action: int = 0
    false_positive: int = 0

    def __add__(self, other: Totals) -> Totals:
        return Totals(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))

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
    """Hold the spread of decision times over the last ``days`` days, in milliseconds."""

    days: int
    p50_ms: float | None
    p90_ms: float | None


class _Key(NamedTuple):
    day: date
    engine_version: str


_COUNTS: Final[Mapping[str, tuple[str, ...]]] = {
    "recommendations_daily": ("viewed", "accepted", "ignored", "overridden"),
    "decision_times_daily": ("samples", "sum_ms"),
    "outcomes_daily": ("resolved", "escalated", "no_action", "false_positive"),
}


class Summary:
    """Read the daily totals of some days, by engine version, in three queries.

    Args:
        reader: Answers them.
        first: First UTC day.
        last: Last UTC day.
    """

    def __init__(self, reader: Reader, first: date, last: date) -> None:
        self.first, self.last = first, last
        self._totals: dict[_Key, Totals] = defaultdict(Totals)
        for view, columns in _COUNTS.items():
            sums = ", ".join(f"toInt64(sum({column})) AS {column}" for column in columns)
            reader.rows(
                self._add,
                f"SELECT day, engine_version, {sums} FROM metrics.{view}"  # noqa: S608 (constants)
                " WHERE day BETWEEN {first:Date} AND {last:Date} GROUP BY day, engine_version",
                {"first": first, "last": last},
            )

    def _add(self, day: date, engine_version: str, **counts: int) -> None:
        self._totals[_Key(day, engine_version)] += Totals(**counts)

    @property
    def is_empty(self) -> bool:
        """True if nothing happened at all."""
        return not self._totals

    def between(self, first: date, last: date) -> Totals:
        """Return the totals of some days, both included."""
        return _sum(totals for key, totals in self._totals.items() if first <= key.day <= last)

    def window(self, days: int, *, before: int = 0) -> Totals:
        """Return the totals of a window: the last ``days`` days, or the ``before``-th such window before it."""
        last = self.last - timedelta(days=days * before)
        return self.between(first_day(days, last), last)

    def by_version(self, days: int) -> list[tuple[str, Totals]]:
        """Return the totals of the last ``days`` days for each engine version, the busiest first."""
        first = first_day(days, self.last)
        versions: dict[str, Totals] = defaultdict(Totals)
        for key, totals in self._totals.items():
            if key.day >= first:
                versions[key.engine_version] += totals
        return sorted(versions.items(), key=lambda item: (-item[1].viewed - item[1].decisions, item[0]))

    def by_day(self, days: int) -> list[tuple[date, Totals]]:
        """Return the totals of each of the last ``days`` days, in order."""
        by_day: dict[date, Totals] = defaultdict(Totals)
        for key, totals in self._totals.items():
            by_day[key.day] += totals
        all_days = [self.last - timedelta(days=back) for back in range(days - 1, -1, -1)]
        return [(day, by_day[day]) for day in all_days]


def decision_quantiles(reader: Reader, last: date) -> dict[int, Quantiles]:
    """Return the spread of decision times for each of the overview's windows."""
    sql = " UNION ALL ".join(
        f"SELECT {days} AS days, p50_ms, p90_ms FROM metrics.decision_time_between("  # noqa: S608 (constants)
        f"first_day = {{first_{days}:Date}}, last_day = {{last:Date}}, engine_version = '', recommendation_type = '')"
        for days in WINDOWS
    )
    parameters = {f"first_{days}": first_day(days, last) for days in WINDOWS} | {"last": last}
    return {row.days: row for row in reader.rows(Quantiles, sql, parameters)}


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
    return sum(totals, Totals())


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
