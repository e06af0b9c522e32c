from __future__ import annotations

import pytest
from django.utils import timezone

from otel_intel.pages import format as pages_format
from otel_intel.pages.format import NONE


@pytest.mark.parametrize(("share", "text"), [(0.685, "68.5 %"), (0.0, "0.0 %"), (1.2, "120.0 %"), (None, NONE)])
def test_percent(share: float | None, text: str) -> None:
    assert pages_format.percent(share) == text


@pytest.mark.parametrize(("value", "text"), [(0, "0 decisions"), (1, "1 decision"), (1200, "1\u202f200 decisions")])
def test_what_is_counted_is_named_in_singular_or_plural(value: int, text: str) -> None:
    assert pages_format.counted(value, "decision") == text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1000, "1.0 s"),
        (90_000, "1.5 min"),
        (5_400_000, "1.5 h"),
        (129_600_000, "1.5 d"),
        (None, NONE),
    ],
)
def test_duration_takes_the_unit_that_suits(milliseconds: float | None, text: str) -> None:
    assert pages_format.duration(milliseconds) == text


def test_hours_are_durations() -> None:
    assert [pages_format.hours(value) for value in (0.5, 36, None)] == ["30.0 min", "1.5 d", NONE]


def test_thousands_are_separated() -> None:
    assert pages_format.number(1234567) == "1\u202f234\u202f567"


def test_times_keep_all_their_digits() -> None:
    assert pages_format.iso(1_700_000_000_123_456_789) == "2023-11-14T22:13:20.123456789Z"
    with timezone.override("Asia/Kathmandu"):
        assert pages_format.when(1_700_000_000_123_456_789) == "2023-11-15 03:58:20"


def test_constants_become_words_and_tones() -> None:
    assert pages_format.words("FALSE_POSITIVE") == "false positive"
    assert pages_format.tone("signal.detail_opened") == "signal-detail-opened"
