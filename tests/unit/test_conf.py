from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from django.conf import settings
from django.test import override_settings

from otel_intel import ConfigurationError
from otel_intel.conf import Settings, get_settings, is_under_test, parse_url, resolve_engine_version, unknown_keys


@override_settings(OTEL_INTEL={})
def test_defaults_hold_where_nothing_is_set() -> None:
    assert get_settings() == Settings()


@override_settings(OTEL_INTEL={"QUEUE_SIZE": 10})
def test_django_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_INTEL_QUEUE_SIZE", "20")
    monkeypatch.setenv("OTEL_INTEL_EXIT_TIMEOUT", "0.5")
    assert (get_settings().QUEUE_SIZE, get_settings().EXIT_TIMEOUT) == (10, 0.5)


@pytest.mark.parametrize(("text", "value"), [("true", True), ("0", False), ("NO", False), ("on", True)])
def test_flags_in_the_environment_are_words(monkeypatch: pytest.MonkeyPatch, text: str, value: bool) -> None:
    monkeypatch.setenv("OTEL_INTEL_ENABLED", text)
    assert get_settings().ENABLED is value


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("ENABLED", "maybe", r"OTEL_INTEL\['ENABLED'\] must be true or false"),
        ("QUEUE_SIZE", "many", r"OTEL_INTEL\['QUEUE_SIZE'\] must be a number above 0"),
        ("QUEUE_SIZE", 0, r"OTEL_INTEL\['QUEUE_SIZE'\] must be a number above 0"),
        ("ENGINE_VERSION", 1.2, r"OTEL_INTEL\['ENGINE_VERSION'\] must be a string"),
    ],
)
def test_a_wrong_type_is_refused_by_name(key: str, value: object, message: str) -> None:
    with override_settings(OTEL_INTEL={key: value}), pytest.raises(ConfigurationError, match=message):
        get_settings()


@override_settings(OTEL_INTEL=["ENGINE_VERSION"])
def test_the_setting_must_be_a_dict() -> None:
    with pytest.raises(ConfigurationError, match="must be a dict"):
        get_settings()


@override_settings(OTEL_INTEL={"ENGINE_VERSIONS": "1", "TRACES": True})
def test_unknown_keys_are_found() -> None:
    assert unknown_keys() == ["ENGINE_VERSIONS"]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    class Service:
        VERSION = "2.4.0"

    module = ModuleType("assist_engine")
    module.__dict__.update(Service=Service, __spec__=sys.__spec__)
    monkeypatch.setitem(sys.modules, "assist_engine", module)
    return module


def test_a_dotted_path_is_read_at_each_call(engine: ModuleType) -> None:
    version = resolve_engine_version("assist_engine.Service.VERSION")
    assert version() == "2.4.0"
    engine.Service.VERSION = "2.5.0"
    assert version() == "2.5.0"


@pytest.mark.parametrize("literal", ["2.1.0", "v2", "release.candidate", "2026-11"])
def test_anything_else_is_the_version_itself(literal: str) -> None:
    assert resolve_engine_version(literal)() == literal


def test_a_path_into_nothing_is_refused(engine: ModuleType) -> None:
    with pytest.raises(ConfigurationError, match="VERSIO"):
        resolve_engine_version("assist_engine.Service.VERSIO")


def test_pytest_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_under_test()
    monkeypatch.delenv("PYTEST_VERSION")
    assert not is_under_test()


@pytest.mark.parametrize(
    ("arguments", "under_test"),
    [
        (["manage.py", "test"], True),
        (["/srv/manage.py", "--settings=shop.settings", "test", "shop"], True),
        (["/lib/django/__main__.py", "test"], True),
        (["manage.py", "runserver"], False),
        (["deploy", "test"], False),
    ],
)
def test_djangos_test_command_is_noticed(
    arguments: list[str], under_test: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_VERSION")
    monkeypatch.setattr("sys.argv", arguments)
    assert is_under_test() is under_test


def test_a_module_that_fails_to_import_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_engine.py").write_text("raise OSError('no such engine')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigurationError, match=r"broken_engine\.VERSION.*OSError: no such engine"):
        resolve_engine_version("broken_engine.VERSION")


def test_without_the_setting_the_defaults_apply() -> None:
    with override_settings():
        del settings.OTEL_INTEL
        assert get_settings().QUEUE_SIZE == 8192


def test_a_path_may_lead_into_a_module_that_nobody_has_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "engine_of_test"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "release.py").write_text("VERSION = '3.1'")
    monkeypatch.syspath_prepend(tmp_path)
    assert resolve_engine_version("engine_of_test.release.VERSION")() == "3.1"


@pytest.mark.parametrize("url", ["http://u:p@host:8123", "https://u:p%2Fq@host", "http://host/"])
def test_a_clickhouse_url_is_taken_apart(url: str) -> None:
    assert (parse_url(url).hostname, parse_url(url).scheme) == ("host", url.partition(":")[0])


def test_settings_that_cannot_be_imported_are_named() -> None:
    code = "from otel_intel.conf import get_settings; get_settings()"
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "nowhere"}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "ConfigurationError: DJANGO_SETTINGS_MODULE=nowhere: No module named 'nowhere'." in result.stderr
