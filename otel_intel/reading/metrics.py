"""The five metrics, read from ``metrics.*``; also methods of Telemetry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Generic, TypeAlias, TypedDict, TypeVar
from uuid import UUID

from .days import MAX_DAYS, first_day, last_refresh, today
from .definitions import definition
from .reader import Parameter, Reader

Filter: TypeAlias = str | Sequence[str] | None
"""One value, or several of which any counts; None means all."""
AdminFilter: TypeAlias = str | int | UUID | Sequence[str | int | UUID] | None
"""The same of admins, whose ids are texts, whole numbers or UUIDs."""


FIRST_DAY: Final = date(1970, 1, 1)
LAST_DAY: Final = date(2149, 6, 6)
"""The limits of ClickHouse's Date."""

MAX_VALUES: Final = 1000
"""Of one filter."""


class Window(TypedDict):
    """The days that a number is of, both included, and until when everything that arrived is in it.

    ``kept_since`` is the first day that numbers are kept of: without those before it, a number is too small. None means
    that all are kept (``otel-intel migrate --retention-numbers``).
    """

    days: int
    since: date
    until: date
    as_of: datetime | None
    kept_since: date | None


class AcceptanceRate(Window):
    """How often recommendations were accepted: counts, accepted per viewed and accepted per decision."""

    viewed: int
    accepted: int
    ignored: int
    overridden: int
    decisions: int
    acceptance_rate: float
    acceptance_share: float


class DecisionTime(Window):
    """How long decisions took, in milliseconds; None without samples."""

    samples: int
    average_ms: float | None
    p50_ms: float | None
    p90_ms: float | None


class OverrideRate(Window):
    """How many decisions were overrides."""

    decisions: int
    overridden: int
    override_rate: float


class FalsePositiveRate(Window):
    """How many signals with an outcome were false positives."""

    outcomes: int
    false_positives: int
    false_positive_rate: float


class OutcomeDistribution(Window):
    """How signals ended: a count and a share (0..1) for each status, zeros included."""

    outcomes: int
    counts: dict[str, int]
    shares: dict[str, float]


class Metrics(TypedDict):
    """All five, of the same days and filters, as one answer."""

    acceptance_rate: AcceptanceRate
    decision_time: DecisionTime
    override_rate: OverrideRate
    false_positive_rate: FalsePositiveRate
    outcome_distribution: OutcomeDistribution


Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Metric(Generic[Answer]):
    """One view of a window: the columns that are read of it, and the filters that it has."""

    view: str
    into: Callable[..., Answer]
    columns: Sequence[str]
    filters: Sequence[str]


OF_EVENTS: Final = ("engine_version", "service_name")
OF_RECOMMENDATIONS: Final = (*OF_EVENTS, "recommendation_type", "confidence")

_ACCEPTANCE_RATE: Final = Metric(
    "acceptance_rate",
    AcceptanceRate,
    ("viewed", "accepted", "ignored", "overridden", "decisions", "acceptance_rate", "acceptance_share"),
    OF_RECOMMENDATIONS,
)
_DECISION_TIME: Final = Metric(
    "decision_time", DecisionTime, ("samples", "average_ms", "p50_ms", "p90_ms"), OF_RECOMMENDATIONS
)
_OVERRIDE_RATE: Final = Metric(
    "override_rate", OverrideRate, ("decisions", "overridden", "override_rate"), OF_RECOMMENDATIONS
)
_FALSE_POSITIVE_RATE: Final = Metric(
    "false_positive_rate", FalsePositiveRate, ("outcomes", "false_positives", "false_positive_rate"), OF_EVENTS
)
_OUTCOME_DISTRIBUTION: Final = Metric(
    "outcome_distribution", OutcomeDistribution, ("outcomes", "outcome_status", "count", "share"), OF_EVENTS
)
METRICS: Final[Mapping[str, Metric[Any]]] = {
    metric.view: metric
    for metric in (_ACCEPTANCE_RATE, _DECISION_TIME, _OVERRIDE_RATE, _FALSE_POSITIVE_RATE, _OUTCOME_DISTRIBUTION)
}
"""All metrics, by their names."""


