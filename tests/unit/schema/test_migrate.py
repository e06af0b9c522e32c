"""Read the SQL files, and check the project's rules for them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from otel_intel.resources import folder
from otel_intel.schema.connection import ClickHouseUnreachable, connect
from otel_intel.schema.migrate import Step, read_steps, setup_script

SQL = folder("clickhouse")
FILES = sorted([*SQL.glob("migrations/*.sql"), *SQL.glob("views/*.sql")])


def test_steps_are_the_statements_in_order(tmp_path: Path) -> None:
    tmp_path.joinpath("0002_b.sql").write_text("SELECT 3;")
    tmp_path.joinpath("0001_a.sql").write_text("-- Why; and more\nSELECT ';',\n 1;\n\nSELECT 2;\n")
    assert read_steps(tmp_path) == [
        Step("0001_a.sql", 1, "-- Why; and more\nSELECT ';',\n 1"),
        Step("0001_a.sql", 2, "SELECT 2"),
        Step("0002_b.sql", 1, "SELECT 3"),
    ]


def test_title_is_the_first_line_that_is_not_a_comment() -> None:
    assert Step("a.sql", 1, "-- Why\n\nSELECT 1,\n2").title == "SELECT 1,"


def test_checksum_changes_with_the_statement() -> None:
    assert Step("a.sql", 1, "SELECT 1").sha256 == Step("b.sql", 2, "SELECT 1").sha256
    assert Step("a.sql", 1, "SELECT 1").sha256 != Step("a.sql", 1, "SELECT 2").sha256


def test_migrations_are_numbered_without_a_gap() -> None:
    names = [path.name for path in sorted(SQL.glob("migrations/*.sql"))]
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    assert all(re.fullmatch(r"\d{4}_[a-z]+_[a-z_]+\.sql", name) for name in names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_file_begins_with_why_and_uses_no_backticks(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("-- ")
    assert "`" not in text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_statements_can_run_again(path: Path) -> None:
    steps = [step for step in read_steps(path.parent) if step.file == path.name]
    assert steps
    for step in steps:
        again = (
            r"CREATE OR REPLACE |(CREATE|ALTER) .*\bIF NOT EXISTS\b|DROP .*\bIF EXISTS\b|ALTER .*\n +COMMENT COLUMN"
            # Numbers that are computed once more stay what they are.
            r"|INSERT INTO intel\.refreshes "
        )
        assert re.search(rf"^({again})", step.statement, re.MULTILINE), step.title


def test_every_view_runs_as_the_owner_without_a_log_in() -> None:
    for step in read_steps(SQL / "views"):
        if step.title.startswith(
            ("ALTER TABLE metrics.", "DROP VIEW")
        ):  # the comments of its columns; what was there before
            continue
        assert "\nDEFINER = intel_owner SQL SECURITY DEFINER\nAS\n" in step.statement, step.title


def test_xml_and_sql_files_grant_the_same() -> None:
    """access.xml is for servers that are configured by files, setup.sql for all others."""
    xml = SQL.joinpath("access.xml").read_text(encoding="utf-8")
    sections = re.findall(r"<(intel_\w+)>((?:(?!</\1>).)*<query>.*?)</\1>", xml, re.DOTALL)
    embedded = {
        f"{grant} TO {name}" for name, section in sections for grant in re.findall(r"<query>(.*?)</query>", section)
    }
    own = set()
    for grant, names in re.findall(r"^(GRANT .*) TO (.*);$", setup_script(), re.MULTILINE):
        own |= {f"{grant} TO {name}" for name in names.split(", ")}
    assert own == embedded
    assert len(own) > 8


def test_xml_and_sql_files_set_the_same_limits() -> None:
    # Our own file.
    profiles = ET.parse(SQL / "access.xml").find("profiles")  # noqa: S314
    assert profiles is not None
    for profile in profiles:
        settings = {
            setting.tag: f"{setting.tag} = {setting.text}" for setting in profile if setting.tag != "constraints"
        }
        for constraint in profile.findall("constraints/*"):
            bounds = " ".join(f"{bound.tag.upper()} {bound.text or ''}".strip() for bound in constraint)
            settings[constraint.tag] = f"{settings.get(constraint.tag, constraint.tag)} {bounds}"
        [own] = re.findall(
            rf"SETTINGS PROFILE IF NOT EXISTS {profile.tag} SETTINGS\s+(.*?);", setup_script(), re.DOTALL
        )
        without_format = re.sub(r",\s+format_schema_source.*", "", own, flags=re.DOTALL)
        assert set(re.split(r",\s+", without_format)) == set(settings.values())


def test_setup_script_carries_the_format_of_requests() -> None:
    assert "message ExportLogsServiceRequest" in setup_script()
    assert "${" not in setup_script()


@pytest.mark.parametrize(
    "url", ["", "::::", "localhost:8123", "admin:secret@host:9", "http://host:port", "http://[::1"]
)
def test_an_invalid_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ClickHouseUnreachable, match=r"^The ClickHouse URL is not an HTTP URL"), connect(url):
        pass
