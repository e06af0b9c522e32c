"""The metrics' definitions in slow, simple Python, to compare the SQL with."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from fractions import Fraction
from functools import cached_property
from typing import Any

from otel_intel.reading import reference
from tests.otlp import Record

ACTIONS = ("VIEWED", "ACCEPTED", "IGNORED", "OVERRIDDEN")
STATUSES = ("RESOLVED", "ESCALATED", "NO_ACTION", "FALSE_POSITIVE")
VIEW_KINDS = ("dashboard.opened", "signal.detail_opened", "explanation.expanded", "note.created")


@dataclass(frozen=True)
class Window:
    """The arguments of a metric; '' means all, and several values of a filter are lines."""

    first_day: date
    last_day: date
    engine_version: str = ""
    recommendation_type: str = ""
    confidence: str = ""
    service_name: str = ""
    admin_id: str = ""


class Fact(reference.Fact):
    """One event, with the values of its first copy, and its day."""

    day: date

    @classmethod
    def of(cls, record: Record, zone: tzinfo) -> Fact:
        """Return the fact that a record becomes."""
        get = record.attributes.get
        fact = cls(
            uid=record.attributes["log.record.uid"],
            name=record.name.removeprefix("intel."),
            time_ns=record.time_ns,
            service=record.resource["service.name"],
            version=get("intel.engine.version", ""),
            signal=get("intel.risk_signal.id", ""),
            admin=get("intel.admin.id", ""),
            type=get("intel.recommendation.type", ""),
            confidence=get("intel.recommendation.confidence", ""),
            given_ms=get("intel.decision.time_ms"),
            status=get("intel.outcome.status", ""),
            hours=get("intel.outcome.resolution_time_hours"),
        )
        time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=record.time_ns // 10**9)
        fact.day = time.astimezone(zone).date()
        return fact


class Reference:
    """The metrics for records in the order of their arrival, by the days of a time zone."""

    def __init__(self, deliveries: Iterable[Record], zone: tzinfo = UTC) -> None:
        facts: dict[str, Fact] = {}
        for record in deliveries:
            fact = Fact.of(record, zone)
            facts.setdefault(fact.uid, fact)
        self.recommendations = [fact for fact in facts.values() if fact.name.startswith("recommendation.")]
        self.outcomes = [fact for fact in facts.values() if fact.name == "signal.outcome_recorded"]
        self.views = [fact for fact in facts.values() if fact.name in VIEW_KINDS]

    @cached_property
    def decisions(self) -> list[tuple[Fact, int | None]]:
        """Every decision with its time in milliseconds."""
        times = reference.decision_times(self.recommendations)
        return [(fact, times[fact.uid]) for fact in self.recommendations if fact.action != "VIEWED"]

    @cached_property
    def first_outcomes(self) -> list[Fact]:
        """The outcome of each signal: the first by (time, uid)."""
        return reference.first_outcomes(self.outcomes)

    @cached_property
    def signals(self) -> list[reference.Signal[Fact]]:
        """How each signal went on that was viewed."""
        return reference.signals([*self.recommendations, *self.outcomes])

    def signals_daily(self) -> dict[tuple[Any, ...], Counter[str]]:
        """Count how signals went on, by the day and the dimensions of their first view."""
        rows: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
        for view, is_decided, status in self.signals:
            row = rows[view.day, view.service, view.version, view.type, view.confidence]
            row.update(["viewed", status.lower() or "open"])
            row.update(["decided"] if is_decided else [])
            row.update(["ended"] if is_decided and status else [])
        return dict(rows)

    @staticmethod
    def _within(fact: Fact, window: Window) -> bool:
        return (
            window.first_day <= fact.day <= window.last_day
            and _passes(window.engine_version, fact.version)
            and _passes(window.recommendation_type, fact.type)
            and _passes(window.confidence, fact.confidence)
            and _passes(window.service_name, fact.service)
            and _passes(window.admin_id, fact.admin)
        )

    def _actions(self, window: Window) -> Counter[str]:
        return Counter(fact.action for fact in self.recommendations if self._within(fact, window))

    def acceptance_rate(self, window: Window) -> dict[str, Any]:
        """As metrics.acceptance_rate_between."""
        n = self._actions(window)
        decisions = n["ACCEPTED"] + n["IGNORED"] + n["OVERRIDDEN"]
        return {
            **{action.lower(): n[action] for action in ACTIONS},
            "decisions": decisions,
            "acceptance_rate": rate(n["ACCEPTED"], n["VIEWED"]),
            "acceptance_share": rate(n["ACCEPTED"], decisions),
        }

    def override_rate(self, window: Window) -> dict[str, Any]:
        """As metrics.override_rate_between."""
        n = self._actions(window)
        decisions = n["ACCEPTED"] + n["IGNORED"] + n["OVERRIDDEN"]
        return {
            "decisions": decisions,
            "overridden": n["OVERRIDDEN"],
            "override_rate": rate(n["OVERRIDDEN"], decisions),
        }

    def decision_time(self, window: Window) -> dict[str, Any]:
        """As metrics.decision_time_between."""
        samples = sorted(ms for fact, ms in self.decisions if ms is not None and self._within(fact, window))
        return {
            "samples": len(samples),
            "average_ms": rate(sum(samples), len(samples)),
            "p50_ms": nearest_rank(samples, Fraction(1, 2)),
            "p90_ms": nearest_rank(samples, Fraction(9, 10)),
        }

    def outcome_distribution(self, window: Window) -> list[dict[str, Any]]:
        """As metrics.outcome_distribution_between."""
        n = Counter(fact.status for fact in self.first_outcomes if self._within(fact, window))
        return [
            {"outcome_status": s, "count": n[s], "share": rate(n[s], n.total()), "outcomes": n.total()}
            for s in STATUSES
        ]

    def false_positive_rate(self, window: Window) -> dict[str, Any]:
        """As metrics.false_positive_rate_between."""
        n = Counter(fact.status for fact in self.first_outcomes if self._within(fact, window))
        return {
            "outcomes": n.total(),
            "false_positives": n["FALSE_POSITIVE"],
            "false_positive_rate": rate(n["FALSE_POSITIVE"], n.total()),
        }

    def recommendations_daily(self) -> dict[tuple[Any, ...], tuple[int, ...]]:
        """Counts of ACTIONS by (day, service, version, type, confidence)."""
        n = Counter(
            ((fact.day, fact.service, fact.version, fact.type, fact.confidence), fact.action)
            for fact in self.recommendations
        )
        return {key: tuple(n[key, action] for action in ACTIONS) for key, _ in n}

    def decision_times_daily(self) -> dict[tuple[Any, ...], dict[int, int]]:
        """Samples by milliseconds, by (day, service, version, type, confidence)."""
        daily: dict[tuple[Any, ...], Counter[int]] = defaultdict(Counter)
        for fact, ms in self.decisions:
            if ms is not None:
                daily[fact.day, fact.service, fact.version, fact.type, fact.confidence][ms] += 1
        return {key: dict(samples) for key, samples in daily.items()}

    def outcomes_daily(self) -> dict[tuple[Any, ...], tuple[float, ...]]:
        """Counts of STATUSES, outcomes with hours and the hours' sum, by (day, service, version)."""
        groups = defaultdict(list)
        for fact in self.first_outcomes:
            groups[fact.day, fact.service, fact.version].append(fact)
        return {
            key: (
                *(sum(fact.status == status for fact in facts) for status in STATUSES),
                sum(fact.hours is not None for fact in facts),
                sum(fact.hours or 0 for fact in facts),
            )
            for key, facts in groups.items()
        }

    def engagement_daily(self) -> dict[tuple[Any, ...], tuple[int, ...]]:
        """Counts of VIEW_KINDS by (day, service, version, admin)."""
        n = Counter(((fact.day, fact.service, fact.version, fact.admin), fact.name) for fact in self.views)
        return {key: tuple(n[key, kind] for kind in VIEW_KINDS) for key, _ in n}


def _passes(wanted: str, value: str) -> bool:
    lines = wanted.strip("\n")
    return not lines or value in lines.split("\n")


def rate(numerator: int, denominator: int) -> float | None:
    """Return the fraction, or None if it is undefined."""
    return float(Fraction(numerator, denominator)) if denominator else None


def nearest_rank(ordered: list[int], q: Fraction) -> int | None:
    """Return the ceil(q * n)-th smallest; None if there is none."""
    return reference.nearest_rank(ordered, q) if ordered else None


def assert_rounded(found: Mapping[str, Any], right: Mapping[str, Any]) -> None:
    """Compare decision times of large days, whose quantiles may be off by 0.5 s or 0.75 %."""
    for name, value in right.items():
        off = max(500, 0.0075 * value) if name in ("p50_ms", "p90_ms") else 0
        assert abs(found[name] - value) <= off, (name, found, right)
