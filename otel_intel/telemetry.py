"""What applications call: the ``track_*`` helpers and the ``get_*`` metrics of one process."""

from __future__ import annotations

import calendar
import functools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Concatenate, Literal, ParamSpec, TypeAlias

from opentelemetry.context import get_current
from opentelemetry.sdk.environment_variables import OTEL_SDK_DISABLED

from . import events
from .conf import Settings, env_flag, get_settings, is_under_test, resolve_engine_version
from .delivery.ledger import PipelineStatus, QueuedEvent
from .delivery.pipeline import Pipeline
from .events import Event, Id, Reason
from .exceptions import InvalidEventError
from .reading import metrics, trends
from .transactions import when_committed

P = ParamSpec("P")
Confidence: TypeAlias = Literal["HIGH", "MEDIUM", "LOW"] | str
OutcomeStatus: TypeAlias = Literal["RESOLVED", "ESCALATED", "NO_ACTION", "FALSE_POSITIVE"] | str

_block_engine_version: ContextVar[str | None] = ContextVar("otel_intel_engine_version", default=None)

_MAX_TIME_NS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class _Configuration:
    """The settings in the form that the helpers need, computed once."""

    settings: Settings
    enabled: bool
    strict: bool  # True under test: wrong arguments then raise
    sending: bool
    engine_version: Callable[[], object]


def _configure() -> _Configuration:
    settings = get_settings()
    testing = is_under_test()
    return _Configuration(
        settings=settings,
        enabled=settings.ENABLED and not env_flag(OTEL_SDK_DISABLED),
        strict=testing,
        sending=not testing or settings.SEND_IN_TESTS,
        engine_version=resolve_engine_version(settings.ENGINE_VERSION),
    )


def _timestamp_ns(timestamp: object) -> int:
    """Return an aware datetime as nanoseconds since 1970; floats would lose microseconds."""
    if not isinstance(timestamp, datetime):
        raise InvalidEventError(f"timestamp must be a datetime, not {type(timestamp).__name__}")
    if timestamp.utcoffset() is None:
        raise InvalidEventError(
            "timestamp must be an aware datetime, such as datetime.now(UTC);"
            " timezone.now() is naive where USE_TZ is False: pass timezone.make_aware(timezone.now())"
        )
    nanoseconds = calendar.timegm(timestamp.utctimetuple()) * 1_000_000_000 + timestamp.microsecond * 1000
    if not 0 < nanoseconds <= _MAX_TIME_NS:
        raise InvalidEventError("timestamp must lie between the years 1970 and 2262")
    return nanoseconds


