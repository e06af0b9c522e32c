"""The embedded server as a process: start, stop, crash, and what it refuses."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shlex
import signal
import socket
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import clickhouse_connect
import pytest
from click.testing import CliRunner
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from otel_intel.commands.main import main
from otel_intel.exceptions import OtelIntelError
from otel_intel.resources import folder
from otel_intel.schema.connection import connect
from otel_intel.schema.migrate import read_steps
from otel_intel.server import embedded
from otel_intel.server.processes import EmbeddedError, stop_child
from tests.otlp import deliver, event, send
from tests.processes import UP, Command, otel_intel, run_otel_intel, running, with_ignored_signals
from tests.servers import ClickHouse, engine_pid, kill, pipes_of, run_clickhouse, signal_engine
from tests.waiting import poll_until


def _rows(url: str) -> int:
    client = clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False)
    count = client.command("SELECT count() FROM metrics.admin_views")
    client.close_connections()
    client.close()
    return int(str(count))


def test_detached_server_is_ready_and_can_be_stopped(new_data: Path, tmp_path: Path) -> None:
    env_file = tmp_path / "env"
    up = run_otel_intel(new_data, *UP, "--detach", "--env-file", str(env_file))
    assert up.returncode == 0, up.stderr
    variables = dict(line.split("=", 1) for line in shlex.split(env_file.read_text()))
    assert _rows(variables["OTEL_INTEL_CLICKHOUSE_URL"]) == 0
    assert env_file.read_text() == run_otel_intel(new_data, "env").stdout
    port = embedded.load(new_data).http_port
    assert up.stdout == ""  # passwords must not appear in a terminal or a log
    assert up.stderr.splitlines()[-3:] == [
        f"Applied {len(read_steps(folder('clickhouse') / 'migrations'))} statements to bring the schema up to date.",
        f"The variables for applications are in {env_file}.",
        f"ClickHouse is ready on 127.0.0.1:{port}; stop it with otel-intel down --data {new_data}",
    ]
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    assert run_otel_intel(new_data, "down").returncode == 0
    again = run_otel_intel(new_data, "down")
    assert (again.returncode, again.stderr) == (1, f"Error: No server is running on {new_data}\n")


def test_nothing_of_this_machine_goes_through_a_proxy(new_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    up = run_otel_intel(new_data, *UP, "--detach")  # waits for its server, and migrates
    assert up.returncode == 0, up.stderr
    status = run_otel_intel(new_data, "status")
    assert (status.returncode, status.stderr) == (0, "")


def test_second_start_is_refused_and_the_first_server_keeps_running(data: Path) -> None:
    first = run_otel_intel(data, *UP, "--detach")
    before = {path.name: path.stat().st_mtime_ns for path in data.iterdir() if path.is_file()}
    second = run_otel_intel(data, *UP, "--detach")
    assert second.returncode == 1
    assert "is already running on" in second.stderr
    assert second.stdout == ""
    assert {name: (data / name).stat().st_mtime_ns for name in before} == before
    assert _rows(dict(line.split("=", 1) for line in shlex.split(first.stdout))["OTEL_INTEL_CLICKHOUSE_URL"]) == 0


def test_of_two_starts_at_once_one_wins(new_data: Path) -> None:
    with contextlib.ExitStack() as stack:
        both = [stack.enter_context(running(otel_intel(new_data, *UP, "--detach"))) for _ in range(2)]
        outputs = [process.communicate(timeout=60) for process in both]
    assert sorted(process.returncode for process in both) == [0, 1], outputs
    [stdout] = [stdout for stdout, _ in outputs if stdout]
    assert stdout == run_otel_intel(new_data, "env").stdout


def test_data_passwords_and_ports_are_kept_between_runs(new_data: Path) -> None:
    with run_clickhouse(new_data) as clickhouse:
        first = clickhouse.server
        send(clickhouse, event("dashboard.opened"))
        assert run_otel_intel(new_data, "down").returncode == 0
    second, process = embedded.start(new_data)
    try:
        assert second == first
        assert _rows(second.url("reader")) == 1
    finally:
        kill(second, process)


def test_new_passwords_replace_all_and_nothing_is_lost(data: Path, tmp_path: Path) -> None:
    env_file = tmp_path / "env"
    assert run_otel_intel(data, *UP, "--detach", "--env-file", str(env_file)).returncode == 0
    first, wrote = embedded.load(data), env_file.read_text()
    clickhouse = ClickHouse(first)
    send(clickhouse, event("dashboard.opened"))
    clickhouse.close()
    while_it_runs = run_otel_intel(data, "up", "--detach", "--new-passwords")
    assert (while_it_runs.returncode, embedded.load(data)) == (1, first)
    assert run_otel_intel(data, "down").returncode == 0
    up = run_otel_intel(data, "up", "--detach", "--new-passwords", "--env-file", str(env_file))
    assert (up.returncode, up.stdout) == (0, ""), up.stderr
    second = embedded.load(data)
    assert set(first.passwords.values()).isdisjoint(second.passwords.values())
    assert not any(password in up.stderr for password in second.passwords.values())
    assert env_file.read_text() == run_otel_intel(data, "env").stdout != wrote
    assert _rows(second.url("reader")) == 1
    for role in embedded.ROLES:
        with pytest.raises(OtelIntelError, match="refused"), connect(first.url(role)):
            pass
    assert run_otel_intel(data, "down").returncode == 0
    assert run_otel_intel(data, "up", "--detach").returncode == 0
    assert embedded.load(data) == second


def test_a_service_manager_is_told_when_the_server_answers(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with running(otel_intel(data, *UP)) as up:
            assert manager.recv(100) == b"READY=1"
            assert connects(embedded.load(data))
            environment = Path(f"/proc/{engine_pid(embedded.load(data))}/environ").read_bytes()
            assert b"NOTIFY_SOCKET" not in environment
            up.send_signal(signal.SIGTERM)
            assert up.wait(30) == 0


def test_secrets_are_for_their_owner_only(clickhouse_server: ClickHouse) -> None:
    directory = clickhouse_server.server.directory
    assert stat.S_IMODE((directory / "otel-intel.json").stat().st_mode) == 0o600
    users = (directory / "users.xml").read_text()
    assert not any(password in users for password in clickhouse_server.server.passwords.values())
    assert (directory / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize("received", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("start", [list, with_ignored_signals])
def test_server_in_the_foreground_ends_with_the_command(
    data: Path, received: signal.Signals, start: Callable[[list[str]], Command]
) -> None:
    with running(start(otel_intel(data, *UP))) as up:
        assert up.stdout
        assert up.stderr
        assert any(line.startswith("ClickHouse is ready") for line in up.stderr)
        variables = dict(line.split("=", 1) for line in shlex.split("".join(up.stdout.readline() for _ in range(5))))
        assert _rows(variables["OTEL_INTEL_CLICKHOUSE_URL"]) == 0
        up.send_signal(received)
        assert up.wait(30) == (-received if received is signal.SIGKILL else 0)
    assert poll_until(lambda: run_otel_intel(data, "down").returncode == 1)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_crashed_server_is_started_again_and_loses_nothing_acknowledged(tmp_path: Path, end: signal.Signals) -> None:
    acknowledged, stop = 0, threading.Event()
    with run_clickhouse(tmp_path) as clickhouse:
        server = clickhouse.server

        def write() -> None:
            nonlocal acknowledged
            while not stop.is_set():
                with contextlib.suppress(OSError):  # requests' errors are OSErrors: the server is gone
                    deliver(clickhouse, *(event("dashboard.opened") for _ in range(20)))
                    acknowledged += 20

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for crashes in (1, 2):
                enough = acknowledged + 200
                assert poll_until(lambda enough=enough: acknowledged >= enough, 30)  # type: ignore[misc]
                signal_engine(server, end)
                assert poll_until(lambda crashes=crashes: len(embedded.restarts(tmp_path)) == crashes)  # type: ignore[misc]
            enough = acknowledged + 20
            assert poll_until(lambda: acknowledged >= enough)
        finally:
            stop.set()
            writer.join()
        # An event sent during a crash may have arrived without an answer.
        assert 0 <= clickhouse.value("SELECT count() FROM metrics.admin_views") - acknowledged <= 2 * 20
    for line in embedded.restarts(tmp_path):
        assert line.endswith(f"UTC: ClickHouse was ended by {end.name}; starting it again")
        assert line in (tmp_path / "server.log").read_text()


def test_crashes_are_reported_by_up_and_by_status(data: Path) -> None:
    with running(otel_intel(data, *UP)) as up:
        assert up.stdout
        assert up.stderr
        assert any(line.startswith("ClickHouse is ready") for line in up.stderr)
        signal_engine(embedded.load(data), signal.SIGKILL)
        told = up.stderr.readline().rstrip()
        assert told.endswith("ClickHouse was ended by SIGKILL; starting it again")
        assert poll_until(lambda: run_otel_intel(data, "status", "--json").returncode == 0)
        assert json.loads(run_otel_intel(data, "status", "--json").stdout)["server_restarts"] == [told]
        said = run_otel_intel(data, "status").stdout.splitlines()
        assert said[:2] == ["Crashes of the server since it was started", f"  {told}"]
        up.send_signal(signal.SIGINT)
        assert up.wait(30) == 0
    # Crashes are shown even if no server answers: then they matter most.
    assert run_otel_intel(data, "status").stdout.splitlines()[1] == f"  {told}"
    assert run_otel_intel(data, *UP, "--detach").returncode == 0
    assert embedded.restarts(data) == []  # only crashes since this start count


@pytest.mark.parametrize(("url", "told"), [("", True), ("its", True), ("http://intel_reader:x@127.0.0.1:1", False)])
def test_status_shows_crashes_only_of_the_server_that_it_reads(
    clickhouse: ClickHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, told: bool
) -> None:
    directory = tmp_path / ".otel-intel"
    directory.mkdir()
    for name, text in (("otel-intel.json", None), ("restarts.log", "ClickHouse failed\n")):
        (directory / name).write_text(text or (clickhouse.server.directory / name).read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OTEL_INTEL_CLICKHOUSE_URL", clickhouse.url("reader") if url == "its" else url)
    result = CliRunner().invoke(main, ["status"])
    assert ("ClickHouse failed" in result.output) == told
    assert (result.exit_code == 0) == told
    elsewhere = CliRunner().invoke(main, ["status", "--data", str(tmp_path / "elsewhere")])
    assert "holds no otel-intel server" in elsewhere.output


def test_restart_that_fails_is_tried_again_until_it_works_or_is_stopped(tmp_path: Path) -> None:
    server, process = embedded.start(tmp_path, 0, 0)
    users, opened = tmp_path / "users.xml", Path(f"/proc/{process.pid}/fd")
    try:
        written, before = users.read_text(), len(list(opened.iterdir()))
        users.write_text("no XML")
        signal_engine(server, signal.SIGKILL)
        assert poll_until(lambda: len(embedded.restarts(tmp_path)) >= 3, 60)
        assert embedded.restarts(tmp_path)[-1].endswith("UTC: ClickHouse failed; starting it again")
        users.write_text(written)
        assert poll_until(lambda: connects(server), 60)
        assert len(list(opened.iterdir())) == before  # no file descriptor is leaked
        users.write_text("no XML")
        signal_engine(server, signal.SIGKILL)
        assert poll_until(lambda: engine_pid(server) is None, 60)
        assert stop_child(process) == 0
    finally:
        kill(server, process)


def connects(server: embedded.Server) -> bool:
    """Tell whether the server answers."""
    try:
        with connect(server.url("admin")) as client:
            return bool(client.ping())
    except OtelIntelError:
        return False


def test_engine_that_crashes_before_it_is_up_is_not_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This happens on a processor without the instructions that the wheel was built for."""
    package = tmp_path / "package"
    package.mkdir()
    script = Path(embedded.__file__).with_name("engine.py").read_text()
    first, crash = "def _confine(directory: Path) -> None:\n", "    os.kill(os.getpid(), signal.SIGILL)\n"
    assert first in script
    (package / "engine.py").write_text(script.replace(first, first + crash))
    monkeypatch.setattr(embedded, "__file__", str(package / "embedded.py"))
    with pytest.raises(EmbeddedError, match="ClickHouse was ended by SIGILL before it was up"):
        embedded.start(tmp_path / "data", 0, 0)
    assert embedded.running(tmp_path / "data") is None


