"""otel-intel grafana: the committed files with somebody's own names in them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from otel_intel.commands.grafana_files import GrafanaError, Source, parse_source
from otel_intel.commands.main import main
from otel_intel.resources import folder


def run(out: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["grafana", "--out", str(out), *arguments])


def document(out: Path, kind: str) -> Any:
    return yaml.safe_load(out.joinpath("provisioning", kind, "otel_intel.yaml").read_text(encoding="utf-8"))


def files(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): path.read_text("utf-8") for path in directory.rglob("*") if path.is_file()
    }


def test_without_options_the_files_are_those_of_the_stack(tmp_path: Path) -> None:
    assert run(tmp_path, "--dashboards-path", "/var/lib/grafana/dashboards").exit_code == 0
    committed = folder("grafana")
    for name, text in files(tmp_path).items():
        if name not in ("provisioning/alerting/otel_intel.yaml", "RUNBOOK.md"):  # a folder in quotes; links
            assert text == committed.joinpath(name).read_text(encoding="utf-8")
    assert document(tmp_path, "alerting") == document(committed, "alerting")
    assert {path.name for path in committed.glob("dashboards/*.json")} == {
        path.name for path in tmp_path.glob("dashboards/*.json")
    }


def test_options_reach_every_file(tmp_path: Path) -> None:
    result = run(
        tmp_path,
        *("--datasource-uid", "my-clickhouse", "--clickhouse-url", "https://reports@db.example:9999"),
        *(
            "--runbook-url",
            "https://wiki.example/runbook",
            "--site-url",
            "https://intranet.example/risk/",
            "--folder",
            "Risk: A$B",
            "--dashboards-path",
            "/srv/d",
        ),
    )
    assert result.exit_code == 0, result.output
    [source] = document(tmp_path, "datasources")["datasources"]
    assert source["uid"] == "my-clickhouse"
    connection = {"host": "db.example", "port": 9999, "protocol": "http", "secure": True, "username": "reports"}
    assert connection.items() <= source["jsonData"].items()
    [provider] = document(tmp_path, "dashboards")["providers"]
    assert (provider["folder"], provider["options"]["path"]) == ("Risk: A$$B", "/srv/d")
    assert {group["folder"] for group in document(tmp_path, "alerting")["groups"]} == {"Risk: A$$B"}
    links = [
        rule["annotations"]["runbook_url"]
        for group in document(tmp_path, "alerting")["groups"]
        for rule in group["rules"]
    ]
    assert "https://wiki.example/runbook#silence" in links
    everything = "".join(files(tmp_path).values())
    for former in ("otel-intel-clickhouse", "127.0.0.1:8000", "Decision intelligence\n", "/var/lib/grafana"):
        assert former not in everything
    assert '"https://intranet.example/risk"' in everything
    for path in tmp_path.glob("dashboards/*.json"):
        json.loads(path.read_text(encoding="utf-8"))


def test_existing_data_source_is_not_written(tmp_path: Path) -> None:
    result = run(tmp_path, "--datasource-uid", "theirs")
    assert result.exit_code == 0
    assert not (tmp_path / "provisioning/datasources").exists()
    assert "INTEL_DASHBOARD_PASSWORD" not in result.output


def test_data_source_of_an_earlier_run_is_named(tmp_path: Path) -> None:
    run(tmp_path)
    assert (
        f"Remove {tmp_path}/provisioning/datasources/otel_intel.yaml"
        in run(tmp_path, "--datasource-uid", "theirs").output
    )
    assert "Remove" not in run(tmp_path).output


@pytest.mark.parametrize("kind", ["link", "directory"])
def test_file_in_the_way_stays_and_nothing_is_written(tmp_path: Path, kind: str) -> None:
    out, mine = tmp_path / "out", tmp_path / "mine.md"
    out.mkdir()
    mine.write_text("mine")
    if kind == "link":
        (out / "RUNBOOK.md").symlink_to(mine)
    else:
        (out / "RUNBOOK.md").mkdir()
    result = run(out)
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert "RUNBOOK.md is in the way" in result.output
    assert [path.name for path in out.iterdir()] == ["RUNBOOK.md"]
    assert mine.read_text() == "mine"


def test_output_names_the_files_and_the_next_steps(tmp_path: Path) -> None:
    output = run(tmp_path).output
    assert str(tmp_path / "dashboards/overview.json") in output
    assert "grafana-clickhouse-datasource 4.20.0" in output
    assert "INTEL_DASHBOARD_PASSWORD" in output


def test_output_says_where_grafana_has_to_see_the_dashboards(tmp_path: Path) -> None:
    output = run(tmp_path, "--dashboards-path", "/srv/d").output
    assert f"  {tmp_path / 'dashboards'} mounted at /srv/d," in output


def test_a_folders_title_may_hold_any_letter(tmp_path: Path) -> None:
    assert run(tmp_path, "--folder", "Risiko für 🧭").exit_code == 0
    assert {group["folder"] for group in document(tmp_path, "alerting")["groups"]} == {"Risiko für 🧭"}


def test_files_are_utf_8_whatever_the_locale_is(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "otel_intel", "grafana", "--out", str(tmp_path)]
    ascii_only = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    subprocess.run(command, env=ascii_only, check=True, capture_output=True)
    assert "…" in "".join(files(tmp_path).values())


def test_dashboards_are_looked_for_where_they_were_written(tmp_path: Path) -> None:
    run(tmp_path)
    [provider] = document(tmp_path, "dashboards")["providers"]
    assert provider["options"]["path"] == str(tmp_path / "dashboards")


def test_the_runbook_has_no_broken_links(tmp_path: Path) -> None:
    run(tmp_path)
    text = tmp_path.joinpath("RUNBOOK.md").read_text(encoding="utf-8")
    assert "](.." not in text
    assert "`collector/README.md` of otel-intel's source" in text
    assert "`grafana/limits.py` of otel-intel's source" in text
    assert all(f"](#{name})" in text for name in ("silence", "missing"))


def test_second_run_replaces_the_files_and_says_so(tmp_path: Path) -> None:
    assert "replaced" not in run(tmp_path, "--folder", "One").output
    assert "written " not in run(tmp_path, "--folder", "Two").stdout
    assert document(tmp_path, "dashboards")["providers"][0]["folder"] == "Two"


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("tcp://db", Source("db", 9000, "native", False, "intel_dashboard")),
        ("tcp://a%40b@db", Source("db", 9000, "native", False, "a@b")),
        ("tcp://me@db?secure=true", Source("db", 9440, "native", True, "me")),
        ("http://db", Source("db", 8123, "http", False, "intel_dashboard")),
        ("https://db/", Source("db", 8443, "http", True, "intel_dashboard")),
        ("tcp://[::1]:1", Source("::1", 1, "native", False, "intel_dashboard")),
    ],
)
def test_url(url: str, source: Source) -> None:
    assert parse_source(url) == source


@pytest.mark.parametrize(
    "url",
    [
        *("db:9000", "clickhouse://db", "tcp://", "tcp://db:port", "tcp://db/metrics", "tcp://db?secure=false", ""),
        *("tcp://db:0", "tcp://db#there", "tcp://[::1", "tcp://d b", "tcp://me%0A@db", "tcp://\udcff"),
    ],
)
def test_url_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(GrafanaError, match="tcp://host:9000"):
        parse_source(url)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--clickhouse-url", "tcp://me:secret@db"], "INTEL_DASHBOARD_PASSWORD"),
        (["--datasource-uid", "with space"], "--datasource-uid"),
        (["--folder", "a/b"], "--folder"),
        (["--folder", "a\nb"], "--folder"),
        (["--folder", "\udcff"], "--folder"),
        (["--datasource-uid", ""], "--datasource-uid"),
        (["--clickhouse-url", ""], "--clickhouse-url"),
        (["--dashboards-path", ""], "--dashboards-path"),
        (["--dashboards-path", "dashboards"], "--dashboards-path"),
        (["--dashboards-path", "/\udcff"], "--dashboards-path"),
        (["--site-url", "intranet.example"], "--site-url"),
        (["--site-url", "http:"], "--site-url"),
        (["--site-url", "http://:80"], "--site-url"),
        (["--site-url", "http://intranet.example:port"], "--site-url"),
        (["--site-url", "http://intranet.example/telemetry/"], "--site-url"),
        (["--site-url", "http://intranet.example/?a=b"], "--site-url"),
        (["--site-url", "http://intranet.example#a"], "--site-url"),
        (["--site-url", "http://me@intranet.example"], "--site-url"),
        (["--site-url", "http://intranet.example/a b"], "--site-url"),
        (["--site-url", "http://intranet.example\n"], "--site-url"),
        (["--runbook-url", "https://wiki.example/\udcff"], "--runbook-url"),
        (["--runbook-url", "wiki.example"], "--runbook-url"),
        (["--runbook-url", "https://wiki.example/${PAGE}"], "--runbook-url"),
    ],
)
def test_wrong_option_is_one_line_and_writes_nothing(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = run(tmp_path / "out", *arguments)
    assert result.exit_code == 1
    assert message in result.output
    assert "secret" not in result.output
    assert result.output.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run(tmp_path / "file" / "out")
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")


def test_a_folder_that_cannot_be_written_is_named_with_the_systems_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write everywhere
    result = run(Path("g"))
    assert result.exit_code == 1
    assert re.fullmatch(
        r"Error: 'g/dashboards/\w+\.json' cannot be written: '\.': Permission denied\. Nothing was written\n",
        result.output,
    )
    assert list(tmp_path.iterdir()) == []
