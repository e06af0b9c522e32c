"""Read the overview's numbers from ``metrics.overview``, and compare them with the window before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final, NamedTuple

from otel_intel.reading.definitions import definition
from otel_intel.reading.reader import Reader

WINDOWS: Final = (7, 30)
"""Lengths of the windows in days; numbers by day and by engine version are those of the longer window."""


class Numbers:
    """The numbers of a window, a day or an engine version, by their columns in ``metrics.overview``."""

    def __init__(self, columns: Mapping[str, object] | None = None) -> None:
        self._columns = columns or {}

    def count(self, column: str) -> int:
        """Return a count; 0 where nothing happened."""
        value = self._columns.get(column)
        return value if isinstance(value, int) else 0

    def value(self, column: str) -> float | None:
        """Return a rate, a share or a time; None if there is nothing to compute it from."""
        value = self._columns.get(column)
        return value if isinstance(value, int | float) else None


class Summary:
    """Start to read the overview. Call ``wait`` before anything else.

    Args:
        reader: Answers the query.
        last: The last day of every window.
    """

    def __init__(self, reader: Reader, last: date) -> None:
        self.last = last
        self.first = last - timedelta(days=2 * WINDOWS[-1] - 1)
        self._windows: dict[tuple[int, bool], Numbers] = {}
        self._days: dict[date, Numbers] = {}
        self._versions: dict[str, Numbers] = {}
        self._answer = reader.start(self._add, definition(reader, "overview"), {"last_day": last})

    def wait(self) -> None:
        """Wait for the numbers."""
        self._answer()

    def _add(self, part: str, days: int, is_before: bool, day: date, engine_version: str, **columns: object) -> None:
        numbers = Numbers(columns)
        if part == "window":
            self._windows[days, is_before] = numbers
        elif part == "day":
            self._days[day] = numbers
        else:
            self._versions[engine_version] = numbers

    @property
    def is_empty(self) -> bool:
        """True if nothing happened at all."""
        counts = ("viewed", "decisions", "outcomes")
        return not any(numbers.count(column) for numbers in self._windows.values() for column in counts)

    def window(self, days: int, *, is_before: bool = False) -> Numbers:
        """Return the numbers of the last ``days`` days, or of as many before them."""
        return self._windows.get((days, is_before), Numbers())

    def by_version(self) -> list[tuple[str, Numbers]]:
        """Return the numbers of each engine version, the busiest first."""
        busiest = [
            (-numbers.count("viewed") - numbers.count("decisions"), version)
            for version, numbers in self._versions.items()
        ]
        return [(version, self._versions[version]) for _, version in sorted(busiest)]

    def by_day(self) -> list[tuple[date, Numbers]]:
        """Return the numbers of each day, in order."""
        days = [self.last - timedelta(days=back) for back in range(WINDOWS[-1] - 1, -1, -1)]
        return [(day, self._days.get(day, Numbers())) for day in days]


class Change(NamedTuple):
    """How a number differs from the window before.

    Args:
        text: The difference, as shown.
        tone: "good", "bad" or "" for neither.
    """

    text: str
    tone: str


def change(value: float | None, before: float | None, *, relative: bool, more_is_good: bool | None) -> Change:
    """Compare a number with that of the window before.

    Args:
        value: The number of the window.
        before: The number of the window before.
        relative: True for percent of the number before, False for the difference in percentage points.
        more_is_good: True if a rise is welcome, None if it is neither good nor bad.
    """
    if value is None or before is None or (relative and not before):
        return Change("nothing to compare", "")
    difference = round((value - before) / before * 100 if relative else (value - before) * 100, 1)
    if not difference:
        return Change("no change", "")
    sign = "▲ +" if difference > 0 else "▼ \N{MINUS SIGN}"
    unit = " %" if relative else " pp"
    tone = "" if more_is_good is None else "good" if (difference > 0) == more_is_good else "bad"
    return Change(f"{sign}{abs(difference):.1f}{unit}", tone)
