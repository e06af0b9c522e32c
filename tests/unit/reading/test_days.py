"""Windows of UTC days."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime

import pytest

from otel_intel.reading.days import first_day, today


def test_a_window_holds_its_last_day() -> None:
    assert first_day(7, date(2026, 3, 7)) == date(2026, 3, 1)
    assert first_day(1, date(2026, 3, 7)) == date(2026, 3, 7)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_today_is_utcs_wherever_the_server_is(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert {today(), datetime.now(UTC).date()} == {datetime.now(UTC).date()}
    finally:
        monkeypatch.undo()
        time.tzset()
