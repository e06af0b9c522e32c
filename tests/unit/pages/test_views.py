"""The staff pages without ClickHouse: who may see them, and their message if ClickHouse cannot answer."""

from __future__ import annotations

import socket
from datetime import UTC
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Permission, User
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage
from django.core.files.storage import FileSystemStorage
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

TRACE = "0af7651916cd43dd8448eb211c80319c"
PAGES = ["telemetry-dashboard", "recommendation-events", "outcome-snapshots", "view-telemetry"]
URLS = [*PAGES, "telemetry-trace"]

pytestmark = pytest.mark.django_db


def _url(name: str) -> str:
    return reverse(name, args=[TRACE] if name == "telemetry-trace" else [])


@pytest.fixture
def nobody_listens(settings: Settings) -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    settings.OTEL_INTEL = {"CLICKHOUSE_URL": f"http://reader:secret-word@127.0.0.1:{port}", "QUERY_TIMEOUT": 2.0}
    return port


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_user("staff", is_staff=True))
    return client


@pytest.mark.parametrize("name", URLS)
def test_anonymous_visitors_are_sent_to_the_login(client: Client, name: str) -> None:
    response = client.get(f"{_url(name)}?a=1")
    assert response.status_code == 302
    assert response["Location"] == f"{django_settings.LOGIN_URL}?next={_url(name)}%3Fa%3D1"


@pytest.mark.parametrize("name", URLS)
def test_users_who_are_not_staff_get_a_page_that_says_so(client: Client, name: str) -> None:
    client.force_login(User.objects.create_user("visitor"))
    response = client.get(_url(name))
    assert response.status_code == 403
    assert "These pages are for staff" in response.content.decode()


@pytest.mark.parametrize("name", URLS)
def test_staff_without_the_permission_are_refused(settings: Settings, staff: Client, name: str) -> None:
    settings.OTEL_INTEL = {"VIEW_PERMISSION": "auth.view_user"}
    response = staff.get(_url(name))
    assert response.status_code == 403
    assert "auth.view_user" in response.content.decode()


def test_staff_with_the_permission_are_let_in(settings: Settings, client: Client) -> None:
    settings.OTEL_INTEL = {"VIEW_PERMISSION": "auth.view_user"}
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_user"))
    client.force_login(user)
    assert client.get(_url("telemetry-dashboard")).status_code == 503  # as far as ClickHouse, which is not there


@pytest.mark.parametrize("name", URLS)
def test_without_clickhouse_a_page_says_what_is_wrong(staff: Client, nobody_listens: int, name: str) -> None:
    response = staff.get(_url(name))
    text = response.content.decode()
    assert response.status_code == 503
    assert f"127.0.0.1:{nobody_listens} cannot be reached" in text
    assert "secret-word" not in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("telemetry-dashboard", "metrics"),
        ("recommendation-events", "recommendation-events"),
        ("outcome-snapshots", "signal-outcomes"),
        ("view-telemetry", "top-admins"),
    ],
)
def test_without_clickhouse_a_download_is_the_error_page(
    staff: Client, nobody_listens: int, name: str, table: str
) -> None:
    response = staff.get(_url(name), {"csv": table})
    assert response.status_code == 503
    assert response["Content-Type"].startswith("text/html")


def test_without_a_url_the_page_names_the_setting(staff: Client, settings: Settings) -> None:
    settings.OTEL_INTEL = {}
    response = staff.get(_url("telemetry-dashboard"))
    assert response.status_code == 503
    assert "CLICKHOUSE_URL" in response.content.decode()


@pytest.mark.parametrize("trace_id", ["xyz", "0" * 32, TRACE.upper(), TRACE + "0"])
def test_an_invalid_trace_id_is_not_found(staff: Client, trace_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otel_intel.pages.views.time_zone", lambda: UTC)
    assert staff.get(reverse("telemetry-trace", args=[trace_id])).status_code == 404


@pytest.mark.parametrize("name", URLS)
def test_pages_are_read_only_and_never_cached(staff: Client, nobody_listens: int, name: str) -> None:
    assert staff.post(_url(name)).status_code == 405
    assert "no-store" in staff.get(_url(name))["Cache-Control"]


def test_a_site_overrides_the_templates(staff: Client, settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "otel_intel"
    folder.mkdir()
    (folder / "base.html").write_text("<title>Our own</title>{% block content %}{% endblock %}")
    [engine] = settings.TEMPLATES
    settings.TEMPLATES = [{**engine, "DIRS": [tmp_path]}]
    settings.OTEL_INTEL = {}
    response = staff.get(_url("telemetry-dashboard"))
    assert "<title>Our own</title>" in response.content.decode()


def test_pages_need_no_context_processor(staff: Client, settings: Settings) -> None:
    [engine] = settings.TEMPLATES
    settings.TEMPLATES = [{**engine, "OPTIONS": {}}]
    settings.OTEL_INTEL = {}
    assert staff.get(_url("telemetry-dashboard")).status_code == 503


def test_static_files_survive_the_manifest_storage(tmp_path: Path) -> None:
    source = FileSystemStorage(Path(__file__).parents[3] / "otel_intel" / "static")
    names = [f"otel_intel/{name}" for name in ("pages.css", "charts.js", "vendor/chart.js/chart.umd.min.js")]
    storage = ManifestStaticFilesStorage(location=tmp_path, base_url="/static/")
    for name in names:
        with source.open(name) as file:
            storage.save(name, file)
    results = list(storage.post_process({name: (storage, name) for name in names}))
    assert {name for name, hashed, processed in results if processed is True} >= set(names)


def test_a_broken_setting_is_named(staff: Client, settings: Settings) -> None:
    settings.OTEL_INTEL = {"QUERY_TIMEOUT": "soon"}
    response = staff.get(reverse("telemetry-dashboard"))
    assert response.status_code == 503
    assert b"QUERY_TIMEOUT" in response.content
