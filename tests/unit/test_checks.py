from __future__ import annotations

from types import ModuleType

import pytest
from django.core.checks import run_checks
from django.test import override_settings
from django.urls import include, path

from otel_intel import checks


@pytest.fixture(autouse=True)
def exporting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")


GOOD = {"ENGINE_VERSION": "1", "CLICKHOUSE_URL": "http://intel_reader:pw@127.0.0.1:8123"}


def ids(*, deploy: bool = False) -> list[str]:
    messages = run_checks(include_deployment_checks=deploy)
    return [str(message.id) for message in messages if str(message.id).startswith("otel_intel.")]


def hint() -> str:
    return " ".join(f"{m.msg} {m.hint}" for m in run_checks() if str(m.id).startswith("otel_intel."))


@override_settings(OTEL_INTEL=GOOD)
def test_a_good_configuration_has_nothing_to_say() -> None:
    assert ids(deploy=True) == []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({**GOOD, "QUEUE_SIZE": "many"}, ["otel_intel.E001"]),
        ({**GOOD, "ENGINE_VERSION": "otel_intel.conf.NOTHING"}, ["otel_intel.E001"]),
        ({**GOOD, "ENGINE_VERSION": "otel_intel.conf.KEYS"}, ["otel_intel.E002"]),
        ({**GOOD, "CLICKHOUSE_URL": "localhost:9000"}, ["otel_intel.E003"]),
        ({**GOOD, "CLICKHOUSE_URL": "http://host:port"}, ["otel_intel.E003"]),
        ({**GOOD, "CLICKHOUSE_URL": "http://u:p@gateway/clickhouse"}, ["otel_intel.E003"]),
        ({**GOOD, "CLICKHOUSE_URL": "http://u:p@host:8123?database=x"}, ["otel_intel.E003"]),
        ({**GOOD, "CLICKHOUSE_URL": "http://u:p@host:8123/#x"}, ["otel_intel.E003"]),
        ({**GOOD, "CLICKHOUSE_URL": "http://u:p/q@host:8123/"}, ["otel_intel.E003"]),
        ({**GOOD, "CLICKHOUSE_URL": "https://u:p@host:8443/"}, []),
        ({**GOOD, "VIEW_PERMISSION": "view"}, ["otel_intel.E004"]),
        ({}, ["otel_intel.W002", "otel_intel.I001"]),
    ],
)
def test_settings_that_cannot_work_are_reported(settings: dict[str, object], expected: list[str]) -> None:
    with override_settings(OTEL_INTEL=settings):
        assert ids() == expected


@override_settings(OTEL_INTEL={**GOOD, "engine_versions": "1"})
def test_the_nearest_key_is_named() -> None:
    assert "Unknown OTEL_INTEL key engine_versions. Did you mean ENGINE_VERSION?" in hint()


@override_settings(OTEL_INTEL=GOOD)
def test_unknown_variables_are_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_INTEL_QUEUESIZE", "1")
    assert "Unknown variable OTEL_INTEL_QUEUESIZE. Did you mean QUEUE_SIZE?" in hint()


INGEST = "http://127.0.0.1:8123/?query=INSERT%20INTO%20intel.otlp_logs%20FORMAT%20ProtobufSingle"