def test_server_that_was_told_to_shut_down_is_not_started_again(tmp_path: Path) -> None:
    server, process = embedded.start(tmp_path, 0, 0)
    try:
        with contextlib.suppress(DatabaseError, OperationalError), connect(server.url("admin")) as client:
            client.command("SYSTEM SHUTDOWN")
        assert process.wait(30) == 0
        assert embedded.restarts(tmp_path) == []
    finally:
        kill(server, process)


def test_down_stops_a_server_while_a_user_reads_its_pipes(tmp_path: Path) -> None:
    """file() opens whatever the process has open, and waits without end for what comes."""
    with run_clickhouse(tmp_path) as clickhouse:
        server = clickhouse.server
        headers = {"X-ClickHouse-User": "intel_reader", "X-ClickHouse-Key": server.passwords["reader"]}
        engine = engine_pid(server)
        assert engine
        pipes = pipes_of(engine)
        assert pipes
        with contextlib.ExitStack() as stack:
            for pipe in pipes:
                connection = stack.enter_context(
                    contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=10))
                )
                connection.request("POST", "/", f"SELECT length(file('/proc/self/fd/{pipe.name}'))", headers)
        assert clickhouse.value("SELECT 1") == 1
        os.kill(int((tmp_path / "server.pid").read_text()), signal.SIGTERM)
        # The user may read the byte that the engine waits for. Then the engine is killed after 50 s; down waits for 60.
        assert poll_until(lambda: embedded.running(tmp_path) is None, 58)
    assert embedded.restarts(tmp_path) == []


