"""The catalogue: every event, its attributes and what is allowed in them.

Helpers, allow-lists, facts and documentation are derived from this module or tested against it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, TypeAlias
from uuid import UUID

from .exceptions import InvalidEventError
from .values import few_texts, hours, identifier, milliseconds, one_of

Id: TypeAlias = int | UUID | str
AttributeValue: TypeAlias = str | int | float
Kind: TypeAlias = Literal["recommendation", "outcome", "view", "internal"]

SCHEMA_VERSION: Final = "1"
CONFIDENCES: Final = ("HIGH", "MEDIUM", "LOW")
OUTCOME_STATUSES: Final = ("RESOLVED", "ESCALATED", "NO_ACTION", "FALSE_POSITIVE")


@dataclass(frozen=True, slots=True)
class Attribute:
    """Declare one attribute of the catalogue.

    Args:
        key: The attribute's key on the wire.
        argument: The helpers' argument that it comes from.
        column: The column of the facts and of ``metrics.*`` that stores it.
        clean: Turns an argument into the value on the wire, or raises ValueError.
        brief: What it is, for the documentation.
        type: The type on the wire, as OTLP's AnyValue names it.
        members: The allowed values, if they are a closed set.
    """

    key: str
    argument: str
    column: str
    clean: Callable[[object], AttributeValue]
    brief: str
    type: Literal["string", "int", "double"] = "string"
    members: tuple[str, ...] = ()


def _enumeration(key: str, argument: str, members: tuple[str, ...], brief: str) -> Attribute:
    return Attribute(key, argument, argument, one_of(members), brief, members=members)


RISK_SIGNAL_ID: Final = Attribute(
    "intel.risk_signal.id", "risk_signal_id", "risk_signal_id", identifier, "The risk signal: its primary key."
)
ADMIN_ID: Final = Attribute(
    "intel.admin.id", "admin_user_id", "admin_id", identifier,
    "The staff user: the primary key, or its keyed hash (HMAC-SHA256) where ADMIN_ID_HASH_KEY is set.",
)  # fmt: skip
RECOMMENDATION_TYPE: Final = Attribute(
    "intel.recommendation.type", "recommendation_type", "recommendation_type", few_texts,
    "What kind of recommendation the engine made, in the site's own terms.",
)  # fmt: skip
CONFIDENCE: Final = _enumeration(
    "intel.recommendation.confidence", "confidence", CONFIDENCES, "How sure the engine was."
)
DECISION_TIME_MS: Final = Attribute(
    "intel.decision.time_ms", "decision_time_ms", "decision_time_ms", milliseconds,
    "Milliseconds from the view of the recommendation to the decision.", "int",
)  # fmt: skip
OUTCOME_STATUS: Final = _enumeration(
    "intel.outcome.status", "outcome_status", OUTCOME_STATUSES, "How the risk signal ended."
)
RESOLUTION_TIME_HOURS: Final = Attribute(
    "intel.outcome.resolution_time_hours", "resolution_time_hours", "resolution_time_hours", hours,
    "Hours until the risk signal was resolved.", "double",
)  # fmt: skip
NOTE_ID: Final = Attribute(
    "intel.note.id",
    "admin_note_id",
    "note_id",
    identifier,
    "The note that was written: its primary key, never its text.",
)
ENGINE_VERSION: Final = Attribute(
    "intel.engine.version", "engine_version", "engine_version", few_texts,
    "The version of the engine that made the recommendation.",
)  # fmt: skip

# Set by the pipeline on every event, never an argument.
SCHEMA_VERSION_KEY: Final = "intel.schema.version"
EVENT_ID_KEY: Final = "log.record.uid"
SCHEMA_URL: Final = "https://otel-intel.example/schemas/1.0.0"
"""The schema URL of every record: the semantic conventions in ``semconv/``. Nobody downloads it; see docs/."""

PROBE_ID_KEY: Final = "intel.probe.id"
PROCESS_ID_KEY: Final = "intel.pipeline.process.id"
"""On every record: a process's own count of delivered events is compared with what arrived from it."""

