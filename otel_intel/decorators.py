"""Decorators for views: they track a successful response and never change it.

For function views, sync and async, for class-based views (the class or a method) and for DRF methods and
actions; with and without parentheses.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias, TypeVar, cast, overload
from urllib.parse import urlsplit

from asgiref.sync import iscoroutinefunction, markcoroutinefunction

from . import events
from .events import Event
from .exceptions import InvalidEventError
from .site import is_staff
from .telemetry import Confidence, get_telemetry

# Django is imported in the functions that get a request: the helpers, in the same package, must work without Django.
if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponseBase

View = TypeVar("View", bound=Callable[..., object])


class Recommendation(NamedTuple):
    """What the engine recommended about a signal.

    Args:
        type: The kind of recommendation, in the site's own terms.
        confidence: HIGH, MEDIUM or LOW.
        engine_version: The version that made this recommendation, kept with the signal. Without it the event gets
            the version of now, and a signal of version 1.4 that is viewed under 2.0 counts for both.
    """

    type: str
    confidence: Confidence
    engine_version: str | None = None


Shown: TypeAlias = "Callable[[HttpRequest, HttpResponseBase], Recommendation | tuple[str, str] | None] | str"
Audience: TypeAlias = Literal["staff", "authenticated"] | Callable[..., bool]
_AUDIENCES = ("staff", "authenticated")

_PURPOSES = ("Sec-Purpose", "X-Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
_SPECULATIVE = ("prefetch", "prerender", "preview")


class _Decorator(Protocol):
    def __call__(self, view: View, /) -> View: ...


def _loaded_user(request: HttpRequest) -> object | None:
    """Return the request's user if somebody has loaded it already and it is logged in.

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
    return user if getattr(user, "is_authenticated", False) else None


def _request_of(arguments: tuple[object, ...]) -> HttpRequest:
    """Find the request among a view's first two arguments: a method's first is ``self``."""
    candidate = next((argument for argument in arguments[:2] if hasattr(argument, "META")), None)
    if candidate is None:
        raise TypeError("otel_intel's decorators are for views: no request among the first two arguments")
    return cast("HttpRequest", getattr(candidate, "_request", candidate))  # DRF wraps Django's request


def _is_speculative(request: HttpRequest) -> bool:
    """Tell whether a browser loads the page before anybody wants to see it.

    https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Sec-Purpose
    """
    # Scripts may not set Sec-Purpose: Turbo sends X-Sec-Purpose, htmx's preload extension HX-Preloaded.
    purpose = " ".join(request.headers.get(name, "") for name in _PURPOSES).lower()
    return "HX-Preloaded" in request.headers or any(word in purpose for word in _SPECULATIVE)


def _is_part_of_its_page(request: HttpRequest) -> bool:
    """Tell whether a page that is open asks for a part of itself: it was seen before, and the part may be another.

    https://htmx.org/reference/#request_headers, https://turbo.hotwired.dev/reference/frames, https://unpoly.com/up.protocol
    """
    headers = request.headers
    if "HX-Request" in headers:
        if "HX-Boosted" in headers or "HX-History-Restore-Request" in headers:  # these show the whole page
            return False
        page = headers.get("HX-Current-URL", "")
    elif {"Turbo-Frame", "X-Up-Target"} & set(headers) or headers.get("X-Requested-With") == "XMLHttpRequest":
        page = headers.get("Referer", "")
    else:
        return False
    return urlsplit(page).path == request.path


def _happened(event: Event, request: HttpRequest, response: HttpResponseBase) -> bool:
    """Tell whether a request did what the event says, by its method, headers and status."""
    if event.state_change:
        # Forms answer a successful POST with a redirect.
        return request.method not in ("GET", "HEAD", "OPTIONS", "TRACE") and response.status_code < 400
    if not 200 <= response.status_code < 300 or _is_speculative(request):
        return False
    if event is events.EXPLANATION_EXPANDED:  # it is a part of its page, and may be asked for by POST
        return request.method in ("GET", "POST")
    return request.method == "GET" and not _is_part_of_its_page(request)