def test_idle_connections_do_not_delay_the_stop(tmp_path: Path) -> None:
    with run_clickhouse(tmp_path) as clickhouse:
        for role in embedded.ROLES:
            assert clickhouse.value("SELECT 1", role) == 1
        os.kill(int((tmp_path / "server.pid").read_text()), signal.SIGTERM)
        assert poll_until(lambda: embedded.running(tmp_path) is None, 4)  # running queries may take 5 s


def test_running_query_gets_its_answer_at_the_stop(tmp_path: Path) -> None:
    with run_clickhouse(tmp_path) as clickhouse:
        server = clickhouse.server
        headers = {"X-ClickHouse-User": "intel_reader", "X-ClickHouse-Key": server.passwords["reader"]}
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=10)) as connection:
            connection.request("POST", "/", "SELECT sleep(2)", headers)
            running = "SELECT count() FROM system.processes WHERE query = 'SELECT sleep(2)'"
            assert poll_until(lambda: clickhouse.value(running, "admin"))
            os.kill(int((tmp_path / "server.pid").read_text()), signal.SIGTERM)
            assert connection.getresponse().read() == b"0\n"
        assert poll_until(lambda: embedded.running(tmp_path) is None)


def test_engine_ends_when_its_supervisor_is_killed(tmp_path: Path) -> None:
    server, process = embedded.start(tmp_path, 0, 0, detach=True)
    try:
        engine = engine_pid(server)
        process.kill()
        process.wait()
        assert poll_until(lambda: not Path(f"/proc/{engine}").exists())
        assert embedded.running(tmp_path) is None
    finally:
        kill(server, process)


