"""The site builds without a warning, and its derived pages contain everything from their sources."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from otel_intel import Telemetry, events
from otel_intel.commands.main import main
from otel_intel.conf import Settings
from tests.docs.markdown import ROOT

NOT_FOR_APPLICATIONS = {"divert", "forget_settings"}  # used by otel_intel.testing only


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site's folder."""
    out = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--quiet", "--builder", "html", "--doctree-dir"]
    ran = subprocess.run(
        [*build, str(out / "doctrees"), str(ROOT / "docs"), str(out / "html")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return out / "html"


def _text(page: Path) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


def test_settings_are_those_of_the_package(site: Path) -> None:
    text = re.sub(r"\s+", " ", _text(site / "reference/settings.html"))
    for field in fields(Settings):
        assert f" {field.name} {field.default}".rstrip() in text, field.name


def test_events_are_those_of_the_catalogue(site: Path) -> None:
    text = re.sub(r"\s+", " ", _text(site / "reference/events.html"))
    for event in events.CATALOGUE.values():
        arguments = [attribute.argument for attribute in event.required]
        arguments += [f"{attribute.argument}?" for attribute in event.optional]
        row = f"{event.helper} {', '.join(arguments)} {event.name}" if event.helper else event.name
        assert row in text, event.name
        assert all(attribute.key in text for attribute in event.attributes)


def test_every_command_and_option_is_there(site: Path) -> None:
    text = _text(site / "reference/command.html")
    for name, command in main.commands.items():
        assert f"otel-intel {name}" in text
        for parameter in command.params:
            assert all(option in text for option in parameter.opts)


def test_every_public_method_is_there(site: Path) -> None:
    text = _text(site / "reference/python.html")
    for name in vars(Telemetry):
        assert name.startswith("_") or name in NOT_FOR_APPLICATIONS or f"{name}(" in text, name


def test_links_to_files_that_are_pages_lead_to_the_pages(site: Path) -> None:
    runbook = (site / "how-to/alerts.html").read_text(encoding="utf-8")
    assert 'href="../reference/collector.html#symptoms"' in runbook
    assert 'href="../scaling.html"' in (site / "reference/tables.html").read_text(encoding="utf-8")
