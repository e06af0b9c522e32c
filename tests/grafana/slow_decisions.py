"""The expected rows of the dashboards about decisions, counted in slow Python."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from otel_intel.events import OUTCOME_STATUSES
from tests.grafana.slow import (
    BY_CONFIDENCE,
    Row,
    Rows,
    Slow,
    average,
    decided,
    grouped,
    midnight,
    moment,
    rank,
    share,
    with_action,
    with_status,
)
from tests.sql.reference import Fact, rate

OVERVIEW = ("version", "type")
RECOMMENDATIONS = ("version", "type", "confidence", "service")
BUCKETS = (0, 5, 15, 30, 60, 120, 300, 900, 3600)  # seconds


def acceptance_share(facts: list[Fact]) -> float | None:
    return share(with_action(facts, "ACCEPTED"), decided(facts))


def acceptance_rate(facts: list[Fact]) -> float | None:
    return share(with_action(facts, "ACCEPTED"), with_action(facts, "VIEWED"))


def override_rate(facts: list[Fact]) -> float | None:
    return share(with_action(facts, "OVERRIDDEN"), decided(facts))


def false_positive_rate(facts: list[Fact]) -> float | None:
    return share(with_status(facts, "FALSE_POSITIVE"), facts)


def _change(now: float | None, before: float | None, *, is_time: bool) -> str | None:
    if now is None or before is None:
        return None
    arrow = "▲" if now > before else "▼" if now < before else "="
    difference = abs(now - before)
    if not is_time:
        return f"{arrow} {difference * 100:.1f} pts"
    units = ((3_600_000, "{:.1f} hours"), (60_000, "{:.1f} mins"), (1000, "{:.1f} s"), (1, "{:.0f} ms"))
    size, text = next((size, text) for size, text in units if now >= size or size == 1)
    return f"{arrow} {text.format(difference / size)}"


def _compared(now: float | None, before: float | None, *, is_time: bool = False) -> Rows:
    return [(now, before, _change(now, before, is_time=is_time))]


def acceptance_share_now(slow: Slow) -> Rows:
    facts = slow.dataset.reference.recommendations
    windows = (slow.window(facts, *OVERVIEW, before=before) for before in (False, True))
    return _compared(*(acceptance_share(facts) for facts in windows))


def acceptance_rate_now(slow: Slow) -> Rows:
    facts = slow.dataset.reference.recommendations
    windows = (slow.window(facts, *OVERVIEW, before=before) for before in (False, True))
    return _compared(*(acceptance_rate(facts) for facts in windows))


def override_rate_now(slow: Slow) -> Rows:
    facts = slow.dataset.reference.recommendations
    windows = (slow.window(facts, *OVERVIEW, before=before) for before in (False, True))
    return _compared(*(override_rate(facts) for facts in windows))


def decision_time_now(slow: Slow) -> Rows:
    facts = slow.dataset.reference.recommendations
    windows = (slow.window(facts, *OVERVIEW, before=before) for before in (False, True))
    return _compared(*(average(slow.times(facts)) for facts in windows), is_time=True)


def false_positive_rate_now(slow: Slow) -> Rows:
    facts = slow.dataset.reference.first_outcomes
    windows = (slow.window(facts, "version", before=before) for before in (False, True))
    return _compared(*(false_positive_rate(facts) for facts in windows))


def distribution_now(slow: Slow) -> Rows:
    facts = slow.window(slow.dataset.reference.first_outcomes, "version")
    return [tuple(share(with_status(facts, status), facts) for status in OUTCOME_STATUSES)]


def shares_by_day(slow: Slow, filters: tuple[str, ...]) -> Rows:
    days = grouped(slow.within(slow.dataset.reference.recommendations, *filters), lambda fact: fact.day)
    return [(midnight(day), acceptance_share(facts), override_rate(facts)) for day, facts in days.items()]


def times_by_day(slow: Slow, filters: tuple[str, ...]) -> Rows:
    rows: Rows = []
    for day, facts in grouped(slow.within(slow.dataset.reference.recommendations, *filters), lambda f: f.day).items():
        if times := [ms / 60_000 for ms in slow.times(facts)]:
            rows.append((midnight(day), average(times), rank(times, 50), rank(times, 90)))
    return rows


def volume(slow: Slow) -> Rows:
    days = grouped(slow.within(slow.dataset.reference.recommendations, *OVERVIEW), lambda fact: fact.day)
    actions = ("VIEWED", "ACCEPTED", "IGNORED", "OVERRIDDEN")
    return [(midnight(day), *(len(with_action(facts, action)) for action in actions)) for day, facts in days.items()]


def funnel(slow: Slow) -> Rows:
    signals = slow.dataset.reference.signals
    viewed = {fact.signal for fact in slow.within([signal.view for signal in signals], *OVERVIEW)}
    acted = viewed & {signal.view.signal for signal in signals if signal.is_decided}
    ended = acted & {signal.view.signal for signal in signals if signal.status}
    steps = (("Viewed", viewed), ("Decided", acted), ("With outcome", ended))
    return [(name, len(signals), rate(len(signals), len(viewed))) for name, signals in steps]


def decisions_by(slow: Slow, dimension: str) -> Rows:
    groups = grouped(
        slow.within(slow.dataset.reference.recommendations, *RECOMMENDATIONS), lambda f: getattr(f, dimension)
    )
    rows = [
        (name, len(with_action(facts, "VIEWED")), len(decided(facts)), acceptance_share(facts), override_rate(facts))
        for name, facts in groups.items()
    ]
    if dimension == "confidence":
        return sorted(rows, key=lambda row: BY_CONFIDENCE.index(row[0]))
    if dimension == "type":
        return sorted(rows, key=lambda row: (-row[2], row[0]))
    return sorted(rows, key=lambda row: (max(fact.day for fact in groups[row[0]]), row[0]), reverse=True)


def time_buckets(slow: Slow) -> Rows:
    days = grouped(slow.within(slow.dataset.reference.recommendations, *RECOMMENDATIONS), lambda fact: fact.day)
    rows: Rows = []
    for day, facts in days.items():
        if times := slow.times(facts):
            # Times are never negative; 0 ms is in the first bucket.
            edges = [-1, *(1000 * seconds for seconds in BUCKETS[1:]), math.inf]
            pairs = pairwise(edges)
            counts = (sum(low < ms <= high for ms in times) for low, high in pairs)
            rows.append((midnight(day + timedelta(days=1)), *counts))
    return rows


def recent(slow: Slow) -> Rows:
    facts = slow.within(slow.dataset.reference.recommendations, *RECOMMENDATIONS)
    facts.sort(key=lambda fact: (fact.time_ns, fact.uid), reverse=True)
    return [
        (
            moment(fact.time_ns), fact.action, fact.signal, fact.admin, fact.type, fact.confidence, fact.version,
            slow.took(fact), slow.traces[fact.uid],
        )
        for fact in facts[:200]
    ]  # fmt: skip


def _statistics(slow: Slow) -> dict[str, Any]:
    facts = slow.window(slow.dataset.reference.recommendations)
    a, b = ([f for f in decided(facts) if f.version == slow.variables[name]] for name in ("version_a", "version_b"))
    if not a or not b:
        return {"n": (len(a), len(b))}
    accepted_a, accepted_b = len(with_action(a, "ACCEPTED")), len(with_action(b, "ACCEPTED"))
    share_a, share_b = accepted_a / len(a), accepted_b / len(b)
    pooled = (accepted_a + accepted_b) / (len(a) + len(b))
    error = math.sqrt(pooled * (1 - pooled) * (1 / len(a) + 1 / len(b)))
    margin = 1.959963985 * math.sqrt(share_a * (1 - share_a) / len(a) + share_b * (1 - share_b) / len(b))
    difference = share_b - share_a
    p = math.erfc(abs(difference / error) / math.sqrt(2)) if error else None
    return {
        "n": (len(a), len(b)),
        "difference": difference,
        "low": difference - margin,
        "high": difference + margin,
        "p": p,
    }


def verdict(slow: Slow) -> Rows:
    found, a, b = _statistics(slow), slow.variables["version_a"], slow.variables["version_b"]
    if a == b:
        return [("Choose two different versions.",)]
    if "difference" not in found:
        return [(f"No comparison: nothing was decided with {b if found['n'][0] else a}.",)]
    difference, p = found["difference"], found["p"]
    word = "not distinguishable from" if p is None or p >= 0.05 else "better than" if difference > 0 else "worse than"
    interval = f", 95 % interval {100 * found['low']:+.1f} to {100 * found['high']:+.1f}" if p is not None else ""
    few = "; few decisions, a hint at most" if min(found["n"]) < 50 else ""
    sentence = f"{b} is {word} {a}: acceptance share {100 * difference:+.1f} points{interval}, p = {p:.3f}{few}"
    return [(f"{sentence}. Unit = decision, each counted once.",)]


def difference(slow: Slow) -> Rows:
    found = _statistics(slow)
    if "difference" not in found or (slow.variables["version_a"] == slow.variables["version_b"] and not found["n"][0]):
        return [(None, None, None, None)]
    points = (f"{100 * found[name]:+.1f} points" for name in ("difference", "low", "high"))
    return [(*points, f"{found['p']:.3f}")]


def both_in_numbers(slow: Slow) -> Rows:
    rows: Rows = []
    for role, variable in (("A", "version_a"), ("B", "version_b")):
        version = slow.variables[variable]
        # '' means all versions, as in the views.
        facts = [f for f in slow.window(slow.dataset.reference.recommendations) if version in ("", f.version)]
        outcomes = [f for f in slow.window(slow.dataset.reference.first_outcomes) if version in ("", f.version)]
        times = slow.times(facts) if version else []
        rows.append(
            (
                role, version, len(decided(facts)), acceptance_share(facts), override_rate(facts),
                average(times), rank(times, 50), rank(times, 90), len(outcomes), false_positive_rate(outcomes),
            )
        )  # fmt: skip
    return rows


def of_both(slow: Slow, kind: str) -> Rows:
    """Compute a number for A and B on each day; a day has a row if A or B has an event."""
    reference = slow.dataset.reference
    facts = reference.first_outcomes if kind == "false positives" else reference.recommendations
    if kind == "times":
        facts = [fact for fact in facts if slow.took(fact) is not None]
    both = (slow.variables["version_a"], slow.variables["version_b"])
    days = grouped((fact for fact in slow.within(facts) if fact.version in both), lambda fact: fact.day)
    numbers = {
        "shares": acceptance_share,
        "decisions": lambda facts: len(decided(facts)),
        "times": lambda facts: None if (p50 := rank(slow.times(facts), 50)) is None else p50 / 60_000,
        "false positives": false_positive_rate,
    }
    return [
        (midnight(day), *(numbers[kind]([fact for fact in facts if fact.version == version]) for version in both))
        for day, facts in days.items()
    ]


def versions(slow: Slow, first: int) -> Rows:
    """List the versions of the last 90 days, the newest first, or with the second newest at the top."""
    since = (datetime.now(UTC) - timedelta(days=90)).date()
    seen = grouped((f for f in slow.dataset.reference.recommendations if f.day >= since), lambda fact: fact.version)
    newest = sorted(seen, key=lambda version: (min(fact.day for fact in seen[version]), version), reverse=True)
    if len(newest) > first:
        newest.insert(0, newest.pop(first))
    return [(version, version) for version in newest]


def choices(slow: Slow, dimension: str) -> Rows:
    """List the values of a variable: all that recommendation events in the range have."""
    found = {getattr(fact, dimension) for fact in slow.within(slow.dataset.reference.recommendations)}
    return [("", "All"), *((value, value) for value in sorted(found))]


def new_versions(slow: Slow) -> Rows:
    """List the first day of each version that had none in the 30 days before the range."""
    first, last = slow.start.date(), slow.end.date()
    looked_at = [
        fact for fact in slow.dataset.reference.recommendations if first - timedelta(days=30) <= fact.day <= last
    ]
    rows: list[Row] = []
    for version, facts in grouped(looked_at, lambda fact: fact.version).items():
        begin = min(facts, key=lambda fact: fact.time_ns)
        if begin.day >= first:
            rows.append((midnight(begin.day), f"First day of engine {version}", "engine version"))
    return sorted(rows)