def begin(days: int, since: date | None, until: date | None) -> tuple[Reader, dict[str, Any]]:
    """Return who reads, and the days to read: since..until, or ``days`` that end with until or today."""
    if since is None and (type(days) is not int or not 1 <= days <= MAX_DAYS):
        raise ValueError(f"days must be a whole number from 1 to {MAX_DAYS}, not {days!r:.60}.")
    for name, day in (("since", since), ("until", until)):
        if day is not None and (type(day) is not date or not FIRST_DAY <= day <= LAST_DAY):
            raise ValueError(f"{name} must be a date from {FIRST_DAY} to {LAST_DAY}, not {day!r:.60}.")
    reader = Reader()
    last = today(reader) if until is None else until
    if since is not None:
        days = (last - since).days + 1
        if not 1 <= days <= MAX_DAYS:
            raise ValueError(
                f"since must be at most {MAX_DAYS - 1} days before until ({last}), and not after it; it was {since}."
            )
    refreshed = last_refresh(reader)
    return reader, {
        "days": days,
        "since": max(first_day(days, last), FIRST_DAY),
        "until": last,
        "as_of": refreshed.as_of,
        "kept_since": refreshed.kept_since,
    }


def _values(name: str, given: AdminFilter) -> str:
    """Return a filter as the views take it: '' means all, and several values are lines."""
    if given is None:
        return ""
    values: list[object] = list(given) if isinstance(given, (list, tuple, set)) else [given]
    if name == "admin_id":
        values = [str(value) if isinstance(value, (int, UUID)) else value for value in values]
    if not 1 <= len(values) <= MAX_VALUES or not all(_is_line(value) for value in values):
        raise ValueError(
            f"{name} must be a text of one line, or a list of 1 to {MAX_VALUES}; None means all. It was {given!r:.60}."
        )
    return "\n".join(map(str, values))


def _is_line(value: object) -> bool:
    if not isinstance(value, str) or not value or "\n" in value:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)  # which UTF-8 cannot encode


def parameters_of(window: Mapping[str, Any], filters: Mapping[str, AdminFilter]) -> dict[str, Parameter]:
    """Return the parameters of a query."""
    return {
        "first_day": window["since"],
        "last_day": window["until"],
        **{name: _values(name, given) for name, given in filters.items()},
    }


def _ask(metric: Metric[Answer], days: int, since: date | None, until: date | None, **filters: AdminFilter) -> Answer:
    reader, window = begin(days, since, until)
    if filters.get("admin_id") is None:
        [row] = _rows(reader, metric, window, filters)
    else:
        [row] = steps_of(reader, window, window["days"], metric.columns, filters)
    return metric.into(**window, **row)


def _rows(
    reader: Reader, metric: Metric[Any], window: Mapping[str, Any], filters: Mapping[str, AdminFilter]
) -> list[dict[str, Any]]:
    view = f"{metric.view}_between"
    return _read(reader, metric.columns, view, {}, window, {name: filters[name] for name in metric.filters})


def steps_of(
    reader: Reader, window: Mapping[str, Any], step: int, columns: Iterable[str], filters: Mapping[str, AdminFilter]
) -> list[dict[str, Any]]:
    """Return a row for each ``step`` days of a window: of all that happened, or of what some admins did."""
    view = "trend_of_admins_between"
    if filters.get("admin_id") is None:
        view, filters = "trend_between", {name: given for name, given in filters.items() if name != "admin_id"}
    return _read(reader, columns, view, {"step": step}, window, filters)


def _read(
    reader: Reader,
    columns: Iterable[str],
    view: str,
    numbers: Mapping[str, int],
    window: Mapping[str, Any],
    filters: Mapping[str, AdminFilter],
) -> list[dict[str, Any]]:
    """Read columns of a view; a rate or share without a denominator is 0.0.

    The rest is done in Python, too: each expression would cost a query a part of a millisecond.
    """
    sql = f"SELECT {', '.join(columns)} FROM ({definition(reader, view)})"
    rows = reader.rows(dict[str, Any], sql, {**parameters_of(window, filters), **numbers}, never_empty=True)
    return [
        {name: 0.0 if value is None and name.endswith(("rate", "share")) else value for name, value in row.items()}
        for row in rows
    ]


