"""The guides' examples run, and the documented formulas give the same numbers as the views."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.http import HttpRequest
from django.template import engines
from django.test import Client, RequestFactory, override_settings
from pytest_django import Settings
from rest_framework.test import APIRequestFactory, force_authenticate

from otel_intel.pages.logs import LOGS
from otel_intel.testing import CapturedEvents
from tests.docs.markdown import ROOT, blocks, read
from tests.otlp import event, send
from tests.servers import ClickHouse

ADMIN = User(pk=42, username="admin", is_staff=True, is_active=True)


def names(path: str) -> dict[str, Any]:
    """Run the Python blocks of a guide in order and return what they define."""
    namespace: dict[str, Any] = {}
    for block in blocks(read(path)):
        if block.language == "python":
            exec(compile(block.code, path, "exec"), namespace)  # noqa: S102
    return namespace


def request() -> HttpRequest:
    request = RequestFactory().get("/")
    request.user = ADMIN
    return request


def test_views(otel_intel_events: CapturedEvents) -> None:
    guide = names("docs/how-to/views.md")
    guide["dashboard"](request())
    guide["Dashboard"].as_view()(request())
    guide["signal_detail"](request(), pk=7)
    guide["SignalDetail"].as_view()(request(), signal_id=8)
    assert [event.name.removeprefix("intel.") for event in otel_intel_events] == [
        "dashboard.opened",
        "dashboard.opened",
        "recommendation.viewed",
        "signal.detail_opened",
        "signal.detail_opened",
    ]


@override_settings(REST_FRAMEWORK={"UNAUTHENTICATED_USER": None})
def test_drf(otel_intel_events: CapturedEvents) -> None:
    guide = names("docs/how-to/drf.md")
    views: list[tuple[Callable[..., Any], str]] = [
        (guide["Signal"].as_view(), "signal_id"),
        (guide["Signals"].as_view({"get": "opened"}), "pk"),
        (guide["signal"], "signal_id"),
    ]
    for view, argument in views:
        api_request = APIRequestFactory().get("/")
        force_authenticate(api_request, ADMIN)
        view(api_request, **{argument: 7}).render()
    assert len(otel_intel_events.named("intel.signal.detail_opened")) == 3
    assert len(otel_intel_events.named("intel.recommendation.viewed")) == 1


@pytest.mark.django_db
def test_decisions(otel_intel_events: CapturedEvents, django_capture_on_commit_callbacks: Any) -> None:
    saved: list[str] = []
    signal = SimpleNamespace(pk=7, recommendation_type="EXPIRING_SOON", confidence="LOW", engine_version="1.4")
    signal.save = lambda: saved.append(signal.decision)
    with django_capture_on_commit_callbacks(execute=True):
        names("docs/how-to/decisions.md")["accept"](signal, ADMIN)
    accepted = otel_intel_events.only("intel.recommendation.accepted")
    assert accepted.attributes["intel.engine.version"] == "1.4"
    assert saved == ["ACCEPTED"]


@override_settings(ROOT_URLCONF="demo.urls")
def test_templates() -> None:
    templates = [block.code for block in blocks(read("docs/how-to/htmx.md")) if block.language == "html"]
    context = {"signal": SimpleNamespace(pk=7), "csrf_token": "token"}
    page = engines["django"].from_string("".join(templates)).render(context)
    assert page.count('data-otel-intel-signal="7"') == len(templates) == 2
    assert 'src="/static/otel_intel/otel_intel.js"' in page


@pytest.mark.django_db
def test_staff_pages(settings: Settings, client: Client, tmp_path: Path) -> None:
    path = "docs/how-to/staff-pages.md"
    guide = names(path)
    urls = ModuleType("urls")
    urls.__dict__["urlpatterns"] = guide["urlpatterns"]
    [template] = [block for block in blocks(read(path)) if block.language == "html"]
    file = tmp_path / template.caption
    file.parent.mkdir(parents=True)
    file.write_text(template.code, encoding="utf-8")
    [engine] = settings.TEMPLATES
    settings.TEMPLATES = [{**engine, "DIRS": [tmp_path / "templates"]}]
    settings.ROOT_URLCONF = urls
    settings.LOGIN_URL, settings.OTEL_INTEL = guide["LOGIN_URL"], guide["OTEL_INTEL"]
    assert client.get("/telemetry/").headers["Location"] == "/admin/login/?next=/telemetry/"
    user = User.objects.create_user("staff", is_staff=True)
    client.force_login(user)
    assert client.get("/telemetry/").status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_user"))
    page = client.get("/telemetry/")
    assert page.status_code == 503  # as far as ClickHouse, which is not there
    assert '<a href="/admin/">Administration</a>' in page.content.decode()


def test_staff_pages_name_every_filter_and_block() -> None:
    text = read("docs/how-to/staff-pages.md")
    named = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", text, re.MULTILINE))))
    assert {column.name for log in LOGS for column in log.filters} | {"from", "to", "sort"} == named
    [listed] = re.findall(r"^The blocks are (.*)$", text, re.MULTILINE)
    base = (ROOT / "otel_intel/templates/otel_intel/base.html").read_text(encoding="utf-8")
    assert re.findall(r"`(\w+)`", listed) == re.findall(r"{% block (\w+) %}", base)


def test_numbers(clickhouse: ClickHouse, tmp_path: Path) -> None:
    of = {"intel.engine.version": "2.0"}
    send(clickhouse, event("recommendation.viewed", **of), event("recommendation.accepted", **of))
    path = "docs/how-to/numbers.md"
    with override_settings(OTEL_INTEL={"CLICKHOUSE_URL": clickhouse.url("reader")}):
        report = names(path)["report"]()
    assert (report["accepted"], report["acceptance_rate"]) == (1, 1.0)
    with override_settings(OTEL_INTEL={}):
        assert names(path)["report"]() is None

    (tmp_path / ".otel-intel").symlink_to(clickhouse.server.directory)
    bin_first = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    script = "".join(block.code for block in blocks(read(path)) if block.language == "sh")
    ran = subprocess.run(
        ["bash", "-c", f"set -eo pipefail\n{script}"],
        cwd=tmp_path,
        env={**os.environ, "PATH": bin_first},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "acceptance_rate:  1" in ran.stdout
    assert '"2.0",1,1' in ran.stdout
    written = {file.name for file in tmp_path.iterdir()} - {".otel-intel"}
    assert written == {"decisions.parquet", "events.csv", "outcomes.jsonl.gz"}
    assert r"\N" in (tmp_path / "events.csv").read_text(encoding="utf-8")


def test_tests(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE")
    pytester.makeconftest(
        """
        import django.conf
        django.conf.settings.configure(
            OTEL_INTEL={"ENGINE_VERSION": "1.0"},
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        )
        """
    )
    for block in blocks(read("docs/how-to/testing.md")):
        pytester.path.joinpath(block.caption).write_text(block.code, encoding="utf-8")
    files = [path.name for path in pytester.path.glob("*.py") if path.name != "conftest.py"]
    assert len(files) == 3
    pytester.runpytest_subprocess(*files).assert_outcomes(passed=3)


def test_erasing_a_person(clickhouse: ClickHouse, tmp_path: Path) -> None:
    person, other = {"intel.admin.id": "42-0"}, {"intel.admin.id": "43-0"}
    kinds = ("recommendation.viewed", "recommendation.accepted", "dashboard.opened", "signal.outcome_recorded", "odd")
    send(clickhouse, *(event(kind, **who) for kind in kinds for who in (person, other)))
    before = clickhouse.tables_with("42-0")
    assert {"otel_logs", "recommendation_events", "admin_views", "signal_outcomes", "rejected_events"} <= set(before)

    (tmp_path / ".otel-intel").symlink_to(clickhouse.server.directory)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "OTEL_INTEL_CLICKHOUSE_URL": clickhouse.url("reader")}
    code = [block for block in blocks(read("docs/how-to/erase.md")) if block.language in ("sh", "text")]
    delete, check, answer = (block.code for block in code)
    assert delete.startswith("ADMIN=42\n")
    script = f"set -e\n{delete.replace('ADMIN=42', 'ADMIN=42-0', 1)}\n{check}"
    ran = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, answer.strip()), ran.stderr
    assert clickhouse.tables_with("42-0") == []
    assert clickhouse.tables_with("43-0") == before
    assert clickhouse.value("SELECT count() FROM metrics.signal_outcomes") == 2


def test_the_runbooks_statements_run_as_it_says(clickhouse: ClickHouse) -> None:
    text = read("grafana/RUNBOOK.md")
    [send_it] = re.findall(r"Send SQL with\s+`([^`]*)`", text)
    statements = re.findall(r"^ *```sql\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    assert any("DROP PARTITION" in statement for statement in statements)
    for statement in statements:
        script = f"export CLICKHOUSE_URL={clickhouse.url('admin')}\n{send_it.replace('…', statement)}"
        ran = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
        assert ran.returncode == 0, (ran.stdout, ran.stderr)


def test_formulas(clickhouse: ClickHouse) -> None:
    counts = {
        **{"VIEWED": 7, "ACCEPTED": 3, "IGNORED": 2, "OVERRIDDEN": 1},
        **{"RESOLVED": 4, "ESCALATED": 1, "NO_ACTION": 1, "FALSE_POSITIVE": 2},
    }
    for word, count in counts.items():
        recommendation = word in ("VIEWED", "ACCEPTED", "IGNORED", "OVERRIDDEN")
        for number in range(count):
            if recommendation:
                send(clickhouse, event(f"recommendation.{word.lower()}"))
            else:
                signal = {"intel.risk_signal.id": f"{word}-{number}", "intel.outcome.status": word}
                send(clickhouse, event("signal.outcome_recorded", time.time_ns(), **signal))
    text = read("docs/reference/metrics.md")
    formulas = re.findall(r"^```text\n(\w+) = ([A-Z_ +/()]+)\n```$", text, re.MULTILINE)
    assert [name for name, _ in formulas] == [
        "acceptance_rate",
        "acceptance_share",
        "override_rate",
        "false_positive_rate",
    ]
    for name, formula in formulas:
        view = "acceptance_rate" if name == "acceptance_share" else name
        answer = clickhouse.value(f"SELECT {name} FROM metrics.{view}(days = 1)")
        assert answer == pytest.approx(eval(formula, dict(counts))), name  # noqa: S307
