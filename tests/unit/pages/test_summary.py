from __future__ import annotations

import pytest

from otel_intel.pages.summary import Change, Numbers, change


def test_of_nothing_counts_are_zero_and_rates_none() -> None:
    nothing = Numbers()
    assert nothing.count("viewed") == 0
    assert nothing.value("acceptance_rate") is None


def test_numbers_are_those_of_the_columns() -> None:
    numbers = Numbers({"viewed": 10, "acceptance_rate": 0.4, "average_ms": None})
    assert numbers.count("viewed") == 10
    assert (numbers.value("acceptance_rate"), numbers.value("average_ms")) == (0.4, None)


@pytest.mark.parametrize(
    ("now", "before", "more_is_good", "expected"),
    [
        (0.75, 0.5, False, Change("▲ +25.0 pp", "bad")),
        (0.75, 0.5, True, Change("▲ +25.0 pp", "good")),
        (0.5, 0.75, False, Change("▼ −25.0 pp", "good")),  # noqa: RUF001
        (0.5, 0.75, None, Change("▼ −25.0 pp", "")),  # noqa: RUF001
        (0.5, 0.5, False, Change("no change", "")),
        (0.5, None, False, Change("nothing to compare", "")),
        (None, 1.0, False, Change("nothing to compare", "")),
        (0.5, 0.0, False, Change("▲ +50.0 pp", "bad")),
    ],
)
def test_rates_change_by_points(
    now: float | None, before: float | None, more_is_good: bool | None, expected: Change
) -> None:
    assert change(now, before, relative=False, more_is_good=more_is_good) == expected


@pytest.mark.parametrize(
    ("now", "before", "text"),
    [(150, 100, "▲ +50.0 %"), (50, 100, "▼ −50.0 %"), (50, 0, "nothing to compare")],  # noqa: RUF001
)
def test_times_change_by_percent(now: int, before: int, text: str) -> None:
    assert change(now, before, relative=True, more_is_good=False).text == text