def get_recommendation_acceptance_rate(
    days: int = 7,
    *,
    since: date | None = None,
    until: date | None = None,
    engine_version: Filter = None,
    recommendation_type: Filter = None,
    confidence: Filter = None,
    service_name: Filter = None,
    admin_id: AdminFilter = None,
) -> AcceptanceRate:
    """Return how often recommendations were accepted in the last ``days`` calendar days, today included.

    Args:
        days: 1 to 3650.
        since: The first day; then ``days`` does not matter.
        until: The last day, of ``days`` or since ``since``; None means today.
        engine_version: Only events of this version, or of any of these.
        recommendation_type: Only recommendations of this type, or of any of these.
        confidence: Only recommendations of this confidence, or of any of these.
        service_name: Only events that this service sent, or any of these.
        admin_id: Only what this admin did, or any of these.

    Raises:
        ValueError: If the days are not 1 to 3650, or a filter is empty.
        TelemetryUnavailable: If ClickHouse cannot answer within OTEL_INTEL['QUERY_TIMEOUT'] seconds.
    """
    return _ask(
        _ACCEPTANCE_RATE,
        days,
        since,
        until,
        engine_version=engine_version,
        recommendation_type=recommendation_type,
        confidence=confidence,
        service_name=service_name,
        admin_id=admin_id,
    )


def get_average_decision_time(
    days: int = 7,
    *,
    since: date | None = None,
    until: date | None = None,
    engine_version: Filter = None,
    recommendation_type: Filter = None,
    confidence: Filter = None,
    service_name: Filter = None,
    admin_id: AdminFilter = None,
) -> DecisionTime:
    """Return how long decisions took, in milliseconds; None without samples.

    Arguments and errors are those of ``get_recommendation_acceptance_rate``.
    """
    return _ask(
        _DECISION_TIME,
        days,
        since,
        until,
        engine_version=engine_version,
        recommendation_type=recommendation_type,
        confidence=confidence,
        service_name=service_name,
        admin_id=admin_id,
    )


def get_override_rate(
    days: int = 7,
    *,
    since: date | None = None,
    until: date | None = None,
    engine_version: Filter = None,
    recommendation_type: Filter = None,
    confidence: Filter = None,
    service_name: Filter = None,
    admin_id: AdminFilter = None,
) -> OverrideRate:
    """Return how many of the decisions were overrides.

    Arguments and errors are those of ``get_recommendation_acceptance_rate``.
    """
    return _ask(
        _OVERRIDE_RATE,
        days,
        since,
        until,
        engine_version=engine_version,
        recommendation_type=recommendation_type,
        confidence=confidence,
        service_name=service_name,
        admin_id=admin_id,
    )


def get_false_positive_rate(
    days: int = 7,
    *,
    since: date | None = None,
    until: date | None = None,
    engine_version: Filter = None,
    service_name: Filter = None,
) -> FalsePositiveRate:
    """Return how many of the signals with an outcome were false positives.

    Arguments and errors are those of ``get_recommendation_acceptance_rate``; outcomes have neither type nor confidence.
    """
    return _ask(_FALSE_POSITIVE_RATE, days, since, until, engine_version=engine_version, service_name=service_name)


def get_outcome_distribution(
    days: int = 7,
    *,
    since: date | None = None,
    until: date | None = None,
    engine_version: Filter = None,
    service_name: Filter = None,
) -> OutcomeDistribution:
    """Return how the signals' outcomes are spread over the four statuses.

    Arguments and errors are those of ``get_recommendation_acceptance_rate``; outcomes have neither type nor confidence.
    """
    reader, window = begin(days, since, until)
    filters: dict[str, AdminFilter] = {"engine_version": engine_version, "service_name": service_name}
    rows = _rows(reader, _OUTCOME_DISTRIBUTION, window, filters)
    return _OUTCOME_DISTRIBUTION.into(
        **window,
        outcomes=rows[0]["outcomes"],
        counts={row["outcome_status"]: row["count"] for row in rows},
        shares={row["outcome_status"]: row["share"] for row in rows},
    )
