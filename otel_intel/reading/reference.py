"""The slow definition of every number, in plain Python. It shares no SQL with the refresh, which is compared with it.

All functions take facts: events that count, each once.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

from otel_intel.events import CATALOGUE

PAIRED_WITHIN_MS: Final = 7 * 24 * 3600 * 1000
"""How long before a decision its first view may be."""

EXACT: Final = 500
"""Up to so many different decision times a day, its quantiles are exact."""

_F = TypeVar("_F", bound="Fact")
_T = TypeVar("_T")
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


class Signal(NamedTuple, Generic[_F]):
    """A risk signal: its first view, whether it was decided on, and the status of its first outcome, '' without."""

    view: _F
    is_decided: bool
    status: str


class Numbers(NamedTuple):
    """What is counted of one kind, on a day, of some or all values of each dimension."""

    counts: Mapping[str, int]
    sum_ms: int = 0
    sum_hours: float = 0.0
    listed: int = 0
    p50_ms: int | None = None
    p90_ms: int | None = None


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


def signals(facts: Iterable[_F]) -> list[Signal[_F]]:
    """Return how each signal went on that was viewed, from all that is known of it."""
    groups: dict[str, list[_F]] = defaultdict(list)
    for fact in facts:
        if fact.kind in ("recommendation", "outcome"):
            groups[fact.signal].append(fact)
    found = []
    for group in groups.values():
        views = [fact for fact in group if fact.action == "VIEWED"]
        if views:
            ended = first_outcomes(fact for fact in group if fact.kind == "outcome")
            found.append(
                Signal(
                    min(views, key=lambda fact: (fact.time_ns, fact.uid)),
                    any(fact.kind == "recommendation" and fact.action != "VIEWED" for fact in group),
                    ended[0].status if ended else "",
                )
            )
    return found


def nearest_rank(ordered: Sequence[int], q: Fraction) -> int:
    """Return the ceil(q * n)-th smallest of n numbers, at least one."""
    return ordered[math.ceil(q * len(ordered)) - 1]


def numbers(
    facts: Collection[Fact], times: Mapping[str, int | None], first: Collection[str], viewed: Iterable[Signal[Fact]]
) -> dict[str, Table]:
    """Return every row that the refresh keeps for a day, by table and dimensions.

    Args:
        facts: Those of the day.
        times: At least the decision times of its decisions, by id.
        first: At least the ids of its first outcomes.
        viewed: The signals whose first view was on the day.
    """
    kinds: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        kinds[fact.kind].append(fact)
    decided = [fact for fact in kinds["recommendation"] if fact.action != "VIEWED"]
    known = {uid: ms for uid, ms in times.items() if ms is not None}
    timed = [fact for fact in decided if fact.uid in known]

    def summary(group: Sequence[Fact]) -> Numbers:
        return _timed(known[fact.uid] for fact in group)

    return {
        "decisions": {(fact.uid,): times[fact.uid] for fact in decided},
        "outcomes": {(fact.uid,): fact.uid in first for fact in kinds["outcome"]},
        "days": {
            **_by("recommendations", kinds["recommendation"], _in_all_dimensions, _counted),
            **_by("decision_times", timed, _in_all_dimensions, summary),
            **_by("outcomes", (fact for fact in kinds["outcome"] if fact.uid in first), _in_all_dimensions, _ended),
            **_by("signals", viewed, lambda signal: _in_all_dimensions(signal.view), _went_on),
        },
        "days_admins": {
            **_by("recommendations", kinds["recommendation"], _of_admin, _counted),
            **_by("decision_times", timed, _of_admin, summary),
        },
        "days_engagement": Counter((fact.service, fact.version, fact.admin, fact.name) for fact in kinds["view"]),
    }


def is_rounded(facts: Iterable[Fact], times: Mapping[str, int | None]) -> bool:
    """Tell whether a day has so many decision times that its quantiles are rounded."""
    return len({ms for fact in facts if (ms := times.get(fact.uid)) is not None}) > EXACT


def _by(
    kind: str,
    items: Iterable[_T],
    keys: Callable[[_T], Iterable[tuple[str, ...]]],
    count: Callable[[Sequence[_T]], Numbers],
) -> Table:
    groups: dict[tuple[Hashable, ...], list[_T]] = defaultdict(list)
    for item in items:
        for key in keys(item):
            groups[kind, *key].append(item)
    return {key: count(group) for key, group in groups.items()}


def _in_all_dimensions(fact: Fact) -> Iterable[tuple[str, ...]]:
    """Return the keys of the rows that count a fact: by each value of each dimension, and by all values, ''."""
    return itertools.product(*({value, ""} for value in _dimensions(fact)))


def _of_admin(fact: Fact) -> Iterable[tuple[str, ...]]:
    return [(fact.admin, *_dimensions(fact))]


def _dimensions(fact: Fact) -> tuple[str, ...]:
    return fact.service, fact.version, fact.type, fact.confidence


def _counted(facts: Sequence[Fact]) -> Numbers:
    counts = Counter(fact.action.lower() for fact in facts)
    counts["decisions"] = sum(fact.action != "VIEWED" for fact in facts)
    return Numbers(+counts)  # without zeros


def _timed(times: Iterable[int]) -> Numbers:
    ordered = sorted(times)
    return Numbers(
        {"samples": len(ordered)},
        sum_ms=sum(ordered),
        listed=len(ordered),
        p50_ms=nearest_rank(ordered, Fraction(1, 2)),
        p90_ms=nearest_rank(ordered, Fraction(9, 10)),
    )


def _ended(outcomes: Sequence[Fact]) -> Numbers:
    hours = [fact.hours for fact in outcomes if fact.hours is not None]
    counts = Counter(fact.status.lower() for fact in outcomes)
    counts.update(outcomes=len(outcomes), hours_samples=len(hours))
    return Numbers(+counts, sum_hours=sum(hours))


def _went_on(viewed: Sequence[Signal[Fact]]) -> Numbers:
    counts = Counter(signal.status.lower() or "open" for signal in viewed)
    decided = [signal for signal in viewed if signal.is_decided]
    counts.update(viewed=len(viewed), decided=len(decided), ended=sum(signal.status != "" for signal in decided))
    return Numbers(+counts)
