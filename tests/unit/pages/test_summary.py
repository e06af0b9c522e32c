from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta

import pytest

from otel_intel.pages import summary as module
from otel_intel.pages.summary import Change, Numbers, Summary, change
from otel_intel.reading.reader import Parameter, Reader, Row


def test_without_events_counts_are_zero_and_rates_none() -> None:
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


class Answers(Reader):
    """Answer every query with the same rows."""

    def __init__(self, rows: list[dict[str, object]]) -> None:
        self.answered = rows
        self.asked: list[Mapping[str, Parameter] | None] = []

    def start(
        self,
        into: Callable[..., Row],
        sql: str,
        parameters: Mapping[str, Parameter] | None = None,
        *,
        never_empty: bool = False,
    ) -> Callable[[], list[Row]]:
        self.asked.append(parameters)
        return lambda: [into(**row) for row in self.answered]


LAST = date(2026, 3, 31)


@pytest.fixture(autouse=True)
def defined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask no ClickHouse what the overview's query is."""
    monkeypatch.setattr(module, "definition", lambda reader, view: f"the query of {view}")


def part(name: str, days: int = 30, **columns: object) -> dict[str, object]:
    nothing = {"is_before": False, "day": date(1970, 1, 1), "engine_version": ""}
    return {"part": name, "days": days, **nothing, **columns}


def summary(*rows: dict[str, object]) -> Summary:
    read = Summary(Answers(list(rows)), LAST)
    read.wait()
    return read


def test_it_asks_for_the_windows_that_end_with_the_last_day() -> None:
    reader = Answers([])
    assert Summary(reader, LAST).first == date(2026, 1, 31)  # the first day of both windows of 30 days
    assert reader.asked == [{"last_day": LAST}]


def test_windows_are_told_apart() -> None:
    read = summary(
        part("window", 7, viewed=1), part("window", 7, viewed=2, is_before=True),
        part("window", 30, viewed=3), part("window", 30, viewed=4, is_before=True),
    )  # fmt: skip
    assert [read.window(days, is_before=before).count("viewed") for days in (7, 30) for before in (False, True)] == [
        *(1, 2, 3, 4)
    ]


def test_the_busiest_version_comes_first() -> None:
    read = summary(
        part("version", engine_version="a", viewed=5, decisions=1),
        part("version", engine_version="b", viewed=1, decisions=9),
        part("version", engine_version="d", viewed=3, decisions=3),
        part("version", engine_version="c", viewed=3, decisions=3),
    )
    assert [version for version, _ in read.by_version()] == ["b", "a", "c", "d"]


def test_every_day_of_the_longer_window_is_there_in_order() -> None:
    read = summary(part("day", 1, day=LAST, viewed=7), part("day", 1, day=date(2026, 3, 2), viewed=3))
    days = read.by_day()
    assert [day for day, _ in days] == [date(2026, 3, 2) + timedelta(days=number) for number in range(30)]
    assert [numbers.count("viewed") for _, numbers in days] == [3, *[0] * 28, 7]


@pytest.mark.parametrize(
    ("row", "is_empty"),
    [
        (part("window", 7, viewed=0, decisions=0, outcomes=0), True),
        (part("window", 30, viewed=0, decisions=0, outcomes=1, is_before=True), False),
        (part("window", 30, viewed=1), False),
        (part("window", 30, decisions=1), False),
    ],
)
def test_it_is_empty_if_nothing_happened_in_any_window(row: dict[str, object], is_empty: bool) -> None:
    assert summary(row).is_empty is is_empty
