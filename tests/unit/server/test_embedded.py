"""The embedded server's directory, tested without a server: a refused start changes nothing."""

from __future__ import annotations

import contextlib
import socket
import stat
import tomllib
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from otel_intel.server import embedded
from otel_intel.server.embedded import Server
from otel_intel.server.processes import EmbeddedError, write_private


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path, 8123, 9000, {role: f"{role}-secret" for role in embedded.ROLES})


def test_url_of_a_role(server: Server) -> None:
    assert server.url("reader") == "http://intel_reader:reader-secret@127.0.0.1:8123"


def test_variables_send_as_writer_and_read_as_reader(server: Server) -> None:
    variables = server.variables()
    assert variables["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/protobuf"
    assert variables["OTEL_EXPORTER_OTLP_HEADERS"] == "x-clickhouse-user=intel_writer,x-clickhouse-key=writer-secret"
    assert variables["OTEL_INTEL_CLICKHOUSE_URL"] == server.url("reader")


@pytest.mark.parametrize(
    ("signal", "table", "message"),
    [
        ("LOGS", "intel.otlp_logs", "ExportLogsServiceRequest"),
        ("TRACES", "intel.otlp_traces", "ExportTraceServiceRequest"),
    ],
)
def test_endpoint_is_an_insert(server: Server, signal: str, table: str, message: str) -> None:
    endpoint = urlsplit(server.variables()[f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"])
    assert endpoint.netloc == "127.0.0.1:8123"
    assert parse_qs(endpoint.query) == {
        "query": [f"INSERT INTO {table} FORMAT ProtobufSingle"],
        "format_schema_message_name": [message],
    }


def test_directory_without_a_server(tmp_path: Path) -> None:
    for use in (embedded.load, embedded.stop):
        with pytest.raises(EmbeddedError, match="holds no otel-intel server: start one with otel-intel up"):
            use(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "{}", "[]"])
def test_broken_state_is_named(tmp_path: Path, content: str) -> None:
    tmp_path.joinpath("otel-intel.json").write_text(content)
    with pytest.raises(EmbeddedError, match=r"otel-intel\.json cannot be read"):
        embedded.load(tmp_path)


def test_directory_of_someone_else_is_left_alone(tmp_path: Path) -> None:
    tmp_path.joinpath("thesis.txt").write_text("mine")
    with pytest.raises(EmbeddedError, match="is not empty and was not made by otel-intel: choose another --data"):
        embedded.start(tmp_path, 0, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_file_in_place_of_a_directory(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(EmbeddedError, match="cannot be used: Not a directory"):
        embedded.start(file, 0, 0)
    assert file.read_text() == "mine"


def test_directory_that_cannot_be_made(tmp_path: Path) -> None:
    tmp_path.joinpath("file").touch()
    with pytest.raises(EmbeddedError, match="cannot be used: Not a directory"):
        embedded.start(tmp_path / "file" / "data", 0, 0)


@pytest.mark.parametrize("option", ["--http-port", "--native-port"])
def test_busy_port_is_named_and_nothing_is_created(tmp_path: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ports = (port, 0) if option == "--http-port" else (0, port)
        with pytest.raises(EmbeddedError, match=f"Port {port} .*{option}, 0 takes a free one"):
            embedded.start(tmp_path / "data", *ports)
    assert not (tmp_path / "data").exists()


def test_missing_wheel_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EmbeddedError, match="needs chdb-core: pip install --no-deps chdb-core=="):
        embedded.start(tmp_path, 0, 0)


def test_named_wheel_is_the_one_of_the_package() -> None:
    project = tomllib.loads(Path(__file__).parents[3].joinpath("pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["optional-dependencies"]["embedded"] == [embedded.CHDB]


def test_private_file_is_for_its_owner_only_and_replaced_at_once(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o600)
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]


def test_private_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="env cannot be written: No such file or directory"):
        write_private(tmp_path / "missing" / "env", "")


def test_one_port_for_both_protocols_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="--http-port and --native-port are both 5000"):
        embedded.start(tmp_path / "data", 5000, 5000)


def test_the_directory_is_for_its_owner_only(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    embedded.claim(tmp_path).close()
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_only_one_start_at_a_time(tmp_path: Path) -> None:
    directory = tmp_path / "not" / "there"
    starting = pytest.raises(EmbeddedError, match=r"Another otel-intel up is starting a server on .*there")
    with contextlib.closing(embedded.claim(directory)), starting:
        embedded.claim(directory)
    embedded.claim(directory).close()
