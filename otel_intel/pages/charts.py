"""Charts: the data that the script draws, and the same numbers as a table for people who prefer to read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from . import format as pages_format
from .tables import Cell, Header, Table

Kind: TypeAlias = Literal["line", "bar", "stacked"]
Unit: TypeAlias = Literal["count", "percent", "ms"]

_SHOWN = {"count": pages_format.number, "percent": pages_format.percent, "ms": pages_format.duration}


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart, or its bars of one colour.

    Args:
        title: Its text in the legend.
        values: One for each label; None is a gap.
        tones: Names of its colours, one in all or one for each bar; the CSS properties are ``--tone-<tone>``.
    """

    title: str
    values: Sequence[float | None]
    tones: Sequence[str]


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart.

    Args:
        name: Its name on the page and in the file name of its download.
        title: What it shows.
        kind: "line", "bar" or "stacked".
        unit: The unit of the values.
        axis: The title of the horizontal axis.
        labels: The labels of the horizontal axis.
        series: The lines or bars.
        csv_url: The URL of its table's download.
    """

    name: str
    title: str
    kind: Kind
    unit: Unit
    axis: str
    labels: Sequence[str]
    series: Sequence[Series]
    csv_url: str = ""

    @property
    def id(self) -> str:
        """The id of the element that holds the data."""
        return f"chart-{self.name}"

    @property
    def data(self) -> dict[str, object]:
        """The data for the script, as JSON."""
        return {
            "kind": self.kind,
            "unit": self.unit,
            "labels": self.labels,
            "series": [
                {"title": series.title, "tones": series.tones, "values": series.values} for series in self.series
            ],
        }

    @property
    def is_empty(self) -> bool:
        """True if there is nothing to draw."""
        return not any(value for series in self.series for value in series.values)

    @property
    def table(self) -> Table:
        """The same numbers as a table; days are listed latest first."""
        shown = _SHOWN[self.unit]
        rows = [
            [Cell(label), *(Cell(value, shown(value), "number") for value in values)]
            for label, *values in zip(self.labels, *(series.values for series in self.series), strict=True)
        ]
        return Table(
            self.name,
            self.title,
            [Header(self.axis), *(Header(series.title, "number") for series in self.series)],
            rows[::-1] if self.axis == "Day" else rows,
            self.csv_url,
        )
