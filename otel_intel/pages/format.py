"""Format numbers and times for staff: in English; ``None`` is an en dash."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from django.utils.timezone import get_current_timezone

from otel_intel.presentation import LOOKS

NONE = "\N{EN DASH}"


def percent(share: float | None) -> str:
    """Return a fraction as percent: 0.685 is "68.5 %"."""
    return NONE if share is None else f"{share * 100:.1f} %"


def number(value: float | None) -> str:
    """Return a count with thin spaces between the thousands."""
    return NONE if value is None else f"{value:,.0f}".replace(",", "\u202f")


def counted(value: int, noun: str) -> str:
    """Return a count and what is counted: 1 and "decision" is "1 decision", 2 is "2 decisions"."""
    return f"{number(value)} {noun}{'' if value == 1 else 's'}"


def duration(milliseconds: float | None) -> str:
    """Return a time span in the unit that suits it: 450 is "450 ms", 90000 is "1.5 min"."""
    if milliseconds is None:
        return NONE
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)):
        if milliseconds >= size:
            return f"{milliseconds / size:.1f} {unit}"
    return f"{milliseconds:.0f} ms"


def hours(value: float | None) -> str:
    """Return hours as a time span."""
    return NONE if value is None else duration(value * 3_600_000)


def when(nanoseconds: int) -> str:
    """Return a time, given as nanoseconds since 1970, to the second, in the page's time zone."""
    return _datetime(nanoseconds, get_current_timezone()).strftime("%Y-%m-%d %H:%M:%S")


def iso(nanoseconds: int) -> str:
    """Return a time, given as nanoseconds since 1970, in ISO 8601 and UTC with all its digits."""
    return f"{_datetime(nanoseconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds % 10**9:09d}Z"


def _datetime(nanoseconds: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(nanoseconds // 10**9, zone)


def words(constant: str) -> str:
    """Return a constant of the catalogue as words, or its label if it has one: "FALSE_POSITIVE" is "false positive"."""
    column = _column(constant)
    return LOOKS[column].label.lower() if column in LOOKS else column.replace("_", " ")


def tone(constant: str) -> str:
    """Return the name of a constant's colour, the CSS property ``--tone-<name>``."""
    return _column(constant).replace("_", "-")


def _column(constant: str) -> str:
    return constant.replace(".", "_").lower()
