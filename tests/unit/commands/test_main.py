"""The command otel-intel: what it says to people."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from otel_intel.commands.main import main
from otel_intel.reading.export import whole_file
from otel_intel.server import embedded


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.mark.parametrize("command", main.commands)
def test_help_teaches_by_example(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"otel-intel {command}" in result.output.split("Options:")[0].split("\n", 1)[1]


def test_help_names_every_command() -> None:
    output = run("--help").output
    assert all(f"\n  {command} " in output for command in main.commands)


@pytest.mark.parametrize("command", ["migrate", "rebuild", "verify"])
def test_missing_url_names_the_option_and_the_variable(command: str) -> None:
    result = run(command)
    assert result.exit_code == 2
    assert "--url" in result.output
    assert "CLICKHOUSE_URL" in run(command, "--help").output


@pytest.mark.parametrize(
    "arguments", [["migrate"], ["migrate", "--plan"], ["rebuild"], ["verify"], ["export", "decisions"]]
)
def test_server_that_does_not_answer_is_one_line(arguments: list[str]) -> None:
    result = run(*arguments, "--url", "http://someone:secret@127.0.0.1:1")
    assert result.exit_code == 1
    assert result.output.startswith("Error: ClickHouse does not answer")
    assert "secret" not in result.output
    assert result.output.count("\n") == 1


def test_down_and_env_without_a_server(tmp_path: Path) -> None:
    for command in ("down", "env"):
        result = run(command, "--data", str(tmp_path))
        assert (result.exit_code, "start one with otel-intel up" in result.output) == (1, True)


def test_env_can_be_read_by_a_shell(tmp_path: Path) -> None:
    _server(tmp_path)
    lines = run("env", "--data", str(tmp_path)).output.splitlines()
    assert "OTEL_INTEL_CLICKHOUSE_URL=http://intel_reader:reader-secret@127.0.0.1:1" in lines
    [logs] = [line for line in lines if line.startswith("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=")]
    assert logs.startswith("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT='http://")  # it has a question mark and an ampersand
    assert logs.endswith("'")


@pytest.mark.parametrize("role", embedded.ROLES)
def test_env_prints_the_url_of_a_role(tmp_path: Path, role: str) -> None:
    _server(tmp_path)
    output = run("env", "--data", str(tmp_path), "--role", role).output
    assert output == f"http://intel_{role}:{role}-secret@127.0.0.1:1\n"


def test_failed_export_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "decisions.csv"
    file.write_text("yesterday's")
    assert run("export", "decisions", "--out", str(file), "--url", "http://a:b@127.0.0.1:1").exit_code == 1
    assert file.read_text() == "yesterday's"
    assert [path.name for path in tmp_path.iterdir()] == ["decisions.csv"]


def test_export_into_a_missing_directory_names_the_file_that_was_given(tmp_path: Path) -> None:
    file = tmp_path / "missing" / "decisions.csv"
    with pytest.raises(FileNotFoundError) as caught, whole_file(file):
        pass
    assert (caught.value.filename, caught.value.strerror) == (str(file), "No such file or directory")


@pytest.mark.parametrize("wait", ["-1", "nan", "inf", "3601"])
def test_a_wait_that_is_no_time_is_refused(wait: str) -> None:
    result = run("doctor", "--wait", wait)
    assert result.exit_code == 2
    assert "not a number of seconds from 0 to 3600" in result.output


@pytest.fixture
def no_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if a server is started."""
    monkeypatch.setattr(embedded, "start", lambda *arguments, **options: pytest.fail("started"))


def _up(tmp_path: Path, file: Path | str) -> str:
    result = run("up", "--data", str(tmp_path / "data"), "--env-file", str(file))
    assert result.exit_code == 1, result.output
    return result.output


@pytest.mark.usefixtures("no_start")
@pytest.mark.parametrize("content", [b"SECRET_KEY=mine\n", b"OTEL_INTEL_CLICKHOUSE_URL=a\n# mine\n", b"\xff\xfe"])
def test_a_file_of_someone_else_is_not_replaced_by_the_variables(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / ".env"
    file.write_bytes(content)
    output = _up(tmp_path, file)
    assert output.startswith(f"Error: {file} holds more than the variables that up writes")
    assert "choose another --env-file" in output
    assert file.read_bytes() == content


@pytest.mark.usefixtures("no_start")
def test_a_file_that_cannot_be_written_is_named_before_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for file, reason in (
        (tmp_path / "missing" / "env", "No such file or directory"),
        (tmp_path / "file" / "env", "Not a directory"),
        (tmp_path / "loop", "File exists"),
    ):
        assert _up(tmp_path, file) == f"Error: {file} cannot be written: {reason}\n"
    assert _up(tmp_path, "") == "Error: --env-file is empty: name a file, such as .env.telemetry\n"


def _server(directory: Path) -> None:
    passwords = ", ".join(f'"{role}": "{role}-secret"' for role in embedded.ROLES)
    directory.joinpath("otel-intel.json").write_text(
        f'{{"http_port": 1, "native_port": 2, "passwords": {{{passwords}}}}}'
    )