@dataclass(frozen=True, slots=True)
class _Tracker:
    """Track the responses of a view as one event; the arguments are those of the decorators."""

    event: Event
    signal: str = ""
    recommendation: Shown | None = None
    audience: Audience | None = None

    def __post_init__(self) -> None:
        if iscoroutinefunction(self.recommendation):
            raise TypeError("recommendation must not be async: let the view find it out, and return it from there")
        if not (self.audience is None or callable(self.audience) or self.audience in _AUDIENCES):
            raise ValueError(f"audience must be 'staff', 'authenticated' or a function, not {self.audience!r}")

    def observe(self, view: View, /) -> View:
        """Return the view, tracked."""
        if isinstance(view, type):
            dispatch = "dispatch"
            if not hasattr(view, dispatch):
                raise TypeError(f"{view.__name__} is no class-based view: it has no dispatch()")
            setattr(view, dispatch, self.observe(getattr(view, dispatch)))
            return view

        async def later(
            response: Awaitable[object], arguments: tuple[object, ...], keywords: Mapping[str, object]
        ) -> object:
            result = await response
            self.track(arguments, keywords, result)
            return result

        @functools.wraps(view)
        def observed(*arguments: object, **keywords: object) -> object:
            response = view(*arguments, **keywords)
            if inspect.isawaitable(response):  # also the dispatch() of a class with async handlers
                return later(response, arguments, keywords)
            self.track(arguments, keywords, response)
            return response

        if iscoroutinefunction(view):
            markcoroutinefunction(observed)
        return cast("View", observed)

    def track(self, arguments: tuple[object, ...], keywords: Mapping[str, object], response: object) -> None:
        """Record what a response tells; count whatever goes wrong."""
        from django.template.response import SimpleTemplateResponse

        if isinstance(response, SimpleTemplateResponse) and not response.is_rendered:
            # A template response is rendered after the view; it may still fail until then.
            response.add_post_render_callback(lambda rendered: self.track(arguments, keywords, rendered))
            return
        try:
            if not hasattr(response, "status_code"):
                raise TypeError(
                    f"the view returned {type(response).__name__}, no response: where a framework makes the response"
                    " of what a view returns, decorate what it calls (django-ninja: @decorate_view(...) below @api.get)"
                )
            self._track(arguments, keywords, cast("HttpResponseBase", response))
        except Exception as error:  # noqa: BLE001 (a page must never fail because of telemetry)
            get_telemetry().refuse(self.event, "invalid", error)

    def _track(self, arguments: tuple[object, ...], keywords: Mapping[str, object], response: HttpResponseBase) -> None:
        request = _request_of(arguments)
        if not _happened(self.event, request, response):
            return
        if self.signal not in keywords and request.resolver_match is not None:
            keywords = request.resolver_match.kwargs
        # A class and its method, or a child class and its parent, may both be decorated: count one request once.
        tracked = vars(request).setdefault("_otel_intel_tracked", set())
        if (once := (self.event.name, keywords.get(self.signal))) in tracked:
            return
        tracked.add(once)
        user = _loaded_user(request)
        if user is None:
            get_telemetry().refuse(self.event, "no_admin")
            return
        if not self._is_for(user):
            get_telemetry().refuse(self.event, "not_staff")
            return
        values: dict[str, object] = {"admin_user_id": getattr(user, "pk", None)}
        if self.signal:
            values["risk_signal_id"] = self._signal_of(keywords)
        shown = self._shown(arguments, request, response)
        if self.event is events.RECOMMENDATION_VIEWED:
            if shown is None:
                return
            values |= {"recommendation_type": shown.type, "confidence": shown.confidence}
        get_telemetry().record(self.event, values, shown.engine_version if shown else None)

    def _is_for(self, user: object) -> bool:
        from django.apps import apps

        if callable(self.audience):
            return self.audience(user)
        # is_staff is who may use Django's admin: a site without the admin may have set it for nobody.
        default = "staff" if apps.is_installed("django.contrib.admin") else "authenticated"
        return (self.audience or default) == "authenticated" or is_staff(user)

    def _signal_of(self, keywords: Mapping[str, object]) -> object:
        if self.signal in keywords:
            return keywords[self.signal]
        has = f"it has {', '.join(map(repr, keywords))}" if keywords else "it has none with a name"
        name = next(iter(keywords), "pk")
        raise InvalidEventError(
            f"{self.event.helper}: the URL has no argument {self.signal!r}, {has}; say which is the signal's id,"
            f" such as {self.event.helper}(signal={name!r})"
        )

    def _shown(
        self, arguments: tuple[object, ...], request: HttpRequest, response: HttpResponseBase
    ) -> Recommendation | None:
        if self.recommendation is None:
            return None
        if not isinstance(self.recommendation, str):
            shown = self.recommendation(request, response)
        elif (method := getattr(arguments[0], self.recommendation, None)) is not None:
            shown = method(response)
        else:
            raise TypeError(
                f"recommendation={self.recommendation!r} must be a function, or name a method of the class-based view"
                " that is decorated itself, or by one of its methods"
            )
        return None if shown is None else Recommendation(*shown)


