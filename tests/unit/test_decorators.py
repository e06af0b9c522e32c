from __future__ import annotations

import asyncio
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.test import AsyncRequestFactory, Client, RequestFactory, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import path
from django.utils.decorators import method_decorator
from django.utils.functional import SimpleLazyObject
from django.views import View
from ninja import NinjaAPI
from ninja.decorators import decorate_view
from ninja.security import django_auth
from rest_framework.decorators import action, api_view
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

import otel_intel
from otel_intel import InvalidEventError, Telemetry
from otel_intel.testing import CapturedEvents

ADMIN = User(pk=42, username="admin", is_staff=True)
ADMIN_AND_SIGNAL = {"intel.admin.id": "42", "intel.risk_signal.id": "7", "intel.engine.version": "test-1"}


def request(method: str = "GET", user: object = ADMIN) -> HttpRequest:
    request = RequestFactory().generic(method, "/")
    request.user = user  # type: ignore[assignment]
    return request


@otel_intel.track_signal_detail_open
def detail(request: HttpRequest, signal_id: int) -> HttpResponse:
    return HttpResponse(status=request.META.get("status", 200))


@otel_intel.track_signal_detail_open(signal="pk")
def detail_of_pk(request: HttpRequest, pk: int) -> HttpResponse:
    return HttpResponse()


@otel_intel.track_signal_detail_open
async def async_detail(request: HttpRequest, signal_id: int) -> HttpResponse:
    await asyncio.sleep(0)
    return HttpResponse()


@otel_intel.track_signal_detail_open
class Detail(View):
    def get(self, request: HttpRequest, signal_id: int) -> HttpResponse:
        return HttpResponse()


@otel_intel.track_signal_detail_open()
class AsyncDetail(View):
    async def get(self, request: HttpRequest, signal_id: int) -> HttpResponse:
        return HttpResponse()


class DetailMethod(View):
    @otel_intel.track_signal_detail_open
    def get(self, request: HttpRequest, signal_id: int) -> HttpResponse:
        return HttpResponse()


@method_decorator(otel_intel.track_signal_detail_open, name="dispatch")
class DetailByDjango(View):
    def get(self, request: HttpRequest, signal_id: int) -> HttpResponse:
        return HttpResponse()


@pytest.mark.parametrize(
    "view",
    [detail, Detail.as_view(), DetailMethod.as_view(), DetailByDjango.as_view()],
    ids=["function", "class", "method", "method_decorator"],
)
def test_sync_views_are_tracked(view: Callable[..., HttpResponseBase], otel_intel_events: CapturedEvents) -> None:
    view(request(), signal_id=7)
    assert otel_intel_events.only("intel.signal.detail_opened").attributes == ADMIN_AND_SIGNAL


@pytest.mark.parametrize("view", [async_detail, AsyncDetail.as_view()], ids=["function", "class"])
def test_async_views_are_tracked(view: Callable[..., HttpResponseBase], otel_intel_events: CapturedEvents) -> None:
    async_to_sync(view)(request(), signal_id=7)  # type: ignore[arg-type]
    assert otel_intel_events.only("intel.signal.detail_opened").attributes == ADMIN_AND_SIGNAL


def test_an_async_view_stays_marked_as_async() -> None:
    from asgiref.sync import iscoroutinefunction as asgi_iscoroutinefunction

    assert asgi_iscoroutinefunction(async_detail)
    assert not iscoroutinefunction(detail)


def test_name_and_docstring_stay() -> None:
    assert detail.__name__ == "detail"
    assert issubclass(Detail, View)


def test_the_url_argument_can_have_another_name(otel_intel_events: CapturedEvents) -> None:
    detail_of_pk(request(), pk=7)
    assert otel_intel_events.only("intel.signal.detail_opened").attributes == ADMIN_AND_SIGNAL


@pytest.mark.parametrize("status", [301, 302, 304, 403, 404, 500])
def test_only_success_is_an_opening(status: int, otel_intel_events: CapturedEvents) -> None:
    failing = request()
    failing.META["status"] = status
    assert detail(failing, signal_id=7).status_code == status
    assert not otel_intel_events


