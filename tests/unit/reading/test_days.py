"""Windows of UTC days."""

from __future__ import annotations

from datetime import date

from otel_intel.reading.days import first_day


def test_a_window_holds_its_last_day() -> None:
    assert first_day(7, date(2026, 3, 7)) == date(2026, 3, 1)
    assert first_day(1, date(2026, 3, 7)) == date(2026, 3, 7)
