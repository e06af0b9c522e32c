"""The five metrics, read from ``metrics.*``; also methods of Telemetry."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypedDict, TypeVar

from otel_intel.events import OUTCOME_STATUSES

from .days import MAX_DAYS, first_day, today
from .reader import Parameter, Reader

Row = TypeVar("Row")


class AcceptanceRate(TypedDict):
    """How often recommendations were accepted: counts, accepted per viewed and accepted per decision."""

    days: int
    viewed: int
    accepted: int
    ignored: int
    overridden: int
    decisions: int
    acceptance_rate: float
    acceptance_share: float


class DecisionTime(TypedDict):
    """How long decisions took, in milliseconds; None without samples."""

    days: int
    samples: int
    average_ms: float | None
    p50_ms: float | None
    p90_ms: float | None


class OverrideRate(TypedDict):
    """How many decisions were overrides."""

    days: int
    decisions: int
    overridden: int
    override_rate: float


class FalsePositiveRate(TypedDict):
    """How many signals with an outcome were false positives."""

    days: int
    outcomes: int
    false_positives: int
    false_positive_rate: float


class OutcomeDistribution(TypedDict):
    """How signals ended: a count and a share (0..1) for each status, zeros included."""

    days: int
    outcomes: int
    counts: dict[str, int]
    shares: dict[str, float]


class _StatusCount(NamedTuple):
    outcome_status: str
    signals: int


def _ask(into: Callable[..., Row], view: str, columns: str, days: object, **filters: str | None) -> list[Row]:
    """Read ``metrics.<view>_between`` over the last ``days`` days; None as a filter means all."""
    if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= MAX_DAYS:
        raise ValueError(f"days must be a whole number from 1 to {MAX_DAYS}, not {days!r:.60}.")
    last = today()
    parameters: dict[str, Parameter] = {"first_day": first_day(days, last), "last_day": last}
    parameters |= {name: value or "" for name, value in filters.items()}
    arguments = ["first_day = {first_day:Date}", "last_day = {last_day:Date}"]
    arguments += [f"{name} = {{{name}:String}}" for name in filters]
    sql = f"SELECT {columns} FROM metrics.{view}_between({', '.join(arguments)})"
    return Reader().rows(into, sql, parameters, never_empty=True)


def get_recommendation_acceptance_rate(
    days: int = 7, *, engine_version: str | None = None, recommendation_type: str | None = None
) -> AcceptanceRate:
    """Return how often recommendations were accepted in the last ``days`` calendar days, today included.

    Args:
        days: 1 to 3650.
        engine_version: Only events of this version; None means all.
        recommendation_type: Only recommendations of this type; None means all.

    Raises:
        ValueError: If days is not a whole number from 1 to 3650.
        TelemetryUnavailable: If ClickHouse cannot answer within OTEL_INTEL['QUERY_TIMEOUT'] seconds.
    """
    [row] = _ask(
        partial(AcceptanceRate, days=days),
        "acceptance_rate",
        "viewed, accepted, ignored, overridden, decisions,"
        " ifNull(acceptance_rate, 0.) AS acceptance_rate, ifNull(acceptance_share, 0.) AS acceptance_share",
        days,
        engine_version=engine_version,
        recommendation_type=recommendation_type,
    )
    return row


def get_average_decision_time(
    days: int = 7, *, engine_version: str | None = None, recommendation_type: str | None = None
) -> DecisionTime:
    """Return how long decisions took, in milliseconds; None without samples.

    Arguments and errors are those of ``get_recommendation_acceptance_rate``.
    """
    [row] = _ask(
        partial(DecisionTime, days=days),
        "decision_time",
        "samples, average_ms, p50_ms, p90_ms",
        days,
        engine_version=engine_version,
        recommendation_type=recommendation_type,
    )
    return row


def get_override_rate(
    days: int = 7, *, engine_version: str | None = None, recommendation_type: str | None = None
) -> OverrideRate:
    """Return how many of the decisions were overrides.

    Arguments and errors are those of ``get_recommendation_acceptance_rate``.
    """
    [row] = _ask(
        partial(OverrideRate, days=days),
        "override_rate",
        "decisions, overridden, ifNull(override_rate, 0.) AS override_rate",
        days,
        engine_version=engine_version,
        recommendation_type=recommendation_type,
    )
    return row


def get_false_positive_rate(days: int = 7, *, engine_version: str | None = None) -> FalsePositiveRate:
    """Return how many of the signals with an outcome were false positives.

    Arguments and errors are those of ``get_recommendation_acceptance_rate``; outcomes have no type.
    """
    [row] = _ask(
        partial(FalsePositiveRate, days=days),
        "false_positive_rate",
        "outcomes, false_positives, ifNull(false_positive_rate, 0.) AS false_positive_rate",
        days,
        engine_version=engine_version,
    )
    return row


def get_outcome_distribution(days: int = 7, *, engine_version: str | None = None) -> OutcomeDistribution:
    """Return how the signals' outcomes are spread over the four statuses.

    Arguments and errors are those of ``get_recommendation_acceptance_rate``; outcomes have no type.
    """
    rows = _ask(
        _StatusCount, "outcome_distribution", "outcome_status, count AS signals", days, engine_version=engine_version
    )
    counts = dict.fromkeys(OUTCOME_STATUSES, 0) | dict(rows)
    total = sum(counts.values())
    return OutcomeDistribution(
        days=days,
        outcomes=total,
        counts=counts,
        shares={status: count / total if total else 0.0 for status, count in counts.items()},
    )