def test_an_exception_passes_through_untracked(otel_intel_events: CapturedEvents) -> None:
    @otel_intel.track_dashboard_open
    def broken(request: HttpRequest) -> HttpResponse:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken(request())
    assert not otel_intel_events


def test_a_dashboard_needs_no_signal(otel_intel_events: CapturedEvents) -> None:
    @otel_intel.track_dashboard_open()
    def dashboard(request: HttpRequest) -> StreamingHttpResponse:
        return StreamingHttpResponse(iter([b"x"]))

    assert b"".join(dashboard(request())) == b"x"
    assert otel_intel_events.only("intel.dashboard.opened").attributes["intel.admin.id"] == "42"


def test_a_view_that_serves_explanations(otel_intel_events: CapturedEvents) -> None:
    @otel_intel.track_explanation_expand(signal="signal")
    def explanation(request: HttpRequest, signal: str) -> HttpResponse:
        return HttpResponse()

    explanation(request(), signal="7")
    assert otel_intel_events.only("intel.explanation.expanded").attributes == ADMIN_AND_SIGNAL


@pytest.mark.parametrize(
    ("method", "status", "tracked"),
    [("POST", 302, 1), ("PUT", 200, 1), ("GET", 200, 0), ("HEAD", 200, 0), ("POST", 400, 0)],
)
def test_a_note_is_a_successful_change(
    method: str, status: int, tracked: int, otel_intel_events: CapturedEvents
) -> None:
    @otel_intel.track_admin_note_create
    def note(request: HttpRequest, signal_id: int) -> HttpResponse:
        return HttpResponse(status=status)

    note(request(method), signal_id=7)
    assert len(otel_intel_events.named("intel.note.created")) == tracked


def test_a_recommendation_comes_from_the_callable(otel_intel_events: CapturedEvents) -> None:
    def shown(request: HttpRequest, response: HttpResponseBase) -> tuple[str, str] | None:
        kind = response.headers.get("kind")
        return (kind, "LOW") if kind else None

    @otel_intel.track_recommendation_view(recommendation=shown)
    def view(request: HttpRequest, signal_id: int, kind: str) -> HttpResponse:
        return HttpResponse(headers={"kind": kind} if kind else {})

    view(request(), signal_id=7, kind="EXPIRING_SOON")
    view(request(), signal_id=7, kind="")
    event = otel_intel_events.only("intel.recommendation.viewed")
    assert event.attributes["intel.recommendation.type"] == "EXPIRING_SOON"
    assert event.attributes["intel.recommendation.confidence"] == "LOW"


