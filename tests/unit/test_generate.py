"""All files derived from the catalogue are up to date, and a hand edit is found."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from otel_intel.events import CATALOGUE, SCHEMA_URL, allowed_keys
from tools import generate

ROOT = Path(__file__).resolve().parents[2]


def test_all_generated_files_are_up_to_date() -> None:
    command = [sys.executable, "-m", "tools.generate", "--check"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout + result.stderr) == (0, "All generated files are up to date.\n")


@pytest.mark.parametrize("path", [*generate.BLOCKS, *generate.ROWS])
def test_a_hand_edit_is_found_and_fixed(path: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = (ROOT / path).read_text(encoding="utf-8")
    edited = re.sub(
        r"recommendation\.ignored|IGNORED|--tone-ignored|dropped_no_admin|NO_ACTION|d\.note_created|'intel\.probe\.id'|counts\['ignored'\]|track_recommendation_ignore",
        "by hand",
        whole,
    )
    assert edited != whole
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(edited, encoding="utf-8")
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "BLOCKS", {path: generate.BLOCKS[path]} if path in generate.BLOCKS else {})
    monkeypatch.setattr(generate, "ROWS", {path: generate.ROWS[path]} if path in generate.ROWS else {})
    monkeypatch.setattr(generate, "FILES", {})
    monkeypatch.setattr(generate, "grafana_files", dict)
    monkeypatch.setattr("sys.argv", ["generate", "--check"])
    with pytest.raises(SystemExit, match="Run `make generate`"):
        generate.main()
    monkeypatch.setattr("sys.argv", ["generate"])
    generate.main()
    mended = generate.with_blocks if path in generate.BLOCKS else generate.with_rows
    assert (tmp_path / path).read_text(encoding="utf-8") == mended(path, edited)


def test_a_lost_block_is_reported() -> None:
    with pytest.raises(
        SystemExit, match=r"20_pair_decisions\.sql holds 0 blocks 'generated: decisions' instead of one"
    ):
        generate.with_blocks("clickhouse/refresh/20_pair_decisions.sql", "SELECT 1")
    with pytest.raises(SystemExit, match=r"README\.md holds no table rows that end in '<!-- of each action -->'"):
        generate.with_rows("clickhouse/README.md", "# ClickHouse")


def test_a_lost_closing_line_is_reported_and_the_next_block_is_kept() -> None:
    path = "clickhouse/views/30_ingest.sql"
    text = (ROOT / path).read_text(encoding="utf-8")
    edited = re.sub(r"^ *-- /generated\n", "", text, count=1, flags=re.MULTILINE)
    assert edited != text
    lost = "the closing line '/generated' of 'generated: resource attributes of logs' is missing"
    with pytest.raises(SystemExit, match=lost):
        generate.with_blocks(path, edited)


def test_an_unknown_argument_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["generate", "--chekc"])
    monkeypatch.setattr(generate, "outputs", lambda: pytest.fail("went on"))
    with pytest.raises(SystemExit, match="2"):
        generate.main()
    assert "unrecognized arguments: --chekc" in capsys.readouterr().err


def test_the_registry_defines_every_key_that_an_event_has() -> None:
    registry = yaml.safe_load((ROOT / "semconv" / "intel.yaml").read_text(encoding="utf-8"))
    defined = {attribute["key"] for attribute in registry["attributes"]}
    assert defined | {"log.record.uid"} == set(allowed_keys())  # that one is OpenTelemetry's own
    assert [event["name"] for event in registry["events"]] == list(CATALOGUE)
    for event in registry["events"]:
        assert {attribute["ref"] for attribute in event["attributes"]} <= defined | {"log.record.uid"}


# https://github.com/open-telemetry/weaver/blob/main/schemas/semconv.schema.v2.json, as far as it is used here.
REQUIRED = {"attributes": {"key", "type", "brief", "stability"}, "events": {"name", "brief", "stability"}}
ALLOWED = {"attributes": {*REQUIRED["attributes"], "examples"}, "events": {*REQUIRED["events"], "attributes"}}


def test_the_registry_keeps_to_weavers_syntax() -> None:
    registry = yaml.safe_load((ROOT / "semconv" / "intel.yaml").read_text(encoding="utf-8"))
    assert registry.pop("file_format") == "definition/2"
    assert registry.keys() == REQUIRED.keys()
    for kind, items in registry.items():
        for item in items:
            assert REQUIRED[kind] <= item.keys() <= ALLOWED[kind]
            assert item["stability"] == "development"
    for attribute in registry["attributes"]:
        if isinstance(attribute["type"], dict):
            assert all({"id", "value"} <= member.keys() for member in attribute["type"]["members"])
        else:
            assert attribute["type"] in ("string", "int", "double")
    levels = {reference["requirement_level"] for event in registry["events"] for reference in event["attributes"]}
    assert levels <= {"required", "recommended"}


def test_the_manifest_names_the_schema_url_of_every_record() -> None:
    manifest = yaml.safe_load((ROOT / "semconv" / "manifest.yaml").read_text(encoding="utf-8"))
    assert manifest["schema_url"] == SCHEMA_URL
    # OTLP's schema URLs end in a version: https://opentelemetry.io/docs/specs/otel/schemas/#schema-url
    assert manifest["schema_url"].rpartition("/")[2].count(".") == 2
