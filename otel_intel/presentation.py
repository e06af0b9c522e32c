"""Labels and colours of actions, outcomes and views: pages, charts and dashboards take them from here."""

from __future__ import annotations

from typing import Final, NamedTuple

from .events import OUTCOME_STATUSES, of_kind


class Look(NamedTuple):
    """The label of an action, outcome or view, and its colours on a light and on a dark background."""

    label: str
    light: str
    dark: str


_BLUE: Final = ("#9bb6dd", "#4b6488")
_GREEN: Final = ("#1b7f5c", "#3fb68b")
_GREY: Final = ("#8a97a6", "#74818f")
_ORANGE: Final = ("#d9822b", "#f0a352")
_VIOLET: Final = ("#7a5bb5", "#b79bf0")

_COLOURS: Final = {
    "viewed": ("#b3c7e3", "#3f5673"),
    "accepted": _GREEN,
    "ignored": _GREY,
    "overridden": _ORANGE,
    "resolved": _GREEN,
    "escalated": _ORANGE,
    "no_action": ("#9aa6b3", "#74818f"),
    "false_positive": ("#c2455b", "#ec7188"),
    "dashboard_opened": _BLUE,
    "signal_detail_opened": ("#3c6fc0", "#7db2ff"),
    "explanation_expanded": _VIOLET,
    "note_created": _ORANGE,
}
# Colours for new names that have none above, used in turn.
_OTHERS: Final = (("#0f8b8d", "#4cc9c4"), ("#a05195", "#d98ccb"), ("#7f6b3f", "#c8b273"))


def _looks(columns: list[str]) -> dict[str, Look]:
    others = [column for column in columns if column not in _COLOURS]
    turns = {column: _OTHERS[turn % len(_OTHERS)] for turn, column in enumerate(others)}
    return {
        column: Look(column.replace("_", " ").capitalize(), *(_COLOURS.get(column) or turns[column]))
        for column in columns
    }


ACTIONS: Final = _looks([event.column for event in of_kind("recommendation")])
"""By the column of the daily counts, like the two below."""

OUTCOMES: Final = _looks([status.lower() for status in OUTCOME_STATUSES])
VIEWS: Final = _looks([event.column for event in of_kind("view")])

LOOKS: Final = {**ACTIONS, **OUTCOMES, **VIEWS}
"""All of the above."""

TIME: Final = Look("Time", "#4a5fc1", "#8fa2ff")
"""The colour of times, and of numbers that are not split by kind."""