Reason: TypeAlias = Literal[
    "invalid",
    "no_admin",
    "not_staff",
    "refused_click",
    "queue_full",
    "rejected",
    "after_shutdown",
    "exit_deadline",
]
DROP_REASONS: Final[Mapping[Reason, str]] = {
    "invalid": "it does not fit the catalogue",
    "no_admin": "the request's user is anonymous or was never loaded; decorate below the login check",
    "not_staff": "the request's user is not staff; give the decorator audience= if others decide, too",
    "refused_click": "the click did not come from a page of this site, or says nothing that can be counted",
    "queue_full": "events come in faster than they are delivered, or the endpoint is down",
    "rejected": "the endpoint refused it for good",
    "after_shutdown": "the pipeline of this process was shut down",
    "exit_deadline": "the process ended before the endpoint took it",
}
"""Why an event was not delivered, and what that means."""

REPORT_KEYS: Final = (
    PROCESS_ID_KEY,
    "intel.pipeline.process.pid",
    "intel.pipeline.process.started_at",
    "intel.pipeline.kind",
    "intel.pipeline.emitted",
    "intel.pipeline.delivered",
    "intel.pipeline.queued",
    "intel.pipeline.invalid_optional",
    *(f"intel.pipeline.dropped.{reason}" for reason in DROP_REASONS),
)
"""Attributes of ``intel.pipeline.reported``, one event per process and kind: cumulative counts; started_at in ns."""

RESOURCE_KEYS: Final = (
    "service.name",
    "service.namespace",
    "service.version",
    "service.instance.id",
    "deployment.environment.name",
)
"""The resource attributes that are kept."""

SPAN_KEYS: Final = (
    "http.route",
    "http.request.method",
    "http.method",
    "http.response.status_code",
    "http.status_code",
)
"""The span attributes that are kept, with the names of the current and the older semantic conventions."""


@dataclass(frozen=True)
class Event:
    """Declare one event of the catalogue.

    Args:
        name: The event's name on the wire.
        helper: The method of Telemetry that emits it; '' for internal events.
        kind: The fact table it belongs to; internal events count in no metric.
        brief: What happened, for the documentation.
        required: Attributes in the helper's order.
        optional: Further attributes, after the required ones; None is an absent attribute.
        is_decision: True if it decides on a recommendation: it counts as a decision in every metric.
        state_change: True if it waits for the transaction's commit.
    """

    name: str
    helper: str
    kind: Kind
    brief: str
    required: tuple[Attribute, ...] = ()
    optional: tuple[Attribute, ...] = ()
    is_decision: bool = False
    state_change: bool = False

    @property
    def value(self) -> str:
        """The value in the facts: an action such as ACCEPTED, or a view_kind such as dashboard.opened."""
        name = self.name.removeprefix("intel.")
        return name.removeprefix("recommendation.").upper() if self.kind == "recommendation" else name

    @property
    def column(self) -> str:
        """The column of the daily counts, such as accepted or dashboard_opened."""
        return self.value.lower().replace(".", "_")

    @cached_property
    def attributes(self) -> tuple[Attribute, ...]:
        """The attributes besides the common ones, in the helper's order of arguments."""
        return self.required + self.optional

    @cached_property
    def _steps(self) -> tuple[tuple[Callable[[object], AttributeValue], bool], ...]:
        return tuple((attribute.clean, attribute in self.optional) for attribute in self.attributes)

    def arguments(self, values: Mapping[str, object]) -> tuple[object, ...]:
        """Return the values in the order that ``clean`` takes; raise InvalidEventError for an unknown argument name."""
        if unknown := values.keys() - {attribute.argument for attribute in self.attributes}:
            raise InvalidEventError(f"{self.helper} takes no {', '.join(sorted(unknown))}")
        return tuple(values.get(attribute.argument) for attribute in self.attributes)

    def clean(self, arguments: Sequence[object]) -> tuple[AttributeValue | None, ...]:
        """Return the wire's values for a helper's arguments, or raise InvalidEventError."""
        try:
            return tuple(
                [
                    None if value is None and optional else clean(value)
                    for (clean, optional), value in zip(self._steps, arguments, strict=True)
                ]
            )
        except (TypeError, ValueError):
            raise self._misuse(arguments) from None

    def clean_required(self, arguments: Sequence[object]) -> tuple[tuple[AttributeValue | None, ...], Exception | None]:
        """Return the values on the wire without the optional ones that are wrong, and what is wrong with them."""
        kept, wrong = list(arguments), None
        for position, (clean, optional) in enumerate(self._steps):
            try:
                if optional and kept[position] is not None:
                    clean(kept[position])
            except (TypeError, ValueError):
                wrong = wrong or self._misuse(kept)
                kept[position] = None
        return self.clean(kept), wrong

    def _misuse(self, arguments: Sequence[object]) -> InvalidEventError:
        """Find out which argument is wrong; ``clean`` does not, to stay fast for valid events."""
        for attribute, (clean, optional), value in zip(self.attributes, self._steps, arguments, strict=False):
            try:
                if not (value is None and optional):
                    clean(value)
            except (TypeError, ValueError) as error:
                why = "is missing" if value is None else error
                return InvalidEventError(f"{self.helper}: {attribute.argument} {why}")
        return InvalidEventError(f"{self.helper} takes {len(self.attributes)} values, not {len(arguments)}")