def test_stop_signal_for_all_processes_of_a_service_is_a_clean_stop(tmp_path: Path) -> None:
    """systemd and Docker send the signal to all processes."""
    server, process = embedded.start(tmp_path, 0, 0)
    try:
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(30) == 0
        assert embedded.restarts(tmp_path) == []
    finally:
        kill(server, process)


def test_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with run_clickhouse(tmp_path / "one") as running:
        other = tmp_path / "two"
        other.mkdir()
        (other / "server.pid").touch()
        # A different directory, but its data belongs to a running server.
        (other / "data").symlink_to(running.server.directory / "data")
        (other / "otel-intel.json").write_text((tmp_path / "one" / "otel-intel.json").read_text())
        with pytest.raises(EmbeddedError, match=r"did not start: [\s\S]*Cannot lock file"):
            embedded.start(other, 0, 0)


def test_plan_shows_every_statement_and_changes_nothing(tmp_path: Path) -> None:
    server, process = embedded.start(tmp_path, 0, 0)
    try:
        url = server.url("admin")
        plan = CliRunner().invoke(main, ["migrate", "--plan", "--url", url])
        assert plan.exit_code == 0, plan.output
        with connect(url) as client:
            assert client.command("SELECT count() FROM system.databases WHERE name IN ('intel', 'metrics')") == 0
        applied = CliRunner().invoke(main, ["migrate", "--url", url])
        assert applied.exit_code == 0, applied.output
        again = CliRunner().invoke(main, ["migrate", "--plan", "--url", url])
    finally:
        kill(server, process)
    steps = read_steps(folder("clickhouse") / "migrations")
    assert all(step.statement in plan.output for step in steps)
    assert len(applied.output.splitlines()) == len(steps)
    assert again.output == "-- then the views, as always\n"
