"""Windows of days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from otel_intel.reading import days


def test_a_window_holds_its_last_day() -> None:
    assert days.first_day(7, date(2026, 3, 7)) == date(2026, 3, 1)
    assert days.first_day(1, date(2026, 3, 7)) == date(2026, 3, 7)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_today_is_that_of_the_time_zone(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(days, "time_zone", lambda reader: ZoneInfo(zone))
    before = datetime.now(ZoneInfo(zone)).date()
    assert days.today() in (before, before + timedelta(days=1))
    other = {"Pacific/Kiritimati": "Pacific/Pago_Pago", "Pacific/Pago_Pago": "Pacific/Kiritimati"}[zone]
    assert datetime.now(ZoneInfo(other)).date() != datetime.now(UTC).astimezone(ZoneInfo(zone)).date()