def _never_raises(
    helper: Callable[Concatenate[Telemetry, P], None],
) -> Callable[Concatenate[Telemetry, P], None]:
    """Count every error of a helper, wrong arguments included; raise it only under test."""

    @functools.wraps(helper)
    def call(self: Telemetry, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            helper(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 (a page must never fail because of telemetry)
            self.refuse(events.HELPERS[helper.__name__], "invalid", error)

    return call


class Telemetry:
    """Track what staff do with recommendations, and read the metrics.

    Use the one instance of ``get_telemetry()``. The ``track_*`` helpers return in microseconds, may be called
    from any thread, from async code and in forked workers, and never raise in production: invalid calls are
    counted (``status()``). Under pytest they raise, and send nothing unless SEND_IN_TESTS is set.

    All helpers take ids as int, UUID or str, and two keyword-only arguments:

    Args:
        engine_version: The version of the engine that made this recommendation; by default the one of
            the surrounding ``engine_version()`` block, else of the setting ENGINE_VERSION.
        timestamp: An aware datetime, to import history; by default now.
    """

    def __init__(self) -> None:
        self._configuration: _Configuration | None = None
        self._pipeline: Pipeline | None = None  # made at the first event
        self._capture: Callable[[QueuedEvent], None] | None = None  # see divert

    # -- recommendations -----------------------------------------------------------------------------------

    @_never_raises
    def track_recommendation_view(
        self,
        risk_signal_id: Id,
        admin_user_id: Id,
        recommendation_type: str,
        confidence: Confidence,
        *,
        engine_version: str | None = None,
        timestamp: datetime | None = None,
    ) -> None:
        """Record that an admin was shown a recommendation."""
        values = (risk_signal_id, admin_user_id, recommendation_type, confidence)
        self._emit(events.RECOMMENDATION_VIEWED, values, engine_version, timestamp)

    @_never_raises
    def track_recommendation_accept(
        self,
        risk_signal_id: Id,
        admin_user_id: Id,
        recommendation_type: str,
        confidence: Confidence,
        decision_time_ms: int | None = None,
        *,
        engine_version: str | None = None,
        timestamp: datetime | None = None,
    ) -> None:
        """Record that an admin accepted a recommendation, once the transaction commits.

        Without ``decision_time_ms`` (whole milliseconds) the time since the admin's first view is used.
        """
        values = (risk_signal_id, admin_user_id, recommendation_type, confidence, decision_time_ms)
        self._emit(events.RECOMMENDATION_ACCEPTED, values, engine_version, timestamp)

    @_never_raises
    def track_recommendation_ignore(
        self,
        risk_signal_id: Id,
        admin_user_id: Id,
        recommendation_type: str,
        confidence: Confidence,
        decision_time_ms: int | None = None,
        *,
        engine_version: str | None = None,
        timestamp: datetime | None = None,
    ) -> None:
        """Record that an admin ignored a recommendation, once the transaction commits."""
        values = (risk_signal_id, admin_user_id, recommendation_type, confidence, decision_time_ms)
        self._emit(events.RECOMMENDATION_IGNORED, values, engine_version, timestamp)

    @_never_raises
    def track_recommendation_override(
        self,
        risk_signal_id: Id,
        admin_user_id: Id,
        recommendation_type: str,
        confidence: Confidence,
        decision_time_ms: int | None = None,
        *,
        engine_version: str | None = None,
        timestamp: datetime | None = None,
    ) -> None:
        """Record that an admin did something other than recommended, once the transaction commits."""
        values = (risk_signal_id, admin_user_id, recommendation_type, confidence, decision_time_ms)
        self._emit(events.RECOMMENDATION_OVERRIDDEN, values, engine_version, timestamp)

    # -- outcomes ------------------------------------------------------------------------------------------

    @_never_raises
    def track_signal_outcome(
        self,
        risk_signal_id: Id,
        outcome_status: OutcomeStatus,
        resolution_time_hours: float | None = None,
        admin_note_id: Id | None = None,
        admin_user_id: Id | None = None,
        *,
        engine_version: str | None = None,
        timestamp: datetime | None = None,
    ) -> None:
        """Record how a signal ended, once the transaction commits; the first outcome of a signal counts."""
        values = (risk_signal_id, outcome_status, resolution_time_hours, admin_note_id, admin_user_id)
        self._emit(events.OUTCOME_RECORDED, values, engine_version, timestamp)

    # -- views ---------------------------------------------------------------------------------------------

    @_never_raises
    def track_dashboard_open(
        self, admin_user_id: Id, *, engine_version: str | None = None, timestamp: datetime | None = None
    ) -> None:
        """Record that an admin opened the dashboard."""
        self._emit(events.DASHBOARD_OPENED, (admin_user_id,), engine_version, timestamp)

    @_never_raises
    def track_signal_detail_open(
        self,
        admin_user_id: Id,
        risk_signal_id: Id,
        *,
        engine_version: str | None = None,
        timestamp: datetime | None = None,
    ) -> None:
        """Record that an admin opened the page of a signal."""
        self._emit(events.SIGNAL_DETAIL_OPENED, (admin_user_id, risk_signal_id), engine_version, timestamp)

    @_never_raises
    def track_explanation_expand(
        self,
        admin_user_id: Id,
        risk_signal_id: Id,
        *,
        engine_version: str | None = None,
        timestamp: datetime | None = None,
    ) -> None:
        """Record that an admin unfolded the explanation of a recommendation."""
        self._emit(events.EXPLANATION_EXPANDED, (admin_user_id, risk_signal_id), engine_version, timestamp)

    @_never_raises
    def track_admin_note_create(
        self,
        admin_user_id: Id,
        risk_signal_id: Id,
        admin_note_id: Id | None = None,
        *,
        engine_version: str | None = None,
        timestamp: datetime | None = None,
    ) -> None:
        """Record that an admin wrote a note, never its text, once the transaction commits."""
        values = (admin_user_id, risk_signal_id, admin_note_id)
        self._emit(events.NOTE_CREATED, values, engine_version, timestamp)

    @contextmanager
    def engine_version(self, version: str) -> Iterator[None]:
        """Set the engine version of all events of a block, in this thread or async task."""
        token = _block_engine_version.set(version)
        try:
            yield
        finally:
            _block_engine_version.reset(token)

    # -- the numbers ---------------------------------------------------------------------------------------
    # Each method reads ClickHouse within QUERY_TIMEOUT seconds, or raises TelemetryUnavailable. days is 1 to 3650,
    # today included; other values raise ValueError.

    get_metrics = staticmethod(trends.get_metrics)
    get_trend = staticmethod(trends.get_trend)
    get_recommendation_acceptance_rate = staticmethod(metrics.get_recommendation_acceptance_rate)
    get_average_decision_time = staticmethod(metrics.get_average_decision_time)
    get_override_rate = staticmethod(metrics.get_override_rate)
    get_false_positive_rate = staticmethod(metrics.get_false_positive_rate)
    get_outcome_distribution = staticmethod(metrics.get_outcome_distribution)

    # -- the pipeline --------------------------------------------------------------------------------------

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all events emitted so far in this process are delivered; never call it in a request.

        Needed before ``os._exit``, which ends a process without running exit handlers.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            True if all was delivered; False if time ran out or an event was lost since the last flush.
        """
        return self._get_pipeline().flush(timeout)

    def status(self) -> PipelineStatus:
        """Return this process's counters: emitted = delivered + dropped (by reason) + queued."""
        return self._get_pipeline().status()

    def shutdown(self, timeout: float | None = None) -> None:
        """Deliver the events that wait and accept no more; runs automatically at exit, within EXIT_TIMEOUT seconds."""
        self._get_pipeline().shutdown(timeout)

    # -- for the rest of the package -----------------------------------------------------------------------

    def record(self, event: Event, values: Mapping[str, object], engine_version: str | None = None) -> None:
        """Track an event like its helper, with the helper's arguments by name.

        Args:
            event: An event of the catalogue.
            values: The helper's arguments by name; optional ones may be left out.
            engine_version: As in the helpers.
        """
        try:
            self._emit(event, event.arguments(values), engine_version, None)
        except Exception as error:  # noqa: BLE001 (a page must never fail because of telemetry)
            self.refuse(event, "invalid", error)

    def refuse(self, event: Event, reason: Reason, error: Exception | None = None) -> None:
        """Count an event that cannot be sent; under test, raise its error instead.

        Args:
            event: An event of the catalogue.
            reason: The reason that it is counted under.
            error: What is wrong with it; the first error of each reason is logged.
        """
        try:
            configuration = self._configured()
        except Exception as broken:
            if is_under_test():
                raise
            error = broken
        else:
            if error is not None and configuration.strict:
                raise error
            if not (configuration.enabled and configuration.sending):
                return
        self._get_pipeline().refuse(event.kind, reason, error)

    def forget_settings(self) -> None:
        """Read the settings again at the next call; a running pipeline keeps its settings."""
        self._configuration = None

    def divert(self, capture: Callable[[QueuedEvent], None] | None) -> Callable[[QueuedEvent], None] | None:
        """Give events to a function instead of sending them; None sends them again. Return the previous value."""
        before, self._capture = self._capture, capture
        return before

    # -- inside --------------------------------------------------------------------------------------------

    def _emit(
        self,
        event: Event,
        arguments: tuple[object, ...],
        engine_version: str | None,
        timestamp: datetime | None,
    ) -> None:
        configuration = self._configuration or self._configured()
        if not configuration.enabled:
            return
        time_ns = time.time_ns() if timestamp is None else _timestamp_ns(timestamp)
        try:
            values = event.clean(arguments)
        except InvalidEventError:
            if configuration.strict:
                raise
            values, wrong = event.clean_required(arguments)
            if configuration.sending:
                self._get_pipeline().note_invalid_optional(event.kind, wrong)
        version = engine_version
        if version is None:
            version = _block_engine_version.get()
        if version is None:
            version = configuration.engine_version()  # type: ignore[assignment]
        try:
            clean_version = events.ENGINE_VERSION.clean(version)
        except (TypeError, ValueError) as error:
            raise InvalidEventError(
                f"{event.helper}: engine_version {error}; set OTEL_INTEL['ENGINE_VERSION'] or pass it"
            ) from None
        item = QueuedEvent(event, time_ns, get_current(), str(clean_version), values)
        if event.state_change:
            when_committed(lambda: self._queue(item))
        else:
            self._queue(item)

    def _queue(self, item: QueuedEvent) -> None:
        if self._capture is not None:
            self._capture(item)
        elif (self._configuration or self._configured()).sending:
            (self._pipeline or self._get_pipeline()).put(item)

    def _configured(self) -> _Configuration:
        configuration = self._configuration
        if configuration is None:
            configuration = self._configuration = _configure()
        return configuration

    def _get_pipeline(self) -> Pipeline:
        if self._pipeline is not None:
            return self._pipeline
        try:
            settings = self._configured().settings
        except Exception:  # noqa: BLE001 (refuse counts and logs each event that is lost)
            settings = Settings()
        pipeline = Pipeline(settings.QUEUE_SIZE, settings.EXIT_TIMEOUT, settings.ADMIN_ID_HASH_KEY)
        # Two threads may get here at once. setdefault is atomic; a lock could be held by another thread during a fork.
        self._pipeline = vars(self).setdefault("_started", pipeline)
        return self._pipeline


_telemetry = Telemetry()


def get_telemetry() -> Telemetry:
    """Return the one Telemetry of this process."""
    return _telemetry