_RECOMMENDATION: Final = (RISK_SIGNAL_ID, ADMIN_ID, RECOMMENDATION_TYPE, CONFIDENCE)
_VIEW: Final = (ADMIN_ID, RISK_SIGNAL_ID)

RECOMMENDATION_VIEWED: Final = Event(
    "intel.recommendation.viewed", "track_recommendation_view", "recommendation",
    "A staff user was shown a recommendation.", _RECOMMENDATION,
)  # fmt: skip
RECOMMENDATION_ACCEPTED: Final = Event(
    "intel.recommendation.accepted", "track_recommendation_accept", "recommendation",
    "A staff user did what was recommended.",
    _RECOMMENDATION, (DECISION_TIME_MS,), is_decision=True, state_change=True,
)  # fmt: skip
RECOMMENDATION_IGNORED: Final = Event(
    "intel.recommendation.ignored", "track_recommendation_ignore", "recommendation",
    "A staff user decided to do nothing about a recommendation.",
    _RECOMMENDATION, (DECISION_TIME_MS,), is_decision=True, state_change=True,
)  # fmt: skip
RECOMMENDATION_OVERRIDDEN: Final = Event(
    "intel.recommendation.overridden", "track_recommendation_override", "recommendation",
    "A staff user did something else than was recommended.",
    _RECOMMENDATION, (DECISION_TIME_MS,), is_decision=True, state_change=True,
)  # fmt: skip
OUTCOME_RECORDED: Final = Event(
    "intel.signal.outcome_recorded", "track_signal_outcome", "outcome",
    "A risk signal ended; the first outcome of a signal counts.",
    (RISK_SIGNAL_ID, OUTCOME_STATUS), (RESOLUTION_TIME_HOURS, NOTE_ID, ADMIN_ID), state_change=True,
)  # fmt: skip
DASHBOARD_OPENED: Final = Event(
    "intel.dashboard.opened", "track_dashboard_open", "view", "A staff user opened the dashboard.", (ADMIN_ID,)
)
SIGNAL_DETAIL_OPENED: Final = Event(
    "intel.signal.detail_opened", "track_signal_detail_open", "view",
    "A staff user opened the page of a risk signal.", _VIEW,
)  # fmt: skip
EXPLANATION_EXPANDED: Final = Event(
    "intel.explanation.expanded", "track_explanation_expand", "view",
    "A staff user unfolded the explanation of a recommendation.", _VIEW,
)  # fmt: skip
NOTE_CREATED: Final = Event(
    "intel.note.created", "track_admin_note_create", "view", "A staff user wrote a note on a risk signal.",
    _VIEW, (NOTE_ID,), state_change=True,
)  # fmt: skip
PIPELINE_REPORTED: Final = Event(
    "intel.pipeline.reported", "", "internal", "A process reported its counters of one kind of event."
)
PIPELINE_PROBED: Final = Event("intel.pipeline.probed", "", "internal", "`otel-intel doctor` sent a probe.")

# All events above, in their order: a declared event is in the catalogue at once.
CATALOGUE: Final[Mapping[str, Event]] = {
    declared.name: declared for declared in list(globals().values()) if isinstance(declared, Event)
}

HELPERS: Final[Mapping[str, Event]] = {event.helper: event for event in CATALOGUE.values() if event.helper}
"""The events that applications send, by the method of Telemetry that sends them."""


def of_kind(kind: Kind) -> tuple[Event, ...]:
    """Return the events of a kind, in the catalogue's order."""
    return tuple(event for event in CATALOGUE.values() if event.kind == kind)


def allowed_keys() -> tuple[str, ...]:
    """Return every attribute key that may leave the process in an event, sorted: the allow-list."""
    keys = {attribute.key for event in CATALOGUE.values() for attribute in event.attributes}
    keys.update((ENGINE_VERSION.key, SCHEMA_VERSION_KEY, EVENT_ID_KEY, PROBE_ID_KEY, *REPORT_KEYS))
    return tuple(sorted(keys))
