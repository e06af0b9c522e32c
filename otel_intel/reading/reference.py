"""The slow definition of every number, in plain Python. It shares no SQL with the refresh, which is compared with it.

All functions take facts: events that count, each once.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Final, NamedTuple, TypeAlias, TypeVar

from otel_intel.events import CATALOGUE

PAIRED_WITHIN_MS: Final = 7 * 24 * 3600 * 1000
"""How long before a decision its first view may be."""

EXACT: Final = 500
"""Up to so many different decision times a day, its quantiles are exact."""

_F = TypeVar("_F", bound="Fact")
_ORDER: Final = {name.removeprefix("intel."): number for number, name in enumerate(CATALOGUE)}

Table: TypeAlias = Mapping[tuple[Hashable, ...], object]
"""The rows of one table of numbers: what follows its dimensions."""


class Fact(NamedTuple):
    """One event that counts; what its kind does not have is empty."""

    uid: str
    name: str
    time_ns: int
    service: str
    version: str
    signal: str = ""
    admin: str = ""
    type: str = ""
    confidence: str = ""
    given_ms: int | None = None
    status: str = ""
    hours: float | None = None

    @property
    def kind(self) -> str:
        """Which table of facts it is in."""
        return CATALOGUE[f"intel.{self.name}"].kind

    @property
    def action(self) -> str:
        """VIEWED, or what was decided."""
        return self.name.split(".")[-1].upper()

    @property
    def ms(self) -> int:
        """When it happened, in milliseconds, rounded down."""
        return self.time_ns // 10**6


class Times(NamedTuple):
    """The decision times of a day and its dimensions."""

    samples: int
    sum_ms: int
    listed: int
    p50_ms: int | None
    p90_ms: int | None


class Outcomes(NamedTuple):
    """The first outcomes of a day and its dimensions."""

    outcomes: int
    hours_samples: int
    sum_hours: float


def decision_times(recommendations: Iterable[Fact]) -> dict[str, int | None]:
    """Return each decision's time, given or paired, by its id."""
    groups: dict[tuple[str, str], list[Fact]] = defaultdict(list)
    for fact in recommendations:
        groups[fact.signal, fact.admin].append(fact)
    times: dict[str, int | None] = {}
    for group in groups.values():
        views: list[int] = []  # after the decision before
        for fact in sorted(group, key=lambda fact: (fact.ms, _ORDER[fact.name], fact.uid)):
            if fact.action == "VIEWED":
                views.append(fact.ms)
                continue
            first = next((view for view in views if fact.ms - view <= PAIRED_WITHIN_MS), None)
            paired = None if first is None else fact.ms - first
            times[fact.uid] = paired if fact.given_ms is None else fact.given_ms
            views = []
    return times


def first_outcomes(outcomes: Iterable[_F]) -> list[_F]:
    """Return the outcome of each signal that counts: the first by time and id."""
    groups: dict[str, list[_F]] = defaultdict(list)
    for fact in outcomes:
        groups[fact.signal].append(fact)
    return [min(group, key=lambda fact: (fact.time_ns, fact.uid)) for group in groups.values()]


def nearest_rank(ordered: Sequence[int], q: Fraction) -> int:
    """Return the ceil(q * n)-th smallest of n numbers, at least one."""
    return ordered[math.ceil(q * len(ordered)) - 1]


def summary(samples: Iterable[int]) -> Times:
    """Return what is said about decision times, at least one."""
    ordered = sorted(samples)
    count = len(ordered)
    return Times(
        count, sum(ordered), count, nearest_rank(ordered, Fraction(1, 2)), nearest_rank(ordered, Fraction(9, 10))
    )


def numbers(facts: Collection[Fact], times: Mapping[str, int | None], first: Collection[str]) -> dict[str, Table]:
    """Return every row that the refresh keeps for a day, by table and dimensions.

    Args:
        facts: Those of the day.
        times: At least the decision times of its decisions, by id.
        first: At least the ids of its first outcomes.
    """
    kinds: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        kinds[fact.kind].append(fact)
    decided = [fact for fact in kinds["recommendation"] if fact.action != "VIEWED"]
    return {
        "decisions": {(fact.uid,): times[fact.uid] for fact in decided},
        "outcomes": {(fact.uid,): fact.uid in first for fact in kinds["outcome"]},
        "days_recommendations": Counter(
            (fact.service, fact.version, fact.type, fact.confidence, fact.action) for fact in kinds["recommendation"]
        ),
        "days_decision_times": _times_by_slice(decided, times),
        "days_outcomes": _outcomes_by_status(fact for fact in kinds["outcome"] if fact.uid in first),
        "days_engagement": Counter((fact.service, fact.version, fact.admin, fact.name) for fact in kinds["view"]),
    }


def is_rounded(facts: Iterable[Fact], times: Mapping[str, int | None]) -> bool:
    """Tell whether a day has so many decision times that its quantiles are rounded."""
    return len({ms for fact in facts if (ms := times.get(fact.uid)) is not None}) > EXACT


def _times_by_slice(decided: Iterable[Fact], times: Mapping[str, int | None]) -> Table:
    """Return decision times by all dimensions, by each of them alone, and altogether."""
    groups: dict[tuple[Hashable, ...], list[int]] = defaultdict(list)
    for fact in decided:
        ms = times[fact.uid]
        if ms is None:
            continue
        service, version, type_, confidence = fact.service, fact.version, fact.type, fact.confidence
        for key in (
            ("*", service, version, type_, confidence),
            ("service_name", service, "", "", ""),
            ("engine_version", "", version, "", ""),
            ("recommendation_type", "", "", type_, ""),
            ("confidence", "", "", "", confidence),
            ("", "", "", "", ""),
        ):
            groups[key].append(ms)
    return {key: summary(samples) for key, samples in groups.items()}


def _outcomes_by_status(outcomes: Iterable[Fact]) -> Table:
    groups: dict[tuple[Hashable, ...], list[Fact]] = defaultdict(list)
    for fact in outcomes:
        groups[fact.service, fact.version, fact.status].append(fact)
    return {
        key: Outcomes(
            len(group),
            sum(fact.hours is not None for fact in group),
            sum(fact.hours or 0.0 for fact in group),
        )
        for key, group in groups.items()
    }