@pytest.mark.parametrize("user", [AnonymousUser(), None])
def test_without_an_admin_there_is_no_event(
    user: object, production: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otel_intel.decorators.get_telemetry", lambda: production)
    detail(request(user=user), signal_id=7)
    assert production.status()["dropped"]["no_admin"] == 1


def test_a_lazy_user_is_never_loaded(production: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otel_intel.decorators.get_telemetry", lambda: production)
    loads: list[User] = []

    def load() -> User:
        loads.append(ADMIN)
        return ADMIN

    lazy = SimpleLazyObject(load)
    detail(request(user=lazy), signal_id=7)
    assert not loads
    assert production.status()["dropped"]["no_admin"] == 1


def test_a_callables_error_costs_the_event_not_the_page(production: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otel_intel.decorators.get_telemetry", lambda: production)

    @otel_intel.track_recommendation_view(recommendation=lambda request, response: 1 / 0)  # type: ignore[arg-type,return-value]
    def view(request: HttpRequest, signal_id: int) -> HttpResponse:
        return HttpResponse()

    assert view(request(), signal_id=7).status_code == 200
    assert production.status()["dropped"]["invalid"] == 1


class SignalAPI(APIView):
    @otel_intel.track_signal_detail_open
    def get(self, request: HttpRequest, signal_id: int) -> Response:
        return Response({})


class SignalViewSet(ViewSet):
    @otel_intel.track_signal_detail_open(signal="pk")
    @action(detail=True)
    def opened(self, request: HttpRequest, pk: int) -> Response:
        return Response({})


@api_view()
@otel_intel.track_signal_detail_open
def signal_api(request: HttpRequest, signal_id: int) -> Response:
    return Response({})


@otel_intel.track_signal_detail_open
class SignalAPIClass(APIView):
    def get(self, request: HttpRequest, signal_id: int) -> Response:
        return Response({})


@pytest.mark.parametrize(
    ("view", "argument"),
    [
        (SignalAPI.as_view(), "signal_id"),
        (SignalAPIClass.as_view(), "signal_id"),
        (SignalViewSet.as_view({"get": "opened"}), "pk"),
        (signal_api, "signal_id"),
    ],
    ids=["method", "class", "action", "function"],
)
@override_settings(REST_FRAMEWORK={"UNAUTHENTICATED_USER": None})
def test_drf_views_are_tracked(
    view: Callable[..., HttpResponseBase], argument: str, otel_intel_events: CapturedEvents
) -> None:
    api_request = APIRequestFactory().get("/")
    force_authenticate(api_request, ADMIN)
    response = view(api_request, **{argument: 7})
    assert isinstance(response, Response)
    response.render()
    assert otel_intel_events.only("intel.signal.detail_opened").attributes == ADMIN_AND_SIGNAL


@login_required
def plain_page(request: HttpRequest, signal_id: int) -> HttpResponse:
    return HttpResponse("page")


def page_without_a_user(request: HttpRequest, signal_id: int) -> HttpResponse:
    return HttpResponse("page")


api = NinjaAPI(urls_namespace="test")


@api.get("/signals/{signal_id}", auth=django_auth)
@decorate_view(otel_intel.track_signal_detail_open)
def ninja_detail(request: HttpRequest, signal_id: int) -> dict[str, int]:
    return {"id": signal_id}


urlpatterns = [
    path("api/", api.urls),
    path("positional/<int:signal_id>/", login_required(lambda request, signal_id: detail(request, signal_id))),
    path("plain/<int:signal_id>/", plain_page),
    path("tracked/<int:signal_id>/", login_required(otel_intel.track_signal_detail_open(plain_page))),
    path("plain-anonymous/<int:signal_id>/", page_without_a_user),
    path("tracked-anonymous/<int:signal_id>/", otel_intel.track_signal_detail_open(page_without_a_user)),
]


@pytest.mark.django_db
@override_settings(ROOT_URLCONF=__name__)
@pytest.mark.parametrize("kind", ["", "-anonymous"])
def test_headers_and_queries_stay_the_same(kind: str, client: Client, otel_intel_events: CapturedEvents) -> None:
    client.force_login(User.objects.create_user("admin", is_staff=True))
    seen = []
    for prefix in ("plain", "tracked"):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            response = client.get(f"/{prefix}{kind}/7/")
        seen.append((response.content, sorted(response.headers.items()), len(queries)))
    assert seen[0] == seen[1]
    assert len(otel_intel_events) == (0 if kind else 1)


def test_the_user_of_an_async_request_counts_once_it_was_loaded(
    otel_intel_events: CapturedEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def aget_user(request: HttpRequest) -> User:
        return ADMIN

    monkeypatch.setattr("django.contrib.auth.aget_user", aget_user)
    loaded = AsyncRequestFactory().get("/")
    loaded.session = SessionStore()
    AuthenticationMiddleware(plain).process_request(loaded)
    async_to_sync(loaded.auser)()
    async_to_sync(async_detail)(loaded, signal_id=7)
    assert otel_intel_events.only("intel.signal.detail_opened").attributes == ADMIN_AND_SIGNAL


def test_one_request_is_one_event_however_often_it_is_decorated(otel_intel_events: CapturedEvents) -> None:
    @otel_intel.track_signal_detail_open
    class Child(DetailMethod):
        pass

    Child.as_view()(request(), signal_id=7)
    otel_intel.track_signal_detail_open(detail)(request(), signal_id=7)
    assert len(otel_intel_events) == 2


def test_two_signals_in_one_request_are_two_events(otel_intel_events: CapturedEvents) -> None:
    one = request()
    for signal_id in (7, 8, 7):  # a page may call the views of several signals
        detail(one, signal_id=signal_id)
    assert [event.attributes["intel.risk_signal.id"] for event in otel_intel_events] == ["7", "8"]


def test_a_response_counts_when_it_has_been_rendered(otel_intel_events: CapturedEvents) -> None:
    @otel_intel.track_dashboard_open
    def page(request: HttpRequest) -> TemplateResponse:
        return TemplateResponse(request, engines["django"].from_string("page"), {})

    response = page(request())
    assert not otel_intel_events
    response.render()
    assert len(otel_intel_events) == 1


def test_a_call_without_a_request_is_a_misuse() -> None:
    @otel_intel.track_dashboard_open
    def not_a_view(number: int) -> HttpResponse:
        return HttpResponse()

    with pytest.raises(TypeError, match="no request"):
        not_a_view(1)


# -- what counts as seen ---------------------------------------------------------------------------------------


@otel_intel.track_recommendation_view(recommendation=lambda request, response: ("EXPIRING_SOON", "HIGH"))
class Shown(View):
    def get(self, request: HttpRequest, signal_id: int) -> HttpResponse:
        return HttpResponse("x")

    post = get


@otel_intel.track_explanation_expand
def explanation(request: HttpRequest, signal_id: int) -> HttpResponse:
    return HttpResponse("because")


@otel_intel.track_dashboard_open
def dashboard(request: HttpRequest) -> HttpResponse:
    return HttpResponse("x")


def sent(method: str = "GET", path: str = "/signals/7/", **headers: str) -> HttpRequest:
    request = RequestFactory().generic(method, path, headers=headers)
    request.user = ADMIN
    return request


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST"])
def test_only_get_shows_a_page(method: str, otel_intel_events: CapturedEvents) -> None:
    Shown.as_view()(sent(method), signal_id=7)
    detail(sent(method), signal_id=7)
    dashboard(sent(method))
    assert not otel_intel_events


def plain(request: HttpRequest, *arguments: object, **keywords: object) -> HttpResponse:
    return HttpResponse("x")


def data(request: HttpRequest) -> dict[str, int]:
    return {"a": 1}


SPECULATION = [
    {"Sec-Purpose": "prefetch"},
    {"Sec-Purpose": "prefetch;prerender"},
    {"Sec-Purpose": "prefetch;anonymous-client-ip"},
    {"Purpose": "prefetch"},
    {"X-Purpose": "preview"},
    {"X-Moz": "prefetch"},
    {"X-Sec-Purpose": "prefetch"},
    {"Purpose": "Prefetch"},
    {"HX-Request": "true", "HX-Preloaded": "true"},
]


@pytest.mark.parametrize("headers", SPECULATION, ids=str)
def test_what_a_browser_loads_in_advance_is_not_seen(
    headers: dict[str, str], otel_intel_events: CapturedEvents
) -> None:
    Shown.as_view()(sent(**headers), signal_id=7)
    dashboard(sent(**headers))
    explanation(sent(**headers), signal_id=7)
    assert not otel_intel_events


@pytest.mark.parametrize(
    ("headers", "events"),
    [
        ({}, 1),
        ({"HX-Request": "true", "HX-Current-URL": "http://testserver/signals/7/?tab=2"}, 0),
        ({"HX-Request": "true", "HX-Current-URL": "http://testserver/signals/"}, 1),
        ({"HX-Request": "true", "HX-Boosted": "true", "HX-Current-URL": "http://testserver/signals/7/"}, 1),
        (
            {
                "HX-Request": "true",
                "HX-History-Restore-Request": "true",
                "HX-Current-URL": "http://testserver/signals/7/",
            },
            1,
        ),
        ({"Turbo-Frame": "notes", "Referer": "http://testserver/signals/7/"}, 0),
        ({"Turbo-Frame": "detail", "Referer": "http://testserver/signals/"}, 1),
        ({"X-Up-Target": "#notes", "Referer": "http://testserver/signals/7/"}, 0),
        ({"X-Requested-With": "XMLHttpRequest", "Referer": "http://testserver/signals/7/"}, 0),
        ({"Referer": "http://testserver/signals/7/"}, 1),  # a reload
    ],
    ids=str,
)
def test_a_page_that_asks_for_a_part_of_itself_was_seen_before(
    headers: dict[str, str], events: int, otel_intel_events: CapturedEvents
) -> None:
    Shown.as_view()(sent(**headers), signal_id=7)
    assert len(otel_intel_events) == events
    explanation(sent(**headers), signal_id=7)
    assert len(otel_intel_events) == events + 1  # it is such a part


def test_an_explanation_may_be_asked_for_by_post(otel_intel_events: CapturedEvents) -> None:
    explanation(sent("POST"), signal_id=7)
    explanation(sent("HEAD"), signal_id=7)
    assert len(otel_intel_events) == 1


# -- whose requests count --------------------------------------------------------------------------------------


def test_customers_on_a_page_that_is_decorated_are_not_admins(
    production: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otel_intel.decorators.get_telemetry", lambda: production)
    dashboard(request(user=User(pk=5, username="customer")))
    dashboard(request(user=PlainUser()))
    assert production.status()["dropped"]["not_staff"] == 2


def test_without_djangos_admin_nobody_is_known_as_staff(otel_intel_events: CapturedEvents) -> None:
    installed = [name for name in settings.INSTALLED_APPS if name not in ("django.contrib.admin", "demo.risk")]
    with override_settings(INSTALLED_APPS=installed):
        dashboard(request(user=User(pk=5, username="somebody")))
    assert len(otel_intel_events) == 1


class PlainUser:
    """A user of a model without is_staff."""

    is_authenticated = True
    pk = 6
    team = "risk"


@pytest.mark.parametrize(
    "audience", ["authenticated", lambda user: user.team == "risk"], ids=["authenticated", "function"]
)
def test_the_audience_may_be_others(audience: Any, otel_intel_events: CapturedEvents) -> None:
    view = otel_intel.track_dashboard_open(audience=audience)(plain)
    view(request(user=PlainUser()))
    assert otel_intel_events.only("intel.dashboard.opened").attributes["intel.admin.id"] == "6"


def test_a_function_may_refuse(production: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otel_intel.decorators.get_telemetry", lambda: production)
    otel_intel.track_dashboard_open(audience=lambda user: False)(plain)(request())
    assert production.status()["dropped"]["not_staff"] == 1


def test_an_unknown_audience_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="audience must be 'staff', 'authenticated' or a function, not 'stuff'"):
        otel_intel.track_dashboard_open(audience="stuff")  # type: ignore[call-overload]


# -- the version that made the recommendation --------------------------------------------------------------------


def of_version(request: HttpRequest, response: HttpResponseBase) -> otel_intel.Recommendation:
    return otel_intel.Recommendation("EXPIRING_SOON", "HIGH", "1.4")


@pytest.mark.parametrize(
    "decorator",
    [otel_intel.track_recommendation_view, otel_intel.track_signal_detail_open, otel_intel.track_explanation_expand],
)
def test_a_view_has_the_version_that_made_the_recommendation(decorator: Any, otel_intel_events: CapturedEvents) -> None:
    decorator(recommendation=of_version)(plain)(request(), signal_id=7)
    [event] = otel_intel_events
    assert event.attributes["intel.engine.version"] == "1.4"


@pytest.mark.parametrize("decorator", [otel_intel.track_signal_detail_open, otel_intel.track_explanation_expand])
def test_a_page_without_a_recommendation_is_opened_all_the_same(
    decorator: Any, otel_intel_events: CapturedEvents
) -> None:
    decorator(recommendation=lambda *_: None)(plain)(request(), signal_id=7)
    [event] = otel_intel_events
    assert event.attributes["intel.engine.version"] == "test-1"


class Recommending(View):
    confidence = ""

    def get(self, request: HttpRequest, signal_id: int) -> HttpResponse:
        self.confidence = "LOW"
        return HttpResponse("x")

    def recommended(self, response: HttpResponseBase) -> otel_intel.Recommendation:
        return otel_intel.Recommendation("EXPIRING_SOON", self.confidence, "1.4")


class RecommendingMethod(Recommending):
    @otel_intel.track_recommendation_view(recommendation="recommended")
    def get(self, request: HttpRequest, signal_id: int) -> HttpResponse:
        return super().get(request, signal_id)


@pytest.mark.parametrize("by", ["class", "method"])
def test_a_class_based_view_says_it_itself(by: str, otel_intel_events: CapturedEvents) -> None:
    view: type[View] = RecommendingMethod
    if by == "class":
        view = otel_intel.track_recommendation_view(recommendation="recommended")(type("Copy", (Recommending,), {}))
    view.as_view()(request(), signal_id=7)
    assert otel_intel_events.only("intel.recommendation.viewed").attributes["intel.recommendation.confidence"] == "LOW"


def test_a_method_of_nothing_is_named() -> None:
    view = otel_intel.track_recommendation_view(recommendation="recommended")(plain)
    with pytest.raises(TypeError, match="recommendation='recommended' must be a function, or name a method"):
        view(request(), signal_id=7)


# -- frameworks and URLs that differ -----------------------------------------------------------------------------


def test_the_arguments_that_the_url_has_are_named() -> None:
    view = otel_intel.track_signal_detail_open(plain)
    with pytest.raises(
        InvalidEventError, match=r"no argument 'signal_id', it has 'pk'; .*track_signal_detail_open\(signal='pk'\)"
    ):
        view(request(), pk=7)


def test_a_url_without_named_arguments_is_named() -> None:
    view = otel_intel.track_signal_detail_open(plain)
    with pytest.raises(InvalidEventError, match="it has none with a name"):
        view(request(), 7)


def test_a_view_that_returns_data_is_told_what_to_decorate() -> None:
    view = otel_intel.track_dashboard_open(data)
    with pytest.raises(TypeError, match=r"returned dict, no response: .*decorate_view"):
        view(request())


@pytest.mark.django_db
@override_settings(ROOT_URLCONF=__name__)
def test_an_operation_of_django_ninja(client: Client, otel_intel_events: CapturedEvents) -> None:
    user = User.objects.create_user("admin", is_staff=True)
    assert client.get("/api/signals/7").status_code == 401
    client.force_login(user)
    assert client.get("/api/signals/7").json() == {"id": 7}
    assert otel_intel_events.only("intel.signal.detail_opened").attributes["intel.risk_signal.id"] == "7"


@pytest.mark.django_db
@override_settings(ROOT_URLCONF=__name__)
def test_the_urls_arguments_are_read_from_the_request_where_the_view_gets_them_otherwise(
    client: Client, otel_intel_events: CapturedEvents
) -> None:
    client.force_login(User.objects.create_user("admin", is_staff=True))
    client.get("/positional/7/")
    assert otel_intel_events.only("intel.signal.detail_opened").attributes["intel.risk_signal.id"] == "7"


def name_only() -> None:
    otel_intel.track_signal_detail_open("pk")  # type: ignore[call-overload]


def no_view() -> None:
    otel_intel.track_dashboard_open(type("Page", (), {}))


def async_recommendation() -> None:
    otel_intel.track_recommendation_view(recommendation=async_detail)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (name_only, r"names no view: say track_signal_detail_open\(signal='pk'\)"),
        (no_view, "Page is no class-based view"),
        (async_recommendation, "recommendation must not be async"),
    ],
)
def test_mistakes_are_named_when_the_module_is_imported(mistake: Callable[[], None], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        mistake()
