"""Decorators for views: they track a successful response and never change it.

For function views, sync and async, for class-based views (the class or a method) and for DRF methods and
actions; with and without parentheses.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar, cast, overload

from asgiref.sync import iscoroutinefunction, markcoroutinefunction

from . import events
from .events import Event, Id
from .telemetry import get_telemetry

# Django is imported in the functions that get a request: the helpers, in the same package, must work without Django.
if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponseBase

View = TypeVar("View", bound=Callable[..., object])
Recommendation: TypeAlias = "Callable[[HttpRequest, HttpResponseBase], tuple[str, str] | None]"
_Values: TypeAlias = "Callable[[HttpRequest, HttpResponseBase], Mapping[str, object] | None]"

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")


class _Decorator(Protocol):
    def __call__(self, view: View, /) -> View: ...


def _loaded_admin_id(request: HttpRequest) -> Id | None:
    """Return the key of the request's user if somebody has loaded it already.

    Loading it here would cost a query and add ``Vary: Cookie`` to the response
    (https://github.com/jrobichaud/django-structlog/issues/734).
    """
    from django.utils.functional import LazyObject, empty

    user: object = vars(request).get("user")
    if isinstance(user, LazyObject):
        wrapped = vars(user)["_wrapped"]
        user = None if wrapped is empty else wrapped
    if user is None:
        user = vars(request).get("_acached_user")  # what request.auser() has loaded
    if not getattr(user, "is_authenticated", False):
        return None
    return cast("Id | None", getattr(user, "pk", None))


def _request_of(arguments: tuple[object, ...]) -> HttpRequest:
    """Find the request among a view's first two arguments: a method's first is ``self``."""
    candidate = next((argument for argument in arguments[:2] if hasattr(argument, "META")), None)
    if candidate is None:
        raise TypeError("otel_intel's decorators are for views: no request among the first two arguments")
    return cast("HttpRequest", getattr(candidate, "_request", candidate))  # DRF wraps Django's request


def _is_success(request: HttpRequest, response: HttpResponseBase) -> bool:
    return 200 <= response.status_code < 300


def _is_change(request: HttpRequest, response: HttpResponseBase) -> bool:
    # Forms answer a successful POST with a redirect.
    return request.method not in _SAFE_METHODS and response.status_code < 400


def _track(
    event: Event,
    arguments: tuple[object, ...],
    keywords: Mapping[str, object],
    response: HttpResponseBase,
    signal: str,
    more_values: _Values,
) -> None:
    request = _request_of(arguments)
    if not (_is_change if event is events.NOTE_CREATED else _is_success)(request, response):
        return
    if signal not in keywords and request.resolver_match is not None:
        keywords = request.resolver_match.kwargs
    # A class and its method, or a child class and its parent, may both be decorated: count one request once.
    tracked = vars(request).setdefault("_otel_intel_tracked", set())
    if (once := (event.name, keywords.get(signal))) in tracked:
        return
    tracked.add(once)
    admin_id = _loaded_admin_id(request)
    if admin_id is None:
        get_telemetry().refuse(event, "no_admin")
        return
    values: dict[str, object] = {"admin_user_id": admin_id}
    if signal:
        values["risk_signal_id"] = keywords.get(signal)
    more = more_values(request, response)
    if more is not None:
        get_telemetry().record(event, {**values, **more})


def _observe(view: View, event: Event, signal: str, values: _Values) -> View:
    if isinstance(view, type):
        dispatch = "dispatch"
        setattr(view, dispatch, _observe(getattr(view, dispatch), event, signal, values))
        return view

    def track(arguments: tuple[object, ...], keywords: Mapping[str, object], response: object) -> None:
        from django.template.response import SimpleTemplateResponse

        if isinstance(response, SimpleTemplateResponse) and not response.is_rendered:
            # A template response is rendered after the view; it may still fail until then.
            response.add_post_render_callback(lambda rendered: track(arguments, keywords, rendered))
            return
        try:
            _track(event, arguments, keywords, cast("HttpResponseBase", response), signal, values)
        except Exception as error:  # noqa: BLE001 (a page must never fail because of telemetry)
            get_telemetry().refuse(event, "invalid", error)

    async def later(
        response: Awaitable[object], arguments: tuple[object, ...], keywords: Mapping[str, object]
    ) -> object:
        result = await response
        track(arguments, keywords, result)
        return result

    @functools.wraps(view)
    def observed(*arguments: object, **keywords: object) -> object:
        response = view(*arguments, **keywords)
        if inspect.isawaitable(response):  # also the dispatch() of a class with async handlers
            return later(response, arguments, keywords)
        track(arguments, keywords, response)
        return response

    if iscoroutinefunction(view):
        markcoroutinefunction(observed)
    return cast("View", observed)


def _nothing_more(request: HttpRequest, response: HttpResponseBase) -> Mapping[str, object]:
    return {}


def _decorate(view: View | None, event: Event, signal: str = "", values: _Values = _nothing_more) -> View | _Decorator:
    def decorate(decorated: View, /) -> View:
        return _observe(decorated, event, signal, values)

    return cast("_Decorator", decorate) if view is None else decorate(view)


@overload
def track_dashboard_open(view: View, /) -> View: ...
@overload
def track_dashboard_open() -> _Decorator: ...
def track_dashboard_open(view: View | None = None, /) -> View | _Decorator:
    """Track the openings of a dashboard: responses with status 2xx."""
    return _decorate(view, events.DASHBOARD_OPENED)


@overload
def track_signal_detail_open(view: View, /) -> View: ...
@overload
def track_signal_detail_open(*, signal: str = ...) -> _Decorator: ...
def track_signal_detail_open(view: View | None = None, /, *, signal: str = "signal_id") -> View | _Decorator:
    """Track the openings of a signal's page: responses with status 2xx.

    Args:
        view: The view, where the decorator stands without parentheses.
        signal: The name of the URL's argument that holds the signal's id.
    """
    return _decorate(view, events.SIGNAL_DETAIL_OPENED, signal)


@overload
def track_explanation_expand(view: View, /) -> View: ...
@overload
def track_explanation_expand(*, signal: str = ...) -> _Decorator: ...
def track_explanation_expand(view: View | None = None, /, *, signal: str = "signal_id") -> View | _Decorator:
    """Track a view that serves an explanation: responses with status 2xx.

    Where the page holds the explanation already, use the template tag of the same name instead.

    Args:
        view: The view, where the decorator stands without parentheses.
        signal: The name of the URL's argument that holds the signal's id.
    """
    return _decorate(view, events.EXPLANATION_EXPANDED, signal)


@overload
def track_admin_note_create(view: View, /) -> View: ...
@overload
def track_admin_note_create(*, signal: str = ...) -> _Decorator: ...
def track_admin_note_create(view: View | None = None, /, *, signal: str = "signal_id") -> View | _Decorator:
    """Track the notes that a view creates: unsafe methods with a status below 400.

    Args:
        view: The view, where the decorator stands without parentheses.
        signal: The name of the URL's argument that holds the signal's id.
    """
    return _decorate(view, events.NOTE_CREATED, signal)


def track_recommendation_view(*, recommendation: Recommendation, signal: str = "signal_id") -> _Decorator:
    """Track the recommendations that a view shows: responses with status 2xx.

    Args:
        recommendation: Called with request and response; returns (type, confidence), or None if the page
            showed no recommendation.
        signal: The name of the URL's argument that holds the signal's id.
    """

    def values(request: HttpRequest, response: HttpResponseBase) -> Mapping[str, object] | None:
        shown = recommendation(request, response)
        if shown is None:
            return None
        recommendation_type, confidence = shown
        return {"recommendation_type": recommendation_type, "confidence": confidence}

    return cast("_Decorator", _decorate(None, events.RECOMMENDATION_VIEWED, signal, values))