def _decorate(view: View | None, tracker: _Tracker) -> View | _Decorator:
    if isinstance(view, str):
        raise TypeError(f"{tracker.event.helper}({view!r}) names no view: say {tracker.event.helper}(signal={view!r})")
    return tracker.observe if view is None else tracker.observe(view)


@overload
def track_dashboard_open(view: View, /) -> View: ...
@overload
def track_dashboard_open(*, audience: Audience | None = ...) -> _Decorator: ...
def track_dashboard_open(view: View | None = None, /, *, audience: Audience | None = None) -> View | _Decorator:
    """Track the openings of a dashboard: GET requests that are answered with 2xx.

    Args:
        view: The view, where the decorator stands without parentheses.
        audience: Whose requests count: "staff", "authenticated", or a function of the user. By default staff, and in
            a site without Django's admin whoever is logged in. Others' are counted in ``status()`` as ``not_staff``.
    """
    return _decorate(view, _Tracker(events.DASHBOARD_OPENED, audience=audience))


@overload
def track_signal_detail_open(view: View, /) -> View: ...
@overload
def track_signal_detail_open(
    *, signal: str = ..., recommendation: Shown | None = ..., audience: Audience | None = ...
) -> _Decorator: ...
def track_signal_detail_open(
    view: View | None = None,
    /,
    *,
    signal: str = "signal_id",
    recommendation: Shown | None = None,
    audience: Audience | None = None,
) -> View | _Decorator:
    """Track the openings of a signal's page: GET requests that are answered with 2xx.

    Args:
        view: The view, where the decorator stands without parentheses.
        signal: The name of the URL's argument that holds the signal's id.
        recommendation: As in ``track_recommendation_view``; here it only says which version made it.
        audience: As in ``track_dashboard_open``.
    """
    return _decorate(view, _Tracker(events.SIGNAL_DETAIL_OPENED, signal, recommendation, audience))


@overload
def track_explanation_expand(view: View, /) -> View: ...
@overload
def track_explanation_expand(
    *, signal: str = ..., recommendation: Shown | None = ..., audience: Audience | None = ...
) -> _Decorator: ...
def track_explanation_expand(
    view: View | None = None,
    /,
    *,
    signal: str = "signal_id",
    recommendation: Shown | None = None,
    audience: Audience | None = None,
) -> View | _Decorator:
    """Track a view that serves an explanation: GET and POST requests that are answered with 2xx.

    If the page contains the explanation already, use the template tag of the same name instead.

    Args:
        view: The view, where the decorator stands without parentheses.
        signal: The name of the URL's argument that holds the signal's id.
        recommendation: As in ``track_recommendation_view``; here it only says which version made it.
        audience: As in ``track_dashboard_open``.
    """
    return _decorate(view, _Tracker(events.EXPLANATION_EXPANDED, signal, recommendation, audience))


@overload
def track_admin_note_create(view: View, /) -> View: ...
@overload
def track_admin_note_create(*, signal: str = ..., audience: Audience | None = ...) -> _Decorator: ...
def track_admin_note_create(
    view: View | None = None, /, *, signal: str = "signal_id", audience: Audience | None = None
) -> View | _Decorator:
    """Track the notes that a view creates: unsafe methods with a status below 400.

    Args:
        view: The view, where the decorator stands without parentheses.
        signal: The name of the URL's argument that holds the signal's id.
        audience: As in ``track_dashboard_open``.
    """
    return _decorate(view, _Tracker(events.NOTE_CREATED, signal, audience=audience))


def track_recommendation_view(
    *, recommendation: Shown, signal: str = "signal_id", audience: Audience | None = None
) -> _Decorator:
    """Track the recommendations that a view shows: GET requests that are answered with 2xx.

    Not counted: what a browser loads in advance (prefetch, prerender), and requests of a page that is open for a part
    of itself (htmx, Turbo, Unpoly, jQuery).

    Args:
        recommendation: Called with request and response; returns a ``Recommendation`` (or a pair of type and
            confidence), or None if the page showed none. Or the name of a method of a class-based view, which is
            called with the response.
        signal: The name of the URL's argument that holds the signal's id.
        audience: As in ``track_dashboard_open``.
    """
    return cast("_Decorator", _decorate(None, _Tracker(events.RECOMMENDATION_VIEWED, signal, recommendation, audience)))