@override_settings(OTEL_INTEL=GOOD)
@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, ["otel_intel.E001"]),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "localhost:4318"}, ["otel_intel.E005"]),
        (
            {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": INGEST, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            ["otel_intel.E006"],
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": INGEST}, ["otel_intel.E007", "otel_intel.E007"]),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": INGEST}, []),
    ],
)
def test_conflicting_variables_are_reported(
    variables: dict[str, str], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert ids() == expected


@pytest.mark.parametrize(
    ("settings", "variables", "expected"),
    [
        (GOOD, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, ["otel_intel.W020"] * 2),
        (GOOD, {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector:4318"}, []),
        (GOOD, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, []),
        ({**GOOD, "CLICKHOUSE_URL": "http://reader:pw@clickhouse:8123"}, {}, ["otel_intel.W020"]),
        ({**GOOD, "SEND_IN_TESTS": True}, {}, ["otel_intel.W021"]),
        ({**GOOD, "ADMIN_ID_HASH_KEY": "secret"}, {}, ["otel_intel.W022"]),
    ],
)
def test_settings_for_development_are_reported_for_deployment(
    settings: dict[str, object], variables: dict[str, str], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with override_settings(OTEL_INTEL=settings):
        assert ids(deploy=True) == expected
        assert ids() == []


@override_settings(OTEL_INTEL=GOOD)
def test_uwsgi_without_threads_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    uwsgi = ModuleType("uwsgi")
    uwsgi.opt = {"processes": b"4"}  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "uwsgi", uwsgi)
    assert ids() == ["otel_intel.E008"]


@override_settings(OTEL_INTEL=GOOD)
def test_variables_that_were_not_exported_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT")
    monkeypatch.delenv("OTEL_SERVICE_NAME")
    assert ids() == ["otel_intel.I002", "otel_intel.I003"]


@override_settings(OTEL_INTEL={**GOOD, "CLICKHOUSE_URL": "http://u:secret/word@host:8123"})
def test_a_password_that_is_not_encoded_is_not_shown() -> None:
    assert "write / ? # @ as %2F" in hint()
    assert "secret" not in hint()


class Nobody:
    """A user model without is_staff."""

    class _meta:
        label = "people.Person"


@override_settings(OTEL_INTEL=GOOD)
def test_a_user_model_without_is_staff_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.contrib.auth.get_user_model", lambda: Nobody)
    assert [str(message.id) for message in checks.check_site(None)] == ["otel_intel.W003"]
    assert "people.Person has no field or property is_staff" in str(checks.check_site(None)[0].msg)


@override_settings(OTEL_INTEL=GOOD, ROOT_URLCONF="tests.unit.test_checks")
def test_staff_pages_that_nobody_can_log_in_to_are_named() -> None:
    assert [str(message.id) for message in checks.check_site(None)] == ["otel_intel.W004"]


@override_settings(OTEL_INTEL=GOOD, ROOT_URLCONF="tests.unit.test_templatetags")
def test_a_site_without_the_staff_pages_needs_no_log_in() -> None:
    assert checks.check_site(None) == []


urlpatterns = [path("telemetry/", include("otel_intel.urls"))]


INGEST = "http://127.0.0.1/?query=INSERT+INTO+x+FORMAT+y"


@pytest.mark.parametrize(
    ("settings", "variables", "said"),
    [
        ({**GOOD, "CLICKHOUSE_URL": ""}, {}, "E003|I001 OTEL_INTEL['CLICKHOUSE_URL'] is not set"),
        ({**GOOD, "CLICKHOUSE_URL": "x"}, {}, "E003 OTEL_INTEL['CLICKHOUSE_URL'] is not an HTTP URL"),
        ({**GOOD, "ENGINE_VERSION": ""}, {}, "W002 OTEL_INTEL['ENGINE_VERSION'] is not set"),
        ({**GOOD, "VIEW_PERMISSION": "x"}, {}, "E004 OTEL_INTEL['VIEW_PERMISSION'] = 'x' is no permission"),
        (GOOD, {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, "I002 No OTEL_EXPORTER_OTLP_ENDPOINT is set"),
        (GOOD, {"OTEL_SERVICE_NAME": ""}, "I003 OTEL_SERVICE_NAME is not set"),
        (
            GOOD,
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost"},
            "E005 OTEL_EXPORTER_OTLP_ENDPOINT=localhost is not an HTTP URL",
        ),
        (
            GOOD,
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://h/?query=INSERT+INTO+x+FORMAT+y",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            },
            "E006 OTEL_EXPORTER_OTLP_ENDPOINT is ClickHouse itself, which has no gRPC",
        ),
        (
            GOOD,
            {"OTEL_EXPORTER_OTLP_ENDPOINT": INGEST},
            "E007 OTEL_EXPORTER_OTLP_ENDPOINT is ClickHouse itself, which has no /v1/logs",
        ),
    ],
    ids=lambda value: str(value)[:24] if isinstance(value, str) else "",
)
def test_each_message_says_what_is_wrong_and_what_to_do(
    settings: dict[str, object], variables: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    number, _, text = said.rpartition("|")[2].partition(" ")
    with override_settings(OTEL_INTEL=settings):
        [message, *_] = [message for message in run_checks() if message.id == f"otel_intel.{number}"]
    assert str(message.msg).startswith(text)
    assert str(message.hint)[0].isupper() or number == "E005"
    assert str(message.hint).endswith(".")


@override_settings(OTEL_INTEL={**GOOD, "VIEW_PERMISSION": "risk.view_risksignal"})
def test_a_permission_has_one_dot() -> None:
    assert ids() == []


def test_the_endpoint_of_one_signal_is_looked_at_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://collector.example.com/v1/logs")
    with override_settings(OTEL_INTEL=GOOD):
        assert ids(deploy=True) == ["otel_intel.W020"]
