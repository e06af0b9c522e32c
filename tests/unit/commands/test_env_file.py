"""The file for the variables: what up may replace, and where it is written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from otel_intel.commands import env_file
from otel_intel.server import embedded
from otel_intel.server.collector import Collector
from otel_intel.server.embedded import Server


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path / "data", 8123, 9000, dict.fromkeys(embedded.ROLES, "secret"))


def test_every_variable_that_up_writes_is_known(server: Server) -> None:
    in_front = Collector({"http": 4318}, "token")
    assert set(env_file.VARIABLES) == server.variables().keys() | in_front.variables(server).keys()


@pytest.mark.parametrize(
    "content", ["", "\n", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc\nOTEL_INTEL_CLICKHOUSE_URL='http://a'\n"]
)
def test_what_up_wrote_is_replaced(tmp_path: Path, content: str) -> None:
    file = tmp_path / "env"
    file.write_text(content)
    assert env_file.target(file, tmp_path / "data") == file


def test_the_file_is_utf_8_whatever_the_locale_is(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("OTEL_INTEL_CLICKHOUSE_URL='http://ä'\n", encoding="utf-8")
    code = "import sys; from pathlib import Path; from otel_intel.commands import env_file"
    code += "; env_file.target(Path(sys.argv[1]), Path(sys.argv[1]).parent)"
    ascii_only = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    subprocess.run([sys.executable, "-c", code, str(file)], env=ascii_only, check=True)


def test_a_link_stays_and_its_file_is_written(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "file")
    assert env_file.target(link, tmp_path / "data") == tmp_path / "file"


def test_a_file_in_the_servers_own_directory_needs_no_directory_yet(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert env_file.target(data / "env", data) == data / "env"
